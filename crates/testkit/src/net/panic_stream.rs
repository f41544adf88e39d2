//! A stream that panics: a bug in the very task that drives a connection, where a test wants one.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The text of a panic of a [`PanicStream`] stream.
pub const STREAM_PANIC: &str = "the mine went off";

/// The trigger of the streams that were [`laid`](Self::under) on it; all clones are the same.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use windlass_testkit::PanicSwitch;
/// let mine = PanicSwitch::default();
/// let (client, _gateway) = tokio::io::duplex(64);
/// let stream = mine.under(client); // give this to the client under test
/// mine.arm(); // its next write panics
/// # drop(stream);
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct PanicSwitch(Arc<AtomicBool>);

impl PanicSwitch {
    /// The next write to any of its streams panics, once.
    pub fn arm(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Takes it back. Whether there was something to take back.
    pub fn disarm(&self) -> bool {
        self.0.swap(false, Ordering::SeqCst)
    }

    /// A stream that goes off with it.
    pub fn under<S>(&self, stream: S) -> PanicStream<S> {
        PanicStream {
            stream,
            panic_stream: self.clone(),
        }
    }
}

/// A stream over a [`PanicSwitch`].
#[derive(Debug)]
pub struct PanicStream<S> {
    stream: S,
    panic_stream: PanicSwitch,
}

impl<S: AsyncRead + Unpin> AsyncRead for PanicStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for PanicStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        assert!(!self.panic_stream.disarm(), "{STREAM_PANIC}");
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
