//! Records of gateways, boards, agents, their runs and sends, and a journal of events, behind traits; and a store in memory.
//!
//! * [`Store`] is the trait that callers use. It joins one trait for each noun: [`Organizations`], [`Gateways`], [`Boards`],
//!   [`Agents`], [`Runs`], [`Activities`], [`Sends`], [`Journal`], [`ApiTokens`], [`BoardMemory`].
//! * [`MemoryStore`] implements it here, `windlass-store-sqlite` in a SQLite database, and any other crate can do so: see
//!   [`backend`].
//! * A missing record is `Ok(None)` or `Ok(false)`, never an error. A reference to a missing record is [`StoreError::Unknown`].
//! * Each call is one transaction: it happens whole or not at all. In a database it is durable when it has returned: it survives a
//!   kill and a power cut.
//! * An agent has one writer at a time: its [`revision`](Agent::revision) is the fence ([`StoreError::Conflict`]), and
//!   [`amend`] is the loop that reads again.
//! * The [`Journal`] is a log of the events of gateways: appended in batches, read by cursor, pruned by age and size. A backend may
//!   keep it apart, so that neither its size nor its damage affects the records.
//! * The token of a gateway is stored as a reference ([`SecretSource`]), the token of an agent as a salted hash ([`TokenHash`]): a
//!   copy of the database gives access to nothing, and no key has to be managed.
//! * Times and randomness are arguments.

pub mod backend;
#[cfg(feature = "contract")]
pub mod contract;
mod error;
pub mod limits;
mod memory;
mod ownership;
mod record;
pub mod resolver;
mod secret_source;
mod token;
mod traits;
mod values;

pub use error::{BackendError, OwnError, StoreError};
pub use memory::MemoryStore;
pub use ownership::{Guard, Ownership, Right};
pub use record::{
    Acknowledged, Activity, ActivityFilter, Agent, AgentFilter, AgentRole, AgentStatus, ApiRole, ApiTokenRecord,
    Appended, Attempt, Board, BoardFilter, BoardMemoryEntry, BoardMemoryFilter, BoardMemoryPage, BoardRules, CHAT_TAG,
    ChatSend, CheckIn, ClockStep, Consumer, Creator, Ended, Entry, EntryLabel, EntryType, Extent, FileOverride,
    Gateway, InvalidName, JournalFilter, Lost, NewActivity, NewEntry, NewSend, OFFLINE_AFTER, Organization, Owner,
    PRUNED_MARKER, Page, Pruned, ReaderId, Retention, Run, RunKind, RunState, SendEnd, SendFilter, SendState, Step,
    StepName, StepState, TOUCH_INTERVAL, corrected, unfit_for_workspaces,
};
pub use secret_source::{InvalidSecretSource, MAX_SECRET_BYTES, SecretError, SecretSource, UnfitSecret, fit_secret};
pub use token::{AgentToken, InvalidTokenHash, TokenHash};
pub use traits::{
    AMEND_TRIES, Activities, Agents, ApiTokens, BoardMemory, Boards, Gateways, Journal, Organizations, Runs, Sends,
    Store, amend,
};
pub use values::{
    AgentUid, ApiTokenId, BoardId, Cursor, GatewayUid, InvalidId, MemoryId, OrganizationId, RunId, Timestamp,
};
