//! The input of a stream: signs of life, and whether all of it became messages.

use tungstenite::Message;

/// The input behind the answer to the upgrade, where frames begin.
///
/// Bytes are signs of life, and not frames only: an answer of 20 MB over a slow line takes minutes to become a frame.
#[derive(Debug, Default)]
pub(super) struct ReadCounters {
    /// Bytes came in since the last look.
    heard: bool,
    /// Bytes of frames that came in and of which no message was made yet.
    unread: u64,
}

impl ReadCounters {
    /// With so many bytes of frames that came together with the answer to the upgrade.
    pub(super) const fn after(bytes: usize) -> Self {
        Self {
            heard: true,
            unread: bytes as u64,
        }
    }

    pub(super) const fn came(&mut self, bytes: usize) {
        self.heard |= bytes > 0;
        self.unread = self.unread.saturating_add(bytes as u64);
    }

    /// Whether bytes came in since the last call.
    pub(super) const fn take_heard(&mut self) -> bool {
        std::mem::replace(&mut self.heard, false)
    }

    /// The WebSocket made a message of the input.
    pub(super) fn took(&mut self, message: &Message) {
        // A frame has never fewer bytes than are taken off here; a message in several frames has more.
        self.unread = self.unread.checked_sub(least_size(message.len())).unwrap_or(u64::MAX);
    }

    /// Whether the WebSocket holds no byte that it made no message of. Where a gateway sends a message in several frames (none of
    /// the nine releases does), it is not known any more, and this says no.
    pub(super) const fn is_all_read(&self) -> bool {
        self.unread == 0
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_is_counted_however_it_is_cut() {
        let frame = b"\x81\x05hello";
        for cut in 0..frame.len() {
            let mut intake = ReadCounters::after(cut);
            intake.came(frame.len() - cut);
            assert!(intake.take_heard() && !intake.is_all_read(), "cut at {cut}");
            intake.took(&Message::text("hello"));
            assert!(intake.is_all_read() && !intake.take_heard(), "cut at {cut}");
        }
    }

    #[test]
    fn a_message_of_several_frames_leaves_a_doubt_for_good() {
        let mut intake = ReadCounters::default();
        intake.came(b"\x01\x02he\x80\x03llo".len());
        intake.took(&Message::text("hello"));
        assert!(!intake.is_all_read());
    }

    #[test]
    fn a_frame_has_the_size_that_its_length_needs() {
        for (payload, size) in [(0, 2), (125, 127), (126, 130), (65_535, 65_539), (65_536, 65_546)] {
            assert_eq!(least_size(payload), size);
        }
    }
}
