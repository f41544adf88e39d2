//! Byte streams of any kind, and one that its owner can still reset while it is in use.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::TcpStream;

/// Bytes both ways.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// A byte stream of any kind.
pub(crate) enum Raw {
    Tcp(TcpStream),
    Pipe(DuplexStream),
    /// TLS to a gateway, for example.
    Other(Box<dyn Duplex>),
}

/// A stream that its owner can still reset while halves of it are being read and written.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Mutex<Raw>>);

impl Shared {
    pub(crate) fn new(raw: Raw) -> Self {
        Self(Arc::new(Mutex::new(raw)))
    }

    /// Makes the coming drop a reset instead of an orderly close.
    pub(crate) fn reset_on_drop(&self) {
        if let Raw::Tcp(stream) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            // Fails only on a socket that is gone, and then there is nothing to reset.
            let _ = stream.set_zero_linger();
        }
    }

    fn with<T>(&self, poll: impl FnOnce(Pin<&mut dyn Duplex>) -> T) -> T {
        match &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Raw::Tcp(stream) => poll(Pin::new(stream)),
            Raw::Pipe(stream) => poll(Pin::new(stream)),
            Raw::Other(stream) => poll(Pin::new(stream)),
        }
    }
}

impl AsyncRead for Shared {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_read(cx, buf))
    }
}

impl AsyncWrite for Shared {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.with(|stream| stream.poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_shutdown(cx))
    }
}
