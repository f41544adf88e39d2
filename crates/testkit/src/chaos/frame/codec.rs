//! From bytes to frames and back: one direction of a WebSocket, from its upgrade on.

use std::io::Cursor;

use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::Frame;
use super::head::{self, Head};
use crate::net::link::Direction;

/// Largest frame that is held to be looked at; a larger one passes as it is. Gateways send 25 MiB and a bit.
const MAX_HELD: u64 = 64 * 1024 * 1024;
/// Largest HTTP head; more than any server takes.
const MAX_HEAD: usize = 64 * 1024;

/// Something of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) enum Unit {
    /// To be passed on as it is: the upgrade, control frames, fragments, all that is no WebSocket.
    Bytes(Vec<u8>),
    /// A whole message in one frame.
    Frame(Frame),
}

#[derive(Debug)]
enum State {
    /// The HTTP upgrade.
    Head,
    Frames,
    /// So many bytes belong to a frame that is not looked at.
    Through(u64),
    /// No WebSocket, or one that can't be followed.
    Plain,
}

/// Takes bytes in pieces of any size.
#[derive(Debug)]
pub(in super::super) struct Codec {
    direction: Direction,
    host: Option<String>,
    state: State,
    buffer: Vec<u8>,
}

impl Codec {
    /// A stream that begins. The upgrade request is given this `Host`, if any.
    pub(in super::super) const fn new(direction: Direction, host: Option<String>) -> Self {
        Self {
            direction,
            host,
            state: State::Head,
            buffer: Vec::new(),
        }
    }

    /// The units that are complete now.
    pub(in super::super) fn push(&mut self, chunk: Vec<u8>) -> Vec<Unit> {
        if self.buffer.is_empty() {
            self.buffer = chunk;
        } else {
            self.buffer.extend(chunk);
        }
        let mut units = Vec::new();
        while !self.buffer.is_empty() {
            match self.next() {
                Some(unit) => units.push(unit),
                None => break,
            }
        }
        units
    }

    fn next(&mut self) -> Option<Unit> {
        match self.state {
            State::Plain => Some(Unit::Bytes(std::mem::take(&mut self.buffer))),
            State::Through(left) => {
                let here = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
                let left = left - here as u64;
                self.state = if left == 0 { State::Frames } else { State::Through(left) };
                Some(Unit::Bytes(self.cut(here)))
            }
            State::Head => self.head(),
            State::Frames => self.frame(),
        }
    }

    fn head(&mut self) -> Option<Unit> {
        match head::read(&self.buffer, self.direction) {
            Head::Incomplete if self.buffer.len() <= MAX_HEAD => None,
            Head::Incomplete | Head::Foreign => {
                self.state = State::Plain;
                self.next()
            }
            Head::Whole(length) => {
                self.state = State::Frames;
                let head = self.cut(length);
                Some(Unit::Bytes(match self.direction {
                    Direction::ToGateway => head::plain(&head, self.host.as_deref()),
                    Direction::ToClient => head,
                }))
            }
        }
    }

    fn frame(&mut self) -> Option<Unit> {
        let mut cursor = Cursor::new(&self.buffer);
        let parsed = FrameHeader::parse(&mut cursor);
        let start = usize::try_from(cursor.position()).unwrap_or(usize::MAX);
        let (header, length) = match parsed {
            Ok(Some(parsed)) => parsed,
            Ok(None) => return None,
            Err(_) => {
                self.state = State::Plain;
                return self.next();
            }
        };
        let readable = matches!(header.opcode, OpCode::Data(Data::Text | Data::Binary))
            && header.is_final
            && !header.rsv1
            && length <= MAX_HELD;
        if !readable {
            self.state = State::Through((start as u64).saturating_add(length));
            return self.next();
        }
        let end = start + usize::try_from(length).unwrap_or(usize::MAX);
        if self.buffer.len() < end {
            return None;
        }
        let mut payload = self.cut(end).split_off(start);
        if let Some(mask) = header.mask {
            unmask(&mut payload, mask);
        }
        Some(Unit::Frame(Frame {
            opcode: header.opcode.into(),
            mask: header.mask,
            payload,
        }))
    }

    /// The first `length` bytes of the buffer.
    fn cut(&mut self, length: usize) -> Vec<u8> {
        let rest = self.buffer.split_off(length);
        std::mem::replace(&mut self.buffer, rest)
    }
}

