//! One connection: the HTTP upgrade, the WebSocket, the handshake, then requests until either side ends it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::DuplexStream;
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};

use super::handshake::Upgrade;
use super::journal::Entry;
use super::reader::{BEFORE_HELLO, Reader};
use super::server::Server;
use super::state::{Conn, Out, Outbox};
use super::upgrade;
use crate::net::link::{self, Cut, Direction, Link, Unchanged};
use crate::net::stream::{Raw, Shared};

/// Bytes between the socket and the WebSocket; small enough that a stalled client is felt soon.
const BUFFER: usize = 64 * 1024;
/// How long a client may take to answer a close.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

type Sink = SplitSink<WebSocketStream<DuplexStream>, Message>;
pub(crate) type Stream = SplitStream<WebSocketStream<DuplexStream>>;

/// Registers a new connection and runs it as a task of the gateway.
pub(crate) fn accept(server: &Arc<Server>, raw: Raw) {
    let (outbox, receiver, queued) = Outbox::new();
    let mut state = server.state();
    let no = state.next_conn;
    state.next_conn += 1;
    let switches = watch::Sender::new(state.link);
    let link = switches.subscribe();
    let conn = Conn {
        outbox: outbox.clone(),
        link: switches,
        peer: None,
        seq: 0,
        withhold: false,
        sessions: false,
        messages: std::collections::BTreeSet::new(),
        role_refusals: 0,
    };
    state.conns.insert(no, conn);
    drop(state);
    server.record(Entry::Connected { conn: no });
    let registered = Registered {
        server: Arc::clone(server),
        no,
        code: None,
    };
    server.spawn(run(registered, raw, outbox, (receiver, queued), link));
}

/// Takes the connection out of the books, however it ends.
struct Registered {
    server: Arc<Server>,
    no: u64,
    code: Option<u16>,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.server.state().conns.remove(&self.no);
        self.server.record(Entry::Closed {
            conn: self.no,
            code: self.code,
        });
    }
}

async fn run(
    mut registered: Registered,
    raw: Raw,
    outbox: Outbox,
    queue: (mpsc::Receiver<Out>, Arc<AtomicUsize>),
    link: watch::Receiver<Link>,
) {
    let raw = Shared::new(raw);
    let (near, far) = tokio::io::duplex(BUFFER);
    let (near_read, near_write) = tokio::io::split(near);
    let inbound = link::carry(raw.clone(), near_write, Unchanged, link.clone(), Direction::ToGateway);
    let outbound = link::carry(near_read, raw.clone(), Unchanged, link.clone(), Direction::ToClient);
    let session = async {
        let code = serve(&registered.server, registered.no, far, outbox, queue).await;
        registered.code = code;
    };
    let carried = async {
        // The inbound direction must not end the connection: what is queued outward still has to go.
        let inbound = async {
            // Nothing in this stream asks for an end of both directions.
            let _ = inbound.await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            biased;
            () = inbound => {}
            _ = async { tokio::join!(outbound, session) } => {}
        }
    };
    let ended = async {
        Box::pin(carried).await;
        // Nothing passes a frozen link, not even the end of the connection.
        if link.borrow().frozen {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        biased;
        cut = link::cut(link.clone()) => {
            if cut == Cut::Reset {
                raw.reset_on_drop();
            }
        }
        () = ended => {}
    }
}

/// Gives the close code that was sent, if one was.
async fn serve(
    server: &Arc<Server>,
    no: u64,
    io: DuplexStream,
    outbox: Outbox,
    (receiver, queued): (mpsc::Receiver<Out>, Arc<AtomicUsize>),
) -> Option<u16> {
    let limit = server.profile.max_payload.saturating_mul(2).max(BEFORE_HELLO * 2);
    let config = WebSocketConfig::default()
        .max_message_size(Some(limit))
        .max_frame_size(Some(limit));
    let mut seen = Upgrade::default();
    let callback = upgrade::Callback {
        server,
        seen: &mut seen,
    };
    let socket = tokio_tungstenite::accept_hdr_async_with_config(io, callback, Some(config))
        .await
        .ok()?;
    let (sink, mut stream) = socket.split();
    let alive = AtomicBool::new(true);
    let written = {
        let writer = write(server, sink, receiver, queued, &alive);
        let reader = Reader::new(server, no, seen, outbox).read(&mut stream, &alive);
        tokio::select! {
            biased;
            written = writer => written,
            () = reader => Written::Failed,
        }
    };
    if let Written::Closed(code) = written {
        let peer_closes = async { while let Some(Ok(_)) = stream.next().await {} };
        // A peer that does not answer the close is left alone.
        let _ = tokio::time::timeout(CLOSE_GRACE, peer_closes).await;
        return Some(code);
    }
    None
}

enum Written {
    Closed(u16),
    Failed,
}

async fn write(
    server: &Server,
    mut sink: Sink,
    mut receiver: mpsc::Receiver<Out>,
    queued: Arc<AtomicUsize>,
    alive: &AtomicBool,
) -> Written {
    let mut pings = server.profile.ping_interval.map(|every| {
        let mut interval = tokio::time::interval_at(super::clock::now() + every, every);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        interval
    });
    loop {
        let ping = async {
            match &mut pings {
                Some(interval) => interval.tick().await,
                None => std::future::pending().await,
            }
        };
        let message = tokio::select! {
            biased;
            out = receiver.recv() => match out {
                Some(Out::Frame(text)) => {
                    queued.fetch_sub(text.len(), Ordering::Relaxed);
                    Message::text(text)
                }
                Some(Out::Close { code, reason }) => {
                    let frame = CloseFrame { code: code.into(), reason: fitting(reason).into() };
                    // An error means that the peer is gone, which is what the close was for.
                    let _ = sink.send(Message::Close(Some(frame))).await;
                    return Written::Closed(code);
                }
                None => return Written::Failed,
            },
            _ = ping => {
                if hung(server) {
                    alive.store(true, Ordering::Relaxed);
                    continue;
                }
                // No pong since the last ping: the peer is taken for dead (2026.9.6: within 25 s).
                if !alive.swap(false, Ordering::Relaxed) {
                    return Written::Failed;
                }
                Message::Ping(Vec::new().into())
            }
        };
        if sink.send(message).await.is_err() {
            return Written::Failed;
        }
    }
}

/// A gateway that was told to hang neither pings nor misses a pong.
fn hung(server: &Server) -> bool {
    let state = server.state();
    state.silent || state.link.to_gateway.stall.is_on()
}

/// A close reason may have 123 bytes.
fn fitting(mut reason: String) -> String {
    let mut end = reason.len().min(123);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason.truncate(end);
    reason
}
