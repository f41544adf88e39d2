//! The reading side of a connection: the handshake, then requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use super::connection::Stream;
use super::events::Event;
use super::handshake::{self, Upgrade};
use super::journal::{Entry, redacted};
use super::requests;
use super::server::Server;
use super::state::Outbox;
use super::wire::{self, Inbound, WireError};

/// Both generations: no frame before the hello may be larger.
pub(crate) const BEFORE_HELLO: usize = 64 * 1024;

/// The reading side and all that a request can start.
pub(crate) struct Reader<'a> {
    server: &'a Arc<Server>,
    no: u64,
    upgrade: Upgrade,
    outbox: Outbox,
    nonce: String,
    greeted: bool,
    /// A script had the handshake end in silence: what comes is not answered, and the end of the connection is still seen.
    hung: bool,
    pending: JoinSet<()>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(server: &'a Arc<Server>, no: u64, upgrade: Upgrade, outbox: Outbox) -> Self {
        let nonce = server.state().random.uuid();
        Self {
            server,
            no,
            upgrade,
            outbox,
            nonce,
            greeted: false,
            hung: false,
            pending: JoinSet::new(),
        }
    }

    pub(crate) async fn read(mut self, stream: &mut Stream, alive: &AtomicBool) {
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
            if !self.hung {
                self.on_text(&text, binary).await;
            }
        }
    }

    /// The next message; `None` when the connection is over.
    async fn next(&mut self, stream: &mut Stream, deadline: Instant) -> Option<Message> {
        loop {
            tokio::select! {
                biased;
                message = stream.next() => return message?.ok(),
                Some(_) = self.pending.join_next() => {}
                () = tokio::time::sleep_until(deadline), if !self.greeted && !self.hung => {
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
        let parsed = wire::parse(text, self.server.profile.traceparent);
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
            self.hung = true;
            return;
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
