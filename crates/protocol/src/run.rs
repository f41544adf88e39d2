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
//! | a session's key is spelled in another way (all) | the run's id, and [`SessionKeySpace`] |
//! | two error events for one failure (2026.6 on) | the first one ends the run, an end is told once |
//! | a message between the two is written down and never run (2026.6, 2026.7) | [`settles_after`] |
//! | no event for a failure (2026.4, 2026.5) | [`runs::RETRY_WINDOW`](crate::releases::runs::RETRY_WINDOW) |
//! | `agent.wait` says `ok` for failed and aborted runs (up to 2026.5) | [`runs::wait_verdict`](crate::releases::runs::wait_verdict) |
//! | `agent.wait` says `timeout` for unknown runs (all) | the same |
//! | a session that was there before its first turn breaks (2026.6) | [`runs::is_broken_session`](crate::releases::runs::is_broken_session) |
//! | the same text is answered with an older run (2026.6) | [`runs::is_taken_for_repetition`](crate::releases::runs::is_taken_for_repetition) |
//! | a known key with another text is silently `ok` (2026.3) | [`Doubt::KeyUsedBefore`] |
//! | the first thing a user says shows only after its run (up to 2026.7) | [`GatewayFacts::rows_at_once`] |
//! | the last delta stops short of the final text (2026.1, 2026.2) | [`RunProgress::Increment`] before the end, by the final |
//! | a failure is told as an answer (2026.3, while it drains) | [`runs::is_failure_told_as_answer`](crate::releases::runs::is_failure_told_as_answer) |
//! | an aborted run looks finished in the history (2026.9) | [`runs::abort_in_row`](crate::releases::runs::abort_in_row) |
//! | a turn goes on under another run id after a restart, with the message's row replaced (from 2026.5 on) | [`runs::is_interruption_notice`](crate::releases::runs::is_interruption_notice) |

mod end;
mod evidence;
mod observed;
mod tracker;

use std::fmt;
use std::time::Duration;

use crate::connection::Continuity;
use crate::{HelloOk, KEY_MEMORY_SECONDS, SessionKey, SessionKeySpace};

pub use end::{
    Action, Asked, CommandDone, Doubt, Evidence, FailureSign, Loss, Repair, RunAnswer, RunEnd, RunFailure, RunOutput,
    RunProgress, SETTLES_AFTER_FAILURE, explain_failed_run, settles_after,
};
pub use tracker::RunTracker;

/// One logical send.
#[derive(Clone)]
pub struct RunConfig {
    /// Where, in whichever spelling the gateway takes.
    pub session: SessionKey,
    /// How the gateway spells it.
    pub space: SessionKeySpace,
    /// The idempotency key: one for each logical send, the same for all its attempts, in this process and the next.
    pub key: String,
    /// The text; looked for in the history of releases that do not note keys.
    pub text: String,
    /// The known facts of the gateway.
    pub facts: GatewayFacts,
    /// The key was sent before, by an earlier life of this process: then the gateway is asked before anything is sent.
    pub sent_before: bool,
    /// The known facts of that send; read only with [`sent_before`](Self::sent_before).
    pub earlier: SentBefore,
    /// Rows stamped earlier by the gateway's clock, in ms since 1970, are not this send's. It tells a text from the same
    /// text said before, on releases that do not note keys; take it from the last row known, or from a `tick`. Without it a
    /// text that stands in the history twice is not recognised.
    pub since_ms: Option<u64>,
    /// The rule for the case that the gateway died with the run.
    pub resend: ResendAfterLoss,
    /// How long, and how often.
    pub limits: RunLimits,
}

impl RunConfig {
    /// A first send, with the usual limits.
    pub fn new(session: SessionKey, key: impl Into<String>, text: impl Into<String>, facts: GatewayFacts) -> Self {
        Self {
            session,
            space: SessionKeySpace::unknown(),
            key: key.into(),
            text: text.into(),
            facts,
            sent_before: false,
            earlier: SentBefore::default(),
            since_ms: None,
            resend: ResendAfterLoss::default(),
            limits: RunLimits::default(),
        }
    }
}

