//! One request of a type, tried again while the failure is a passing one.

use std::time::Duration;

use serde_json::Value;
use windlass_protocol::connection::{AnswerMode, Resend};
use windlass_protocol::request::Request;
use windlass_protocol::time::after;
use windlass_protocol::{AgentId, CallError, MethodName, NotSent, RawJson};

use super::{OpenClaw, rules};
use crate::OutgoingCall;
use crate::control_plane::{ControlError, ControlResult, Thing};

/// How long an agent that was just made may be unknown: 0.3 s and 0.6 s were seen on 2026.9.6 and 2026.2.26.
const SETTLE_FIRST: Duration = Duration::from_millis(500);
/// The waits double up to this.
const SETTLE_CAP: Duration = Duration::from_secs(4);
/// Tries after the first one: 11.5 s in all.
pub(super) const SETTLE_TRIES: u32 = 5;

/// Shortest line of a sent text that is looked for in the answer: shorter ones would be found by chance.
const ECHO_LINE: usize = 12;

/// The wait before the n-th further try, from 1.
pub(super) fn settle_delay(attempt: u32) -> Duration {
    SETTLE_FIRST
        .saturating_mul(1 << attempt.saturating_sub(1).min(16))
        .min(SETTLE_CAP)
}

/// The parameters of a request; with an idempotency key where there is one.
fn params<R: Request>(request: &R, key: Option<&str>) -> Result<RawJson, CallError> {
    let invalid = |error: serde_json::Error| CallError::from(NotSent::Invalid { why: error.to_string() });
    let Some(key) = key else {
        return RawJson::from_value(request).map_err(invalid);
    };
    let mut params = serde_json::to_value(request).map_err(invalid)?;
    if let Value::Object(members) = &mut params {
        members.insert("idempotencyKey".into(), Value::from(key));
    }
    RawJson::from_value(&params).map_err(invalid)
}

impl OpenClaw {
    /// Sends once. The line itself sends again what it may (`resend`).
    pub(super) async fn once<R: Request + Sync>(
        &self,
        request: &R,
        key: Option<&str>,
        resend: Resend,
    ) -> Result<RawJson, CallError> {
        let method = MethodName::new(R::METHOD).map_err(|error| NotSent::Invalid { why: error.to_string() })?;
        let call = OutgoingCall {
            method,
            params: Some(params(request, key)?),
            deadline: after(self.line.now(), self.call_timeout),
            resend,
            answers: AnswerMode::First,
            wait_for_line: true,
            trace: None,
        };
        self.line.call(call).await
    }

    /// Sends, and again while the failure is a passing one and the budget lasts. With [`Resend::Always`] that includes
    /// outcomes that are not known.
    pub(super) async fn ask<R: Request + Sync>(&self, request: &R, resend: Resend) -> ControlResult<R::Reply> {
        self.ask_keyed(request, None, resend).await
    }

    pub(super) async fn ask_keyed<R: Request + Sync>(
        &self,
        request: &R,
        key: Option<&str>,
        resend: Resend,
    ) -> ControlResult<R::Reply> {
        let raw = self.ask_raw(request, key, resend).await?;
        raw.decode().map_err(|error| shape::<R>(&error))
    }

    pub(super) async fn ask_raw<R: Request + Sync>(
        &self,
        request: &R,
        key: Option<&str>,
        resend: Resend,
    ) -> ControlResult<RawJson> {
        let start = self.line.now();
        let mut attempt = 0;
        loop {
            let error = match self.once(request, key, resend).await {
                Ok(raw) => return Ok(raw),
                Err(error) => error,
            };
            attempt += 1;
            let Some(delay) = self.retry_delay(&error, resend, attempt, start) else {
                return Err(error.into());
            };
            tracing::debug!(gateway = %self.line.id(), method = R::METHOD, attempt, ?delay, "trying again");
            tokio::time::sleep(delay).await;
        }
    }

    /// How long to wait before another try of what began at `start`; nothing when there should be none.
    pub(super) fn retry_delay(
        &self,
        error: &CallError,
        resend: Resend,
        attempt: u32,
        start: std::time::Instant,
    ) -> Option<Duration> {
        let elapsed = self.line.now().saturating_duration_since(start);
        self.with_rng(|rng| self.retry.next_delay(error, resend, attempt, elapsed, rng))
    }

    /// Makes a request about an agent, and again while the gateway does not know the agent although it should: it takes
    /// a moment to hear of its own new agents. `fresh` says that it should; otherwise the configuration is asked.
    pub(super) async fn ask_about<R: Request + Sync>(
        &self,
        id: &AgentId,
        fresh: bool,
        request: &R,
        key: Option<&str>,
        resend: Resend,
    ) -> ControlResult<R::Reply> {
        let mut attempt = 0;
        loop {
            let error = match self.ask_keyed(request, key, resend).await {
                Err(ControlError::Rejected(rejected)) if rules::agent_unknown(&rejected.error) => rejected,
                other => return other,
            };
            attempt += 1;
            let expected = attempt <= SETTLE_TRIES && (fresh || attempt > 1 || self.is_configured(id).await?);
            if !expected {
                tracing::debug!(gateway = %self.line.id(), agent = %id, %error, "the agent is not known");
                return Err(ControlError::NotFound(Thing::Agent(id.to_string())));
            }
            tokio::time::sleep(settle_delay(attempt)).await;
        }
    }
}

pub(super) fn shape<R: Request>(error: &serde_json::Error) -> ControlError {
    // Of what serde says, only the kind and the place: its text may quote a value.
    let why = format!(
        "{:?} error at line {}, column {}",
        error.classify(),
        error.line(),
        error.column()
    );
    ControlError::Shape { method: R::METHOD, why }
}

/// Takes a gateway's text out of an error where it repeats what was sent: that may hold an agent's token.
pub(super) fn without_echo(error: ControlError, sent: &str) -> ControlError {
    let ControlError::Rejected(mut rejected) = error else {
        return error;
    };
    let told = &mut rejected.error;
    let details = told.details.as_ref().map(ToString::to_string).unwrap_or_default();
    let mut lines = sent.lines().map(str::trim).filter(|line| line.len() >= ECHO_LINE);
    if lines.any(|line| told.message.contains(line) || details.contains(line)) {
        "refused, in a text that repeats what was sent and is left out here".clone_into(&mut told.message);
        told.details = None;
    }
    ControlError::Rejected(rejected)
}
