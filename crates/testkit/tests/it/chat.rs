//! Chat runs: events, idempotency, history, failures and the oddities of single releases.

use std::time::Duration;

use serde_json::{Value, json};
use windlass_testkit::{ChatPlan, Generation, Outcome, RELEASES, RestartKind, SideEffect, SimGateway};

use crate::client::{Client, Connect};
use crate::leaves_nothing;

fn text(key: &str, message: &str) -> Value {
    json!({"sessionKey": "agent:main:main", "message": message, "idempotencyKey": key})
}

fn slow() -> ChatPlan {
    ChatPlan {
        increments: 10,
        pace: Duration::from_secs(1),
        ..ChatPlan::default()
    }
}

fn failing(status: u16) -> ChatPlan {
    ChatPlan {
        outcome: Outcome::Fail { status },
        ..ChatPlan::default()
    }
}

/// All events up to now, as `chat:<state>` or `agent:<stream>:<phase>`.
fn sorts(events: &[Value]) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    events
        .iter()
        .filter_map(|event| {
            let payload = &event["payload"];
            match event["event"].as_str()? {
                "chat" => Some(format!("chat:{}", text(&payload["state"]))),
                "agent" => Some(format!(
                    "agent:{}:{}",
                    text(&payload["stream"]),
                    text(&payload["data"]["phase"])
                )),
                _ => None,
            }
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_run_produces_the_events_of_its_release() {
    for release in RELEASES {
        let sim = SimGateway::builder().release(release).start_pipe();
        let mut client = Client::hello(&sim).await;
        client.ok("chat.send", text("k", "hello")).await;
        let last = client.chat("final").await;
        let r = sim.profile().index;
        assert_eq!(last["message"]["content"][0]["text"], "echo: hello", "{release}");
        assert_eq!(last.get("stopReason").is_some(), r >= 5, "{release}");
        assert_eq!(last.get("agentId").is_some(), r >= 6, "{release}");
        let seen = sorts(&client.seen);
        assert_eq!(
            seen.iter().any(|sort| sort == "chat:status"),
            r >= 7,
            "{release}: {seen:?}"
        );
        assert_eq!(
            seen.iter().any(|sort| sort == "agent:lifecycle:model"),
            r == 8,
            "{release}"
        );
        let deltas: Vec<&Value> = client
            .seen
            .iter()
            .map(|frame| &frame["payload"])
            .filter(|payload| payload["state"] == "delta")
            .collect();
        assert!(
            deltas.iter().all(|delta| delta.get("deltaText").is_some() == (r >= 4)),
            "{release}"
        );
        let whole = deltas.last().expect("a delta")["message"]["content"][0]["text"] == "echo: hello";
        assert_eq!(
            whole,
            r >= 2,
            "{release}: the last delta is the final text or stops short"
        );
        leaves_nothing(sim).await;
    }
}

#[tokio::test(start_paused = true)]
async fn one_key_runs_once_while_it_is_remembered() {
    for generation in [Generation::V3, Generation::V4] {
        let sim = SimGateway::builder().generation(generation).chat(slow()).start_pipe();
        let mut client = Client::hello(&sim).await;
        assert_eq!(client.ok("chat.send", text("k", "one")).await["status"], "started");
        assert_eq!(client.ok("chat.send", text("k", "one")).await["status"], "in_flight");
        client.chat("final").await;
        assert_eq!(client.ok("chat.send", text("k", "one")).await["status"], "ok");
        let other = client.request("chat.send", text("k", "two")).await;
        if generation == Generation::V4 {
            assert_eq!(other["error"]["details"]["reason"], "chat-request-conflict");
        } else {
            assert_eq!(other["payload"]["status"], "ok");
        }
        assert_eq!((sim.journal().runs_of("one"), sim.journal().runs_of("two")), (1, 0));
        tokio::time::sleep(Duration::from_secs(301)).await;
        let mut client = Client::hello(&sim).await;
        assert_eq!(
            client.ok("chat.send", text("k", "one")).await["status"],
            "started",
            "forgotten after 5 min"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_forgets_keys_unless_told_to_keep_them() {
    for (kind, status) in [(RestartKind::Clean, "started"), (RestartKind::KeepMemory, "ok")] {
        let sim = SimGateway::builder().start_pipe();
        let mut client = Client::hello(&sim).await;
        client.ok("chat.send", text("k", "one")).await;
        client.chat("final").await;
        sim.restart(kind);
        let mut client = Client::hello(&sim).await;
        assert_eq!(
            client.ok("chat.send", text("k", "one")).await["status"],
            status,
            "{kind:?}"
        );
        let history = client.ok("chat.history", json!({"sessionKey": "main"})).await;
        assert_eq!(
            history["messages"][0]["idempotencyKey"], "k:user",
            "the transcript is on disk"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_text_sent_into_a_run_joins_it_and_ends_bare() {
    for (release, named) in [
        ("2026.6.11", json!(null)),
        ("2026.8.2", json!("k1")),
        ("2026.9.6", json!("k1")),
    ] {
        let sim = SimGateway::builder().release(release).chat(slow()).start_pipe();
        let mut client = Client::hello(&sim).await;
        client.ok("chat.send", text("k1", "one")).await;
        assert_eq!(client.ok("chat.send", text("k2", "two")).await["status"], "started");
        let first = client.chat("final").await;
        let second = client.chat("final").await;
        assert_eq!((&first["runId"], first.get("message").is_some()), (&json!("k1"), true));
        assert_eq!(
            (&second["runId"], second.get("message").is_some()),
            (&json!("k2"), false)
        );
        let history = client.ok("chat.history", json!({"sessionKey": "main"})).await;
        assert_eq!(
            history["messages"][2]["__openclaw"]["steerTargetRunId"], named,
            "{release}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn most_releases_end_a_text_sent_into_a_run_bare_and_run_it_after_that_run() {
    for release in ["2026.1.30", "2026.3.13", "2026.4.15", "2026.5.12", "2026.7.1"] {
        ends_bare_and_runs_after(release).await;
    }
}

async fn ends_bare_and_runs_after(release: &str) {
    let sim = SimGateway::builder().release(release).chat(slow()).start_pipe();
    let mut client = Client::hello(&sim).await;
    for (key, said) in [("k1", "one"), ("k2", "two"), ("k3", "three")] {
        assert_eq!(client.ok("chat.send", text(key, said)).await["status"], "started");
    }
    let mut ends = Vec::new();
    for _ in 0..5 {
        let end = client.chat("final").await;
        let said = end["message"]["content"][0]["text"].as_str().unwrap_or("bare");
        ends.push((end["runId"].as_str().unwrap_or_default().to_owned(), said.to_owned()));
    }
    let said: Vec<&str> = ends.iter().map(|(_, said)| said.as_str()).collect();
    assert_eq!(
        said,
        ["bare", "bare", "echo: one", "echo: two", "echo: three"],
        "{release}"
    );
    assert!(ends[3].0 != "k2" && ends[4].0 != "k3", "{release}: {ends:?}");
    assert_eq!(
        ["one", "two", "three"].map(|said| sim.journal().runs_of(said)),
        [1, 1, 1],
        "{release}"
    );
}

#[tokio::test(start_paused = true)]
async fn release_9_6_shows_what_was_added_since_a_cursor_and_the_rows_around_one() {
    let sim = SimGateway::builder().start_pipe();
    let mut client = Client::hello(&sim).await;
    let history = async |client: &mut Client, more: Value| {
        let mut params = json!({"sessionKey": "main"});
        params
            .as_object_mut()
            .expect("an object")
            .extend(more.as_object().cloned().expect("an object"));
        client.ok("chat.history", params).await
    };
    for key in ["k1", "k2"] {
        client.ok("chat.send", text(key, key)).await;
        client.chat("final").await;
    }
    let all = history(&mut client, json!({})).await;
    let cursor = all["deltaCursor"].clone();
    client.ok("chat.send", text("k3", "k3")).await;
    client.chat("final").await;
    let delta = history(&mut client, json!({"cursor": cursor})).await;
    assert_eq!(
        (&delta["kind"], delta["messages"].as_array().map(Vec::len)),
        (&json!("delta"), Some(2))
    );
    assert_eq!(delta["messages"][0]["message"]["content"], "k3");
    let id = all["messages"][1]["__openclaw"]["id"].clone();
    let around = history(
        &mut client,
        json!({"messageId": id, "sessionId": all["sessionId"], "limit": 2}),
    )
    .await;
    assert_eq!(
        (&around["messages"][1]["__openclaw"]["id"], around.get("hasMore")),
        (&id, None)
    );
    client.ok("sessions.reset", json!({"key": "agent:main:main"})).await;
    assert_eq!(history(&mut client, json!({"cursor": cursor})).await["kind"], "reset");
}

#[tokio::test(start_paused = true)]
async fn release_4_15_does_not_delete_a_session_in_which_a_run_goes_on() {
    let sim = SimGateway::builder().release("2026.4.15").chat(slow()).start_pipe();
    let mut client = Client::hello(&sim).await;
    let session = "agent:main:work";
    let said = json!({"sessionKey": session, "message": "one", "idempotencyKey": "k1"});
    client.ok("chat.send", said).await;
    let refused = client.request("sessions.delete", json!({"key": session})).await;
    assert_eq!(refused["error"]["code"], "UNAVAILABLE");
    client.chat("final").await;
    assert_eq!(
        client.ok("sessions.delete", json!({"key": session})).await["deleted"],
        true
    );
}

#[tokio::test(start_paused = true)]
async fn the_row_of_the_user_appears_at_once_but_for_a_first_one_on_generation_3() {
    for (generation, first) in [(Generation::V3, 0), (Generation::V4, 1)] {
        let sim = SimGateway::builder().generation(generation).chat(slow()).start_pipe();
        let mut client = Client::hello(&sim).await;
        client.ok("chat.send", text("k", "one")).await;
        client.chat("delta").await;
        let rows = async |client: &mut Client| {
            let history = client.ok("chat.history", json!({"sessionKey": "main"})).await;
            history["messages"].as_array().map_or(0, Vec::len)
        };
        assert_eq!(rows(&mut client).await, first, "{generation:?}");
        client.chat("final").await;
        assert_eq!(rows(&mut client).await, 2);
        client.ok("chat.send", text("k2", "two")).await;
        client.chat("delta").await;
        assert_eq!(rows(&mut client).await, 3, "{generation:?}");
        client.chat("final").await;
        assert_eq!(rows(&mut client).await, 4);
    }
}

#[tokio::test(start_paused = true)]
async fn an_aborted_run_says_so_on_generation_4_and_ok_on_generation_3() {
    for (generation, wait, again) in [(Generation::V3, "ok", "ok"), (Generation::V4, "error", "timeout")] {
        let sim = SimGateway::builder().generation(generation).chat(slow()).start_pipe();
        let mut client = Client::hello(&sim).await;
        client.ok("chat.send", text("k", "one")).await;
        client.chat("delta").await;
        let aborted = client.ok("chat.abort", json!({"sessionKey": "main"})).await;
        assert_eq!(aborted, json!({"ok": true, "aborted": true, "runIds": ["k"]}));
        assert_eq!(client.chat("aborted").await["stopReason"], "rpc");
        assert_eq!(client.ok("agent.wait", json!({"runId": "k"})).await["status"], wait);
        assert_eq!(client.ok("chat.send", text("k", "one")).await["status"], again);
        assert_eq!(
            client.ok("chat.abort", json!({"sessionKey": "main"})).await["aborted"],
            false
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_run_looks_as_it_did_on_each_release() {
    let expected: [(&[&str], &str); 9] = [
        (&["chat:final"], "ok"),
        (&["chat:error"], "ok"),
        (&["chat:error"], "ok"),
        (&[], "ok"),
        (&[], "ok"),
        (&["chat:error", "chat:error"], "error"),
        (&["chat:error", "chat:error"], "error"),
        (&["chat:error", "chat:error"], "error"),
        (&["chat:error", "chat:error"], "error"),
    ];
    for (release, (states, status)) in RELEASES.into_iter().zip(expected) {
        let sim = SimGateway::builder().release(release).chat(failing(400)).start_pipe();
        let mut client = Client::hello(&sim).await;
        client.ok("chat.send", text("k", "one")).await;
        let waited = client
            .ok("agent.wait", json!({"runId": "k", "timeoutMs": 60_000}))
            .await;
        assert_eq!(waited["status"], status, "{release}");
        client.ok("health", json!({})).await;
        let chat: Vec<String> = sorts(&client.seen)
            .into_iter()
            .filter(|sort| sort.starts_with("chat:") && sort != "chat:status")
            .collect();
        assert_eq!(chat, states, "{release}");
        let history = client.ok("chat.history", json!({"sessionKey": "main"})).await;
        let last = history["messages"].as_array().and_then(|rows| rows.last()).cloned();
        assert_eq!(last.expect("a row")["stopReason"], "error", "{release}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_error_is_retried_by_the_two_releases_that_do_so() {
    let sim = SimGateway::builder()
        .release("2026.5.12")
        .chat(failing(500))
        .start_pipe();
    let mut client = Client::hello(&sim).await;
    client.ok("chat.send", text("k", "one")).await;
    client
        .ok("agent.wait", json!({"runId": "k", "timeoutMs": 60_000}))
        .await;
    let seen = sorts(&client.seen);
    let count = |wanted: &str| seen.iter().filter(|sort| *sort == wanted).count();
    assert_eq!((count("agent:lifecycle:start"), count("agent:lifecycle:error")), (4, 4));
}

#[tokio::test(start_paused = true)]
async fn an_early_send_is_put_back_and_runs_under_an_id_of_its_own() {
    for release in ["2026.4.15", "2026.5.12", "2026.7.1"] {
        let sim = SimGateway::builder().release(release).start_pipe();
        let mut client = Client::hello(&sim).await;
        client.ok("chat.send", text("k1", "one")).await;
        client.chat("final").await;
        assert_eq!(client.ok("chat.send", text("k2", "two")).await["status"], "started");
        let bare = client.chat("final").await;
        assert_eq!((&bare["runId"], bare.get("message")), (&json!("k2"), None), "{release}");
        let real = client.chat("final").await;
        assert_eq!(real["message"]["content"][0]["text"], "echo: two");
        assert!(real["runId"] != "k2" && real["runId"] != "k1");
        tokio::time::sleep(Duration::from_secs(1)).await;
        client.ok("chat.send", text("k3", "three")).await;
        assert_eq!(
            client.chat("final").await["runId"],
            "k3",
            "{release}: a second later it is fine"
        );
        assert_eq!(sim.journal().runs_of("two"), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn release_6_11_breaks_sessions_made_beforehand_and_takes_equal_texts_for_one() {
    let sim = SimGateway::builder().release("2026.6.11").start_pipe();
    let mut client = Client::hello(&sim).await;
    client
        .ok("sessions.patch", json!({"key": "agent:main:pre", "label": "L"}))
        .await;
    let pre = |key: &str| json!({"sessionKey": "agent:main:pre", "message": key, "idempotencyKey": key});
    client.ok("chat.send", pre("p1")).await;
    client.chat("final").await;
    client.ok("chat.send", pre("p2")).await;
    let error = client.chat("error").await["errorMessage"]
        .as_str()
        .expect("text")
        .to_owned();
    assert!(error.contains("initialization conflicted"), "{error}");
    client.ok("sessions.delete", json!({"key": "agent:main:pre"})).await;
    client.ok("chat.send", pre("p3")).await;
    client.chat("final").await;
    client.ok("chat.send", pre("p4")).await;
    client.chat("final").await;
    client.ok("chat.send", text("k1", "same")).await;
    client.chat("final").await;
    let repeated = client.ok("chat.send", text("k2", "same")).await;
    assert_eq!(repeated, json!({"runId": "k1", "status": "in_flight"}));
    assert_eq!(sim.journal().runs_of("same"), 1);
}

#[tokio::test(start_paused = true)]
async fn the_agent_method_answers_twice_and_once_for_a_known_key() {
    for generation in [Generation::V3, Generation::V4] {
        let sim = SimGateway::builder().generation(generation).start_pipe();
        let mut client = Client::hello(&sim).await;
        let params = json!({"message": "hi", "agentId": "main", "idempotencyKey": "a1"});
        let id = client.send("agent", params.clone()).await;
        assert_eq!(client.response(&id).await["payload"]["status"], "accepted");
        let last = client.response(&id).await;
        assert_eq!(last["payload"]["status"], "ok");
        assert_eq!(last["payload"]["result"]["payloads"][0]["text"], "echo: hi");
        assert_eq!(client.ok("agent", params).await["status"], "ok");
        assert_eq!(sim.journal().runs_of("hi"), 1);
    }
    let sim = SimGateway::builder().chat(failing(400)).start_pipe();
    let mut client = Client::hello(&sim).await;
    let id = client
        .send("agent", json!({"message": "hi", "idempotencyKey": "a2"}))
        .await;
    client.response(&id).await;
    let last = client.response(&id).await;
    assert_eq!(
        (&last["ok"], &last["error"]["code"]),
        (&json!(false), &json!("UNAVAILABLE"))
    );
    assert_eq!(last["payload"]["status"], "error", "an error and a payload together");
}

#[tokio::test(start_paused = true)]
async fn waiting_for_an_unknown_run_takes_the_whole_time() {
    let sim = SimGateway::builder().start_pipe();
    let mut client = Client::hello(&sim).await;
    let begin = crate::now();
    let answer = client.ok("agent.wait", json!({"runId": "zz", "timeoutMs": 300})).await;
    assert_eq!(answer, json!({"runId": "zz", "status": "timeout"}));
    assert_eq!(begin.elapsed(), Duration::from_millis(300));
}

#[tokio::test(start_paused = true)]
async fn a_crash_loses_the_turn_on_generation_3_and_generation_4_takes_it_up_again() {
    for (generation, resumed) in [(Generation::V3, 0), (Generation::V4, 1)] {
        let sim = SimGateway::builder().generation(generation).chat(slow()).start_pipe();
        let mut client = Client::hello(&sim).await;
        client.ok("chat.send", text("k", "one")).await;
        client.chat("delta").await;
        sim.kill().await;
        assert_eq!(client.closed().await, None);
        sim.start_again().await;
        let mut client = Client::hello(&sim).await;
        let history = client.ok("chat.history", json!({"sessionKey": "main"})).await;
        assert_eq!(history.get("inFlightRun").is_some(), resumed == 1, "{history}");
        let runs = |effect: &SideEffect| {
            matches!(effect, SideEffect::ChatRun { key, message, .. }
                if key != "k" && message.starts_with("[System] Your previous turn was interrupted"))
        };
        assert_eq!(sim.journal().count(runs), resumed);
        assert_eq!(
            client.ok("agent.wait", json!({"runId": "k", "timeoutMs": 5})).await["status"],
            "timeout"
        );
        if resumed == 1 {
            assert_ne!(client.chat("final").await["runId"], "k");
        }
        leaves_nothing(sim).await;
    }
}

#[tokio::test(start_paused = true)]
async fn tool_events_go_to_the_sender_with_the_cap_only() {
    let plan = ChatPlan {
        tool: true,
        ..ChatPlan::default()
    };
    let sim = SimGateway::builder().generation(Generation::V4).chat(plan).start_pipe();
    let mut sender = Client::hello(&sim).await;
    let mut other = Client::hello(&sim).await;
    other.ok("sessions.messages.subscribe", json!({"key": "main"})).await;
    sender.ok("chat.send", text("k", "one")).await;
    sender.chat("final").await;
    other.chat("final").await;
    assert!(sorts(&sender.seen).contains(&"agent:tool:start".to_owned()));
    assert!(!sorts(&other.seen).contains(&"agent:tool:start".to_owned()));
    let session_tool = |client: &Client| client.seen.iter().any(|frame| frame["event"] == "session.tool");
    assert!(session_tool(&other) && !session_tool(&sender));
    let deaf = Connect {
        caps: vec![],
        ..Connect::default()
    };
    let mut capless = Client::dial(&sim).await;
    capless.connect(&sim, deaf).await;
    capless
        .ok(
            "chat.send",
            json!({"sessionKey": "x", "message": "m", "idempotencyKey": "k2"}),
        )
        .await;
    capless.chat("final").await;
    assert!(!sorts(&capless.seen).contains(&"agent:tool:start".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_agent_is_refused_from_5_12_on_and_empty_text_everywhere() {
    for release in RELEASES {
        let sim = SimGateway::builder().release(release).start_pipe();
        let mut client = Client::hello(&sim).await;
        let params = json!({"sessionKey": "agent:nope:main", "message": "m", "idempotencyKey": "k"});
        assert_eq!(
            client.request("chat.send", params).await["ok"],
            sim.profile().index < 4,
            "{release}"
        );
        let empty = client.error("chat.send", text("e", "  ")).await;
        assert_eq!(empty["message"], "message or attachment required");
    }
}
