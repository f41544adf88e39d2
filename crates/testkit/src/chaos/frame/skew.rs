//! A gateway with a wrong clock, as far as the client can see.

use super::Frame;
use crate::gateway::halves;

/// Moves the `ts` of `connect.challenge`; whether it was one.
pub(in super::super) fn skew(frame: &mut Frame, by_ms: i64) -> bool {
    let Some(mut value) = halves::read_bytes(&frame.payload) else {
        return false;
    };
    if value["event"] != "connect.challenge" {
        return false;
    }
    let Some(ts) = value.pointer_mut("/payload/ts") else {
        return false;
    };
    let Some(told) = ts.as_i64() else { return false };
    *ts = told.saturating_add(by_ms).into();
    frame.payload = halves::written(&value).into_bytes();
    true
}
