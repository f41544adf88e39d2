//! A frame that the end of its connection cuts in two.

use super::codec::encode;
use super::{Cut, Frame, Step};

pub(super) fn tear(frame: &Frame) -> Vec<Step> {
    let mut bytes = encode(frame);
    bytes.truncate(bytes.len().div_ceil(2));
    vec![Step::Bytes(bytes), Step::End(Cut::Drop)]
}
