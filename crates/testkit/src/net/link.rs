//! Carrying bytes between two ends with switches for stalling, delaying, throttling, slicing and cutting.
//!
//! Both the simulated gateway and the chaos proxy put this between their sockets and the rest, so a fault
//! means the same in either.

use std::io;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::now;
use super::shaper::TrafficShaper;

/// Bytes read at once; also the grain of a stall.
const CHUNK: usize = 16 * 1024;
/// Chunks that may wait for their delay: 1 MiB, more than a test's frames need.
const IN_FLIGHT: usize = 64;

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
    /// A WebSocket close frame with this code to the client, then as `Drop`.
    Close(u16),
}

/// The switches of one connection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Link {
    pub(crate) to_gateway: TrafficShaper,
    pub(crate) to_client: TrafficShaper,
    /// Both directions are stalled for ever, independently of the other switches.
    pub(crate) frozen: bool,
    pub(crate) cut: Option<Cut>,
    /// Where the randomness of its jitter begins.
    pub(crate) seed: u64,
}

impl Link {
    pub(crate) const fn shaper(&self, direction: Direction) -> &TrafficShaper {
        match direction {
            Direction::ToGateway => &self.to_gateway,
            Direction::ToClient => &self.to_client,
        }
    }

    pub(crate) const fn lane_mut(&mut self, direction: Direction) -> &mut TrafficShaper {
        match direction {
            Direction::ToGateway => &mut self.to_gateway,
            Direction::ToClient => &mut self.to_client,
        }
    }

    /// Stops or starts one direction.
    pub(crate) const fn stall(&mut self, direction: Direction, on: bool) {
        self.lane_mut(direction).stall.0 = on;
    }

    /// Both directions.
    pub(crate) fn shapers(&mut self, change: impl Fn(&mut TrafficShaper)) {
        change(&mut self.to_gateway);
        change(&mut self.to_client);
    }

    const fn open(&self, direction: Direction) -> bool {
        !self.frozen && !self.shaper(direction).stall.is_on()
    }
}

/// Waits until the link is cut; never, if its switches are gone.
pub(crate) async fn cut(mut link: watch::Receiver<Link>) -> Cut {
    if let Ok(link) = link.wait_for(|link| link.cut.is_some()).await {
        return link.cut.unwrap_or(Cut::Drop);
    }
    std::future::pending().await
}

/// A stage of a stream that may change the passing bytes.
pub(crate) trait Stage {
    /// Takes the bytes that were read, and returns the bytes to write.
    fn pass(&mut self, chunk: Vec<u8>) -> Passed;
}

/// The output of a stage.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    pub(crate) bytes: Vec<u8>,
    /// After these bytes the connection ends like this.
    pub(crate) end: Option<Cut>,
}

/// Nothing is changed.
pub(crate) struct Unchanged;

impl Stage for Unchanged {
    fn pass(&mut self, chunk: Vec<u8>) -> Passed {
        Passed {
            bytes: chunk,
            end: None,
        }
    }
}

/// Something on its way, and when it is there.
struct Travelling {
    due: Instant,
    passed: Passed,
}

/// Copies one direction until end of file or an error on either side, then closes the far side. An error says that the
/// stage wants both directions to end.
pub(crate) async fn carry(
    from: impl AsyncRead + Unpin,
    to: impl AsyncWrite + Unpin,
    stage: impl Stage,
    link: watch::Receiver<Link>,
    direction: Direction,
) -> Result<(), Cut> {
    let (sender, receiver) = mpsc::channel(IN_FLIGHT);
    let taken = async {
        take(from, stage, sender, link.clone(), direction).await;
        Ok(())
    };
    tokio::try_join!(taken, give(to, receiver, link.clone(), direction))?;
    Ok(())
}

async fn take(
    mut from: impl AsyncRead + Unpin,
    mut stage: impl Stage,
    sender: mpsc::Sender<Travelling>,
    mut link: watch::Receiver<Link>,
    direction: Direction,
) {
    // Each direction has separate random numbers, so that one direction never changes the other.
    let mut rng = StdRng::seed_from_u64(link.borrow().seed ^ u64::from(direction == Direction::ToClient));
    let mut before = now();
    let mut buffer = vec![0; CHUNK];
    loop {
        opened(&mut link, direction).await;
        let (most, pause) = link.borrow().shaper(direction).reading.slice(CHUNK);
        let read = tokio::select! {
            biased;
            read = from.read(&mut buffer[..most]) => read,
            () = sender.closed() => return,
            // It may be to read less now, or nothing. A read that is given up has taken nothing.
            () = switched(&mut link) => continue,
        };
        let Ok(read @ 1..) = read else { return };
        let passed = stage.pass(buffer[..read].to_vec());
        if !passed.bytes.is_empty() || passed.end.is_some() {
            before = link.borrow().shaper(direction).latency.due(now(), before, &mut rng);
            if sender.send(Travelling { due: before, passed }).await.is_err() {
                return;
            }
        }
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
    }
}

async fn give(
    mut to: impl AsyncWrite + Unpin,
    mut receiver: mpsc::Receiver<Travelling>,
    mut link: watch::Receiver<Link>,
    direction: Direction,
) -> Result<(), Cut> {
    while let Some(Travelling { due, passed }) = receiver.recv().await {
        tokio::time::sleep_until(due).await;
        let written = write(&mut to, &passed.bytes, &mut link, direction).await;
        if let Some(cut) = passed.end {
            return Err(cut);
        }
        if written.is_err() {
            return Ok(());
        }
    }
    // A stalled direction does not let an end of file through either.
    opened(&mut link, direction).await;
    // An error means that the peer is gone already, which is the purpose of the shutdown.
    let _ = to.shutdown().await;
    Ok(())
}

async fn write(
    to: &mut (impl AsyncWrite + Unpin),
    mut bytes: &[u8],
    link: &mut watch::Receiver<Link>,
    direction: Direction,
) -> io::Result<()> {
    while !bytes.is_empty() {
        opened(link, direction).await;
        let shaper = *link.borrow().shaper(direction);
        let (slice, pause) = shaper.bandwidth.slice(bytes.len());
        let (now, rest) = bytes.split_at(shaper.slicing.piece(slice));
        to.write_all(now).await?;
        to.flush().await?;
        bytes = rest;
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        } else if shaper.slicing.is_on() {
            // The reader gets its turn between two pieces.
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

async fn switched(link: &mut watch::Receiver<Link>) {
    if link.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn opened(link: &mut watch::Receiver<Link>, direction: Direction) {
    // An error means that the owner of the switches is gone, so the link cannot be stalled any more.
    let _ = link.wait_for(|link| link.open(direction)).await;
}
