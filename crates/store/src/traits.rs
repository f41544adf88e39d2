//! The traits of a store, one for each noun; [`Store`] joins them.

use std::fmt::Debug;

use async_trait::async_trait;
use serde_json::Value;
use windlass_protocol::SessionKey;

use crate::error::{OwnError, StoreError};
use crate::ownership::Ownership;
use crate::record::{
    Acknowledged, Activity, ActivityFilter, Agent, AgentFilter, ApiTokenRecord, Appended, Attempt, Board, BoardFilter,
    BoardMemoryEntry, BoardMemoryFilter, BoardMemoryPage, ChatSend, CheckIn, ClockStep, Consumer, Creator, Extent,
    Gateway, JournalFilter, NewActivity, NewEntry, NewSend, Organization, Page, Pruned, ReaderId, Retention, Run,
    SendEnd, SendFilter, Step,
};
use crate::values::{AgentUid, ApiTokenId, BoardId, Cursor, GatewayUid, OrganizationId, RunId, Timestamp};

/// A store: all records, the journal, and the right to run its agents.
#[async_trait]
pub trait Store:
    Organizations
    + Gateways
    + Boards
    + Agents
    + Runs
    + Activities
    + Journal
    + Sends
    + ApiTokens
    + BoardMemory
    + Debug
    + Send
    + Sync
    + 'static
{
    /// Takes the right to run this store's agents, which one process has at a time. Others may still read and write records.
    async fn own(&self) -> Result<Ownership, OwnError>;

    /// Closes it: calls under way are finished, later ones are [`StoreError::Closed`]. Closing twice is fine. Not closing loses
    /// nothing.
    async fn close(&self) -> Result<(), StoreError>;
}

/// Organizations.
#[async_trait]
pub trait Organizations {
    /// Writes it, whether it is new or not.
    async fn put_organization(&self, organization: &Organization) -> Result<(), StoreError>;

    /// The one with this id.
    async fn organization(&self, id: OrganizationId) -> Result<Option<Organization>, StoreError>;

    /// All, by name; at most [`LIST_LIMIT`](crate::limits::LIST_LIMIT).
    async fn organizations(&self) -> Result<Vec<Organization>, StoreError>;
}

/// Gateways.
#[async_trait]
pub trait Gateways {
    /// Adds one. [`StoreError::Exists`], [`StoreError::Unknown`] for its organization, or [`StoreError::NameTaken`] when another
    /// gateway of its organization has the name, ignoring case.
    async fn insert_gateway(&self, gateway: &Gateway) -> Result<(), StoreError>;

    /// Writes all of it anew. [`StoreError::Unknown`] when it, or its organization, is not there; [`StoreError::NameTaken`] as in
    /// [`Gateways::insert_gateway`].
    async fn update_gateway(&self, gateway: &Gateway) -> Result<(), StoreError>;

    /// The one with this id.
    async fn gateway(&self, id: GatewayUid) -> Result<Option<Gateway>, StoreError>;

    /// Those of an organization, or all, by name; at most [`LIST_LIMIT`](crate::limits::LIST_LIMIT).
    async fn gateways(&self, organization: Option<OrganizationId>) -> Result<Vec<Gateway>, StoreError>;

    /// Deletes it; `false` when it was not there. [`StoreError::InUse`] while boards or agents are on it.
    async fn delete_gateway(&self, id: GatewayUid) -> Result<bool, StoreError>;
}

/// Boards.
#[async_trait]
pub trait Boards {
    /// Adds one. [`StoreError::Exists`], [`StoreError::Unknown`] for its organization or gateway, or [`StoreError::NameTaken`] when
    /// another board of its organization has the name, ignoring case.
    async fn insert_board(&self, board: &Board) -> Result<(), StoreError>;

    /// Writes all of it anew. [`StoreError::Unknown`] when it, its organization or its gateway is not there;
    /// [`StoreError::NameTaken`] as in [`Boards::insert_board`].
    async fn update_board(&self, board: &Board) -> Result<(), StoreError>;

