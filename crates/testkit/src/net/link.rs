//! Carrying bytes between two ends with switches for stalling, delaying, throttling and cutting.
//!
//! Both the simulated gateway and the chaos proxy put this between their sockets and the rest, so a fault
//! means the same in either.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::now;

/// Bytes read at once; also the grain of a stall.
const CHUNK: usize = 16 * 1024;
/// Chunks that may wait for their delay: 1 MiB, more than a test's frames need.
const IN_FLIGHT: usize = 64;
/// Throttled writing is cut into slices of this length.
const SLICE: Duration = Duration::from_millis(50);

/// Which way bytes go, as the gateway sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// From the client to the gateway.
    ToGateway,
    /// From the gateway to the client.
    ToClient,
}

/// How a connection is torn down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Cut {
    /// The stream is dropped: FIN on TCP, end of file on a pipe.
    Drop,
    /// RST on TCP; a pipe has no such thing and is dropped.
    Reset,
}

/// The switches of one connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Link {
    pub(crate) stalled_in: bool,
    pub(crate) stalled_out: bool,
    /// Both directions for good, whatever else is switched.
    pub(crate) frozen: bool,
    /// Bytes per second towards the client.
    pub(crate) rate: Option<u64>,
    /// Added to each chunk, both ways.
    pub(crate) delay: Duration,
    pub(crate) cut: Option<Cut>,
}

impl Link {
    fn open(&self, direction: Direction) -> bool {
        !self.frozen
            && !match direction {
                Direction::ToGateway => self.stalled_in,
                Direction::ToClient => self.stalled_out,
            }
    }

    pub(crate) fn stall(&mut self, direction: Direction, on: bool) {
        match direction {
            Direction::ToGateway => self.stalled_in = on,
            Direction::ToClient => self.stalled_out = on,
        }
    }
}

/// Waits until the link is cut; never, if its switches are gone.
pub(crate) async fn cut(mut link: watch::Receiver<Link>) -> Cut {
    if let Ok(link) = link.wait_for(|link| link.cut.is_some()).await {
        return link.cut.unwrap_or(Cut::Drop);
    }
    std::future::pending().await
}

/// Copies one direction until end of file or an error on either side, then closes the far side.
pub(crate) async fn carry(
    from: impl AsyncRead + Unpin,
    to: impl AsyncWrite + Unpin,
    link: watch::Receiver<Link>,
    direction: Direction,
) {
    let (sender, receiver) = mpsc::channel(IN_FLIGHT);
    tokio::join!(
        take(from, sender, link.clone(), direction),
        give(to, receiver, link, direction)
    );
}

async fn take(
    mut from: impl AsyncRead + Unpin,
    sender: mpsc::Sender<(Instant, Vec<u8>)>,
    mut link: watch::Receiver<Link>,
    direction: Direction,
) {
    loop {
        let mut chunk = vec![0; CHUNK];
        opened(&mut link, direction).await;
        let read = tokio::select! {
            read = from.read(&mut chunk) => read,
            () = sender.closed() => return,
        };
        let Ok(read @ 1..) = read else { return };
        chunk.truncate(read);
        let due = now() + link.borrow().delay;
        if sender.send((due, chunk)).await.is_err() {
            return;
        }
    }
}

async fn give(
    mut to: impl AsyncWrite + Unpin,
    mut receiver: mpsc::Receiver<(Instant, Vec<u8>)>,
    mut link: watch::Receiver<Link>,
    direction: Direction,
) {
    while let Some((due, chunk)) = receiver.recv().await {
        tokio::time::sleep_until(due).await;
        if write(&mut to, &chunk, &mut link, direction).await.is_err() {
            return;
        }
    }
    // A stalled direction does not let an end of file through either.
    opened(&mut link, direction).await;
    // An error means the peer is gone already, which is what the shutdown is for.
    let _ = to.shutdown().await;
}

async fn write(
    to: &mut (impl AsyncWrite + Unpin),
    mut bytes: &[u8],
    link: &mut watch::Receiver<Link>,
    direction: Direction,
) -> io::Result<()> {
    while !bytes.is_empty() {
        opened(link, direction).await;
        let rate = link.borrow().rate.filter(|_| direction == Direction::ToClient);
        let slice = rate.map_or(bytes.len(), |rate| {
            let slice = rate.saturating_mul(u64::try_from(SLICE.as_millis()).unwrap_or(1)) / 1000;
            usize::try_from(slice).unwrap_or(usize::MAX).clamp(1, bytes.len())
        });
        let (now, rest) = bytes.split_at(slice);
        to.write_all(now).await?;
        to.flush().await?;
        bytes = rest;
        if rate.is_some() {
            tokio::time::sleep(SLICE).await;
        }
    }
    Ok(())
}

async fn opened(link: &mut watch::Receiver<Link>, direction: Direction) {
    // An error means that nobody can stall the link any more.
    let _ = link.wait_for(|link| link.open(direction)).await;
}

/// A byte stream of either kind.
#[derive(Debug)]
pub(crate) enum Raw {
    Tcp(TcpStream),
    Pipe(DuplexStream),
}

/// A stream that its owner can still reset while halves of it are being read and written.
#[derive(Clone, Debug)]
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
        }
    }
}

trait Duplex: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

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
