use std::borrow::Cow;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::session_key::agent_id_of;

/// One payload for each typed event, in the shape of the newest release.
fn samples() -> Vec<(&'static str, Value)> {
    vec![
        (
            "connect.challenge",
            json!({"nonce": "n", "ts": 1, "capabilities": ["c"]}),
        ),
        ("tick", json!({"ts": 1})),
        (
            "shutdown",
            json!({"reason": "gateway restarting", "restartExpectedMs": 1500}),
        ),
        (
            "health",
            json!({"ok": true, "ts": 1, "durationMs": 2, "defaultAgentId": "main", "agents": [], "channels": {}}),
        ),
        (
            "presence",
            json!({"presence": [{"host": "h", "mode": "gateway", "ts": 1, "user": {"id": "u"}}]}),
        ),
        (
            "chat",
            json!({"runId": "r", "sessionKey": "agent:main:main", "agentId": "main", "seq": 2, "state": "delta", "deltaText": "lo",
                "message": {"role": "assistant", "content": [{"type": "text", "text": "hel"}, {"type": "image"}, {"type": "text", "text": "lo"}]}}),
        ),
        ("chat.metadata.changed", json!({})),
        (
            "agent",
            json!({"runId": "r", "stream": "lifecycle", "data": {"phase": "start"}, "seq": 1, "ts": 1, "sessionKey": "agent:main:main",
                "sessionId": "s", "agentId": "main", "isHeartbeat": false, "lane": "main"}),
        ),
        (
            "session.tool",
            json!({"runId": "r", "stream": "tool", "data": {"phase": "result"}, "sessionKey": "agent:main:main"}),
        ),
        (
            "session.message",
            json!({"sessionKey": "agent:main:main", "agentId": "main", "messageId": "m", "messageSeq": 4, "senderIsOwner": true,
                "message": {"role": "user", "content": "hi"}}),
        ),
        (
            "sessions.changed",
            json!({"reason": "delete", "ts": 1, "sessionKey": "agent:main:dd", "owner": null}),
        ),
        (
            "config.changed",
            json!({"path": "/srv/gateway/openclaw.json", "hash": "h", "ts": 1}),
        ),
        (
            "cron",
            json!({"jobId": "j", "action": "finished", "status": "ok", "job": {"id": "j"}, "nextRunAtMs": 5}),
        ),
        ("task", json!({"action": "upserted", "task": {"id": "t"}})),
        ("skills.changed", json!({"reason": "watch-targets"})),
        ("heartbeat", json!({"status": "skipped", "reason": "no-route", "ts": 1})),
        (
            "update.available",
            json!({"updateAvailable": null, "schedule": {"channel": "stable"}}),
        ),
        (
            "device.pair.requested",
            json!({"requestId": "q", "deviceId": "d", "clientId": "cli", "clientMode": "cli", "role": "operator", "roles": ["operator"],
                "scopes": ["operator.read"], "silent": false, "isRepair": false, "ts": 1}),
        ),
        (
            "device.pair.resolved",
            json!({"requestId": "q", "deviceId": "d", "decision": "approved", "ts": 1}),
        ),
    ]
}

fn chat(value: Value) -> ChatEvent {
    serde_json::from_value(value).unwrap()
}

#[test]
fn every_typed_event_has_a_sample_that_survives_the_round_trip_without_misfits() {
    assert_eq!(
        samples().iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        TypedEvent::NAMES
    );
    for (name, value) in samples() {
        let event = TypedEvent::decode(name, &value.to_string()).unwrap();
        assert_ne!(event, TypedEvent::Other);
        assert_eq!(event.misfits(), Vec::<&str>::new(), "{name}");
        assert_eq!(event.to_value().unwrap().unwrap(), value, "{name}");
    }
}

#[test]
fn every_typed_event_has_a_name_of_its_own_in_the_enum() {
    for name in TypedEvent::NAMES {
        assert!(!matches!(EventName::from(*name), EventName::Other(_)), "{name}");
    }
}

