//! Every frame that the simulation of generation 4 sends, and every parameter it takes, against the official schema.
//!
//! Needs the feature `schema` and the path of the schema file in `WINDLASS_SCHEMA`.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use serde_json::{Value, json};
use windlass_testkit::schema::Schema;
use windlass_testkit::{ChatPlan, Entry, Generation, Outcome, RestartKind, SimGateway};

use crate::client::{Client, Connect};

/// The official schema, for tests that are ignored without it.
fn schema() -> Schema {
    let schema = Schema::from_env().expect("a usable schema");
    schema.expect("WINDLASS_SCHEMA names the schema's file")
}

/// Checks all that a client saw; the methods come from the journal.
fn check_seen(schema: &Schema, sim: &SimGateway, conn: u64, client: &Client) -> usize {
    let methods: HashMap<String, String> = sim
        .journal()
        .records()
        .into_iter()
        .filter_map(|record| match record.entry {
            Entry::Request {
                conn: by, id, method, ..
            } if by == conn => Some((id, method)),
            _ => None,
        })
        .collect();
    for frame in &client.seen {
        let text = frame.to_string();
        let checked = if frame["type"] == "event" {
            schema.check_event(&text)
        } else {
            let method = frame["id"]
                .as_str()
                .and_then(|id| methods.get(id))
                .map_or("", String::as_str);
            schema.check_response(method, &text)
        };
        if let Err(violation) = checked {
            panic!("{violation}\nin {text}");
        }
    }
    client.seen.len()
}

/// One request of every sort that the simulation takes, some of them refused.
async fn all_methods(client: &mut Client) {
    let requests = [
        ("health", json!({})),
        ("status", json!({})),
        ("system-presence", json!({})),
        ("gateway.identity.get", json!({})),
        ("gateway.restart.preflight", json!({})),
        ("models.list", json!({})),
        ("agents.list", json!({})),
        (
            "agents.create",
            json!({"name": "Al", "workspace": "/w", "emoji": "x", "model": "fake/fake-2"}),
        ),
        ("agents.create", json!({"name": "Al"})),
        (
            "agents.update",
            json!({"agentId": "al", "name": "Bo", "emoji": "y", "model": "fake/fake-1"}),
        ),
        ("agents.list", json!({})),
        ("agents.files.list", json!({"agentId": "al"})),
        ("agents.files.get", json!({"agentId": "al", "name": "SOUL.md"})),
        (
            "agents.files.set",
            json!({"agentId": "al", "name": "SOUL.md", "content": "s"}),
        ),
        ("agents.files.get", json!({"agentId": "al", "name": "SOUL.md"})),
        (
            "agents.files.set",
            json!({"agentId": "al", "name": "TOOLS.md", "content": "s"}),
        ),
        ("config.get", json!({})),
        ("config.schema", json!({})),
        (
            "config.patch",
            json!({"raw": "{}", "baseHash": "stale", "note": "n", "restartDelayMs": 1}),
        ),
        (
            "sessions.patch",
            json!({"key": "agent:al:s", "label": "L", "model": "fake/fake-1"}),
        ),
        ("sessions.list", json!({"limit": 5, "agentId": "al"})),
        ("sessions.reset", json!({"key": "agent:al:s"})),
        (
            "sessions.delete",
            json!({"key": "agent:al:s", "deleteTranscript": true}),
        ),
        ("sessions.subscribe", json!({})),
        ("sessions.messages.subscribe", json!({"key": "agent:main:main"})),
        ("chat.history", json!({"sessionKey": "main", "limit": 10})),
        ("chat.abort", json!({"sessionKey": "main"})),
        ("agent.wait", json!({"runId": "zz", "timeoutMs": 1})),
        ("device.pair.list", json!({})),
        ("device.pair.approve", json!({"requestId": "none"})),
        ("device.pair.reject", json!({"requestId": "none"})),
        ("device.token.revoke", json!({"deviceId": "none", "role": "operator"})),
        ("cron.list", json!({"includeDisabled": true})),
        ("cron.scratch.get", json!({"id": "none"})),
        ("no.such.method", json!({})),
        ("agents.delete", json!({"agentId": "al", "deleteFiles": true})),
    ];
    for (method, params) in requests {
        client.request(method, params).await;
    }
    let jobs = client.ok("cron.list", json!({"includeDisabled": true})).await;
    let id = jobs["jobs"][0]["id"].clone();
    client.ok("cron.scratch.get", json!({"id": id})).await;
    client
        .ok(
            "cron.scratch.set",
            json!({"jobId": id, "content": "c", "expectedRevision": 0}),
        )
        .await;
    client
        .ok(
            "cron.scratch.set",
            json!({"id": id, "content": null, "expectedRevision": 0}),
        )
        .await;
}

