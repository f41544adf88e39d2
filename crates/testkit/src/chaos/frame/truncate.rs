//! A text that ends in the middle.

use super::{Frame, Step};

/// The first half; a character is never cut, so that it stays a text.
pub(super) fn truncate(mut frame: Frame) -> Vec<Step> {
    let mut half = frame.payload.len() / 2;
    // Continuation bytes of UTF-8 begin with the bits 10.
    while half > 0 && frame.payload[half] & 0b1100_0000 == 0b1000_0000 {
        half -= 1;
    }
    frame.payload.truncate(half);
    vec![Step::Pass(frame)]
}
