//! Prescribed answers.

use std::time::Duration;

use serde_json::{Value, json};
use windlass_testkit::{SimGateway, Stop, WireError};

use crate::client::{Client, Connect};
use crate::leaves_nothing;

fn text(key: &str) -> Value {
    json!({"sessionKey": "main", "message": key, "idempotencyKey": key})
}

#[tokio::test(start_paused = true)]
async fn replies_and_failures_execute_nothing() {
    let sim = SimGateway::builder().start_pipe();
    let mut client = Client::hello(&sim).await;
    sim.script().once().reply("chat.send", json!({"made": "up"}));
    sim.script()
        .once()
        .fail("chat.send", WireError::new("UNAVAILABLE", "busy").retry_after_ms(5));
    assert_eq!(client.ok("chat.send", text("a")).await, json!({"made": "up"}));
    let error = client.error("chat.send", text("a")).await;
    assert_eq!(
        error,
        json!({"code": "UNAVAILABLE", "message": "busy", "retryable": true, "retryAfterMs": 5})
    );
    assert_eq!(sim.journal().executions("chat.send"), 0);
    client.ok("chat.send", text("a")).await;
    assert_eq!(sim.journal().runs_of("a"), 1);
    sim.script().reply("future.method", json!(7));
    assert_eq!(
        client.ok("future.method", json!({})).await,
        json!(7),
        "even an unknown method"
    );
}

#[tokio::test(start_paused = true)]
async fn a_cut_before_the_answer_leaves_the_deed_done_and_one_before_execution_undone() {
    for (before_answer, runs) in [(true, 1), (false, 0)] {
        let sim = SimGateway::builder().start_pipe();
        let mut client = Client::hello(&sim).await;
        if before_answer {
            sim.script().once().drop_connection_before_answer("chat.send");
        } else {
            sim.script().once().drop_connection_before_execution("chat.send");
        }
        client.send("chat.send", text("a")).await;
        assert_eq!(client.closed().await, None);
        let mut client = Client::hello(&sim).await;
        assert_eq!(sim.journal().runs_of("a"), runs);
        client.ok("chat.send", text("a")).await;
        assert_eq!(sim.journal().runs_of("a"), 1, "the same key never runs twice");
        leaves_nothing(sim).await;
    }
}

#[tokio::test(start_paused = true)]
async fn answers_are_delayed_held_doubled_or_never_given() {
    let sim = SimGateway::builder().start_pipe();
    let mut client = Client::hello(&sim).await;
    let begin = crate::now();
    sim.script().once().delay("health", Duration::from_secs(3));
    client.ok("health", json!({})).await;
    assert_eq!(begin.elapsed(), Duration::from_secs(3));

    sim.script().hold("health");
    let held = client.send("health", json!({})).await;
    client.ok("status", json!({})).await;
    assert_eq!(sim.journal().executions("health"), 2, "executed, not answered");
    sim.script().release("health");
    client.response(&held).await;
    sim.script().clear("health");

    sim.script().once().duplicate_answer("health");
    let id = client.send("health", json!({})).await;
    assert_eq!(client.response(&id).await["id"], client.response(&id).await["id"]);

    sim.script().once().never_answer("health");
    client.send("health", json!({})).await;
    client.events.clear();
    client.ok("status", json!({})).await;
    assert_eq!(client.events.iter().filter(|frame| frame["type"] == "res").count(), 0);
}

