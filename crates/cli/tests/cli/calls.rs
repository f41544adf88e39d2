//! `windlass call`: payloads and exit codes.

use std::net::TcpListener;

use serde_json::{Value, json};
use windlass_testkit::{Generation, WireError};

use crate::harness::{Harness, TOKEN, gateway};

#[tokio::test]
async fn a_payload_goes_to_stdout_and_nothing_to_stderr() {
    for generation in [Generation::V3, Generation::V4] {
        let sim = gateway().generation(generation).start_tcp().await.unwrap();
        let harness = Harness::of(&sim);
        let ran = harness
            .run(&["call", "agents.list", "--url", &sim.url()])
            .await
            .ends_with(0);
        let payload: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert!(payload["agents"].is_array(), "{payload}");
        assert_eq!(ran.stderr, "");
        let shown = harness
            .run(&["call", "agents.list", "--json"])
            .await
            .ends_with(0)
            .json();
        assert_eq!(
            (&shown["outcome"], &shown["payload"]["agents"]),
            (&json!("ok"), &payload["agents"])
        );
    }
}

#[tokio::test]
async fn parameters_come_from_argument_and_file_and_the_key_from_its_flag() {
    let sim = gateway().start_tcp().await.unwrap();
    let params = json!({"sessionKey": "agent:main:main", "message": "hi"}).to_string();
    let harness = Harness::of(&sim).file("params.json", &params);
    harness
        .run(&["call", "chat.send", &params, "--key", "k1"])
        .await
        .ends_with(0);
    harness
        .run(&["call", "chat.send", "@params.json", "--key", "k1"])
        .await
        .ends_with(0);
    harness
        .run(&["call", "chat.send", "@none.json"])
        .await
        .ends_with(2)
        .tells(&["none.json"]);
    assert_eq!(sim.journal().runs_of("hi"), 1);
}

#[tokio::test]
async fn what_steers_a_terminal_is_written_out() {
    let sim = gateway().start_tcp().await.unwrap();
    sim.script().reply("health", json!({"text": "\u{1b}[2J\u{9b}\u{202e}"}));
    let ran = Harness::of(&sim).run(&["call", "health"]).await.ends_with(0);
    assert!(
        !ran.stdout
            .chars()
            .any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'),
        "{ran:?}"
    );
    let payload: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(payload["text"], "\u{1b}[2J\u{9b}\u{202e}");
}

#[tokio::test]
async fn a_rejected_call_ends_with_1() {
    let sim = gateway().start_tcp().await.unwrap();
    let ran = Harness::of(&sim)
        .run(&["call", "no.such.method", "--json"])
        .await
        .ends_with(1)
        .tells(&["error:", "next:"]);
    assert_eq!(
        (&ran.json()["outcome"], &ran.json()["error"]["code"]),
        (&json!("rejected"), &json!("INVALID_REQUEST"))
    );
}

#[tokio::test]
async fn parameters_that_are_no_json_end_with_2_before_anything_is_sent() {
    let sim = gateway().start_tcp().await.unwrap();
    Harness::of(&sim)
        .run(&["call", "health", "{"])
        .await
        .ends_with(2)
        .tells(&["line 1, column 1"]);
    assert_eq!(sim.journal().connect_attempts(), 0);
}

#[tokio::test]
async fn a_gateway_that_is_not_there_ends_with_3() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let harness = Harness::new().with("WINDLASS_URL", &format!("ws://{port}"));
    let ran = harness.run(&["call", "health", "--no-wait"]).await.ends_with(3);
    ran.tells(&["Not sent", "refused", "next: Check that the gateway runs"]);
    harness
        .run(&["call", "health", "--timeout", "2s"])
        .await
        .ends_with(3)
        .tells(&["Trying again"]);
}

#[tokio::test]
async fn a_call_waits_for_a_gateway_that_comes_up() {
    let sim = gateway().start_tcp().await.unwrap();
    sim.stop().await;
    let harness = Harness::of(&sim);
    let args = ["call", "health", "--timeout", "30s"];
    let (ran, ()) = tokio::join!(harness.run(&args), async {
        sim.wait_for(|journal| journal.connect_attempts() == 0).await.unwrap();
        sim.start_again().await;
    });
    ran.ends_with(0);
}

#[tokio::test]
async fn something_else_at_the_address_ends_with_3() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let app = axum::Router::new();
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    Harness::new()
        .with("WINDLASS_URL", &url)
        .run(&["call", "health"])
        .await
        .ends_with(3)
        .tells(&["HTTP 404", "next:"]);
    server.abort();
}

