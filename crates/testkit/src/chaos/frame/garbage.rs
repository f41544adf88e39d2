//! A text that is no JSON.

use super::{Frame, Step};

/// Braces that don't match, a bare word, a control character: every reader stumbles somewhere.
const TEXT: &str = "{\"type\":\"res\",}}undefined\u{7}";

pub(super) fn garbage(frame: &Frame) -> Vec<Step> {
    vec![Step::Pass(Frame {
        payload: TEXT.into(),
        ..*frame
    })]
}
