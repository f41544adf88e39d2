//! No secret is in the trace.

use super::{Promise, Verdict};
use crate::site::{OTHER_TOKEN, TOKEN};
use crate::trace::Line;
use crate::world::HUSH;

/// Checks the trace.
pub(crate) fn secrets(verdict: &mut Verdict, trace: &[Line]) {
    for line in trace {
        let secret = [TOKEN, OTHER_TOKEN].iter().any(|secret| line.text.contains(secret));
        let said = line.by == "log" && line.text.contains(HUSH);
        verdict.holds(Promise::Secrets, !secret && !said, || format!("in the trace: {line}"));
    }
}