#[tokio::test(start_paused = true)]
#[ignore = "needs WINDLASS_SCHEMA"]
async fn every_frame_of_a_long_conversation_conforms() {
    let schema = schema();
    let sim = SimGateway::builder()
        .generation(Generation::V4)
        .tick_interval(Duration::from_millis(50))
        .start_pipe();
    let mut client = Client::dial(&sim).await;
    client
        .connect(
            &sim,
            Connect {
                client: ("cli", "cli"),
                ..Connect::default()
            },
        )
        .await;
    all_methods(&mut client).await;
    let plans = [
        (
            "final",
            ChatPlan {
                tool: true,
                ..ChatPlan::default()
            },
        ),
        (
            "error",
            ChatPlan {
                outcome: Outcome::Fail { status: 400 },
                ..ChatPlan::default()
            },
        ),
        (
            "aborted",
            ChatPlan {
                outcome: Outcome::Hang,
                ..ChatPlan::default()
            },
        ),
    ];
    for (key, plan) in plans {
        sim.next_chat(plan);
        let params = json!({"sessionKey": "main", "message": key, "idempotencyKey": key, "deliver": false});
        client.ok("chat.send", params.clone()).await;
        client.ok("chat.send", params).await;
        if key == "aborted" {
            client
                .ok("chat.abort", json!({"sessionKey": "main", "runId": key}))
                .await;
        }
        client.chat(key).await;
    }
    let id = client
        .send(
            "agent",
            json!({"message": "m", "agentId": "main", "idempotencyKey": "a"}),
        )
        .await;
    client.response(&id).await;
    client.response(&id).await;
    let base = client.ok("config.get", json!({})).await["hash"].clone();
    let change = json!({"agents": {"entries": {"main": {"heartbeat": {"every": "5m"}}}}}).to_string();
    client
        .ok("config.patch", json!({"raw": change, "baseHash": base}))
        .await;
    client.event("config.changed").await;
    sim.restart(RestartKind::Clean);
    client.closed().await;
    assert!(
        check_seen(&schema, &sim, 1, &client) > 80,
        "{} frames",
        client.seen.len()
    );
    check_taken(&schema, &sim);
}

/// Whatever the simulation executed must have had parameters that the schema allows.
fn check_taken(schema: &Schema, sim: &SimGateway) {
    let executed: BTreeSet<String> = sim
        .journal()
        .records()
        .into_iter()
        .filter_map(|record| match record.entry {
            Entry::Executed { method, .. } => Some(method),
            _ => None,
        })
        .collect();
    assert!(executed.len() > 25, "{executed:?}");
    for frame in sim.journal().frames() {
        let method = serde_json::from_str::<Value>(&frame.text).expect("JSON")["method"].clone();
        if method == "connect" || executed.contains(method.as_str().unwrap_or_default()) {
            schema
                .check_request(&frame.text)
                .unwrap_or_else(|violation| panic!("{violation}\nin {}", frame.text));
        }
    }
}

#[tokio::test(start_paused = true)]
#[ignore = "needs WINDLASS_SCHEMA"]
async fn refusals_and_pairing_events_conform() {
    let schema = schema();
    let sim = SimGateway::builder()
        .generation(Generation::V4)
        .trusted_proxy(true)
        .start_pipe();
    let mut owner = Client::hello(&sim).await;
    let mut remote = Client::try_dial(&sim, &[("x-forwarded-for", "203.0.113.9")])
        .await
        .expect("let through");
    remote
        .connect(
            &sim,
            Connect {
                device: Some(2),
                ..Connect::default()
            },
        )
        .await;
    let asked = owner.event("device.pair.requested").await;
    owner
        .ok(
            "device.pair.approve",
            json!({"requestId": asked["payload"]["requestId"]}),
        )
        .await;
    owner.event("device.pair.resolved").await;
    assert!(check_seen(&schema, &sim, 1, &owner) >= 5);
    assert_eq!(check_seen(&schema, &sim, 2, &remote), 2);
    let wrong = Connect {
        auth: Some(json!({"token": "wrong"})),
        ..Connect::default()
    };
    let narrow = Connect {
        range: (1, 2),
        ..Connect::default()
    };
    for with in [wrong, narrow] {
        let mut client = Client::dial(&sim).await;
        client.connect(&sim, with).await;
        check_seen(&schema, &sim, 0, &client);
    }
    sim.drain(true);
    owner.error("agents.list", json!({})).await;
    check_seen(&schema, &sim, 1, &owner);
}

#[tokio::test(start_paused = true)]
#[ignore = "needs WINDLASS_SCHEMA"]
async fn the_check_itself_finds_what_is_wrong() {
    let schema = schema();
    let sent = |method: &str, params: Value| {
        schema.check_request(&json!({"type": "req", "id": "1", "method": method, "params": params}).to_string())
    };
    assert!(
        sent(
            "chat.send",
            json!({"sessionKey": "s", "message": "m", "idempotencyKey": "k"})
        )
        .is_ok()
    );
    let violation = sent("chat.send", json!({"sessionKey": "s", "message": 1, "bogus": 2})).expect_err("three faults");
    assert_eq!(
        (violation.definition.as_str(), violation.complaints.len()),
        ("ChatSendParams", 3),
        "{violation}"
    );
    assert!(
        sent("unknown.method", json!({"any": "thing"})).is_ok(),
        "what has no definition is not judged"
    );
    assert!(schema.check_request("{}").is_err());
    assert!(
        schema
            .check_event(&json!({"type": "event", "event": "tick", "payload": {"ts": "x"}}).to_string())
            .is_err()
    );
}
