//! One connection: the HTTP upgrade, the WebSocket, the handshake, then requests until either side ends it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::DuplexStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};

use super::events::Event;
use super::handshake::{self, Upgrade};
use super::journal::{Entry, redacted};
use super::requests;
use super::server::Server;
use super::state::{Conn, Out, Outbox};
use super::upgrade;
use super::wire::{self, Inbound, WireError};
use crate::net::link::{self, Cut, Direction, Link, Raw, Shared};

/// Both generations: no frame before the hello may be larger.
const BEFORE_HELLO: usize = 64 * 1024;
/// Bytes between the socket and the WebSocket; small enough that a stalled client is felt soon.
const BUFFER: usize = 64 * 1024;
/// How long a client may take to answer a close.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

type Sink = SplitSink<WebSocketStream<DuplexStream>, Message>;
type Stream = SplitStream<WebSocketStream<DuplexStream>>;

/// Registers a new connection and runs it as a task of the gateway.
pub(crate) fn accept(server: &Arc<Server>, raw: Raw) {
    let (outbox, receiver, queued) = Outbox::new();
    let mut state = server.state();
    let no = state.next_conn;
    state.next_conn += 1;
    let switches = watch::Sender::new(state.link.clone());
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
    let inbound = link::carry(raw.clone(), near_write, link.clone(), Direction::ToGateway);
    let outbound = link::carry(near_read, raw.clone(), link.clone(), Direction::ToClient);
    let session = async {
        let code = serve(&registered.server, registered.no, far, outbox, queue).await;
        registered.code = code;
    };
    let carried = async {
        // The inbound direction must not end the connection: what is queued outward still has to go.
        let inbound = async {
            inbound.await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = inbound => {}
            ((), ()) = async { tokio::join!(outbound, session) } => {}
        }
    };
    let ended = async {
        carried.await;
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
    state.silent || state.link.stalled_in
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

/// The reading side and all that a request can start.
struct Reader<'a> {
    server: &'a Arc<Server>,
    no: u64,
    upgrade: Upgrade,
    outbox: Outbox,
    nonce: String,
    greeted: bool,
    pending: JoinSet<()>,
}

impl<'a> Reader<'a> {
    fn new(server: &'a Arc<Server>, no: u64, upgrade: Upgrade, outbox: Outbox) -> Self {
        let nonce = server.state().random.uuid();
        Self {
            server,
            no,
            upgrade,
            outbox,
            nonce,
            greeted: false,
            pending: JoinSet::new(),
        }
    }

    async fn read(mut self, stream: &mut Stream, alive: &AtomicBool) {
        let payload = handshake::challenge(&self.server.profile, &self.nonce, self.server.clock.wall_ms());
        if !self.server.state().silent {
            self.outbox
                .answer(wire::event("connect.challenge", &payload, None, None))
                .await;
        }
        let deadline = super::clock::now() + self.server.profile.handshake_timeout;
        loop {
            let Some(message) = self.next(stream, deadline).await else {
                return;
            };
            let (text, binary) = match message {
                Message::Text(text) => (text.as_str().to_owned(), false),
                Message::Binary(bytes) => (String::from_utf8_lossy(&bytes).into_owned(), true),
                Message::Pong(_) => {
                    alive.store(true, Ordering::Relaxed);
                    continue;
                }
                Message::Close(_) => return,
                _ => continue,
            };
            self.on_text(&text, binary).await;
        }
    }

    /// The next message; `None` when the connection is over.
    async fn next(&mut self, stream: &mut Stream, deadline: Instant) -> Option<Message> {
        loop {
            tokio::select! {
                message = stream.next() => return message?.ok(),
                Some(_) = self.pending.join_next() => {}
                () = tokio::time::sleep_until(deadline), if !self.greeted => {
                    self.close(1000, "").await;
                }
            }
        }
    }

    /// Closes and lets the writer end the connection.
    async fn close(&self, code: u16, reason: &str) {
        self.outbox.close_in_turn(code, reason).await;
        std::future::pending::<()>().await;
    }

    async fn on_text(&mut self, text: &str, binary: bool) {
        let limit = if self.greeted {
            self.server.profile.max_payload
        } else {
            BEFORE_HELLO
        };
        if text.len() > limit {
            return self.close(1009, "").await;
        }
        let parsed = wire::parse(text);
        self.keep(text, &parsed);
        if self.server.state().silent {
            return;
        }
        match parsed {
            Inbound::Garbage if self.greeted => {}
            Inbound::Garbage => self.close(1000, "").await,
            Inbound::Invalid { id, message } if self.greeted => {
                let error = WireError::invalid(message);
                self.outbox.answer(wire::response(&id, &Err(error))).await;
            }
            Inbound::Invalid { .. } => {
                self.close(
                    if binary { 1000 } else { 1008 },
                    if binary { "" } else { "invalid request frame" },
                )
                .await;
            }
            Inbound::Request { id, method, params } => self.on_request(&id, &method, &params).await,
        }
    }

    fn keep(&self, text: &str, parsed: &Inbound) {
        if let Inbound::Request { id, method, params } = parsed {
            let params = if method == "connect" {
                redacted(params.clone())
            } else {
                params.clone()
            };
            let raw = if method == "connect" {
                json!({"type": "req", "id": id, "method": method, "params": params}).to_string()
            } else {
                text.to_owned()
            };
            self.server.journal.frame(self.no, raw);
            let entry = Entry::Request {
                conn: self.no,
                id: id.clone(),
                method: method.clone(),
                params,
            };
            self.server.record(entry);
        } else {
            self.server.journal.frame(self.no, text.to_owned());
        }
    }

    async fn on_request(&mut self, id: &str, method: &str, params: &Value) {
        if self.greeted {
            requests::handle(
                self.server,
                self.no,
                &self.outbox,
                &mut self.pending,
                id,
                method,
                params,
            )
            .await;
        } else if method == "connect" {
            self.on_connect(id, params).await;
        } else {
            let message = "invalid handshake: first request must be connect";
            let error = WireError::invalid(message);
            self.outbox.answer(wire::response(&json!(id), &Err(error))).await;
            self.close(1008, message).await;
        }
    }

    async fn on_connect(&mut self, id: &str, params: &Value) {
        if let Some(rule) = self.server.rules.take("connect")
            && !requests::scripted_connect(self.server, self.no, &self.outbox, id, rule).await
        {
            return std::future::pending().await;
        }
        let decided = {
            let mut state = self.server.state();
            handshake::connect(self.server, &mut state, &self.upgrade, &self.nonce, params)
        };
        let id = json!(id);
        match decided {
            Ok((hello, peer)) => {
                self.greet(&id, hello, peer, params).await;
            }
            Err(refusal) => {
                let error = refusal.error.to_json();
                self.server.record(Entry::Refused {
                    conn: self.no,
                    code: error["code"].as_str().unwrap_or_default().to_owned(),
                    detail: error
                        .pointer("/details/code")
                        .and_then(Value::as_str)
                        .map(str::to_owned),
                });
                self.outbox.answer(wire::response(&id, &Err(*refusal.error))).await;
                self.close(refusal.code, &refusal.reason).await;
            }
        }
    }

    async fn greet(&mut self, id: &Value, hello: Value, peer: super::state::Peer, params: &Value) {
        let server = self.server;
        let seen = peer.mode != "backend";
        let credentials = params["auth"]
            .as_object()
            .into_iter()
            .flat_map(|auth| auth.keys().cloned());
        let device = params.get("device").map(|_| "device".to_owned());
        server.record(Entry::Hello {
            conn: self.no,
            client: peer.client_id.clone(),
            scopes: peer.scopes.clone(),
            credentials: credentials.chain(device).collect(),
        });
        // The hello is queued before the peer is entered in the books, so no event can come before it.
        self.outbox.answer(wire::response(id, &Ok(hello))).await;
        self.greeted = true;
        let events = {
            let mut state = server.state();
            if let Some(conn) = state.conns.get_mut(&self.no) {
                conn.peer = Some(peer);
            }
            let mut events = Vec::new();
            if seen {
                state.presence_version += 1;
                let presence = super::hello::presence(server, &state);
                events.push(Event::new("presence", json!({"presence": presence})));
            }
            // Protocol 3 sends a health event with about every connect.
            if !server.profile.v4() {
                state.health_version += 1;
                events.push(Event::new("health", super::hello::health(server, &state)));
            }
            events
        };
        for event in &events {
            server.emit(event);
        }
    }
}