    /// The one with this id.
    async fn board(&self, id: BoardId) -> Result<Option<Board>, StoreError>;

    /// Those that the filter takes, newest first; at most [`LIST_LIMIT`](crate::limits::LIST_LIMIT).
    async fn boards(&self, filter: &BoardFilter) -> Result<Vec<Board>, StoreError>;

    /// Deletes it; `false` when it was not there. [`StoreError::InUse`] while agents are on it.
    async fn delete_board(&self, id: BoardId) -> Result<bool, StoreError>;
}

/// Agents.
///
/// A name is taken when another agent of the same board has it, or, for agents that lead no board, when another such agent of the
/// same gateway has it; letters are compared in Unicode lower case. Leads are left out of the second rule because by default they
/// all have the same name.
#[async_trait]
pub trait Agents {
    /// Adds one, at revision 1, and gives it back as it is stored.
    ///
    /// [`StoreError::Exists`]; [`StoreError::Unknown`] for its gateway or board; [`StoreError::NameTaken`];
    /// [`StoreError::AlreadyHasMain`]; [`StoreError::AlreadyHasLead`]; [`StoreError::SessionTaken`]; and
    /// [`StoreError::LimitReached`] when a lead creates a worker where the board has its `max_agents` workers.
    async fn insert_agent(&self, agent: &Agent, created_by: Creator) -> Result<Agent, StoreError>;

    /// Writes all of it anew and gives it back, one revision on. [`StoreError::Conflict`] when its revision is not the stored one,
    /// [`StoreError::Unknown`] when it does not exist, and the refusals of [`Agents::insert_agent`] for the new values.
    async fn update_agent(&self, agent: &Agent) -> Result<Agent, StoreError>;

    /// The one with this id.
    async fn agent(&self, id: AgentUid) -> Result<Option<Agent>, StoreError>;

    /// Those that the filter takes, oldest first; at most [`LIST_LIMIT`](crate::limits::LIST_LIMIT).
    async fn agents(&self, filter: &AgentFilter) -> Result<Vec<Agent>, StoreError>;

    /// Deletes its record; `false` when it was not there. Its runs and activities stay, until they are pruned.
    async fn delete_agent(&self, id: AgentUid) -> Result<bool, StoreError>;

    /// The one with this session on a gateway.
    async fn agent_by_session(&self, gateway: GatewayUid, key: &SessionKey) -> Result<Option<Agent>, StoreError>;

    /// The agent says that it is there: seen (never earlier than before), online or as given, and wakes, deadline and error
    /// cleared; one revision on. One that is being deleted is given back unchanged. `None` when it is not there.
    async fn check_in(&self, id: AgentUid, check_in: CheckIn) -> Result<Option<Agent>, StoreError>;

    /// Activity of the agent was seen on the gateway's events. Counts as a check-in when a deadline is pending and it is not from
    /// before the wake, when the agent is offline or a run is under way (which may just have woken it), or when it was not seen
    /// for [`TOUCH_INTERVAL`](crate::TOUCH_INTERVAL); otherwise nothing is written, so this may be called for every event. Whether
    /// something was written.
    async fn touch(&self, id: AgentUid, at: Timestamp) -> Result<bool, StoreError>;

    /// The agent with the earliest deadline. Those being deleted have none.
    async fn next_deadline(&self) -> Result<Option<(AgentUid, Timestamp)>, StoreError>;

    /// The agents with a deadline at or before `now`, earliest first; at most `limit` and [`PAGE_LIMIT`](crate::limits::PAGE_LIMIT).
    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<Agent>, StoreError>;
}

/// Lifecycle runs and their steps.
#[async_trait]
pub trait Runs {
    /// Adds an active run and writes its agent, in one transaction; gives the agent back, one revision on.
    ///
    /// [`StoreError::RunActive`] when the agent has one already, [`StoreError::Exists`], and the refusals of
    /// [`Agents::update_agent`](Agents::update_agent).
    async fn begin_run(&self, run: &Run, agent: &Agent) -> Result<Agent, StoreError>;

