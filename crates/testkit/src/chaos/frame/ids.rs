//! Ids that belong to another frame, or to none.

use serde_json::Value;

use super::{Frame, Step};

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
    if let Ok(Value::Object(mut object)) = serde_json::from_slice(&frame.payload)
        && object.contains_key("id")
    {
        object.insert("id".into(), id.into());
        frame.payload = Value::Object(object).to_string().into_bytes();
    }
    vec![Step::Pass(frame)]
}
