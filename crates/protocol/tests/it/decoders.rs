//! Whatever a gateway or a file holds, decoding ends in a value or an error, and neither repeats a secret.

use proptest::prelude::*;
use serde_json::{Value, json};
use windlass_protocol::{DeviceFile, DeviceIdentity, GatewayError, HelloOk};

const SECRET: &str = "device-secret-5e1f";

fn hello() -> Value {
    json!({
        "type": "hello-ok", "protocol": 4,
        "server": {"version": "2026.9.6", "buildId": "b", "bootId": "boot", "connId": "c"},
        "features": {"methods": ["health"], "events": ["tick"], "capabilities": []},
        "snapshot": {"presence": [], "health": {}, "stateVersion": {"presence": 1, "health": 2}, "uptimeMs": 1,
            "sessionDefaults": {"defaultAgentId": "main"}, "authMode": "token"},
        "auth": {"method": "device-token", "role": "operator", "scopes": ["operator.read"], "deviceToken": SECRET},
        "policy": {"maxPayload": 26_214_400, "maxBufferedBytes": 52_428_800, "tickIntervalMs": 30_000}
    })
}

fn refusal() -> Value {
    json!({
        "code": "NOT_PAIRED", "message": "pairing required", "retryable": true, "retryAfterMs": 500,
        "details": {"code": "PAIRING_REQUIRED", "reason": "not-paired", "requestId": "r", "missingScope": "operator.read",
            "requiredScopes": ["operator.read"], "phase": "starting", "clientMinProtocol": 3, "expectedProtocol": 4}
    })
}

/// Any JSON, small.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(".{0,8}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Paths of everything in a value.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(map) => map
            .iter()
            .for_each(|(key, value)| places(value, &format!("{at}/{key}"), found)),
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                places(value, &format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
}

/// This value with something else in one place.
fn changed(whole: &Value) -> impl Strategy<Value = Value> + use<> {
    let mut found = Vec::new();
    places(whole, "", &mut found);
    let whole = whole.clone();
    (proptest::sample::select(found), anything()).prop_map(move |(place, other)| {
        let mut whole = whole.clone();
        *whole.pointer_mut(&place).expect("a place of it") = other;
        whole
    })
}

proptest! {
    #[test]
    fn a_hello_with_anything_anywhere_is_read_or_refused_and_shows_no_token(value in changed(&hello())) {
        match serde_json::from_str::<HelloOk>(&value.to_string()) {
            Ok(hello) => {
                let shown = format!("{hello:?}");
                prop_assert!(!shown.contains(SECRET));
                prop_assert!(!hello.policy.tick_interval().is_zero());
            }
            Err(error) => prop_assert!(!error.to_string().contains(SECRET), "{error}"),
        }
    }

    #[test]
    fn an_error_with_anything_anywhere_has_a_class_and_a_text_that_is_one_line(value in changed(&refusal())) {
        if let Ok(error) = serde_json::from_str::<GatewayError>(&value.to_string()) {
            let _ = error.class();
            prop_assert!(!error.to_string().contains(char::is_control), "{error}");
        }
    }

    #[test]
    fn a_text_of_any_kind_is_a_device_file_or_an_error_that_does_not_repeat_it(text in "\\PC{0,200}") {
        if let Err(error) = DeviceFile::parse(&text) {
            prop_assert!(text.len() < 24 || !error.to_string().contains(&text), "{error}");
        }
    }

    #[test]
    fn a_damaged_device_file_is_never_another_identity(at in 0_usize..600, other in any::<u8>()) {
        let file = DeviceFile { identity: DeviceIdentity::from_seed([7; 32]), created_at_ms: 1 };
        let text = file.render().unwrap().expose().to_owned();
        let mut bytes = text.clone().into_bytes();
        let at = at % bytes.len();
        bytes[at] = other;
        let Ok(damaged) = String::from_utf8(bytes) else { return Ok(()) };
        if let Ok(read) = DeviceFile::parse(&damaged) {
            prop_assert_eq!(read.identity.device_id(), file.identity.device_id());
        }
    }
}
