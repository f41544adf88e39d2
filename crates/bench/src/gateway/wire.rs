//! WebSocket framing by hand: frames from a client are masked, frames to a client are not.

/// The kind of a frame, by its opcode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opcode {
    Text,
    Close,
    Ping,
    Pong,
    /// Binary, continuation, reserved: no client of the benchmark sends them.
    Other,
}

/// Where a client's frame lies in the bytes received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClientFrame {
    pub(super) opcode: Opcode,
    mask: [u8; 4],
    /// Where the payload begins and ends.
    pub(super) start: usize,
    pub(super) end: usize,
}

impl ClientFrame {
    /// Reads the head of the frame at the start of `bytes`; nothing if it is not all there yet.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (&first, rest) = bytes.split_first()?;
        let (&second, rest) = rest.split_first()?;
        let (len, head) = match second & 0x7f {
            126 => (usize::from(u16::from_be_bytes(rest.get(..2)?.try_into().ok()?)), 4),
            127 => {
                let len = u64::from_be_bytes(rest.get(..8)?.try_into().ok()?);
                (usize::try_from(len).ok()?, 10)
            }
            len => (usize::from(len), 2),
        };
        let mask = bytes.get(head..head + 4)?.try_into().ok()?;
        let start = head + 4;
        let end = start.checked_add(len)?;
        (bytes.len() >= end).then_some(Self {
            opcode: opcode(first),
            mask,
            start,
            end,
        })
    }

    /// Takes the mask off the payload, in place.
    pub(super) fn unmask<'a>(&self, bytes: &'a mut [u8]) -> &'a [u8] {
        let payload = &mut bytes[self.start..self.end];
        let [a, b, c, d] = self.mask;
        let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
        let mut chunks = payload.chunks_exact_mut(8);
        for chunk in &mut chunks {
            let plain = u64::from_ne_bytes((&*chunk).try_into().unwrap_or_default()) ^ wide;
            chunk.copy_from_slice(&plain.to_ne_bytes());
        }
        for (byte, mask) in chunks.into_remainder().iter_mut().zip(self.mask.iter().cycle()) {
            *byte ^= *mask;
        }
        payload
    }
}

const fn opcode(first: u8) -> Opcode {
    match first & 0x0f {
        1 => Opcode::Text,
        8 => Opcode::Close,
        9 => Opcode::Ping,
        10 => Opcode::Pong,
        _ => Opcode::Other,
    }
}

/// Writes one frame of `parts`, one after the other.
pub(super) fn write_frame(out: &mut Vec<u8>, opcode: Opcode, parts: &[&[u8]]) {
    let code = match opcode {
        Opcode::Text | Opcode::Other => 1,
        Opcode::Close => 8,
        Opcode::Ping => 9,
        Opcode::Pong => 10,
    };
    out.push(0x80 | code);
    let len: usize = parts.iter().map(|part| part.len()).sum();
    match (u8::try_from(len), u16::try_from(len)) {
        (Ok(short @ 0..126), _) => out.push(short),
        (_, Ok(len)) => {
            out.push(126);
            out.extend_from_slice(&len.to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    for part in parts {
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(text: &[u8]) -> Vec<u8> {
        let mask = [1, 2, 3, 4];
        let mut frame = vec![0x81, 0x80 | 0x7e];
        frame.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
        frame.extend(mask);
        frame.extend(text.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    #[test]
    fn a_masked_frame_is_read_when_it_is_all_there_and_not_before() {
        for len in 0..40 {
            let text = vec![b'x'; len];
            let mut bytes = masked(&text);
            for cut in 0..bytes.len() {
                assert_eq!(ClientFrame::parse(&bytes[..cut]), None, "{len} bytes cut at {cut}");
            }
            let frame = ClientFrame::parse(&bytes).unwrap();
            assert_eq!((frame.opcode, frame.end), (Opcode::Text, bytes.len()));
            assert_eq!(frame.unmask(&mut bytes), text);
        }
    }

    #[test]
    fn a_frame_is_written_with_the_length_it_has() {
        for (len, head) in [(125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let mut out = Vec::new();
            write_frame(&mut out, Opcode::Text, &[&vec![b'x'; len - 1], b"y"]);
            assert_eq!((out.len(), out.last()), (head + len, Some(&b'y')), "{len} bytes");
        }
    }
}
