//! One logical send of a chat message, followed to its end: without IO, clock or tasks.
//!
//! ```text
//!   Sending ──answered──▶ Running ──final, error, aborted──▶ one RunEnd
//!      │                   │  │ └─lifecycle error──▶ Erring ──(no start for 15 s, history agrees)──▶ Failed
//!      │                   │  └─bare final─────────▶ HandedOn ──(history links the answer)─────────▶ Final
//!      └──line broke───────┴─────────────────────▶ Asking ──(history decides)──▶ Running, Sending or an end
//! ```
//!
//! [`RunTracker`] takes what the line says and is drained with [`RunTracker::poll`], which gives things to do, text as it
//! comes, and exactly one [`RunEnd`]. What a release shows is learned from what it sends, never from its version.

mod config;
mod end;
pub mod rules;
mod tracker;

pub use config::{GatewayFacts, ResendAfterLoss, RunConfig, RunLimits};
pub use end::{Action, Answer, Asked, Doubt, Evidence, Failure, FailureSign, Loss, Output, Progress, Repair, RunEnd};
pub use tracker::RunTracker;