#[tokio::test(start_paused = true)]
async fn answers_with_wrong_ids_and_texts_that_are_no_frames() {
    let sim = SimGateway::builder().start_pipe();
    let mut client = Client::hello(&sim).await;
    sim.script().once().answer_with_unknown_id("health");
    let id = client.send("health", json!({})).await;
    let answer = client.frame().await;
    assert!(answer["ok"] == true && answer["id"] != json!(id));
    sim.script().once().answer_with_id_invalid("health");
    client.send("health", json!({})).await;
    assert_eq!(client.frame().await["id"], "invalid");
    sim.script().once().answer_with_text("health", "{oops");
    client.send("health", json!({})).await;
    assert_eq!(client.frame().await, json!({"garbage": "{oops"}));
    sim.script().once().big_answer("health", 1_000_000);
    assert_eq!(
        client.ok("health", json!({})).await["padding"].as_str().map(str::len),
        Some(1_000_000)
    );
    sim.script().once().close_after("health", 1011, "internal");
    client.ok("health", json!({})).await;
    assert_eq!(client.closed().await, Some((1011, "internal".into())));
    leaves_nothing(sim).await;
}

#[tokio::test(start_paused = true)]
async fn rules_work_for_connect_too() {
    let sim = SimGateway::builder().start_pipe();
    let refusal = WireError::invalid("no entry").details(json!({"code": "AUTH_RATE_LIMITED"}));
    sim.script().once().fail("connect", refusal);
    let mut client = Client::dial(&sim).await;
    let answer = client.connect(&sim, Connect::default()).await;
    assert_eq!(answer["error"]["details"]["code"], "AUTH_RATE_LIMITED");
    assert_eq!(client.closed().await, Some((1008, "no entry".into())));
    sim.script().once().drop_connection_before_answer("connect");
    let mut client = Client::dial(&sim).await;
    client.event("connect.challenge").await;
    client.send("connect", json!({})).await;
    assert_eq!(client.closed().await, None);
    sim.script().once().hold("connect");
    let mut client = Client::dial(&sim).await;
    let challenge = client.event("connect.challenge").await;
    let params = Connect::default().params(sim.token().as_deref(), &challenge["payload"]);
    let id = client.send("connect", params).await;
    assert!(client.quiet(Duration::from_secs(5)).await);
    sim.script().release("connect");
    assert_eq!(client.response(&id).await["ok"], true);
}

#[tokio::test(start_paused = true)]
async fn a_request_can_be_carried_out_and_refused_all_the_same() {
    let sim = SimGateway::builder().start_pipe();
    let mut client = Client::hello(&sim).await;
    let error = WireError::new("UNAVAILABLE", "persisted, but a recovery restart is required");
    sim.script().once().fail_after_execution("agents.create", error);
    assert_eq!(
        client.error("agents.create", json!({"name": "a"})).await["code"],
        "UNAVAILABLE"
    );
    assert_eq!(sim.journal().executions("agents.create"), 1);
    let again = client.error("agents.create", json!({"name": "a"})).await;
    assert_eq!(again["message"], "agent \"a\" already exists");
}

#[tokio::test(start_paused = true)]
async fn a_stop_comes_at_the_chosen_request_and_nothing_more_happens_on_its_connection() {
    for (stop, done) in [(Stop::BeforeExecution, 1), (Stop::BeforeAnswer, 2)] {
        let sim = SimGateway::builder().start_pipe();
        let mut client = Client::hello(&sim).await;
        let mut frozen = sim.script().freeze_at(3, stop);
        client.ok("health", json!({})).await;
        client.ok("chat.send", text("a")).await;
        client.send("chat.send", text("b")).await;
        assert_eq!(frozen.reached().await.as_deref(), Some("chat.send"));
        client.send("chat.send", text("c")).await;
        sim.wait_for(|journal| journal.requests("chat.send").len() == 3)
            .await
            .unwrap();
        let mut other = Client::hello(&sim).await;
        other.ok("health", json!({})).await;
        assert_eq!(sim.journal().executions("chat.send"), done, "{stop:?}");
        drop((client, other));
        leaves_nothing(sim).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_is_taken_back_never_comes() {
    let sim = SimGateway::builder().start_pipe();
    let mut client = Client::hello(&sim).await;
    let mut frozen = sim.script().freeze_at(1, Stop::BeforeExecution);
    sim.script().never_freeze();
    assert_eq!(frozen.reached().await, None);
    client.ok("health", json!({})).await;
}