    /// Writes a step, whether it is new or not. [`StoreError::RunEnded`] when its run has ended, [`StoreError::Unknown`] when there
    /// is no such run.
    async fn put_step(&self, step: &Step) -> Result<(), StoreError>;

    /// The steps of a run, in the order in which they were begun.
    async fn steps(&self, run: RunId) -> Result<Vec<Step>, StoreError>;

    /// Ends a run, done or failed, and writes its agent if given, in one transaction; gives that agent back, one revision on.
    ///
    /// [`StoreError::RunEnded`] when it has ended, [`StoreError::Unknown`] when it is not there, and the refusals of
    /// [`Agents::update_agent`](Agents::update_agent).
    async fn end_run(&self, run: &Run, agent: Option<&Agent>) -> Result<Option<Agent>, StoreError>;

    /// Ends a run and deletes the record of its agent, in one transaction. Whether the record was there.
    async fn end_run_and_delete(&self, run: &Run) -> Result<bool, StoreError>;

    /// The one with this id.
    async fn run(&self, id: RunId) -> Result<Option<Run>, StoreError>;

    /// Runs that have not ended, oldest first; at most `limit` and [`PAGE_LIMIT`](crate::limits::PAGE_LIMIT).
    async fn active_runs(&self, limit: usize) -> Result<Vec<Run>, StoreError>;

    /// Runs of an agent, newest first; at most `limit` and [`PAGE_LIMIT`](crate::limits::PAGE_LIMIT).
    async fn runs(&self, agent: AgentUid, limit: usize) -> Result<Vec<Run>, StoreError>;

    /// Deletes runs, with their steps, that ended before `before`, earliest first; at most `limit` and
    /// [`PAGE_LIMIT`](crate::limits::PAGE_LIMIT). How many.
    async fn prune_runs(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError>;
}

/// Activities.
#[async_trait]
pub trait Activities {
    /// Records one and gives it back with its number.
    async fn record(&self, activity: &NewActivity) -> Result<Activity, StoreError>;

