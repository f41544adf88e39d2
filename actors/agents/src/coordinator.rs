//! The coordinator: people and agents speaking to each other, over the agents' sessions.
//!
//! | operation | reaches | allowed to |
//! |---|---|---|
//! | nudge | an agent of a board | a person, agents of that board |
//! | read, write a soul | an agent's `SOUL.md` | the same; written by a person or the lead |
//! | ask the user, onboarding | the gateway's own agent | a person, the board's lead |
//! | message a lead, broadcast | leads, brought to life if need be | a person, the gateway's own agent |
//!
//! Each attempt is an activity on record, carries an id by which its answer is found again, and ends within 45 s. The id is the
//! message's idempotency key: said twice under it, it is heard once.

mod actor;
mod boards;
mod context;
mod error;
mod leads;
mod operation;
mod policy;
#[cfg(test)]
mod tests;

pub use actor::{Coordinator, CoordinatorHandle};
pub use context::MESSAGE_CHARS;
pub use error::CoordinationError;
pub use operation::{
    AskUser, BoardResult, BroadcastReport, DeliveryReceipt, LeadMessage, LeadMessageKind, Nudge, Onboarding, Soul,
};
pub use policy::{Caller, Forbidden};
