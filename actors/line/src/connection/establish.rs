//! From nothing to hello-ok.

use std::rc::Rc;
use std::sync::Arc;

use tungstenite::{self, Message};
use windlass_protocol::connection::{Continuity, Handshake, HandshakeStep, Session};
use windlass_protocol::{CloseCode, CloseReason, HelloOk, SessionKeySpace};

use crate::clock::Deadline;
use crate::line::{DisconnectReason, LineContext, LineState};
use crate::routing::Marker;
use crate::transport::{ConnectStep, Socket, open_websocket};
use crate::{GatewaySpec, failpoint};

/// A connection on which calls can go.
pub(super) struct Established {
    pub(super) socket: Socket,
    pub(super) session: Session,
}

/// Waits for a place among the attempts that may run at a time, and makes one.
pub(super) async fn establish(line: &Rc<LineContext>) -> Result<Established, DisconnectReason> {
    ready_credentials(line).await?;
    let spec = line.spec();
    let attempt = line.shard.gate.attempt(&spec.endpoint, attempt(line, &spec));
    attempt.await.map_err(|_| DisconnectReason::Stopped)?
}

async fn attempt(line: &Rc<LineContext>, spec: &GatewaySpec) -> Result<Established, DisconnectReason> {
    failpoint::reach("connection.dial");
    let shard = &line.shard;
    let io = shard
        .connector
        .dial(&spec.endpoint, &spec.tls)
        .await
        .map_err(DisconnectReason::Dial)?;
    let mut socket = open_websocket(io, spec).await.map_err(DisconnectReason::Upgrade)?;
    shard.connector.on_step(&line.id, &ConnectStep::Upgraded);
    let hello = shake_hands(line, &mut socket).await?;
    let session = begin(line, hello);
    Ok(Established { socket, session })
}

/// Reads the device's token, unless it was read for this line.
async fn ready_credentials(line: &Rc<LineContext>) -> Result<(), DisconnectReason> {
    if line.reconnect.borrow().has_credentials() {
        return Ok(());
    }
    let token = line
        .tokens
        .load(&line.shard.tokens, line.spec().token_key())
        .await
        .map_err(DisconnectReason::Tokens)?;
    line.reconnect.borrow_mut().has_read(&line.spec(), token);
    Ok(())
}

async fn shake_hands(line: &Rc<LineContext>, socket: &mut Socket) -> Result<HelloOk, DisconnectReason> {
    let clock = &line.shard.clock;
    let id = line.pending.lock().calls.fresh_id();
    let mut handshake = Handshake::begin(id, clock.now(), line.spec().handshake_timeout);
    let mut deadline = Deadline::at(handshake.deadline());
    loop {
        deadline.set(handshake.deadline());
        let Some(message) = deadline.limit(socket.next()).await else {
            return Err(DisconnectReason::Handshake(handshake.late()));
        };
        let Some(text) = text_of(message)? else { continue };
        let sign = |challenge: &_| {
            line.reconnect
                .borrow()
                .connect_params(&line.spec(), challenge, clock.wall())
        };
        let observe = |step: &ConnectStep<'_>| line.shard.connector.on_step(&line.id, step);
        let received = handshake.receive(&text, clock.now(), sign);
        let received = received.inspect_err(|fault| observe(&ConnectStep::Broken(fault)));
        match received.map_err(DisconnectReason::Handshake)? {
            HandshakeStep::Wait => {}
            HandshakeStep::Send(frame) => {
                observe(&ConnectStep::Challenged);
                deadline.set(handshake.deadline());
                let sent = deadline.limit(socket.send(Message::text(frame))).await;
                sent.ok_or_else(|| DisconnectReason::Handshake(handshake.late()))?
                    .map_err(broken)?;
            }
            HandshakeStep::Up(read) => {
                if !read.left_out.is_empty() {
                    let left_out = read.left_out.join(", ");
                    tracing::warn!(gateway = %line.id, left_out, "hello-ok has parts that are too large: the line goes on without them");
                }
                observe(&ConnectStep::Accepted(&read.hello, line.reconnect.borrow().sends()));
                return Ok(read.hello);
            }
            HandshakeStep::Refused(refusal) => {
                observe(&ConnectStep::Refused(&refusal));
                return Err(DisconnectReason::Refused(
                    Box::new(refusal),
                    line.reconnect.borrow().sends(),
                ));
            }
        }
    }
}

/// The text of a message that carries a frame; nothing for pings and pongs.
fn text_of(
    message: Option<Result<Message, tungstenite::Error>>,
) -> Result<Option<tungstenite::Utf8Bytes>, DisconnectReason> {
    match message {
        Some(Ok(Message::Text(text))) => Ok(Some(text)),
        Some(Ok(Message::Binary(bytes))) => Ok(tungstenite::Utf8Bytes::try_from(bytes).ok()),
        Some(Ok(Message::Close(frame))) => Err(DisconnectReason::Closed(close_reason(frame))),
        Some(Ok(_)) => Ok(None),
        Some(Err(error)) => Err(broken(error)),
        None => Err(DisconnectReason::Closed(CloseReason::abnormal())),
    }
}

pub(super) fn close_reason(frame: Option<tungstenite::protocol::CloseFrame>) -> CloseReason {
    match frame {
        Some(frame) => CloseReason::new(CloseCode(frame.code.into()), frame.reason.as_str()),
        None => CloseReason::new(CloseCode::NO_STATUS, ""),
    }
}

pub(super) fn broken(error: tungstenite::Error) -> DisconnectReason {
    use tungstenite::error::{CapacityError, ProtocolError};
    match error {
        tungstenite::Error::ConnectionClosed
        | tungstenite::Error::AlreadyClosed
        | tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
            DisconnectReason::Closed(CloseReason::abnormal())
        }
        tungstenite::Error::Io(error) => DisconnectReason::Lost(error.kind().to_string()),
        tungstenite::Error::Capacity(CapacityError::MessageTooLong { size, max_size }) => DisconnectReason::Lost(
            format!("the gateway sent a message of {size} bytes, more than the {max_size} that are taken"),
        ),
        other => DisconnectReason::Lost(other.to_string()),
    }
}

/// Makes the new connection the line's: its generation, its state, its place in the event stream.
fn begin(line: &LineContext, mut hello: HelloOk) -> Session {
    let now = line.shard.clock.now();
    let generation = line.status.next_generation();
    let session = Session::begin(generation, &hello, now);
    let (continuity, learnt) = line.reconnect.borrow_mut().on_hello(&hello, now);
    line.keep_token(learnt);
    // Nothing reads these two again, and they are most of a hello-ok.
    hello.snapshot.presence = None;
    hello.snapshot.health = None;
    hello.features = line.shard.known.share(hello.features);
    let hello = Arc::new(hello);
    let up = LineState::Up {
        hello: Arc::clone(&hello),
    };
    line.status.transition(up, None);
    line.router.meter().up(generation, line.shard.clock.wall());
    let gateway_restarted = match continuity {
        Some(Continuity::Same) => Some(false),
        Some(Continuity::Restarted) => Some(true),
        Some(Continuity::Unknown) | None => None,
    };
    line.router.set_key_space(SessionKeySpace::of(&hello));
    line.router.mark(&Marker::Reconnected {
        generation,
        gateway_restarted,
    });
    line.topics.on_up(generation, &hello);
    line.pending
        .lock()
        .calls
        .restored(continuity.unwrap_or(Continuity::Unknown), now);
    session
}
