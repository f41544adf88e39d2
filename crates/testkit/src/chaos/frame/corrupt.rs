//! Characters that became others.

use rand::RngExt as _;
use rand::rngs::StdRng;

use super::{Frame, Step};

/// Of so many bytes one is changed.
const ONE_IN: usize = 64;

/// Changes letters, digits and signs into others of them: it stays a text, and may stay JSON.
pub(super) fn corrupt(mut frame: Frame, rng: &mut StdRng) -> Vec<Step> {
    for _ in 0..frame.payload.len().div_ceil(ONE_IN) {
        let at = rng.random_range(0..frame.payload.len());
        if frame.payload[at].is_ascii() {
            frame.payload[at] = rng.random_range(b' '..=b'~');
        }
    }
    vec![Step::Pass(frame)]
}
