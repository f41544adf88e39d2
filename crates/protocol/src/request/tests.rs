use serde_json::json;

use super::*;
use crate::{Effect, effect, method};

fn sent<R: Request>(request: R) -> Value {
    serde_json::to_value(request).unwrap()
}

#[test]
fn only_what_was_set_is_sent() {
    assert_eq!(sent(AgentsList::new()), json!({}));
    assert_eq!(sent(Health::new().probe(true)), json!({"probe": true}));
    assert_eq!(
        sent(ChatSend::new("agent:main:main", "hello")),
        json!({"sessionKey": "agent:main:main", "message": "hello"})
    );
    assert_eq!(
        sent(ChatHistory::new("k").limit(5_u32)),
        json!({"sessionKey": "k", "limit": 5})
    );
    assert_eq!(
        sent(AgentWait::new("r").timeout_ms(500_u64)),
        json!({"runId": "r", "timeoutMs": 500})
    );
    assert_eq!(
        sent(SessionsList::new().active_minutes(3_u32)),
        json!({"activeMinutes": 3})
    );
    assert_eq!(
        sent(AgentsFilesSet::new("a", "SOUL.md", "x").expected_hash("h")),
        json!({"agentId": "a", "name": "SOUL.md", "content": "x", "expectedHash": "h"})
    );
}

#[test]
fn a_property_is_set_or_removed_or_left_alone() {
    let patch = SessionsPatch::new("k").label("mine").model(Change::REMOVE);
    assert_eq!(sent(patch), json!({"key": "k", "label": "mine", "model": null}));
}

#[test]
fn every_typed_method_stands_in_the_method_table() {
    fn known<R: Request>() {
        assert!(method(R::METHOD).is_some(), "{}", R::METHOD);
    }
    known::<Health>();
    known::<GatewayIdentityGet>();
    known::<AgentsList>();
    known::<AgentsFilesList>();
    known::<AgentsFilesGet>();
    known::<AgentsFilesSet>();
    known::<SessionsList>();
    known::<SessionsPatch>();
    known::<SessionsSubscribe>();
    known::<SessionsMessagesSubscribe>();
    known::<ChatSend>();
    known::<ChatHistory>();
    known::<ChatAbort>();
    known::<AgentWait>();
    known::<DevicePairList>();
    known::<DevicePairApprove>();
    assert_eq!(effect(ChatSend::METHOD), Effect::Keyed);
}

#[test]
fn a_row_tells_its_run_and_whether_it_failed() {
    let row = |value| serde_json::from_value::<ChatMessage>(value).unwrap();
    let user = row(json!({"role": "user", "content": "hi", "idempotencyKey": "run-1:user"}));
    assert_eq!((user.run_id(), user.text().as_deref()), (Some("run-1"), Some("hi")));
    let parts = json!([{"type": "text", "text": "a"}, {"type": "toolCall"}, {"type": "text", "text": "b"}]);
    let assistant = row(json!({"content": parts, "stopReason": "error", "__openclaw": {"runId": "run-2"}}));
    assert_eq!(
        (assistant.run_id(), assistant.text().as_deref()),
        (Some("run-2"), Some("ab"))
    );
    assert!(assistant.is_failure() && !user.is_failure());
    let bare = row(json!({"role": "user"}));
    assert_eq!((bare.run_id(), bare.text()), (None, None));
}
