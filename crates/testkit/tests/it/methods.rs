//! Requests other than chat and configuration.

use std::time::Duration;

use serde_json::{Value, json};
use windlass_testkit::{Generation, RELEASES, SideEffect, SimGateway};

use crate::client::{Client, Connect};
use crate::leaves_nothing;

async fn hello(release: &str) -> (SimGateway, Client) {
    let sim = SimGateway::builder().release(release).start_pipe();
    let client = Client::hello(&sim).await;
    (sim, client)
}

#[tokio::test(start_paused = true)]
async fn frames_that_are_no_requests_are_answered_and_never_close_the_socket() {
    let (sim, mut client) = hello("2026.9.6").await;
    let cases = [
        (
            r#"{"type":"req","method":"health"}"#,
            json!("invalid"),
            "must have required property 'id'",
        ),
        (
            r#"{"type":"req","id":"","method":"health"}"#,
            json!(""),
            "at /id: must not have fewer than 1 characters",
        ),
        (
            r#"{"type":"req","id":5,"method":"health"}"#,
            json!(5),
            "at /id: must be string",
        ),
        (
            r#"{"id":"a","method":"health"}"#,
            json!("a"),
            "must have required property 'type'",
        ),
        (
            r#"{"type":"req","id":"ex","method":"health","foo":1}"#,
            json!("ex"),
            "at root: unexpected property 'foo'",
        ),
        ("[1]", json!("invalid"), "must be object"),
    ];
    for (text, id, complaint) in cases {
        client.text(text).await;
        let answer = client.frame().await;
        assert_eq!(answer["id"], id, "{text}");
        assert_eq!(
            answer["error"]["message"],
            format!("invalid request frame: {complaint}"),
            "{text}"
        );
    }
    client.text("{nope").await;
    client.binary(br#"{"type":"req","id":"bin","method":"health"}"#).await;
    assert_eq!(
        client.frame().await["id"],
        "bin",
        "binary JSON is a frame, garbage is nothing"
    );
    client.text(r#"{"type":"req","id":"dup","method":"status"}"#).await;
    client.text(r#"{"type":"req","id":"dup","method":"health"}"#).await;
    assert_eq!(
        (client.frame().await["id"].clone(), client.frame().await["id"].clone()),
        (json!("dup"), json!("dup"))
    );
    assert_eq!(sim.journal().frames().len(), 11);
}

#[tokio::test(start_paused = true)]
async fn unknown_methods_missing_scopes_and_foreign_roles_are_told_apart_by_generation() {
    for generation in [Generation::V3, Generation::V4] {
        let sim = SimGateway::builder().generation(generation).start_pipe();
        let mut admin = Client::hello(&sim).await;
        let unknown = admin.error("no.such.method", json!({})).await;
        assert_eq!(unknown["message"], "unknown method: no.such.method");
        let role = admin.error("node.event", json!({})).await;
        assert_eq!(role["message"], "unauthorized role: operator");
        let again = admin.error("connect", json!({})).await;
        assert_eq!(again["message"], "connect is only valid as the first request");
        let mut reader = Client::dial(&sim).await;
        reader
            .connect(
                &sim,
                Connect {
                    scopes: vec!["operator.read"],
                    ..Connect::default()
                },
            )
            .await;
        let missing = reader.error("chat.send", json!({})).await;
        let unknown = reader.error("no.such.method", json!({})).await;
        if generation == Generation::V4 {
            assert_eq!(missing["code"], "FORBIDDEN");
            assert_eq!(missing["details"]["missingScope"], "operator.write");
            assert_eq!(unknown["message"], "unknown method: no.such.method");
        } else {
            assert_eq!(
                (&missing["code"], missing.get("details")),
                (&json!("INVALID_REQUEST"), None)
            );
            assert_eq!(missing["message"], "missing scope: operator.write");
            assert_eq!(unknown["message"], "missing scope: operator.admin");
        }
        reader.ok("health", json!([1, 2])).await;
    }
}

#[tokio::test(start_paused = true)]
async fn repeated_calls_that_the_role_forbids_end_in_1008() {
    let (_sim, mut client) = hello("2026.9.6").await;
    for _ in 0..10 {
        client.send("node.event", json!({})).await;
    }
    assert_eq!(
        client.closed().await,
        Some((1008, "repeated unauthorized calls".into()))
    );
}

#[tokio::test(start_paused = true)]
async fn a_frame_over_the_limit_of_the_release_is_closed_with_1009() {
    for (release, limit) in [("2026.1.30", 524_288), ("2026.9.6", 26_214_400)] {
        let (sim, mut client) = hello(release).await;
        let frame = |size: usize| {
            let empty = json!({"type": "req", "id": "b", "method": "health", "params": {"p": ""}}).to_string();
            json!({"type": "req", "id": "b", "method": "health", "params": {"p": "x".repeat(size - empty.len())}})
                .to_string()
        };
        client.text(&frame(limit)).await;
        assert_eq!(client.response("b").await["ok"], true, "{release}: just fits");
        client.text(&frame(limit + 1)).await;
        assert_eq!(client.closed().await, Some((1009, String::new())), "{release}");
        leaves_nothing(sim).await;
    }
}

#[tokio::test(start_paused = true)]
async fn agents_are_made_changed_and_deleted_with_the_rules_of_the_release() {
    for release in RELEASES {
        let (sim, mut client) = hello(release).await;
        let r = sim.profile().index;
        let params = json!({"name": "Alpha One", "workspace": "/w"});
        if r == 0 {
            let error = client.error("agents.create", params).await;
            assert_eq!(error["message"], "unknown method: agents.create");
            continue;
        }
        assert_eq!(
            client.ok("agents.create", params.clone()).await["agentId"],
            "alpha-one",
            "{release}"
        );
        let twice = client.error("agents.create", params).await;
        assert_eq!(twice["message"], "agent \"alpha-one\" already exists");
        let bare = client.request("agents.create", json!({"name": "Bare"})).await;
        assert_eq!(bare["ok"], r >= 7, "{release}: without workspace");
        let model = client
            .request(
                "agents.create",
                json!({"name": "M", "workspace": "/m", "model": "fake/fake-2"}),
            )
            .await;
        assert_eq!(model["ok"], r >= 3, "{release}: with model");
        let id = client
            .error("agents.create", json!({"name": "I", "workspace": "/i", "id": "x"}))
            .await;
        assert_eq!(
            id["message"],
            "invalid agents.create params: at root: unexpected property 'id'"
        );
        client
            .ok("agents.update", json!({"agentId": "alpha-one", "name": "Renamed"}))
            .await;
        let listed = client.ok("agents.list", json!({})).await;
        let row = listed["agents"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|row| row["id"] == "alpha-one")
            .cloned();
        assert_eq!(row.expect("listed")["name"], "Renamed", "{release}");
        assert_eq!(
            client.request("agents.delete", json!({"agentId": "main"})).await["ok"],
            r >= 4,
            "{release}"
        );
        client.ok("agents.delete", json!({"agentId": "alpha-one"})).await;
        let gone = client.error("agents.update", json!({"agentId": "alpha-one"})).await;
        assert_eq!(gone["message"], "agent \"alpha-one\" not found");
        let made =
            |effect: &SideEffect| matches!(effect, SideEffect::AgentCreated { agent_id } if agent_id == "alpha-one");
        assert_eq!(sim.journal().count(made), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_fresh_agent_can_be_made_to_settle_before_it_is_updated() {
    let settle = Duration::from_millis(700);
    let sim = SimGateway::builder().create_settles_after(settle).start_pipe();
    let mut client = Client::hello(&sim).await;
    client.ok("agents.create", json!({"name": "a"})).await;
    assert_eq!(
        client.error("agents.update", json!({"agentId": "a"})).await["message"],
        "agent \"a\" not found"
    );
    for (method, params) in [
        ("agents.delete", json!({"agentId": "a"})),
        ("agents.files.list", json!({"agentId": "a"})),
        (
            "agents.files.set",
            json!({"agentId": "a", "name": "SOUL.md", "content": "x"}),
        ),
    ] {
        let error = client.error(method, params).await;
        assert_eq!(error["message"], "agent \"a\" not found", "{method}");
    }
    tokio::time::sleep(settle).await;
    client.ok("agents.update", json!({"agentId": "a"})).await;
}

#[tokio::test(start_paused = true)]
async fn main_sessions_are_kept_from_8_2_on_and_go_with_their_agent_but_on_8_2() {
    for release in RELEASES.into_iter().skip(1) {
        let (sim, mut client) = hello(release).await;
        let index = sim.profile().index;
        let make = json!({"name": "a", "workspace": "/w"});
        client.ok("agents.create", make).await;
        let main = json!({"key": "agent:a:main"});
        client.ok("sessions.patch", main.clone()).await;
        let deleted = client.request("sessions.delete", main.clone()).await;
        assert_eq!(deleted["ok"], index < 7, "{release}: {deleted}");
        client.ok("sessions.patch", main.clone()).await;
        client.ok("agents.delete", json!({"agentId": "a"})).await;
        let left = client.ok("sessions.list", json!({})).await["count"].clone();
        assert_eq!(left, i32::from(index == 7), "{release}");
        let described = client.request("sessions.describe", main).await;
        assert_eq!(described["ok"], index >= 4, "{release}: {described}");
        if index >= 4 {
            assert_eq!(described["payload"]["session"].is_null(), index != 7, "{release}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn files_are_listed_and_refused_as_measured() {
    for release in RELEASES.into_iter().skip(1) {
        let (sim, mut client) = hello(release).await;
        let retired = sim.profile().index >= 7;
        let listed = client.ok("agents.files.list", json!({"agentId": "main"})).await;
        assert_eq!(
            listed["files"].as_array().map(Vec::len),
            Some(if retired { 5 } else { 8 }),
            "{release}"
        );
        for (name, taken) in [
            ("AGENTS.md", true),
            ("IDENTITY.md", true),
            ("TOOLS.md", !retired),
            ("HEARTBEAT.md", !retired),
            ("../evil.md", false),
        ] {
            let params = json!({"agentId": "main", "name": name, "content": "x"});
            let answer = client.request("agents.files.set", params).await;
            assert_eq!(answer["ok"], taken, "{release} {name}: {answer}");
        }
        let get = json!({"agentId": "main", "name": "AGENTS.md"});
        assert_eq!(client.ok("agents.files.get", get).await["file"]["content"], "x");
        let missing = client
            .ok("agents.files.get", json!({"agentId": "main", "name": "SOUL.md"}))
            .await;
        assert_eq!(missing["file"]["missing"], true);
    }
}

#[tokio::test(start_paused = true)]
async fn concurrent_writes_of_one_file_race_on_two_releases() {
    for release in RELEASES.into_iter().skip(1) {
        let (_sim, mut client) = hello(release).await;
        let mut ids = Vec::new();
        for at in 0..20 {
            let params = json!({"agentId": "main", "name": "SOUL.md", "content": at.to_string()});
            ids.push(client.send("agents.files.set", params).await);
        }
        let mut taken = 0;
        for _ in &ids {
            let answer = loop {
                let frame = client.frame().await;
                if frame["type"] == "res" {
                    break frame;
                }
            };
            taken += usize::from(answer["ok"] == true);
        }
        let races = matches!(release, "2026.3.13" | "2026.4.15");
        assert_eq!(taken == 20, !races, "{release}: {taken} of 20");
        for _ in 0..3 {
            client
                .ok(
                    "agents.files.set",
                    json!({"agentId": "main", "name": "SOUL.md", "content": "s"}),
                )
                .await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn sessions_are_ensured_listed_reset_and_deleted() {
    for generation in [Generation::V3, Generation::V4] {
        let sim = SimGateway::builder().generation(generation).start_pipe();
        let mut client = Client::hello(&sim).await;
        let patched = client
            .ok("sessions.patch", json!({"key": "agent:main:s", "label": "L"}))
            .await;
        assert_eq!(patched["resolved"]["model"], "fake-1");
        let taken = client
            .error("sessions.patch", json!({"key": "agent:main:t", "label": "L"}))
            .await;
        assert_eq!(taken["message"], "label already in use: L");
        let model = client
            .request("sessions.patch", json!({"key": "agent:main:s", "model": "nope/none"}))
            .await;
        assert_eq!(model["ok"], generation == Generation::V3, "{model}");
        let listed = client.ok("sessions.list", json!({"limit": 10})).await;
        assert_eq!(
            (&listed["count"], &listed["sessions"][0]["label"]),
            (&json!(1), &json!("L"))
        );
        let reset = client.ok("sessions.reset", json!({"key": "agent:main:s"})).await;
        let same = reset["entry"]["sessionId"] == patched["entry"]["sessionId"];
        assert_eq!(same, generation == Generation::V4);
        let gone = |client: Value| client["deleted"].clone();
        assert_eq!(
            gone(client.ok("sessions.delete", json!({"key": "agent:main:s"})).await),
            true
        );
        assert_eq!(
            gone(client.ok("sessions.delete", json!({"key": "agent:main:s"})).await),
            false
        );
        let main = client.error("sessions.delete", json!({"key": "agent:main:main"})).await;
        assert_eq!(main["message"], "Cannot delete the main session (agent:main:main).");
        let other = client
            .request("sessions.delete", json!({"key": "agent:other:main"}))
            .await;
        assert_eq!(other["ok"], generation == Generation::V3);
    }
}

#[tokio::test(start_paused = true)]
async fn session_events_come_only_after_subscribing_and_end_with_the_socket() {
    let (sim, mut client) = hello("2026.9.6").await;
    let patch = |label: &str| json!({"key": "agent:main:s", "label": label});
    client.ok("sessions.patch", patch("a")).await;
    client.ok("sessions.subscribe", json!({})).await;
    client.ok("sessions.patch", patch("b")).await;
    let event = client.event("sessions.changed").await;
    assert_eq!(event["payload"]["reason"], "patch");
    assert_eq!(
        client
            .seen
            .iter()
            .filter(|frame| frame["event"] == "sessions.changed")
            .count(),
        1
    );
    sim.restart(windlass_testkit::RestartKind::Clean);
    let mut client = Client::hello(&sim).await;
    client.ok("sessions.patch", patch("c")).await;
    client.ok("health", json!({})).await;
    assert!(client.seen.iter().all(|frame| frame["event"] != "sessions.changed"));
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_scratch_is_versioned_and_a_conflict_is_an_answer() {
    let (_sim, mut client) = hello("2026.9.6").await;
    client.ok("agents.create", json!({"name": "a"})).await;
    assert_eq!(
        client.ok("cron.list", json!({})).await["jobs"],
        json!([]),
        "disabled jobs are not shown"
    );
    let jobs = client.ok("cron.list", json!({"includeDisabled": true})).await;
    let job = jobs["jobs"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|job| job["declarationKey"] == "heartbeat:a")
        .cloned();
    let id = job.expect("a monitor")["id"].clone();
    assert_eq!(
        client.ok("cron.scratch.get", json!({"id": id})).await["scratch"],
        Value::Null
    );
    let set = client
        .ok(
            "cron.scratch.set",
            json!({"id": id, "content": "do", "expectedRevision": 0}),
        )
        .await;
    assert_eq!((&set["ok"], &set["currentRevision"]), (&json!(true), &json!(1)));
    let stale = client
        .ok(
            "cron.scratch.set",
            json!({"jobId": id, "content": "x", "expectedRevision": 0}),
        )
        .await;
    assert_eq!(
        stale,
        json!({"ok": false, "reason": "revision-conflict", "currentRevision": 1})
    );
    let removed = client.ok("cron.scratch.set", json!({"id": id, "content": null})).await;
    assert_eq!(
        (&removed["scratch"], &removed["currentRevision"]),
        (&Value::Null, &json!(2))
    );
    let unknown = client.error("cron.scratch.get", json!({"id": "zz"})).await;
    assert_eq!(unknown["details"], json!({"code": "CRON_JOB_NOT_FOUND", "jobId": "zz"}));
}

#[tokio::test(start_paused = true)]
async fn a_restart_by_request_comes_after_its_answer() {
    let (_sim, mut client) = hello("2026.9.6").await;
    assert_eq!(client.ok("gateway.restart.preflight", json!({})).await["safe"], true);
    let answer = client.ok("gateway.restart.request", json!({"reason": "test"})).await;
    assert_eq!(answer["restart"]["signal"], "SIGUSR2");
    assert_eq!(client.closed().await.map(|(code, _)| code), Some(1012));
}

#[tokio::test(start_paused = true)]
async fn what_is_advertised_can_be_changed_and_what_is_not_simulated_says_so() {
    let sim = SimGateway::builder()
        .advertise("shiny.new")
        .hide("chat.abort")
        .start_pipe();
    let mut client = Client::dial(&sim).await;
    let hello = client.connect(&sim, Connect::default()).await;
    let methods = hello["payload"]["features"]["methods"]
        .as_array()
        .expect("methods")
        .clone();
    assert!(methods.contains(&json!("shiny.new")) && !methods.contains(&json!("chat.abort")));
    client.ok("chat.abort", json!({"sessionKey": "main"})).await;
    let error = client.error("logs.tail", json!({})).await;
    assert_eq!(
        (&error["code"], &error["retryable"]),
        (&json!("UNAVAILABLE"), &json!(false))
    );
}
