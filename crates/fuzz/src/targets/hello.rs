//! hello-ok.

use serde_json::{Map, Value, json};
use windlass_protocol::json::decode;
use windlass_protocol::{BoundedHello, HelloOk, RawJson, TICK_INTERVAL_BOUNDS};

use crate::shared::{CANARY, alike, assert_keeps_secret, object, plant, text};

/// More than all parts together may have, escapes and defaults included.
const MOST: usize = 8 * 1024 * 1024;

/// The hello-ok is read or refused. The parts about other clients never cause a refusal. A hello-ok that was read is written
/// unchanged. Secrets are not in its `Debug`, in its shown JSON or in the error. Its tick interval is within the bounds.
pub(super) fn run(data: &[u8]) {
    let Some(text) = text(data) else { return };
    assert_comes_up_beside(text);
    let read = decode::<HelloOk>(text);
    let Some(mut map) = object(text) else {
        assert!(read.is_err(), "only an object is a hello");
        return;
    };
    if let Ok(BoundedHello { hello, .. }) = BoundedHello::read(text) {
        assert_bounded(&hello);
        assert!(
            hello.to_wire().expect("JSON is written").to_string().len() < MOST,
            "more than a line may keep"
        );
    }
    if let Ok(hello) = &read {
        assert_bounded(hello);
        assert_lossless(hello, &map);
    }
    if !text.contains(CANARY) {
        with_secrets(&mut map);
        assert_secrets_stay(Value::Object(map));
    }
}

/// The hello-ok is read with any JSON in the parts about other clients.
fn assert_comes_up_beside(text: &str) {
    if RawJson::parse(text).is_err() {
        return;
    }
    let around = format!(
        r#"{{"type":"hello-ok","protocol":4,"server":{{"version":"v","connId":"c"}},"new":{text},
            "snapshot":{{"presence":[{text}],"health":{text}}},"features":{text},"policy":{text}}}"#
    );
    if let Err(error) = decode::<HelloOk>(&around) {
        panic!("{error}: {text}");
    }
    if let Err(error) = BoundedHello::read(&around) {
        panic!("{error}: {text}");
    }
}

fn assert_bounded(hello: &HelloOk) {
    let (min, max) = TICK_INTERVAL_BOUNDS;
    assert!((min..=max).contains(&hello.policy.tick_interval()));
    let listed = hello.features.methods.iter().flatten();
    for name in listed {
        assert!(hello.features.lists_method(name));
    }
}

/// No member is lost. Defaults may be added.
fn assert_lossless(hello: &HelloOk, came: &Map<String, Value>) {
    let written = hello.to_wire().expect("JSON is written");
    assert_holds(&written, &Value::Object(came.clone()));
    let again: HelloOk = serde_json::from_value(written.clone()).expect("what we write, we read");
    let rewritten = again.to_wire().expect("JSON is written");
    assert!(alike(&rewritten, &written), "{rewritten} and {written}");
}

fn assert_holds(written: &Value, came: &Value) {
    match (written, came) {
        (Value::Object(written), Value::Object(came)) => {
            for (key, came) in came {
                let kept = written.get(key).unwrap_or_else(|| panic!("{key} is lost"));
                assert_holds(kept, came);
            }
        }
        (written, came) => assert!(alike(written, came), "{written} and {came}"),
    }
}

fn with_secrets(map: &mut Map<String, Value>) {
    let auth = map.entry("auth").or_insert_with(|| json!({}));
    if !auth.is_object() {
        *auth = json!({});
    }
    if let Value::Object(auth) = auth {
        plant(auth, &["deviceToken", "recoveryScope", "newSecret"]);
    }
}

fn assert_secrets_stay(with_secrets: Value) {
    match serde_json::from_value::<HelloOk>(with_secrets) {
        Ok(hello) => {
            assert_keeps_secret(&format!("{hello:?}"));
            assert_keeps_secret(&serde_json::to_string(&hello).expect("JSON is written"));
        }
        Err(error) => assert_keeps_secret(&error.to_string()),
    }
}
