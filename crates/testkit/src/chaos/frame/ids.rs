//! Ids that belong to another frame, or to none.

use serde_json::Value;

use super::{Frame, Step};
use crate::gateway::halves;

/// No client counts this far.
const NEVER_GIVEN: &str = "9007199254740991";

pub(super) fn wrong(frame: Frame) -> Vec<Step> {
    with_id(frame, NEVER_GIVEN)
}

/// With the id of the frame before. The first one of a connection gets an id that was never given out.
pub(super) fn repeated(frame: Frame, last: Option<&str>) -> Vec<Step> {
    with_id(frame, last.unwrap_or(NEVER_GIVEN))
}

/// Frames without an id stay as they are.
fn with_id(mut frame: Frame, id: &str) -> Vec<Step> {
    if let Some(Value::Object(mut object)) = halves::read_bytes(&frame.payload)
        && object.contains_key("id")
    {
        object.insert("id".into(), id.into());
        frame.payload = halves::written(&Value::Object(object)).into_bytes();
    }
    vec![Step::Pass(frame)]
}
