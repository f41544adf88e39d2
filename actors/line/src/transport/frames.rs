//! Requests on their way into WebSocket frames.

use bytes::BytesMut;
use tungstenite::Message;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};

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
