//! For the fuzz targets in `crates/fuzz`; no part of the public interface.

use crate::{Frame, FrameError};

/// [`Frame::decode`] without its quick path.
///
/// # Errors
/// As [`Frame::decode`].
pub fn decode_by_parser(text: &str) -> Result<Frame<'_>, FrameError> {
    crate::frame::decode_any(text)
}