/// The frame as it stands on the wire.
pub(in super::super) fn encode(frame: &Frame) -> Vec<u8> {
    let header = FrameHeader {
        opcode: OpCode::from(frame.opcode),
        mask: frame.mask,
        ..FrameHeader::default()
    };
    let mut bytes = Vec::with_capacity(frame.payload.len() + 16);
    header
        .format(frame.payload.len() as u64, &mut bytes)
        .expect("a vector takes everything");
    let start = bytes.len();
    bytes.extend_from_slice(&frame.payload);
    if let Some(mask) = frame.mask {
        unmask(&mut bytes[start..], mask);
    }
    bytes
}

/// Masks, too: it is its own opposite.
fn unmask(bytes: &mut [u8], mask: [u8; 4]) {
    for (byte, mask) in bytes.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &[u8] =
        b"GET / HTTP/1.1\r\nHost: proxy:1\r\nSec-WebSocket-Extensions: permessage-deflate\r\nUpgrade: websocket\r\n\r\n";
    const ANSWER: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";

    fn text(payload: &str, mask: Option<[u8; 4]>) -> Frame {
        Frame {
            opcode: 1,
            mask,
            payload: payload.into(),
        }
    }

    /// The units of a stream that arrives in pieces of this size; neighbouring bytes are one unit.
    fn units(direction: Direction, stream: &[u8], piece: usize) -> Vec<Unit> {
        let mut codec = Codec::new(direction, Some("gateway:2".into()));
        let mut all: Vec<Unit> = Vec::new();
        for chunk in stream.chunks(piece) {
            for unit in codec.push(chunk.to_vec()) {
                match (all.last_mut(), unit) {
                    (Some(Unit::Bytes(before)), Unit::Bytes(more)) => before.extend(more),
                    (_, unit) => all.push(unit),
                }
            }
        }
        all
    }

    #[test]
    fn frames_are_found_in_whatever_pieces_they_come() {
        let mask = Some([1, 2, 3, 250]);
        let frames = [
            text("{\"a\":1}", mask),
            text(&"long ".repeat(40_000), mask),
            text("", mask),
        ];
        let mut stream = REQUEST.to_vec();
        stream.extend(frames.iter().flat_map(encode));
        for piece in [1, 2, 7, 1000, stream.len()] {
            let units = units(Direction::ToGateway, &stream, piece);
            let [Unit::Bytes(head), rest @ ..] = &units[..] else {
                panic!("{piece}: no head")
            };
            let head = String::from_utf8(head.clone()).unwrap();
            assert_eq!(head, "GET / HTTP/1.1\r\nHost: gateway:2\r\nUpgrade: websocket\r\n\r\n");
            let found: Vec<_> = rest
                .iter()
                .map(|unit| match unit {
                    Unit::Frame(frame) => frame,
                    Unit::Bytes(bytes) => panic!("{piece}: {} bytes", bytes.len()),
                })
                .collect();
            assert_eq!(found, frames.iter().collect::<Vec<_>>(), "{piece}");
        }
    }

    #[test]
    fn pings_fragments_and_compressed_frames_pass_as_they_are() {
        let ping = [0x89, 2, b'h', b'i'];
        let fragment = [0x01, 1, b'a', 0x80, 1, b'b'];
        let compressed = [0xc1, 3, 1, 2, 3];
        let mut stream = ANSWER.to_vec();
        stream.extend(ping.iter().chain(&fragment).chain(&compressed));
        let frame = text("after", None);
        let unchanged = stream.clone();
        stream.extend(encode(&frame));
        for piece in [1, 3, 500] {
            let found = units(Direction::ToClient, &stream, piece);
            assert_eq!(
                found,
                [Unit::Bytes(unchanged.clone()), Unit::Frame(frame.clone())],
                "{piece}"
            );
        }
    }

    #[test]
    fn what_is_no_websocket_passes_as_it_is() {
        for (direction, stream) in [
            (Direction::ToGateway, &[22, 3, 1, 0, 5, 1, 0, 0, 1, 0][..]),
            (Direction::ToClient, b"HTTP/1.1 404 Not Found\r\n\r\nnothing here"),
            (Direction::ToClient, b"SSH-2.0-OpenSSH\r\n"),
        ] {
            for piece in [1, 100] {
                assert_eq!(units(direction, stream, piece), [Unit::Bytes(stream.to_vec())]);
            }
        }
        let mut bad = ANSWER.to_vec();
        bad.extend([0x83, 1, 0]);
        assert_eq!(
            units(Direction::ToClient, &bad, 1),
            [Unit::Bytes(bad.clone())],
            "opcode 3"
        );
    }
}