impl fmt::Debug for RunConfig {
    /// Without the text, which is between the user and the agent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunConfig")
            .field("session", &self.session)
            .field("space", &self.space)
            .field("key", &self.key)
            .field("text_bytes", &self.text.len())
            .field("facts", &self.facts)
            .field("sent_before", &self.sent_before)
            .field("earlier", &self.earlier)
            .field("since_ms", &self.since_ms)
            .field("resend", &self.resend)
            .field("limits", &self.limits)
            .finish()
    }
}

/// The facts that an earlier process knew of the send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SentBefore {
    /// How long ago it was sent first; gateways remember keys for [`KEY_MEMORY_SECONDS`].
    pub ago: Duration,
    /// Whether something showed that the gateway had taken it.
    pub accepted: bool,
    /// The gateway process, compared with the one that it was sent to.
    pub life: Continuity,
}

impl Default for SentBefore {
    /// Nothing is known: the keys of then may be forgotten, and the process another one.
    fn default() -> Self {
        Self {
            ago: Duration::from_secs(KEY_MEMORY_SECONDS),
            accepted: false,
            life: Continuity::Unknown,
        }
    }
}

/// The facts that this gateway shows. Starts as a guess by protocol generation; each frame can correct it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GatewayFacts {
    /// A user's message stands in the history when its run begins (from 2026.8.2 on). Before, the first message of a session
    /// does so only after its run; later ones do at once. It decides the meaning of an absent row after a restart: never begun, or
    /// lost with the process.
    pub rows_at_once: bool,
    /// Rows of users carry `<run>:user` (from 2026.6 on); nothing until a row was seen.
    pub keys_in_history: Option<bool>,
    /// History names the run that goes on (generation 4); false until it was seen to.
    pub names_running: bool,
}

impl GatewayFacts {
    /// First protocol of the gateways that write a user's message down at once; not all of that protocol do.
    const ROWS_AT_ONCE_SINCE: u32 = 4;

    /// The facts that a hello-ok suggests. Boot ids and transcripts that are written at once came with the same release.
    pub const fn of(hello: &HelloOk) -> Self {
        let mut facts = Self::of_protocol(hello.protocol);
        facts.rows_at_once = hello.server.boot_id.is_some();
        facts
    }

    /// The same by the protocol's number alone, for its newest release.
    pub const fn of_protocol(protocol: u32) -> Self {
        Self {
            rows_at_once: protocol >= Self::ROWS_AT_ONCE_SINCE,
            keys_in_history: None,
            names_running: false,
        }
    }
}

/// The rule for a gateway process that died, with a history that shows nothing of the send: where a session's first message is
/// written down only after its run (up to 2026.7.1) it may have run half-way, tools included.
///
/// A message in the history is not sent again in any case: it would stand there twice. If no run continues it, it is
/// [lost](Loss::NotResumed).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ResendAfterLoss {
    /// Report it as lost: a message that was sent is never run a second time, not even half.
    Never,
    /// Send again only if nothing showed that the gateway had begun: no answer, no event.
    #[default]
    IfUnanswered,
    /// Send again: the conversation has it exactly once, its tools may have run twice.
    Always,
}

/// How long, and how often. All counted from the tracker's making or the last change, in the caller's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunLimits {
    /// The whole send, retries, outages and the run included. After it the end is [`RunEnd::Unknown`](RunEnd), or
    /// not sent where that is certain.
    pub give_up: Duration,
    /// How often the message is written at most.
    pub sends: u32,
    /// Silence of a run before the gateway is asked how it is.
    pub quiet: Duration,
    /// How long a turn that a restart interrupted may take to go on: 1.8 s after hello on 2026.9.6, up to 25 s for the first
    /// turn of a slow start on 2026.4.15.
    pub resume: Duration,
    /// How long a text that was handed on may take to show up: 0.2 s seen, 25 s for a first turn.
    pub handover: Duration,
}

impl Default for RunLimits {
    fn default() -> Self {
        Self {
            give_up: Duration::from_secs(900),
            sends: 8,
            quiet: Duration::from_secs(20),
            resume: Duration::from_secs(45),
            handover: Duration::from_secs(30),
        }
    }
}
