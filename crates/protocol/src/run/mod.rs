//! One logical send of a chat message, followed to its end: without IO, clock or tasks.
//!
//! ```text
//!   Sending ──answered──▶ Running ──final, error, aborted──▶ one RunEnd
//!      ├──command──▶ Command  │ ├─bare final, run began─▶ Asking ──(no failure in history)──▶ an empty Final
//!      │                   │  │ └─lifecycle error──▶ Erring ──(no start for 15 s, history agrees)──▶ Failed
//!      │                   │  └─bare final─────────▶ HandedOn ──(history links the answer)─────────▶ Final
//!      └──line broke───────┴─────────────────────▶ Asking ──(history decides)──▶ Running, Sending or an end
//! ```
//!
//! [`RunTracker`] takes events and answers of the line. [`RunTracker::poll`] returns the actions, the text as it
//! comes, and exactly one [`RunEnd`]. The tracker learns the ways of a release from its frames, never from its version.
//!
//! The traps of the releases, each with its rule:
//!
//! | trap | rule |
//! |---|---|
//! | a second send joins the first run (2026.9) or waits for it (2026.3) | [`runs::is_handed_on`](crate::releases::runs::is_handed_on), [`runs::steered_to`](crate::releases::runs::steered_to) |
//! | a bare final means handed on (2026.4, 2026.5, 2026.7) | the same, and [`runs::RUN_ADOPTED_WITHIN`](crate::releases::runs::RUN_ADOPTED_WITHIN) |
//! | a bare final means failed (2026.1) | the assistant's row says so: [`crate::request::ChatMessage::is_failure`] |
//! | a bare final means that the model said nothing (2026.3) | the run began: [`runs::is_handed_on`](crate::releases::runs::is_handed_on), [`runs::is_silence`](crate::releases::runs::is_silence) |
//! | an answer of nothing is told as an abort, then as an error (2026.9) | [`runs::is_without_answer`](crate::releases::runs::is_without_answer) |
//! | a command is answered without a run, and its key is not remembered (all) | [`crate::request::ChatSendReply::Command`] |
//! | a session's key is spelled in another way (all) | the run's id, and [`SessionKeySpace`](crate::SessionKeySpace) |
//! | two error events for one failure (2026.6 on) | the first one ends the run, an end is told once |
//! | a message between the two is written down and never run (2026.6, 2026.7) | [`settles_after`] |
//! | no event for a failure (2026.4, 2026.5) | [`runs::RETRY_WINDOW`](crate::releases::runs::RETRY_WINDOW) |
//! | `agent.wait` says `ok` for failed and aborted runs (up to 2026.5) | [`runs::wait_verdict`](crate::releases::runs::wait_verdict) |
//! | `agent.wait` says `timeout` for unknown runs (all) | the same |
//! | a session that was there before its first turn breaks (2026.6) | [`runs::is_broken_session`](crate::releases::runs::is_broken_session) |
//! | the same text is answered with an older run (2026.6) | [`runs::is_taken_for_repetition`](crate::releases::runs::is_taken_for_repetition) |
//! | a known key with another text is silently `ok` (2026.3) | [`Doubt::KeyUsedBefore`] |
//! | the first thing a user says shows only after its run (up to 2026.7) | [`GatewayFacts::rows_at_once`] |
//! | the last delta stops short of the final text (2026.1, 2026.2) | [`Progress::Increment`] before the end, by the final |
//! | a failure is told as an answer (2026.3, while it drains) | [`runs::is_failure_told_as_answer`](crate::releases::runs::is_failure_told_as_answer) |
//! | an aborted run looks finished in the history (2026.9) | [`runs::abort_in_row`](crate::releases::runs::abort_in_row) |
//! | a turn goes on under another run id after a restart, with the message's row replaced (from 2026.5 on) | [`runs::is_interruption_notice`](crate::releases::runs::is_interruption_notice) |

mod config;
mod end;
mod others;
mod spoken;
mod standing;
mod tracker;

pub use config::{GatewayFacts, ResendAfterLoss, RunConfig, RunLimits, SentBefore};
pub use end::{
    Action, Answer, Asked, CommandDone, Doubt, Evidence, Failure, FailureSign, Loss, Output, Progress, Repair, RunEnd,
    SETTLES_AFTER_FAILURE, explain_failed_run, settles_after,
};
pub use tracker::RunTracker;
