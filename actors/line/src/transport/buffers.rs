//! The buffers of sockets: the read buffer of each connection, and the place where frames are written.

use bytes::BytesMut;
use tungstenite::Message;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};

/// Frames in one turn that are a burst.
const BURST: usize = 8;

/// A connection's read buffer: small while little comes, large during bursts, and given back after them.
#[derive(Debug)]
pub(crate) struct ReadBufferPolicy {
    current: ReadBuffer,
    wanted: Option<ReadBuffer>,
    /// Bytes read into the present one.
    taken: u64,
}

impl ReadBufferPolicy {
    /// Those of a connection that hello-ok came through.
    pub(crate) const fn after_opening() -> Self {
        Self {
            current: ReadBuffer::Opening,
            wanted: Some(ReadBuffer::Quiet),
            taken: 0,
        }
    }

    /// A message came, of so many bytes. One that no buffer is large enough for leaves one behind that is as large as itself:
    /// it is given back as soon as all is read.
    pub(crate) fn on_message(&mut self, bytes: usize) {
        self.taken = self.taken.saturating_add(bytes as u64);
        if ReadBuffer::is_outgrown_by(bytes) {
            self.wanted.get_or_insert(self.current);
        }
    }

    /// So many messages came in one turn.
    pub(crate) fn on_turn(&mut self, frames: usize) {
        if frames >= BURST && self.current != ReadBuffer::Busy {
            self.wanted = Some(ReadBuffer::Busy);
        }
    }

    /// Nothing is under way.
    pub(crate) fn on_idle(&mut self) {
        if self.current != ReadBuffer::Quiet || self.current.may_have_grown(self.taken) {
            self.wanted = Some(ReadBuffer::Quiet);
        }
    }

    /// The buffer that should take the present one's place.
    pub(crate) const fn wanted(&self) -> Option<ReadBuffer> {
        self.wanted
    }

    /// It did.
    pub(crate) const fn on_changed(&mut self, to: ReadBuffer) {
        *self = Self {
            current: to,
            wanted: None,
            taken: 0,
        };
    }
}

/// The bytes that a WebSocket reads at a time. It keeps that much for as long as it lives (and more after a larger message), and
/// clears it before each read; the library would take 128 KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadBuffer {
    /// Until hello-ok, which is a few kilobytes to some twenty.
    Opening,
    /// Some events a minute: ten thousand lines that are quiet take 10 MB for it.
    Quiet,
    /// Bursts: some seventy answers in one read.
    Busy,
}

impl ReadBuffer {
    pub(crate) const fn bytes(self) -> usize {
        match self {
            Self::Opening => 4 * 1024,
            Self::Quiet => 1024,
            Self::Busy => 16 * 1024,
        }
    }

    /// Whether that much was read that it may have grown.
    pub(crate) const fn may_have_grown(self, bytes_read: u64) -> bool {
        bytes_read > self.bytes() as u64
    }

    /// Whether a message is larger than any of them: a buffer that it was read into has grown for it.
    pub(crate) const fn is_outgrown_by(message: usize) -> bool {
        message > Self::Busy.bytes()
    }
}

/// Room for the frames of a turn, one for all lines of a thread. A frame that needs more gets it for itself.
const KEPT: usize = 16 * 1024;

/// Makes frames of texts in one place of memory, which is free again as soon as the WebSocket has copied the text (masked)
/// into its own buffer: no request allocates for its frame.
#[derive(Debug)]
pub(crate) struct FrameWriter(BytesMut);

impl Default for FrameWriter {
    fn default() -> Self {
        Self(BytesMut::with_capacity(KEPT))
    }
}

impl FrameWriter {
    /// Where the next frame's text is to be written.
    pub(crate) const fn text(&mut self) -> &mut BytesMut {
        &mut self.0
    }

    /// The written text, as a frame. Must be text in UTF-8, as all text is that is written through [`std::fmt::Write`].
    pub(crate) fn frame(&mut self) -> Message {
        let text = self.0.split().freeze();
        if text.len() > KEPT {
            *self = Self::default();
        }
        // A text message would be checked once more.
        Message::Frame(Frame::message(text, OpCode::Data(Data::Text), true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_read_into_a_large_buffer_which_is_given_back_at_rest() {
        let mut buffers = ReadBufferPolicy::after_opening();
        assert_eq!(buffers.wanted(), Some(ReadBuffer::Quiet));
        buffers.on_changed(ReadBuffer::Quiet);
        buffers.on_turn(BURST - 1);
        assert_eq!(buffers.wanted(), None);
        buffers.on_turn(BURST);
        assert_eq!(buffers.wanted(), Some(ReadBuffer::Busy));
        buffers.on_changed(ReadBuffer::Busy);
        buffers.on_turn(BURST);
        assert_eq!(buffers.wanted(), None);
        buffers.on_idle();
        assert_eq!(buffers.wanted(), Some(ReadBuffer::Quiet));
    }

    #[test]
    fn a_small_buffer_is_changed_at_rest_only_if_something_large_may_have_come() {
        let mut buffers = ReadBufferPolicy::after_opening();
        buffers.on_changed(ReadBuffer::Quiet);
        buffers.on_message(100);
        buffers.on_idle();
        assert_eq!(buffers.wanted(), None);
        buffers.on_message(1_000_000);
        buffers.on_idle();
        assert_eq!(buffers.wanted(), Some(ReadBuffer::Quiet));
    }
}

#[cfg(test)]
mod frames_tests {
    use std::fmt::Write as _;

    use super::*;

    fn written(writer: &mut FrameWriter, text: &str) -> Message {
        writer.text().write_str(text).unwrap();
        writer.frame()
    }

    #[test]
    fn frames_share_one_place_as_long_as_each_is_gone_before_the_next() {
        let mut writer = FrameWriter::default();
        let places: Vec<_> = (0..1000)
            .map(|_| written(&mut writer, &"x".repeat(100)).into_data().as_ptr() as usize)
            .collect();
        let (first, last) = (places.iter().min().unwrap(), places.iter().max().unwrap());
        assert!(last - first < KEPT, "{first:x} to {last:x}");
    }

    #[test]
    fn a_frame_that_is_still_there_is_not_written_over() {
        let mut writer = FrameWriter::default();
        let kept: Vec<_> = (0..100).map(|n| written(&mut writer, &format!("frame {n}"))).collect();
        for (n, frame) in kept.into_iter().enumerate() {
            assert_eq!(frame.into_data(), format!("frame {n}").as_bytes());
        }
    }

    #[test]
    fn what_a_large_frame_took_is_given_back() {
        let mut writer = FrameWriter::default();
        drop(written(&mut writer, &"x".repeat(1 << 20)));
        assert!(writer.text().capacity() <= KEPT);
    }
}
