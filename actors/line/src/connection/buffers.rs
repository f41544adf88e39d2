//! Which read buffer a connection has, and which it should have.

use crate::transport::ReadBuffer;

/// Frames in one turn that are a burst.
const BURST: usize = 8;

/// A connection's read buffer: small while little comes, large during bursts, and given back after them.
#[derive(Debug)]
pub(super) struct Buffers {
    has: ReadBuffer,
    wants: Option<ReadBuffer>,
    /// Bytes read into the present one.
    taken: u64,
}

impl Buffers {
    /// Those of a connection that hello-ok came through.
    pub(super) const fn after_opening() -> Self {
        Self {
            has: ReadBuffer::Opening,
            wants: Some(ReadBuffer::Quiet),
            taken: 0,
        }
    }

    /// A message came, of so many bytes. One that no buffer is large enough for leaves one behind that is as large as itself:
    /// it is given back as soon as all is read.
    pub(super) fn took(&mut self, bytes: usize) {
        self.taken = self.taken.saturating_add(bytes as u64);
        if ReadBuffer::is_outgrown_by(bytes) {
            self.wants.get_or_insert(self.has);
        }
    }

    /// So many messages came in one turn.
    pub(super) fn came(&mut self, frames: usize) {
        if frames >= BURST && self.has != ReadBuffer::Busy {
            self.wants = Some(ReadBuffer::Busy);
        }
    }

    /// Nothing is under way.
    pub(super) fn rest(&mut self) {
        if self.has != ReadBuffer::Quiet || self.has.may_have_grown(self.taken) {
            self.wants = Some(ReadBuffer::Quiet);
        }
    }

    /// The buffer that should take the present one's place.
    pub(super) const fn wanted(&self) -> Option<ReadBuffer> {
        self.wants
    }

    /// It did.
    pub(super) const fn changed(&mut self, to: ReadBuffer) {
        *self = Self {
            has: to,
            wants: None,
            taken: 0,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_read_into_a_large_buffer_which_is_given_back_at_rest() {
        let mut buffers = Buffers::after_opening();
        assert_eq!(buffers.wanted(), Some(ReadBuffer::Quiet));
        buffers.changed(ReadBuffer::Quiet);
        buffers.came(BURST - 1);
        assert_eq!(buffers.wanted(), None);
        buffers.came(BURST);
        assert_eq!(buffers.wanted(), Some(ReadBuffer::Busy));
        buffers.changed(ReadBuffer::Busy);
        buffers.came(BURST);
        assert_eq!(buffers.wanted(), None);
        buffers.rest();
        assert_eq!(buffers.wanted(), Some(ReadBuffer::Quiet));
    }

    #[test]
    fn a_small_buffer_is_changed_at_rest_only_if_something_large_may_have_come() {
        let mut buffers = Buffers::after_opening();
        buffers.changed(ReadBuffer::Quiet);
        buffers.took(100);
        buffers.rest();
        assert_eq!(buffers.wanted(), None);
        buffers.took(1_000_000);
        buffers.rest();
        assert_eq!(buffers.wanted(), Some(ReadBuffer::Quiet));
    }
}
