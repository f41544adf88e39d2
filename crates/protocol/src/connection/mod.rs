//! The connection core: everything that a line to a gateway decides, without a socket, a clock or a task.
//!
//! ```text
//!             Handshake ──hello-ok──▶ Session ──(loss)──▶ dropped: each generation starts from fresh state
//!
//!   CallTable waiting ──▶ in flight ──▶ ended     lives across generations: a call ends exactly once
//!   Backoff   attempt ──▶ delay                   lives across generations: reset by a healthy stretch only
//! ```
//!
//! Time is an argument ([`std::time::Instant`] as a value), randomness too. The driver of the core moves the bytes,
//! sets one timer to the earliest deadline, and carries out the returned actions.

mod backoff;
mod boot;
mod call;
mod calls;
mod handshake;
mod sequence;
mod session;
mod watchdog;
mod write_watch;

pub use backoff::{Backoff, BackoffPolicy};
pub use boot::{BootIdentity, Continuity};
pub use call::{AnswerMode, Answered, CallCounters, CallLimits, CallRequest, ReplySlot, Resend};
pub use calls::CallTable;
pub use handshake::{Handshake, HandshakeFault, HandshakeStep};
pub use sequence::{Gap, Place, Sequence};
pub use session::{IgnoredFrame, Received, Session, Wire};
pub use watchdog::{Vigil, Watchdog};
pub use write_watch::WriteWatch;
