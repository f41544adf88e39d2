//! A frame that is far too large.

use super::{Frame, Step};

/// An event of an unknown name, of so many bytes, before the frame itself.
pub(super) fn oversize(frame: Frame, bytes: usize) -> Vec<Step> {
    const HEAD: &str = "{\"type\":\"oversize\",\"filler\":\"";
    const TAIL: &str = "\"}";
    let filler = bytes.saturating_sub(HEAD.len() + TAIL.len());
    let mut payload = Vec::with_capacity(bytes);
    payload.extend_from_slice(HEAD.as_bytes());
    payload.resize(HEAD.len() + filler, b'x');
    payload.extend_from_slice(TAIL.as_bytes());
    let large = Frame {
        payload,
        ..frame.clone()
    };
    vec![Step::Pass(large), Step::Pass(frame)]
}
