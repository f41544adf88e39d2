//! Records of organizations, gateways, boards, agents and their runs, behind traits; memory and SQLite.
//!
//! * [`Store`] is all a caller needs to know; it is one trait a noun: [`Organizations`], [`Gateways`], [`Boards`], [`Agents`],
//!   [`Runs`], [`Activities`]. [`MemoryStore`] and [`SqliteStore`] pass the same contract tests.
//! * What does not exist is `Ok(None)` or `Ok(false)`, never an error. A reference to what does not exist is
//!   [`StoreError::Unknown`].
//! * Each call is one transaction: it happens whole or not at all, and when it has returned it outlives a kill and a power cut.
//! * An agent has one writer at a time: its [`revision`](Agent::revision) is the fence ([`StoreError::Conflict`]), and
//!   [`amend`] is the loop that reads again.
//! * Of a gateway's token only a reference is kept ([`SecretSource`]), of an agent's token only a salted hash ([`TokenHash`]):
//!   a copy of the database gives no access to anything, and there is no key to look after.
//! * Times and randomness are arguments.

mod amend;
mod error;
mod id;
pub mod limits;
mod memory;
mod ownership;
mod record;
pub mod resolver;
mod secret_source;
mod sqlite;
mod time;
mod token;
mod traits;

pub use amend::{AMEND_TRIES, amend};
pub use error::{BackendError, OpenError, OwnError, StoreError};
pub use id::{AgentUid, BoardId, GatewayUid, InvalidId, OrganizationId, RunId};
pub use memory::MemoryStore;
pub use ownership::Ownership;
pub use record::{
    Activity, ActivityFilter, Agent, AgentFilter, AgentRole, AgentStatus, Board, BoardFilter, BoardRules, CheckIn,
    Creator, Gateway, InvalidName, NewActivity, OFFLINE_AFTER, Organization, Owner, Run, RunKind, RunState, Step,
    StepName, StepState, TOUCH_INTERVAL,
};
pub use secret_source::{InvalidSecretSource, SecretError, SecretSource};
pub use sqlite::{SqliteOptions, SqliteStore};
pub use time::Timestamp;
pub use token::{AgentToken, InvalidTokenHash, TokenHash};
pub use traits::{Activities, Agents, Boards, Gateways, Organizations, Runs, Store};
