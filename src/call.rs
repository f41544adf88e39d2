//! One call, from its options to its outcome.

use std::borrow::Cow;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use rand::RngExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Builder as UuidBuilder;
use windlass_line::{Calling, Line, OutgoingCall};
use windlass_protocol::connection::{AnswerMode, Resend};
use windlass_protocol::time::after;
use windlass_protocol::{
    Attempts, CallError, Effect, MethodName, NotSent, RawJson, RetryPolicy, TraceParent, with_idempotency_key,
};

use crate::runtime::LineHandle;

/// A call's deadline unless another is given; that of the reference client.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// A call that is made when it is awaited. Dropping the future cancels it and frees its place.
///
/// ```no_run
/// # async fn example(gateway: windlass::Gateway) -> Result<(), windlass::ReplyError> {
/// use std::time::Duration;
///
/// use windlass::RetryPolicy;
///
/// let models: serde_json::Value = gateway
///     .call("models.list", ())
///     .timeout(Duration::from_secs(10))
///     .retry(RetryPolicy::COORDINATION)
///     .reply()
///     .await?;
/// # drop(models);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a call is made when it is awaited"]
pub struct Call {
    gateway: LineHandle,
    method: Cow<'static, str>,
    params: Result<RawJson, String>,
    timeout: Duration,
    resend: Option<Resend>,
    answers: AnswerMode,
    wait_for_line: bool,
    rare: Option<Box<RareOptions>>,
}

/// Options that few calls have, kept apart so that other calls stay small.
#[derive(Debug, Default)]
struct RareOptions {
    key: Option<String>,
    trace: Option<TraceParent>,
    retry: Option<RetryPolicy>,
}

/// Why a call gave no value of the type that was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// The call has no payload.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The gateway executed the request, and its answer has another shape.
    #[error("the gateway's answer does not have the expected shape")]
    Shape(#[source] serde_json::Error),
}

impl Call {
    pub(crate) fn new(gateway: LineHandle, method: Cow<'static, str>, params: &impl Serialize) -> Self {
        Self {
            gateway,
            method,
            params: RawJson::from_value(params).map_err(|error| error.to_string()),
            timeout: DEFAULT_TIMEOUT,
            resend: None,
            answers: AnswerMode::First,
            wait_for_line: true,
            rare: None,
        }
    }

    /// Gives up after this long, waiting for the line included.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Uses this idempotency key instead of a fresh one. Give the same key to every attempt at one logical send, and
    /// never to two.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.rare().key = Some(key.into());
        self
    }

    /// Decides by itself whether the call may be written again after a reconnect. Without this the method decides:
    /// read-only ones always, those with an idempotency key while the gateway remembers it, others never.
    pub const fn resend(mut self, resend: Resend) -> Self {
        self.resend = Some(resend);
        self
    }

    /// Waits for the last of two answers: method `agent` answers when it takes a run, and again when the run ends.
    pub const fn final_answer(mut self) -> Self {
        self.answers = AnswerMode::Final;
        self
    }

    /// Does not wait for a line that is down. Ends at once as [`NotSent::WouldWait`](windlass_protocol::NotSent::WouldWait), or as
    /// [`OutcomeUnknown`](windlass_protocol::OutcomeUnknown) if the line went down after the call was written: such a call is not
    /// written again, reads included.
    pub const fn fail_fast(mut self) -> Self {
        self.wait_for_line = false;
        self
    }

    /// Tells the gateway where the call belongs in a trace. Gateways before 2026.8.2 have no place for it, and are not told.
    pub fn trace(mut self, parent: TraceParent) -> Self {
        self.rare().trace = Some(parent);
        self
    }

    /// Tries again, with the same idempotency key, while the failure is a passing one and the policy's budget lasts. The
    /// timeout holds for each attempt.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.rare().retry = Some(policy);
        self
    }

    /// Makes the call and reads its payload as a type.
    ///
    /// # Errors
    /// [`ReplyError`]: the call's own outcome, or an answer of another shape.
    pub async fn reply<T: DeserializeOwned>(self) -> Result<T, ReplyError> {
        read(self.await)
    }

    fn rare(&mut self) -> &mut RareOptions {
        self.rare.get_or_insert_default()
    }

    fn policy(&self) -> Option<RetryPolicy> {
        self.rare.as_ref().and_then(|rare| rare.retry)
    }

    /// The gateway, and the call as its line takes it.
    fn into_outgoing(self, now: Instant) -> (LineHandle, Result<OutgoingCall, String>) {
        let Self { gateway, method, .. } = self;
        let row = windlass_protocol::method(&method);
        let effect = row.map_or(Effect::SideEffect, |row| row.effect);
        let RareOptions { key, trace, .. } = self.rare.map(|rare| *rare).unwrap_or_default();
        let keyed = effect == Effect::Keyed || key.is_some();
        let params = self
            .params
            .map_err(|error| format!("the parameters can't be written as JSON: {error}"));
        let params = if keyed {
            let fresh = || fresh_key(gateway.runtime().with_rng(RngExt::random));
            params.and_then(|params| {
                with_idempotency_key(&params, key.as_deref(), fresh).map_err(|error| error.to_string())
            })
        } else {
            params
        };
        let by_method = match effect {
            Effect::ReadOnly => Resend::Always,
            Effect::Keyed => Resend::SameBoot,
            Effect::Idempotent | Effect::SideEffect => Resend::Never,
        };
        let call = params.and_then(|params| {
            Ok(OutgoingCall {
                // A name of the table was checked before it got there.
                method: match row {
                    Some(row) => row.method_name(),
                    None => MethodName::new(method).map_err(|error| error.to_string())?,
                },
                params: Some(params).filter(|params| params.as_str() != "null"),
                deadline: after(now, self.timeout),
                resend: self.resend.unwrap_or(by_method),
                answers: self.answers,
                wait_for_line: self.wait_for_line,
                trace,
            })
        });
        (gateway, call)
    }
}

