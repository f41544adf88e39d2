//! A frame that arrives twice.

use super::{Frame, Step};

pub(super) fn duplicate(frame: Frame) -> Vec<Step> {
    vec![Step::Pass(frame.clone()), Step::Pass(frame)]
}
