//! A close frame in the place of another.

use super::{Cut, Frame, Step};

/// The opcode of a close (RFC 6455, 5.5.1).
const CLOSE: u8 = 8;

pub(super) fn close(frame: &Frame, code: u16) -> Vec<Step> {
    vec![Step::Pass(closing(code, frame.mask)), Step::End(Cut::Drop)]
}

/// A close frame without a reason.
pub(in super::super) fn closing(code: u16, mask: Option<[u8; 4]>) -> Frame {
    Frame {
        opcode: CLOSE,
        mask,
        payload: code.to_be_bytes().to_vec(),
    }
}
