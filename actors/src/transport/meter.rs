//! A stream that tells what comes in.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::Message;

/// What came in, shared by a stream and whoever watches over it, on one thread.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pulse(Rc<Intake>);

#[derive(Debug, Default)]
struct Intake {
    /// Bytes came in since the last look.
    beat: Cell<bool>,
    /// Where the answer to the upgrade is: what comes behind it are frames.
    head: Cell<Head>,
    /// Bytes of frames that came in and of which no message was made yet.
    unread: Cell<u64>,
}

impl Pulse {
    /// Whether bytes came in since the last call.
    pub(crate) fn take(&self) -> bool {
        self.0.beat.take()
    }

    /// The WebSocket made a message of what came in. Returns how many bytes its frame had at least.
    pub(crate) fn took(&self, message: &Message) -> u64 {
        let bytes = least_size(message.len());
        // A frame has never fewer bytes than are taken off here; a message in several frames has more.
        let left = self.0.unread.get().checked_sub(bytes).unwrap_or(u64::MAX);
        self.0.unread.set(left);
        bytes
    }

    /// Whether the WebSocket holds no byte that it made no message of. Where a gateway sends a message in several frames (none of
    /// the nine releases does), it is not known any more, and this says no.
    pub(crate) fn is_all_read(&self) -> bool {
        self.0.head.get() == Head::END && self.0.unread.get() == 0
    }

    fn came(&self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.0.beat.set(true);
        let (head, frames) = self.0.head.get().after(bytes);
        self.0.head.set(head);
        self.0.unread.set(self.0.unread.get().saturating_add(frames));
    }
}

/// The size of a frame with this much in it, as RFC 6455 has servers write it: unmasked, its length in as few bytes as may be.
const fn least_size(payload: usize) -> u64 {
    let head = match payload {
        0..126 => 2,
        126..65_536 => 4,
        _ => 10,
    };
    payload as u64 + head
}

/// How much of the empty line was seen that ends an HTTP head.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Head(u8);

impl Head {
    const END: Self = Self(4);

    /// Where it is after these bytes, and how many of them lie behind it.
    fn after(mut self, bytes: &[u8]) -> (Self, u64) {
        for (at, byte) in bytes.iter().enumerate() {
            if self == Self::END {
                return (self, (bytes.len() - at) as u64);
            }
            self.0 = match (self.0, byte) {
                (0 | 2, b'\r') | (1 | 3, b'\n') => self.0 + 1,
                (_, b'\r') => 1,
                _ => 0,
            };
        }
        (self, 0)
    }
}

/// A stream whose incoming bytes are noticed as signs of life.
///
/// Bytes, not frames: an answer of 20 MB over a slow line takes minutes to become a frame, and WebSocket pings never
/// become one, but both show that the gateway lives.
#[derive(Debug)]
pub struct Metered<S> {
    inner: S,
    pulse: Pulse,
}

impl<S> Metered<S> {
    pub(crate) const fn new(inner: S, pulse: Pulse) -> Self {
        Self { inner, pulse }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let poll = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.pulse.came(&buf.filled()[before..]);
        poll
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_is_counted_from_the_end_of_the_head_on_however_it_is_cut() {
        let stream = b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n\x81\x05hello";
        for cut in 0..stream.len() {
            let pulse = Pulse::default();
            pulse.came(&stream[..cut]);
            assert!(!pulse.is_all_read() || cut == stream.len() - 7, "cut at {cut}");
            pulse.came(&stream[cut..]);
            assert!(pulse.take() && !pulse.is_all_read(), "cut at {cut}");
            assert_eq!(pulse.took(&Message::text("hello")), 7);
            assert!(pulse.is_all_read(), "cut at {cut}");
        }
    }

    #[test]
    fn a_message_of_several_frames_leaves_a_doubt_for_good() {
        let pulse = Pulse::default();
        pulse.came(b"\r\n\r\n\x01\x02he\x80\x03llo");
        pulse.took(&Message::text("hello"));
        assert!(!pulse.is_all_read());
    }

    #[test]
    fn a_frame_has_the_size_that_its_length_needs() {
        for (payload, size) in [(0, 2), (125, 127), (126, 130), (65_535, 65_539), (65_536, 65_546)] {
            assert_eq!(least_size(payload), size);
        }
    }
}
