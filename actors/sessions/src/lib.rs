//! The session manager: messages that are sent once and followed to their one end, and all else that is done with sessions.
//!
//! What is known of a run's traps on nine releases stands in [`windlass_protocol::run`]; this gives it events, answers and
//! time, and keeps the turns of a session apart. The rules of single releases stand in [`windlass_protocol::releases`].

mod api;
mod change;
mod client;
mod delivery;
mod error;
mod history;
mod in_flight;
mod list;
mod manager;
mod message;
mod outbox;
mod queued;
pub mod session_cache;
#[cfg(test)]
mod tests;

pub use crate::list::SessionsStatus;
pub use api::Sessions;
pub use change::{DeleteOutcome, EnsuredSession, ResetOutcome};
pub use client::{ClientAttempts, GatewayClient, offers_method};
pub use error::{
    AskError, DeleteError, EnsureSessionError, HistoryError, ListError, MessageInterrupted, PatchError, SendError,
};
pub use history::{HISTORY_PAGE, HistoryCursor, HistoryDelta, HistoryPage, HistoryQuery};
pub use in_flight::IN_FLIGHT_LIMIT;
pub use list::{SESSIONS_LIMIT, SessionQuery};
pub use manager::{SessionManager, SessionManagerHandle, SessionManagerParts};
pub use message::{Handover, Message, MessageHandle};
pub use outbox::{ENDS_KEPT, EXPIRES_AFTER, Outbox, PENDING_KEPT, PendingMessage};
pub use windlass_protocol::run::{ResendAfterLoss, RunEnd, RunProgress};