    /// Those that the filter takes, oldest first; at most `limit` and [`PAGE_LIMIT`](crate::limits::PAGE_LIMIT). With `after`, the
    /// first ones after that number; without, the last ones there are. So a reader begins with `None` and goes on from the last
    /// number it has seen; `Some(0)` begins at the beginning. A reader of the past gives the smallest number it has seen as
    /// [`ActivityFilter::before`], and no `after`.
    async fn activities(
        &self,
        filter: &ActivityFilter,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Activity>, StoreError>;

    /// Deletes those from before `before`, earliest first; at most `limit` and [`PAGE_LIMIT`](crate::limits::PAGE_LIMIT). How many.
    async fn prune_activities(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError>;
}

/// Tokens of people and programs that call the service.
#[async_trait]
pub trait ApiTokens {
    /// Adds one. [`StoreError::Exists`], or [`StoreError::NameTaken`] when another one has the name, ignoring case.
    async fn insert_api_token(&self, token: &ApiTokenRecord) -> Result<(), StoreError>;

    /// The one with this hash, also when it is revoked or expired.
    async fn api_token_by_hash(&self, hash: &[u8; 32]) -> Result<Option<ApiTokenRecord>, StoreError>;

    /// All, by name; at most [`LIST_LIMIT`](crate::limits::LIST_LIMIT).
    async fn api_tokens(&self) -> Result<Vec<ApiTokenRecord>, StoreError>;

    /// Revokes it: the first time counts. `false` when it is not there.
    async fn revoke_api_token(&self, id: ApiTokenId, at: Timestamp) -> Result<bool, StoreError>;

    /// Notes its use; never an earlier one than before.
    async fn touch_api_token(&self, id: ApiTokenId, at: Timestamp) -> Result<(), StoreError>;

    /// Deletes it; `false` when it was not there.
    async fn delete_api_token(&self, id: ApiTokenId) -> Result<bool, StoreError>;
}

/// The memories of boards. The memory of a board goes with its board.
#[async_trait]
pub trait BoardMemory {
    /// Adds an entry. [`StoreError::Exists`], or [`StoreError::Unknown`] for its board.
    async fn remember(&self, entry: &BoardMemoryEntry) -> Result<(), StoreError>;

    /// The entries that the filter takes, newest first, from `offset` on; at most `limit` and
    /// [`PAGE_LIMIT`](crate::limits::PAGE_LIMIT).
    async fn board_memory(
        &self,
        filter: &BoardMemoryFilter,
        offset: u64,
        limit: usize,
    ) -> Result<BoardMemoryPage, StoreError>;
}

/// Logical sends of chat messages, each under one idempotency key over all its attempts, connections and processes.
///
/// A send is begun before its first attempt, and an attempt is noted before it is made. So after a restart the pending sends show
/// which messages may have arrived, and where, and which were never sent.
#[async_trait]
pub trait Sends {
    /// Takes the right to send these messages, which one process has at a time; it does not depend on the right to run the agents.
    /// Other processes may still read.
    async fn own_sends(&self) -> Result<Ownership, OwnError>;

    /// Adds a pending send, behind all that were begun before it, and gives it back with its position.
    ///
    /// [`StoreError::Exists`] when there is one with this key, ended or not; keys of pruned ones are not known any more.
    async fn begin_send(&self, send: &NewSend) -> Result<ChatSend, StoreError>;

    /// Notes that an attempt is about to be made, and gives back which one it is, from 1. The latest
    /// [`ATTEMPTS_KEPT`](crate::limits::ATTEMPTS_KEPT) are kept.
    ///
    /// [`StoreError::Unknown`] for the key, [`StoreError::SendEnded`].
    async fn note_attempt(&self, key: &str, at: Timestamp, facts: &Value) -> Result<u32, StoreError>;

    /// Replaces the facts of an attempt by newer ones.
    ///
    /// [`StoreError::Unknown`] for the key or an attempt that is not kept (any more), [`StoreError::SendEnded`].
    async fn amend_attempt(&self, key: &str, number: u32, facts: &Value) -> Result<(), StoreError>;

    /// Its attempts, in order; empty also when there is no such send.
    async fn attempts(&self, key: &str) -> Result<Vec<Attempt>, StoreError>;

    /// Ends a send and gives it back. [`StoreError::Unknown`] for the key, [`StoreError::SendEnded`].
    async fn end_send(&self, key: &str, end: &SendEnd, at: Timestamp) -> Result<ChatSend, StoreError>;

    /// The one with this key.
    async fn chat_send(&self, key: &str) -> Result<Option<ChatSend>, StoreError>;

    /// Pending sends that the filter takes, after a position or from the first, in the order in which they were begun; at most
    /// `limit`, [`PAGE_LIMIT`](crate::limits::PAGE_LIMIT) and [`SENDS_PAGE_BYTES`](crate::limits::SENDS_PAGE_BYTES). Empty means
    /// that there are no more.
    async fn pending_sends(
        &self,
        filter: &SendFilter,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Vec<ChatSend>, StoreError>;

    /// Deletes sends that ended before `before`, earliest first, with their attempts; at most `limit` and
    /// [`PAGE_LIMIT`](crate::limits::PAGE_LIMIT). How many.
    async fn prune_sends(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError>;
}

/// The journal: events and markers of all gateways, in the order in which they were appended, for readers that come later.
///
/// In a database an appended entry, with its cursor, survives a kill and a power cut.
#[async_trait]
pub trait Journal {
    /// Takes the right to write this store's journal, which one process has at a time: two that record the same gateway would
    /// record everything twice. Others may still read it, and acknowledge. [`Journal::append`] does not check the right.
    async fn own_journal(&self) -> Result<Ownership, OwnError>;

    /// Appends entries, all or none; at least one, at most [`JOURNAL_BATCH`](crate::limits::JOURNAL_BATCH) and
    /// [`JOURNAL_BATCH_BYTES`](crate::limits::JOURNAL_BATCH_BYTES). A batch costs one wait for the disk, however long it is.
    async fn append(&self, entries: &[NewEntry]) -> Result<Appended, StoreError>;

    /// The entries after a cursor that the filter takes, in order; with none, from the oldest that is there. A page ends after
    /// `limit` or [`PAGE_LIMIT`](crate::limits::PAGE_LIMIT) entries, [`JOURNAL_PAGE_BYTES`](crate::limits::JOURNAL_PAGE_BYTES), or
    /// [`JOURNAL_SCAN`](crate::limits::JOURNAL_SCAN) entries looked at, whichever comes first: read on after [`Page::next`] until
    /// [`Page::is_end`].
    ///
    /// If the entry of the cursor is gone, reading continues with the next entry that is present, and [`Page::lost`] tells.
    async fn read_journal(
        &self,
        after: Option<Cursor>,
        filter: &JournalFilter,
        limit: usize,
    ) -> Result<Page, StoreError>;

    /// How far the journal reaches.
    async fn journal_extent(&self) -> Result<Extent, StoreError>;

    /// Deletes entries as far as the retention asks for it; at most `limit` and [`PAGE_LIMIT`](crate::limits::PAGE_LIMIT) in
    /// one step, so that appending is not kept waiting: again while [`Pruned::more`]. Too old are the oldest entries of all;
    /// where the journal is too large, gateways that take more than an equal share lose their oldest entries first. A
    /// [`PRUNED_MARKER`](crate::PRUNED_MARKER) stands in the place of entries that were deleted behind older ones that stay.
    /// Deleted entries leave their room to new ones; the database's file does not shrink.
    async fn prune_journal(&self, retention: &Retention, now: Timestamp, limit: usize) -> Result<Pruned, StoreError>;

    /// The clock that stamps entries moved. Pruning by age counts the age of the entries up to [`ClockStep::upto`] by the clock
    /// as it is now. A journal without entries has nothing to correct.
    async fn note_clock_step(&self, step: ClockStep) -> Result<(), StoreError>;

    /// The steps of the clock that are known, oldest first; those before the oldest entry are forgotten.
    async fn clock_steps(&self) -> Result<Vec<ClockStep>, StoreError>;

    /// A consumer has done with all entries up to this one. Gives back how far it was and is. It never goes back, but from a
    /// place above the newest entry: then the journal is an older copy of the one that the consumer read, or another one.
    ///
    /// [`StoreError::Unknown`] for a cursor above the newest entry.
    async fn acknowledge(
        &self,
        consumer: &str,
        cursor: Cursor,
        reader: ReaderId,
        at: Timestamp,
    ) -> Result<Acknowledged, StoreError>;

    /// How far a consumer is.
    async fn acknowledged(&self, consumer: &str) -> Result<Option<Cursor>, StoreError>;

    /// All consumers, by name; at most [`LIST_LIMIT`](crate::limits::LIST_LIMIT).
    async fn consumers(&self) -> Result<Vec<Consumer>, StoreError>;

    /// Forgets a consumer; `false` when it was not there.
    async fn delete_consumer(&self, consumer: &str) -> Result<bool, StoreError>;
}

/// How often [`amend`] reads again. Only check-ins come between a read and a write, and one agent sends few of them.
pub const AMEND_TRIES: usize = 8;

/// Changes an agent as it is now: reads it, lets `change` work on it, and writes it, again when it was changed in between.
///
/// `None` when there is no such agent. [`StoreError::Conflict`] after [`AMEND_TRIES`].
pub async fn amend<S, F>(store: &S, id: AgentUid, mut change: F) -> Result<Option<Agent>, StoreError>
where
    S: Agents + ?Sized,
    F: FnMut(&mut Agent) + Send,
{
    for _ in 0..AMEND_TRIES {
        let Some(mut agent) = store.agent(id).await? else {
            return Ok(None);
        };
        change(&mut agent);
        match store.update_agent(&agent).await {
            Err(StoreError::Conflict { .. }) => {}
            Err(StoreError::Unknown { what: "agent", .. }) => return Ok(None),
            done => return done.map(Some),
        }
    }
    Err(StoreError::Conflict { agent: id })
}
