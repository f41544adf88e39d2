//! Checks and helpers of several targets.

mod json;
mod shown;
pub(crate) mod steps;

pub(crate) use json::{alike, object, plant};
pub(crate) use shown::{CANARY, assert_fit_to_show, assert_keeps_secret};

use std::sync::LazyLock;
use std::time::Instant;

/// The input as text; nothing for bytes that are none, which no WebSocket library and no file reader lets through.
pub(crate) fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}

/// A moment to count from. Only differences to it are looked at, so that an input does the same every time.
pub(crate) fn epoch() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "an Instant can't be made from nothing")]
    static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);
    *EPOCH
}
