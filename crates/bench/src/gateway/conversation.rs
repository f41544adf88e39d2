//! One connection of the stand-in, without IO: bytes in, bytes out.

use serde::Deserialize;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::Hello;
use super::wire::{ClientFrame, Opcode, write_frame};

/// The answer to every request except `connect` and `bench.events`. It has an ordinary size.
const PAYLOAD: &[u8] = br#"{"sessionKey":"agent:main:main","messages":[{"role":"user","content":"good morning"},{"role":"assistant","content":"good morning to you"}],"hasMore":false}"#;

/// The frame that all clients write begins so, the official one too.
const HEAD: &[u8] = br#"{"type":"req","id":""#;

/// Events are written in pieces of about this many bytes: a socket's buffer.
const PIECE: usize = 64 * 1024;

/// The state of one connection.
#[derive(Debug, Default)]
pub struct Conversation {
    upgraded: bool,
    /// The received part of an incomplete frame.
    rest: Vec<u8>,
    events: Events,
}

/// Events that are still to be sent.
#[derive(Debug, Default)]
struct Events {
    left: u64,
    bytes: usize,
    seq: u64,
}

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// The client closed it.
    #[error("closed by the client")]
    Closed,
    /// The client does not speak the protocol of this gateway.
    #[error("not understood: {0}")]
    NotUnderstood(&'static str),
}

/// `bench.events`: send so many events of so many bytes.
#[derive(Debug, Deserialize)]
struct EventsWanted {
    count: u64,
    bytes: usize,
}

#[derive(Deserialize)]
struct Request<'a> {
    id: &'a str,
    method: &'a str,
    #[serde(borrow, default)]
    params: Option<&'a serde_json::value::RawValue>,
}

impl Conversation {
    /// Takes received bytes, and appends the answers to `out`.
    ///
    /// # Errors
    /// When the connection is over. The contents of `out` must still be sent.
    pub fn receive(&mut self, bytes: &mut [u8], hello: &Hello, out: &mut Vec<u8>) -> Result<(), Ended> {
        if self.rest.is_empty() {
            let taken = self.take(bytes, hello, out)?;
            self.rest.extend_from_slice(&bytes[taken..]);
        } else {
            let mut all = std::mem::take(&mut self.rest);
            all.extend_from_slice(bytes);
            let taken = self.take(&mut all, hello, out)?;
            all.drain(..taken);
            self.rest = all;
        }
        Ok(())
    }

    /// Appends a piece of the events that were asked for; tells whether there was one.
    pub fn write_events(&mut self, out: &mut Vec<u8>) -> bool {
        let events = &mut self.events;
        let before = events.left;
        while events.left > 0 && out.len() < PIECE {
            events.left -= 1;
            events.seq += 1;
            let head = format!(
                r#"{{"type":"event","event":"chat","payload":{{"runId":"run-1","sessionKey":"agent:main:main","seq":{0},"state":"delta","deltaText":""#,
                events.seq
            );
            let tail = format!(r#""}},"seq":{}}}"#, events.seq);
            let padding = vec![b'x'; events.bytes.saturating_sub(head.len() + tail.len())];
            write_frame(out, Opcode::Text, &[head.as_bytes(), &padding, tail.as_bytes()]);
        }
        before > 0
    }

    /// Takes the complete frames. Returns their number of bytes.
    fn take(&mut self, bytes: &mut [u8], hello: &Hello, out: &mut Vec<u8>) -> Result<usize, Ended> {
        let mut taken = 0;
        if !self.upgraded {
            let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
                return Ok(0);
            };
            upgrade(&bytes[..end], out)?;
            write_frame(out, Opcode::Text, &[hello.challenge.as_bytes()]);
            self.upgraded = true;
            taken = end + 4;
        }
        while let Some(frame) = ClientFrame::parse(&bytes[taken..]) {
            let payload = frame.unmask(&mut bytes[taken..]);
            match frame.opcode {
                Opcode::Text => self.answer(payload, hello, out)?,
                Opcode::Ping => write_frame(out, Opcode::Pong, &[payload]),
                Opcode::Pong => {}
                Opcode::Close => {
                    write_frame(out, Opcode::Close, &[payload]);
                    return Err(Ended::Closed);
                }
                Opcode::Other => return Err(Ended::NotUnderstood("a binary or continued frame")),
            }
            taken += frame.end;
        }
        Ok(taken)
    }

    fn answer(&mut self, text: &[u8], hello: &Hello, out: &mut Vec<u8>) -> Result<(), Ended> {
        if let Some(id) = id_of_plain_request(text) {
            answer_with(out, id, PAYLOAD);
            return Ok(());
        }
        let request: Request<'_> = serde_json::from_slice(text).map_err(|_| Ended::NotUnderstood("no request"))?;
        match request.method {
            "connect" => answer_with(out, request.id.as_bytes(), hello.hello_ok.as_bytes()),
            "bench.events" => {
                let wanted = request
                    .params
                    .and_then(|params| serde_json::from_str(params.get()).ok());
                let EventsWanted { count, bytes } = wanted.ok_or(Ended::NotUnderstood("parameters of bench.events"))?;
                (self.events.left, self.events.bytes) = (count, bytes);
                answer_with(out, request.id.as_bytes(), b"{}");
            }
            _ => answer_with(out, request.id.as_bytes(), PAYLOAD),
        }
        Ok(())
    }
}

/// The id of a request that needs no look beyond its method. Ids of the benchmark's clients need no escapes.
fn id_of_plain_request(text: &[u8]) -> Option<&[u8]> {
    const METHOD: &[u8] = br#"","method":""#;
    let rest = text.strip_prefix(HEAD)?;
    let end = rest.iter().position(|byte| *byte == b'"')?;
    let (id, rest) = rest.split_at(end);
    let method = rest.strip_prefix(METHOD)?;
    let special = method.starts_with(b"connect") || method.starts_with(b"bench.");
    (!special).then_some(id)
}

fn answer_with(out: &mut Vec<u8>, id: &[u8], payload: &[u8]) {
    let parts: [&[u8]; 5] = [
        br#"{"type":"res","id":""#,
        id,
        br#"","ok":true,"payload":"#,
        payload,
        b"}",
    ];
    write_frame(out, Opcode::Text, &parts);
}

fn upgrade(head: &[u8], out: &mut Vec<u8>) -> Result<(), Ended> {
    let head = std::str::from_utf8(head).map_err(|_| Ended::NotUnderstood("an upgrade that is no text"))?;
    let key = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"))
        .ok_or(Ended::NotUnderstood("no upgrade"))?
        .1;
    let accept = derive_accept_key(key.trim().as_bytes());
    out.extend_from_slice(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ",
    );
    out.extend_from_slice(accept.as_bytes());
    out.extend_from_slice(b"\r\n\r\n");
    Ok(())
}
