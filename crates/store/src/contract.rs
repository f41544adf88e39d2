//! The contract of a [`Store`] as tests that every backend runs. Feature `contract`; meant for `[dev-dependencies]`.
//!
//! A backend gives a function that makes an empty store, and [`contract_tests!`](crate::contract_tests) writes one test for each
//! point of the contract:
//!
//! ```
//! use std::sync::Arc;
//! use windlass_store::{MemoryStore, Store};
//!
//! /// An empty store, and a guard that outlives it, such as a temporary folder.
//! async fn empty() -> (Arc<dyn Store>, ()) {
//!     (Arc::new(MemoryStore::new()), ())
//! }
//!
//! windlass_store::contract_tests!(empty);
//! ```
//!
//! The tests are `#[tokio::test]` functions, so the backend needs `tokio` with its features `macros` and `rt`. [`all`] and [`run`]
//! are for another test harness.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod tests;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use crate::traits::Store;

type TestRun = Pin<Box<dyn Future<Output = ()>>>;

/// One test of the contract.
#[derive(Clone, Copy)]
pub struct ContractTest {
    name: &'static str,
    run: fn(Arc<dyn Store>) -> TestRun,
}

impl ContractTest {
    /// Its name: `agents::a_board_has_one_lead`.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Runs it on an empty store and closes the store. Needs a runtime of tokio.
    ///
    /// # Panics
    /// If the store breaks the contract.
    pub async fn run(&self, store: Arc<dyn Store>) {
        (self.run)(Arc::clone(&store)).await;
        store.close().await.unwrap();
    }
}

impl fmt::Debug for ContractTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ContractTest").field(&self.name).finish()
    }
}

/// All tests of the contract.
pub fn all() -> &'static [ContractTest] {
    crate::__contract!(table)
}

/// Runs the test of this name on a store that `empty` makes, and keeps the second value that `empty` gives until the test is over.
///
/// # Panics
/// If the store breaks the contract, or if there is no such test.
pub async fn run<G>(name: &str, empty: impl AsyncFnOnce() -> (Arc<dyn Store>, G)) {
    let test = all()
        .iter()
        .find(|test| test.name == name)
        .expect("a test of the contract");
    let (store, guard) = empty().await;
    test.run(store).await;
    drop(guard);
}

/// Writes a `#[tokio::test]` for each test of the contract. The argument is an async function that gives an empty store, as an
/// `Arc<dyn Store>`, and a value that is kept until the test is over.
#[macro_export]
macro_rules! contract_tests {
    ($empty:expr) => {
        $crate::__contract!(tests $empty);
    };
}

