use serde_json::json;

use super::*;
use crate::connect::Scope;
use crate::text::Secret;

/// The shape of a generation-4 hello, with made-up values.
fn newest() -> Value {
    json!({
        "type": "hello-ok", "protocol": 4,
        "server": {"version": "2026.9.6", "buildId": "b-1", "bootId": "boot-1", "controlUiBuildSource": "bundled", "connId": "c-1"},
        "features": {"methods": ["health", "status"], "events": ["tick"], "capabilities": ["model-catalog-snapshot"]},
        "snapshot": {
            "suspension": {"phase": "accepting"}, "presence": [{"ts": 1, "mode": "gateway"}], "health": {},
            "stateVersion": {"presence": 1, "health": 2}, "uptimeMs": 14730, "appliedConfigHash": "h",
            "sessionDefaults": {"defaultAgentId": "main", "modelConfigured": true, "mainKey": "main",
                "mainSessionKey": "agent:main:main", "scope": "per-sender"},
            "configPath": "/srv/gateway/openclaw.json", "authMode": "token"
        },
        "controlUiWidgetKinds": [{"pluginId": "p"}],
        "auth": {"method": "token", "role": "operator", "scopes": ["operator.read", "operator.new"],
            "recoveryScope": "recovery-secret", "recoveryMigrationAllowed": true, "deviceToken": "device-secret",
            "issuedAtMs": 1_795_350_693_589_u64, "newSecret": "unknown-secret"},
        "policy": {"maxPayload": 26_214_400, "maxBufferedBytes": 52_428_800, "tickIntervalMs": 30_000,
            "attachments": {"maxBytes": 1}}
    })
}

fn decode(value: Value) -> HelloOk {
    serde_json::from_value(value).unwrap()
}

#[test]
fn a_hello_of_today_is_typed_and_loses_nothing() {
    let hello = decode(newest());
    assert_eq!((hello.protocol, hello.server.boot_id.as_deref()), (4, Some("boot-1")));
    assert!(hello.features.lists_method("status") && !hello.features.lists_method("sessions.get"));
    assert!(hello.features.lists_event("tick") && hello.features.has_capability("model-catalog-snapshot"));
    assert_eq!(hello.snapshot.uptime_ms, Some(14_730));
    assert_eq!(
        hello.granted_scopes(),
        Some([Scope::Read, Scope::from("operator.new")].as_slice())
    );
    assert_eq!(
        hello
            .auth
            .as_ref()
            .and_then(|a| a.device_token.as_ref())
            .map(Secret::expose),
        Some("device-secret")
    );
    assert_eq!(hello.to_wire().unwrap(), newest());
}

#[test]
fn a_hello_without_an_auth_block_has_none() {
    let value = json!({"type": "hello-ok", "protocol": 3, "server": {"version": "2026.3.13", "connId": "c"},
        "features": {}, "snapshot": {}, "policy": {"maxPayload": 524_288, "maxBufferedBytes": 1_572_864, "tickIntervalMs": 30_000}});
    let hello = decode(value.clone());
    assert_eq!((hello.granted_scopes(), &hello.auth), (None, &None));
    assert_eq!(hello.policy.max_payload, 524_288);
    assert_eq!(hello.policy.max_buffered_bytes, 1_572_864);
    assert_eq!(hello.to_wire().unwrap(), value);
}

#[test]
fn odd_parts_do_not_keep_the_line_down() {
    let value = json!({"type": "hello-ok", "protocol": 5, "server": {"version": "2027.1.1", "connId": "c"},
        "features": "see elsewhere", "snapshot": [1], "policy": null, "auth": 7});
    let hello = decode(value.clone());
    assert_eq!(
        (hello.policy.max_payload, hello.policy.tick_interval()),
        (DEFAULT_MAX_PAYLOAD, Duration::from_secs(30))
    );
    assert_eq!(hello.to_wire().unwrap(), value);
}

#[test]
fn a_hello_without_its_essentials_is_refused_by_name() {
    for (cut, missing) in [("type", "`type`"), ("protocol", "`protocol`"), ("server", "`server`")] {
        let mut value = newest();
        value.as_object_mut().unwrap().remove(cut);
        let error = serde_json::from_value::<HelloOk>(value).unwrap_err().to_string();
        assert!(error.contains(missing), "{error}");
    }
    let other = json!({"type": "hello-no", "protocol": 4, "server": {"version": "v", "connId": "c"}});
    assert!(!HelloOk::is_hello(&other) && serde_json::from_value::<HelloOk>(other).is_err());
    assert!(HelloOk::is_hello(&newest()));
}

#[test]
fn neither_debug_nor_json_shows_a_secret() {
    let hello = decode(newest());
    for text in [
        format!("{hello:?}"),
        format!("{hello:#?}"),
        serde_json::to_string(&hello).unwrap(),
    ] {
        assert!(!text.contains("-secret"), "{text}");
    }
    assert_eq!(serde_json::to_value(&hello).unwrap()["auth"]["deviceToken"], "***");
}

#[test]
fn the_watchdogs_interval_stays_within_bounds() {
    let interval = |ms| {
        Policy {
            tick_interval_ms: ms,
            ..Policy::default()
        }
        .tick_interval()
    };
    assert_eq!(interval(0), Duration::from_secs(1));
    assert_eq!(interval(15_000), Duration::from_secs(15));
    assert_eq!(interval(u64::MAX), Duration::from_secs(300));
}

#[test]
fn a_hello_comes_up_whatever_its_presence_and_health_say() {
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    for part in [r#""cut \ud83d""#, "1e999", deep.as_str(), r#"{"\udc00":"\ud800"}"#] {
        let text = format!(
            r#"{{"type":"hello-ok","protocol":4,"server":{{"version":"2026.9.6","connId":"c"}},
                "snapshot":{{"presence":[{{"text":{part}}}],"health":{part},"uptimeMs":7}}}}"#
        );
        let hello: HelloOk = crate::json::decode(&text).unwrap();
        assert_eq!(hello.snapshot.uptime_ms, Some(7), "{part}");
        assert!(
            hello.snapshot.presence.is_some_and(|presence| presence.len() == 1),
            "{part}"
        );
    }
}
