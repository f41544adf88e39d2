//! The operations of Windlass as a service.
//!
//! An operation is a plain async function: it takes a [`Caller`], a typed input and gives a typed output or an [`OperationError`]. It
//! knows no web framework. The HTTP interface, the command line and later fronts call the same functions, so they have the same
//! rules, the same rights and the same errors.
//!
//! | module | contents |
//! |---|---|
//! | [`service`] | the parts that operations work with: lines, store, agents, journal |
//! | [`access`] | callers, roles and scopes |
//! | [`tokens`] | tokens of people and programs |
//! | [`gateways`] | gateways with the state of their lines |
//! | [`gateway_records`], [`boards`], [`agents`], [`agent_records`] | records: shown and changed |
//! | [`activities`], [`audit`], [`lifecycle_runs`] | the past of agents, boards and records |
//! | [`sessions`] | sessions of a gateway: listed, read, changed |
//! | [`roster`] | the live sessions of a gateway |
//! | [`messages`] | messages to sessions, followed to their end |
//! | [`stream`] | events, line changes and activities as one stream |
//! | [`consumers`] | named positions in the journal |
//! | [`calls`] | one call of any method of a gateway |
//! | [`page`] | pages of lists |
//! | [`error`] | the error of every operation |

pub mod access;
pub mod activities;
pub mod agent_auth;
pub mod agent_calls;
pub mod agent_records;
pub mod agents;
pub mod audit;
pub mod boards;
mod caches;
pub mod calls;
pub mod consumers;
mod directory;
pub mod error;
pub mod gateway_records;
pub mod gateways;
mod job_table;
pub mod jobs;
pub mod lifecycle_runs;
mod message_end;
mod message_log;
pub mod messages;
pub mod page;
pub mod roster;
pub mod service;
pub mod sessions;
pub mod stream;
pub mod tokens;

pub use access::{Caller, Front, Role, Scope};
pub use directory::ConfiguredGateway;
pub use error::{OperationError, OperationErrorCode};
pub use page::ListPage;
pub use service::{Service, ServiceParts};
