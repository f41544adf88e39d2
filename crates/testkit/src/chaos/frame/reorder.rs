//! A frame that lets the next one pass.

use super::{Frame, Memory, Step};

/// Keeps it until the next one has gone.
pub(super) fn hold(frame: Frame, memory: &mut Memory) -> Vec<Step> {
    memory.held = Some(frame);
    Vec::new()
}
