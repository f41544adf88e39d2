//! The rules that every backend applies, for the author of one.
//!
//! A backend implements the traits of this crate over a database. The rules that do not depend on the database stand here, so that
//! all backends give the same answers:
//!
//! * **Before a write** a record is checked: [`Organization::check`], [`Gateway::check`], [`Board::check`], [`Agent::check`],
//!   [`CheckIn::check`], [`Run::check_begin`], [`Run::check_end`], [`Step::check`], [`NewActivity::check`], [`NewSend::check`],
//!   [`SendEnd::check`], [`JournalFilter::check`], [`check_batch`]; single fields by [`check`]. Limits are in
//!   [`limits`](crate::limits).
//! * **Names** are compared by [`name_key`].
//! * **An agent** is stored as [`Agent::kept`] gives it. [`Agent::claims_no_more_than`] tells whether an update needs the checks for
//!   uniqueness again. [`Agent::checked_in`] and [`Agent::touched`] apply a check-in and seen activity; [`Agent::deadline`] and
//!   [`Agent::is_due`] are about deadlines.
//! * **A run** is stored as [`Run::kept`] gives it and ended by [`Run::ended_as`]; a send is ended as [`SendEnd::kept`] gives it.
//! * **Pages** hold [`page_size`] records at most, and end by size where [`fitting`] says so.
//! * **The journal** keeps a [`Reach`]. It says which cursors a batch gets, which [`Window`] a reader looks at, and which
//!   entries that reader missed. Pruning goes by [`Retention::cut`] for age and by [`Share`]s and a [`PrunePlan`] for size.
//! * **Rights** over a store are handed out as [`Ownership`](crate::Ownership), made of any guard that gives the right back when it is
//!   dropped.
//!
//! The contract suite of this crate (feature `contract`) proves a backend.
//!
//! [`Organization::check`]: crate::Organization::check
//! [`Gateway::check`]: crate::Gateway::check
//! [`Board::check`]: crate::Board::check
//! [`Agent::check`]: crate::Agent::check
//! [`Agent::kept`]: crate::Agent::kept
//! [`Agent::claims_no_more_than`]: crate::Agent::claims_no_more_than
//! [`Agent::checked_in`]: crate::Agent::checked_in
//! [`Agent::touched`]: crate::Agent::touched
//! [`Agent::deadline`]: crate::Agent::deadline
//! [`Agent::is_due`]: crate::Agent::is_due
//! [`CheckIn::check`]: crate::CheckIn::check
//! [`Run::check_begin`]: crate::Run::check_begin
//! [`Run::check_end`]: crate::Run::check_end
//! [`Run::kept`]: crate::Run::kept
//! [`Run::ended_as`]: crate::Run::ended_as
//! [`Step::check`]: crate::Step::check
//! [`NewActivity::check`]: crate::NewActivity::check
//! [`NewSend::check`]: crate::NewSend::check
//! [`SendEnd::check`]: crate::SendEnd::check
//! [`SendEnd::kept`]: crate::SendEnd::kept
//! [`JournalFilter::check`]: crate::JournalFilter::check
//! [`Retention::cut`]: crate::Retention::cut

pub mod check;

pub use crate::record::{
    Aged, CLOCK_STEPS_KEPT, Candidate, Hole, PrunePlan, PruneRun, Reach, SettledRun, Share, Window, check_batch,
    fitting, prune_from,
};

use crate::limits::{MESSAGE_CHARS, PAGE_LIMIT};

/// The text of a failure, cut to [`MESSAGE_CHARS`].
pub fn cut(text: &str) -> String {
    match text.char_indices().nth(MESSAGE_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The number of records that a page holds: the number that is asked for, at least 1 and at most [`PAGE_LIMIT`].
pub fn page_size(limit: usize) -> usize {
    limit.clamp(1, PAGE_LIMIT)
}

/// The form in which names are compared: Unicode lower case, without surrounding blanks.
pub fn name_key(name: &str) -> String {
    name.trim().to_lowercase()
}
