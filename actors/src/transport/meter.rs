//! A stream that tells when bytes come in.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Whether bytes came in since the last look. Shared by a stream and whoever watches over it, on one thread.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pulse(Rc<Cell<bool>>);

impl Pulse {
    /// Whether bytes came in since the last call.
    pub(crate) fn take(&self) -> bool {
        self.0.take()
    }
}

/// A stream whose incoming bytes are noticed as signs of life.
///
/// Bytes, not frames: an answer of 20 MB over a slow line takes minutes to become a frame, and WebSocket pings never
/// become one, but both show that the gateway lives.
#[derive(Debug)]
pub struct Metered<S> {
    inner: S,
    pulse: Pulse,
}

impl<S> Metered<S> {
    pub(crate) const fn new(inner: S, pulse: Pulse) -> Self {
        Self { inner, pulse }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let poll = Pin::new(&mut self.inner).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.pulse.0.set(true);
        }
        poll
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}
