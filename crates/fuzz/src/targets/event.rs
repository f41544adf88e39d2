//! An event's payload.

use serde_json::Value;
use windlass_protocol::json::decode;
use windlass_protocol::{EventKeys, RawJson, TypedEvent, agent_id_of, message_text};

use crate::shared::{alike, text};

/// For every name that has a type: the payload is read or refused, and it is written unchanged. The routing keys are equal to the
/// keys that a parser of the whole payload finds.
pub(super) fn run(data: &[u8]) {
    let Some(payload) = text(data) else { return };
    let value = decode::<Value>(payload).ok();
    assert_eq!(value.is_some(), RawJson::parse(payload).is_ok(), "all JSON can be read");
    assert_keys(payload, value.as_ref());
    for name in TypedEvent::NAMES {
        let Ok(event) = TypedEvent::decode(name, payload) else {
            continue;
        };
        let value = value.as_ref().expect("only JSON is read");
        let written = event.to_value().expect("it has a type").expect("JSON is written");
        assert!(alike(&written, value), "{name}: {written} and {value}");
        for misfit in event.misfits() {
            assert!(value.get(misfit).is_some(), "{name}: {misfit}");
        }
    }
    if let Some(value) = &value {
        let _ = message_text(value);
    }
    assert!(matches!(
        TypedEvent::decode("no.such.event", payload),
        Ok(TypedEvent::Other)
    ));
}

fn assert_keys(payload: &str, value: Option<&Value>) {
    let keys = EventKeys::parse(payload);
    let Some(value) = value else { return };
    let named = |name: &str| value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let session = named("sessionKey");
    assert_eq!(keys.session_key.as_deref(), session);
    assert_eq!(keys.run_id.as_deref(), named("runId"));
    assert_eq!(
        keys.agent_id.as_deref(),
        named("agentId").or_else(|| session.and_then(agent_id_of))
    );
}
