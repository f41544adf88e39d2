//! Typed calls to one gateway: the one way of the session API, of message deliveries and of control planes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use windlass_protocol::connection::{AnswerMode, Resend};
use windlass_protocol::request::Request;
use windlass_protocol::time::after;
use windlass_protocol::{Attempts, CallError, HelloOk, MethodName, NotSent, RawJson, RetryPolicy};

use super::error::AskError;
use windlass_line::{Line, OutgoingCall};

/// The default for one attempt of a call, the wait for the line included; that of the reference client. Deleting a session
/// takes up to 2.4 s on an idle 2026.9.6, deleting an agent 2.7 s.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Makes typed calls to one gateway. Cheap to clone, usable from any thread.
#[derive(Debug, Clone)]
pub struct GatewayClient {
    line: Arc<Line>,
    timeout: Duration,
    retry: Option<ClientRetry>,
}

#[derive(Debug, Clone)]
struct ClientRetry {
    policy: RetryPolicy,
    /// Draws the jitter.
    rng: Arc<Mutex<StdRng>>,
}

/// The attempts at one operation of a [`GatewayClient`].
#[derive(Debug)]
pub struct ClientAttempts {
    client: GatewayClient,
    /// `None` without a retry policy.
    attempts: Option<Attempts>,
}

impl GatewayClient {
    /// A client over this line. Each call may take 30 s, and is made once.
    pub const fn new(line: Arc<Line>) -> Self {
        Self {
            line,
            timeout: CALL_TIMEOUT,
            retry: None,
        }
    }

    /// Sets the time for one attempt of a call, the wait for the line included.
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Makes calls again while their failure is a passing one and the policy's budget lasts. `seed` is for the jitter.
    pub fn with_retry(mut self, policy: RetryPolicy, seed: u64) -> Self {
        let rng = Arc::new(Mutex::new(StdRng::seed_from_u64(seed)));
        self.retry = Some(ClientRetry { policy, rng });
        self
    }

    /// The line.
    pub const fn line(&self) -> &Arc<Line> {
        &self.line
    }

    /// Whether calls are made again by a retry policy.
    pub const fn retries(&self) -> bool {
        self.retry.is_some()
    }

    /// How long an operation may take that waits for something to pass: the retry policy's budget, or else one timeout.
    pub fn patience(&self) -> Duration {
        self.retry.as_ref().map_or(self.timeout, |retry| retry.policy.budget)
    }

    /// Makes a call and decodes its answer. `resend` is what may be done with the request when the line breaks under it.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn ask<R: Request>(&self, request: &R, resend: Resend) -> Result<R::Reply, AskError> {
        self.ask_keyed(request, None, resend).await
    }

    /// [`ask`](Self::ask) with an idempotency key.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn ask_keyed<R: Request>(
        &self,
        request: &R,
        key: Option<&str>,
        resend: Resend,
    ) -> Result<R::Reply, AskError> {
        let call = self.outgoing(request, key, resend)?;
        let answer = self.call(call).await?;
        answer.decode().map_err(|error| AskError::shape::<R>(&error))
    }

    /// Makes a call and returns its answer as JSON.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn ask_raw<R: Request>(&self, request: &R, resend: Resend) -> Result<RawJson, CallError> {
        self.call(self.outgoing(request, None, resend)?).await
    }

    /// Makes one attempt of a call, whatever the retry policy says.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn ask_once<R: Request>(&self, request: &R, resend: Resend) -> Result<RawJson, CallError> {
        self.line.call(self.outgoing(request, None, resend)?).await
    }

    /// Counts the attempts at an operation that looks at the gateway between two of them. `resend` is what may be done then.
    pub fn attempts(&self, resend: Resend) -> ClientAttempts {
        let attempts = self
            .retry
            .as_ref()
            .map(|retry| Attempts::new(retry.policy, resend, self.line.now()));
        ClientAttempts {
            client: self.clone(),
            attempts,
        }
    }

    /// The gateway's latest hello-ok; waits for the first one, as long as an operation may take.
    ///
    /// # Errors
    /// [`NotSent`], when the line was closed or did not come up.
    pub async fn hello(&self) -> Result<Arc<HelloOk>, CallError> {
        let status = self.line.watched_status();
        let met = async {
            let met = status.until(|status| status.hello.is_some()).await?;
            met.hello
        };
        let waited = self.patience();
        match tokio::time::timeout(waited, met).await {
            Ok(Some(hello)) => Ok(hello),
            Ok(None) => Err(NotSent::Closed.into()),
            Err(_) => Err(NotSent::NotReady { waited }.into()),
        }
    }

    async fn call(&self, call: OutgoingCall) -> Result<RawJson, CallError> {
        let mut attempts = self.attempts(call.resend);
        let failed = |error: &CallError| attempts.failed(error);
        self.line.call_again(call, self.timeout, failed).await
    }

    fn outgoing<R: Request>(&self, request: &R, key: Option<&str>, resend: Resend) -> Result<OutgoingCall, CallError> {
        let invalid = |why: String| CallError::from(NotSent::Invalid { why });
        Ok(OutgoingCall {
            method: MethodName::new(R::METHOD).map_err(|error| invalid(error.to_string()))?,
            params: Some(request.params(key).map_err(invalid)?),
            deadline: after(self.line.now(), self.timeout),
            resend,
            answers: AnswerMode::First,
            wait_for_line: true,
            trace: None,
        })
    }
}

impl ClientAttempts {
    /// Counts a failed attempt, and says how long to wait before the next one; nothing when there should be none.
    pub fn failed(&mut self, error: &CallError) -> Option<Duration> {
        let (attempts, retry) = (self.attempts.as_mut()?, self.client.retry.as_ref()?);
        let mut rng = retry.rng.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.failed(error, self.client.line.now(), &mut *rng)
    }
}

/// Whether the gateway advertises a method.
pub fn offers_method(hello: &HelloOk, method: &str) -> bool {
    let methods = hello.features.methods.as_deref().unwrap_or_default();
    methods.iter().any(|known| known == method)
}
