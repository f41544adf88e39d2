//! Calls with a typed method and answer.
//!
//! ```no_run
//! use windlass::request::{ChatSend, ChatSendReply};
//!
//! # async fn example(gateway: windlass::Gateway) -> Result<(), windlass::ReplyError> {
//! let sent = gateway
//!     .request(ChatSend::new("agent:main:main", "hello"))
//!     .timeout(std::time::Duration::from_secs(10))
//!     .await?;
//! match sent {
//!     ChatSendReply::Run(run) => println!("run {} began", run.run_id),
//!     command => println!("the gateway carried it out itself: {command:?}"),
//! }
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

pub use windlass_protocol::request::*;

use crate::call::{Call, CallFuture, ReplyError, read};
use windlass_protocol::connection::Resend;

/// A [`Call`] with the method and the answer of a [`Request`]. Made by [`Gateway::request`](crate::Gateway::request),
/// and made when it is awaited; dropping the future cancels it.
///
/// ```no_run
/// # async fn example(gateway: windlass::Gateway) -> Result<(), windlass::ReplyError> {
/// use windlass::request::Health;
///
/// let health = gateway.request(Health::new()).timeout(std::time::Duration::from_secs(5)).await?;
/// println!("{:?}", health.ok);
/// # Ok(())
/// # }
/// ```
#[must_use = "a call is made when it is awaited"]
pub struct TypedCall<R> {
    call: Call,
    request: PhantomData<fn() -> R>,
}

impl<R: Request> TypedCall<R> {
    pub(crate) const fn new(call: Call) -> Self {
        Self {
            call,
            request: PhantomData,
        }
    }

    /// See [`Call::timeout`].
    pub fn timeout(self, timeout: Duration) -> Self {
        Self::new(self.call.timeout(timeout))
    }

    /// See [`Call::idempotency_key`].
    pub fn idempotency_key(self, key: impl Into<String>) -> Self {
        Self::new(self.call.idempotency_key(key))
    }

    /// See [`Call::resend`].
    pub fn resend(self, resend: Resend) -> Self {
        Self::new(self.call.resend(resend))
    }

    /// See [`Call::trace`].
    pub fn trace(self, parent: windlass_protocol::TraceParent) -> Self {
        Self::new(self.call.trace(parent))
    }

    /// See [`Call::fail_fast`].
    pub fn fail_fast(self) -> Self {
        Self::new(self.call.fail_fast())
    }
}

impl<R: Request + 'static> IntoFuture for TypedCall<R> {
    type Output = Result<R::Reply, ReplyError>;
    type IntoFuture = TypedCallFuture<R>;

    fn into_future(self) -> TypedCallFuture<R> {
        TypedCallFuture {
            call: self.call.into_future(),
            request: PhantomData,
        }
    }
}

/// A [`TypedCall`] as a future, see [`CallFuture`].
#[must_use = "a call is made when it is awaited"]
pub struct TypedCallFuture<R> {
    call: CallFuture,
    request: PhantomData<fn() -> R>,
}

impl<R: Request> Future for TypedCallFuture<R> {
    type Output = Result<R::Reply, ReplyError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let end = ready!(Pin::new(&mut self.call).poll(cx));
        Poll::Ready(read(end))
    }
}

impl<R> fmt::Debug for TypedCallFuture<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.call.fmt(f)
    }
}

impl<R> fmt::Debug for TypedCall<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.call, f)
    }
}