#[tokio::test]
async fn a_wrong_or_missing_token_ends_with_4() {
    let sim = gateway().start_tcp().await.unwrap();
    let wrong = Harness::new()
        .with("WINDLASS_URL", &sim.url())
        .with("WINDLASS_TOKEN", "wrong-one");
    let ran = wrong
        .run(&["call", "health"])
        .await
        .ends_with(4)
        .tells(&["gateway.auth.token"]);
    assert!(!ran.stderr.contains("wrong-one"));
    let missing = Harness::new().with("WINDLASS_URL", &sim.url());
    missing
        .run(&["call", "health"])
        .await
        .ends_with(4)
        .tells(&["token", "next:"]);
    let logins = sim.journal().records().iter().filter(|record| refused(record)).count();
    assert_eq!(logins, 2, "each run logs in once");
}

fn refused(record: &windlass_testkit::Record) -> bool {
    matches!(record.entry, windlass_testkit::Entry::Refused { .. })
}

#[tokio::test]
async fn a_device_that_is_not_paired_ends_with_4_and_the_command_that_approves_it() {
    let sim = gateway().remote(true).start_tcp().await.unwrap();
    let harness = Harness::of(&sim);
    let ran = harness.run(&["call", "agents.list"]).await.ends_with(4);
    let request = sim.pending_pairings()[0].request_id.clone();
    ran.tells(&[&format!("openclaw devices approve {request}")]);
    assert!(sim.approve_pairing(&request));
    harness.run(&["call", "agents.list"]).await.ends_with(0);
}

#[tokio::test]
async fn a_missing_scope_ends_with_4_on_both_generations() {
    for generation in [Generation::V3, Generation::V4] {
        let sim = gateway().generation(generation).start_tcp().await.unwrap();
        let file = format!(
            "[gateways.a]\nurl = \"{}\"\ntoken_env = \"T\"\nscopes = [\"operator.read\"]\n",
            sim.url()
        );
        let harness = Harness::new().with("T", TOKEN).configured(&file);
        let create = ["call", "agents.create", "{\"name\":\"x\",\"workspace\":\"/tmp/x\"}"];
        harness.run(&create).await.ends_with(4).tells(&["operator.admin"]);
    }
}

#[tokio::test]
async fn a_call_that_is_not_answered_ends_with_5() {
    let sim = gateway().start_tcp().await.unwrap();
    sim.script().never_answer("health");
    let ran = Harness::of(&sim)
        .run(&["call", "health", "--timeout", "1s", "--json"])
        .await
        .ends_with(5);
    assert_eq!(ran.tells(&["timed out"]).json()["outcome"], "timed-out");
}

#[tokio::test]
async fn a_call_whose_outcome_is_unknown_ends_with_5_and_is_not_repeated() {
    let sim = gateway().start_tcp().await.unwrap();
    sim.script().once().drop_connection_before_answer("agents.create");
    let create = [
        "call",
        "agents.create",
        "{\"name\":\"x\",\"workspace\":\"/tmp/x\"}",
        "--json",
    ];
    let ran = Harness::of(&sim).run(&create).await.ends_with(5);
    assert_eq!(ran.tells(&["outcome unknown"]).json()["outcome"], "unknown");
    assert_eq!(sim.journal().executions("agents.create"), 1);
}

#[tokio::test]
async fn a_busy_gateway_is_a_rejection_that_says_when_to_come_back() {
    let sim = gateway().start_tcp().await.unwrap();
    sim.script().fail(
        "config.patch",
        WireError::new("UNAVAILABLE", "rate limit").retry_after_ms(58_276),
    );
    Harness::of(&sim)
        .run(&["call", "config.patch", "{}"])
        .await
        .ends_with(1)
        .tells(&["59 s"]);
}

#[tokio::test]
async fn the_last_of_two_answers_is_waited_for_on_demand() {
    let sim = gateway().start_tcp().await.unwrap();
    let harness = Harness::of(&sim);
    let params = json!({"agentId": "main", "message": "hi", "sessionKey": "agent:main:main"}).to_string();
    let first = harness
        .run(&["call", "agent", &params, "--json"])
        .await
        .ends_with(0)
        .json();
    let last = harness
        .run(&["call", "agent", &params, "--final", "--json"])
        .await
        .ends_with(0)
        .json();
    assert_eq!(
        (&first["payload"]["status"], &last["payload"]["status"]),
        (&json!("accepted"), &json!("ok"))
    );
}