#[test]
fn an_event_without_a_type_is_no_error_and_one_without_its_essentials_is() {
    let other = TypedEvent::decode("mentions.changed", "{}").unwrap();
    assert!(other.to_value().is_none() && other.misfits().is_empty());
    assert_eq!(EventName::from("mentions.changed").as_str(), "mentions.changed");
    let error = TypedEvent::decode("chat", r#"{"runId":"r","hunter2":1}"#).unwrap_err();
    assert_eq!(
        (error.event, error.to_string().as_str()),
        ("chat", "the payload of chat cannot be read")
    );
    assert!(TypedEvent::decode("tick", "null").is_err());
}

#[test]
fn a_member_of_another_type_is_kept_and_named() {
    let value = json!({"runId": "r", "stream": "assistant", "ts": "later", "seq": 1});
    let event = TypedEvent::decode("agent", &value.to_string()).unwrap();
    assert_eq!(event.misfits(), ["ts"]);
    assert_eq!(event.to_value().unwrap().unwrap(), value);
}

#[test]
fn a_stop_is_told_from_a_restart() {
    let expected = |value: Value| {
        serde_json::from_value::<ShutdownEvent>(value)
            .unwrap()
            .restart_expected()
            .map(|d| d.as_millis())
    };
    assert_eq!(
        expected(json!({"reason": "gateway restarting", "restartExpectedMs": 1500})),
        Some(1500)
    );
    assert_eq!(
        expected(json!({"reason": "gateway stopping", "restartExpectedMs": null})),
        None,
        "up to 2026.7"
    );
    assert_eq!(expected(json!({"reason": "gateway stopping"})), None, "from 2026.8 on");
}

#[test]
fn a_final_without_a_message_is_told_from_an_answer() {
    let base = json!({"runId": "r", "sessionKey": "k", "state": "final"});
    assert!(chat(base.clone()).is_bare_final() && chat(base.clone()).is_terminal());
    let mut null = base.clone();
    null["message"] = Value::Null;
    assert!(chat(null).is_bare_final());
    let mut answered = base.clone();
    answered["message"] = json!({"role": "assistant", "content": []});
    assert!(!chat(answered.clone()).is_bare_final());
    assert_eq!(chat(answered).text(), None);
    for (state, terminal) in [
        ("status", false),
        ("delta", false),
        ("aborted", true),
        ("error", true),
        ("new", false),
    ] {
        let mut event = base.clone();
        event["state"] = json!(state);
        assert_eq!(
            (chat(event.clone()).is_terminal(), chat(event).is_bare_final()),
            (terminal, false),
            "{state}"
        );
    }
}

#[test]
fn the_text_of_a_message_is_found_in_both_forms() {
    assert_eq!(message_text(&json!({"content": "plain"})).as_deref(), Some("plain"));
    let parts = json!({"content": [{"type": "text", "text": "a"}, {"type": "thinking", "text": "no"}, {"type": "text", "text": "b"}]});
    assert_eq!(message_text(&parts).as_deref(), Some("ab"));
    assert_eq!(
        (message_text(&json!({})), message_text(&json!({"content": 1}))),
        (None, None)
    );
}

#[test]
fn the_phase_of_an_agent_event_is_in_its_data() {
    let phase = |data: Value| {
        serde_json::from_value::<AgentEvent>(json!({"runId": "r", "stream": "lifecycle", "data": data}))
            .unwrap()
            .phase()
    };
    assert_eq!(phase(json!({"phase": "end"})), Some(AgentPhase::End));
    assert_eq!((phase(json!({})), phase(json!("end"))), (None, None));
}

type Text<'a> = Option<Cow<'a, str>>;

fn keys(payload: &str) -> (Text<'_>, Text<'_>, Text<'_>) {
    let keys = EventKeys::parse(payload);
    (keys.session_key, keys.agent_id, keys.run_id)
}

#[test]
fn the_routing_keys_are_borrowed_and_the_agent_is_derived_where_it_is_not_named() {
    let text = |t| Some(Cow::Borrowed(t));
    let payload = r#"{"runId":"r-1","message":{"agentId":"not this","list":[1,{"runId":"nor this"}]},"sessionKey":"agent:alpha:main"}"#;
    assert_eq!(keys(payload), (text("agent:alpha:main"), text("alpha"), text("r-1")));
    assert!(matches!(EventKeys::parse(payload).agent_id, Some(Cow::Borrowed(_))));
    assert_eq!(
        keys(r#"{"agentId":"beta","sessionKey":"agent:alpha:main"}"#),
        (text("agent:alpha:main"), text("beta"), None)
    );
    assert_eq!(keys(r#"{"sessionKey":"global"}"#), (text("global"), None, None));
    assert_eq!(
        keys(r#"{"sessionKey":"agent:a\u0062:main"}"#),
        (text("agent:ab:main"), text("ab"), None)
    );
    assert_eq!(keys(r#"{"run\u0049d":"r"}"#), (None, None, text("r")));
}

#[test]
fn odd_payloads_have_no_keys_and_odd_members_are_skipped() {
    for none in ["null", "[]", "1", "\"x\"", "", "{", r#"{"runId":"#] {
        assert_eq!(EventKeys::parse(none), EventKeys::default(), "{none}");
    }
    let odd = r#"{"sessionKey":null,"agentId":{"a":[1]},"runId":["x",{}],"agentId":1.5,"agentId":-1,"agentId":true,"agentId":""}"#;
    assert_eq!(EventKeys::parse(odd), EventKeys::default());
    assert_eq!(keys(r#"{"sessionKey":7,"runId":"r"}"#), (None, None, Some("r".into())));
}

proptest! {
    #[test]
    fn the_keys_are_those_of_a_full_parse(session in "[a-z:]{0,20}|agent:[a-z]{1,5}:[a-z]{1,5}", run in ".{0,10}", more in ".{0,20}") {
        let payload = json!({"more": more, "sessionKey": session, "z": [more], "runId": run}).to_string();
        let keys = EventKeys::parse(&payload);
        prop_assert_eq!(keys.session_key.as_deref().unwrap_or_default(), session.as_str());
        prop_assert_eq!(keys.run_id.as_deref().unwrap_or_default(), run.as_str());
        prop_assert_eq!(keys.agent_id.as_deref(), agent_id_of(&session));
    }

    #[test]
    fn reading_keys_and_payloads_never_panics(text in ".{0,80}", name in proptest::sample::select(TypedEvent::NAMES)) {
        let _ = EventKeys::parse(&text);
        let _ = TypedEvent::decode(name, &text);
    }
}

#[test]
fn half_a_character_hides_no_key() {
    let keys = EventKeys::parse(r#"{"a\ud83d":1,"sessionKey":"agent:x:\ud83d","runId":"r\ude00"}"#);
    assert_eq!(keys.session_key.as_deref(), Some("agent:x:\u{fffd}"));
    assert_eq!(
        (keys.agent_id.as_deref(), keys.run_id.as_deref()),
        (Some("x"), Some("r\u{fffd}"))
    );
    let event = ChatEvent::decode(
        r#"{"runId":"r","sessionKey":"s","state":"final","message":{"role":"assistant","content":"ok \ud83d"}}"#,
    );
    assert_eq!(event.unwrap().text().as_deref(), Some("ok \u{fffd}"));
}