/// The list of the tests, by module.
#[doc(hidden)]
#[macro_export]
macro_rules! __contract {
    ($($form:tt)+) => {
        $crate::__contract_forms! {
            $($form)+;
            records:
                what_is_not_there_is_none_and_not_an_error
                an_organization_is_written_and_written_again
                a_gateway_reads_back_as_it_was_written
                a_board_reads_back_as_it_was_written
                a_name_belongs_to_one_gateway_and_one_board_of_an_organization
                of_many_that_add_one_name_one_does
                a_workspace_root_that_is_no_folder_of_its_own_is_refused
                lists_are_sorted_and_filtered
                a_record_that_names_an_unknown_one_is_refused
                an_id_can_be_inserted_only_once_and_updated_only_when_there
                what_is_referred_to_cannot_be_deleted
                only_one_can_own_a_store_at_a_time
                a_closed_store_says_so;
            limits:
                empty_and_too_long_texts_are_refused_by_their_field
                the_longest_texts_are_taken
                what_is_said_of_a_failure_is_cut_and_not_refused
                a_url_with_a_secret_in_it_is_refused
                a_secret_in_place_of_its_reference_is_refused;
            agents:
                an_agent_reads_back_as_it_was_written
                each_role_has_its_session_on_the_gateway
                a_gateway_has_one_main_agent
                a_board_has_one_lead
                a_name_is_taken_in_whatever_letters_on_its_board
                a_name_is_taken_in_its_gateways_workspace_but_for_leads
                a_session_belongs_to_one_agent_of_a_gateway
                a_lead_creates_no_more_workers_than_the_board_allows
                the_last_place_is_given_once_when_many_ask
                a_name_is_given_once_when_many_ask
                an_agent_goes_where_its_board_is
                a_change_of_what_was_changed_meanwhile_is_refused
                of_many_writers_of_one_revision_one_wins
                amend_reads_again_until_it_wins
                a_refused_change_changes_nothing
                agents_are_listed_by_gateway_board_and_role
                a_deleted_agent_leaves_its_name_free;
            check_in:
                a_check_in_clears_what_was_pending
                a_check_in_takes_the_status_given_but_never_goes_back_in_time
                an_agent_on_its_way_out_is_not_brought_back
                a_check_in_of_nobody_is_none
                a_check_in_fences_who_read_before
                activity_is_written_down_once_a_minute
                activity_before_the_wake_is_no_answer_to_it
                activity_during_a_run_counts_however_lately_the_agent_was_seen
                activity_brings_an_offline_agent_back
                the_earliest_deadline_comes_first
                deadlines_are_due_when_they_are_reached;
            runs:
                a_run_begins_with_its_agent_or_not_at_all
                an_agent_has_one_active_run
                of_many_runs_that_begin_at_once_one_does
                steps_are_kept_in_the_order_of_their_beginning
                a_run_ends_with_its_agent_or_not_at_all
                what_has_ended_takes_no_more_steps
                a_run_ends_and_its_agent_goes
                runs_are_listed_oldest_active_and_newest_of_an_agent
                old_runs_are_pruned_and_active_ones_stay
                a_run_that_makes_no_sense_is_refused;
            activities:
                activities_are_numbered_and_read_on_from_a_cursor
                activities_are_filtered_by_agent_and_board
                a_number_is_never_used_again
                many_recorders_lose_nothing;
            journal:
                an_empty_journal_reaches_nowhere
                entries_read_back_as_they_were_appended
                a_journal_is_read_on_from_a_cursor_to_its_end
                batches_of_every_length_are_whole_and_in_order
                a_batch_that_is_not_acceptable_is_refused_whole
                a_filter_takes_what_it_names_and_all_markers
                a_read_looks_at_so_many_entries_and_no_more
                a_page_holds_so_many_bytes_and_at_least_one_entry;
            retention:
                a_reader_is_told_of_a_hole
                a_cursor_is_never_used_again
                a_journal_is_pruned_by_age_in_steps
                a_journal_is_pruned_by_size_and_the_count_is_exact
                a_clock_that_was_wrong_neither_keeps_all_nor_loses_what_is_young
                a_gateway_that_sends_much_is_pruned_before_the_others_and_leaves_a_marker
                a_hole_grows_and_goes_with_what_is_older
                a_clock_that_stepped_does_not_make_entries_old
                of_the_steps_of_a_clock_the_latest_are_kept
                an_acknowledged_cursor_never_goes_back
                readers_of_one_name_find_each_other
                of_many_that_acknowledge_the_furthest_stays
                many_appenders_readers_and_a_pruner_lose_nothing;
            sends:
                a_send_reads_back_as_it_was_begun
                a_key_is_begun_once
                of_many_that_begin_one_key_one_does
                attempts_are_counted_and_the_latest_kept
                what_was_learned_of_an_attempt_stands_in_its_facts
                the_messages_are_owned_apart_from_the_agents
                a_send_ends_once
                pending_sends_come_in_the_order_of_their_beginning
                a_list_of_sends_holds_so_many_bytes
                old_sends_are_pruned_and_pending_ones_stay
                a_send_that_makes_no_sense_is_refused;
            service:
                a_token_is_found_by_its_hash_until_it_is_deleted
                a_tokens_name_is_taken_in_whatever_letters
                a_token_is_revoked_once_and_its_last_use_never_goes_back
                a_boards_memory_is_read_newest_first_by_page_and_kind
                a_memory_that_makes_no_sense_is_refused
                a_boards_memory_goes_with_its_board
                an_activity_tells_its_actor_and_is_found_by_kind;
            resolving:
                a_board_is_resolved_to_its_gateway
                each_reason_why_there_is_no_gateway_is_told;
            secrets:
                no_record_and_no_error_shows_a_hash_or_a_secret
                neither_entries_nor_sends_show_what_they_carry;
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __contract_forms {
    (table; $($module:ident: $($test:ident)+;)+) => {
        &[$($(ContractTest {
            name: concat!(stringify!($module), "::", stringify!($test)),
            run: |store| Box::pin(async move { tests::$module::$test(&store).await }),
        },)+)+]
    };
    (tests $empty:expr; $($module:ident: $($test:ident)+;)+) => {
        $($(
            #[tokio::test]
            async fn $test() {
                $crate::contract::run(concat!(stringify!($module), "::", stringify!($test)), $empty).await;
            }
        )+)+
    };
}
