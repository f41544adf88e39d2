//! The HTTP upgrade before the frames.

use crate::net::link::Direction;

/// The kind of the beginning of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// More is to come.
    Incomplete,
    /// A head of so many bytes, after which frames follow.
    Whole(usize),
    /// No upgrade: TLS, another answer than 101, another protocol.
    Foreign,
}

pub(super) fn read(bytes: &[u8], direction: Direction) -> Head {
    let begins: &[u8] = match direction {
        Direction::ToGateway => b"GET ",
        Direction::ToClient => b"HTTP/1.1 101",
    };
    let here = begins.len().min(bytes.len());
    if bytes[..here] != begins[..here] {
        return Head::Foreign;
    }
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    end.map_or(Head::Incomplete, |at| Head::Whole(at + 4))
}

/// A request without extensions, so that the frames stay readable, and with this `Host` if there is one.
pub(super) fn plain(head: &[u8], host: Option<&str>) -> Vec<u8> {
    let mut plain = Vec::with_capacity(head.len());
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        match host {
            _ if name.eq_ignore_ascii_case(b"sec-websocket-extensions") => {}
            Some(host) if name.eq_ignore_ascii_case(b"host") => {
                plain.extend_from_slice(b"Host: ");
                plain.extend_from_slice(host.as_bytes());
                plain.extend_from_slice(b"\r\n");
            }
            _ => plain.extend_from_slice(line),
        }
    }
    plain
}