impl IntoFuture for Call {
    type Output = Result<RawJson, CallError>;
    type IntoFuture = CallFuture;

    fn into_future(self) -> CallFuture {
        CallFuture::new(self)
    }
}

/// A [`Call`] as a future: made when it is polled first, cancelled when it is dropped.
///
/// It has no box of its own, so a call that is awaited where it is prepared costs no allocation for its future.
#[must_use = "a call is made when it is awaited"]
pub struct CallFuture(CallFutureState);

enum CallFutureState {
    Prepared(Call),
    Made(Calling<LineHandle>),
    /// A call that may be tried again, in a box: few are, and all would carry its state.
    Again(Pin<Box<dyn Future<Output = Result<RawJson, CallError>> + Send>>),
    /// Its end was told.
    Over,
}

impl CallFuture {
    const fn new(call: Call) -> Self {
        Self(CallFutureState::Prepared(call))
    }
}

impl CallFutureState {
    /// Makes the call, or tells why it can't be made.
    fn make(call: Call) -> Result<Self, CallError> {
        let now = call.gateway.now();
        let (timeout, retry) = (call.timeout, call.policy());
        let (gateway, outgoing) = call.into_outgoing(now);
        let outgoing = outgoing.map_err(|why| NotSent::Invalid { why })?;
        Ok(match retry {
            None => Self::Made(Line::call_at(gateway, outgoing, now)),
            Some(policy) => Self::Again(Box::pin(make_again(gateway, outgoing, timeout, policy))),
        })
    }
}

impl Future for CallFuture {
    type Output = Result<RawJson, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let stage = &mut self.0;
        if let CallFutureState::Prepared(_) = stage
            && let CallFutureState::Prepared(call) = std::mem::replace(stage, CallFutureState::Over)
        {
            *stage = match CallFutureState::make(call) {
                Ok(made) => made,
                Err(error) => return Poll::Ready(Err(error)),
            };
        }
        let end = match stage {
            CallFutureState::Made(calling) => ready!(Pin::new(calling).poll(cx)),
            CallFutureState::Again(again) => ready!(again.as_mut().poll(cx)),
            CallFutureState::Prepared(_) | CallFutureState::Over => return Poll::Pending,
        };
        // What it held is given back now, and not when the caller drops it.
        *stage = CallFutureState::Over;
        Poll::Ready(end)
    }
}

impl fmt::Debug for CallFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            CallFutureState::Prepared(call) => call.fmt(f),
            CallFutureState::Made(calling) => calling.fmt(f),
            CallFutureState::Again(_) | CallFutureState::Over => f.write_str("CallFuture"),
        }
    }
}

/// Reads a call's payload as a type.
pub(crate) fn read<T: DeserializeOwned>(end: Result<RawJson, CallError>) -> Result<T, ReplyError> {
    end?.decode().map_err(ReplyError::Shape)
}

/// Makes a call, again and again while the policy allows it.
async fn make_again(
    gateway: LineHandle,
    call: OutgoingCall,
    timeout: Duration,
    policy: RetryPolicy,
) -> Result<RawJson, CallError> {
    let line: &Line = &gateway;
    let mut attempts = Attempts::new(policy, call.resend, line.now());
    let failed = |error: &CallError| {
        gateway
            .runtime()
            .with_rng(|rng| attempts.failed(error, line.now(), rng))
    };
    line.call_again(call, timeout, failed).await
}

fn fresh_key(random: [u8; 16]) -> String {
    UuidBuilder::from_random_bytes(random).into_uuid().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_key_is_a_random_uuid() {
        assert_eq!(fresh_key([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
