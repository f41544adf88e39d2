//! Messages to sessions.

use axum::http::Method;
use serde_json::{Value, json};

use crate::harness::{Bench, Reply};

const PATH: &str = "/api/v1/gateways/lab/messages";

async fn say(bench: &Bench, key: &str, text: &str, wait: Option<&str>) -> Reply {
    let bearer = format!("Bearer {}", bench.admin);
    let mut headers = vec![("authorization", &*bearer), ("idempotency-key", key)];
    headers.extend(wait.map(|wait| ("prefer", wait)));
    let body = json!({"session": "agent:main:main", "text": text});
    bench.send(Method::POST, PATH, &headers, Some(body)).await
}

#[tokio::test]
async fn a_message_is_accepted_at_once_and_its_end_is_told_later() {
    let bench = Bench::with_gateway().await;
    let sent = say(&bench, "k1", "hello", None).await.expect(202);
    assert_eq!(
        (&sent["key"], &sent["url"]),
        (&json!("k1"), &json!("/api/v1/messages/k1"))
    );
    let mut events = bench.stream("/api/v1/messages/k1/events", None).await;
    let mut text = String::new();
    let end = loop {
        let (name, data) = events.next().await.expect("the end comes before the end of the stream");
        match &*name {
            "increment" => text.push_str(data["text"].as_str().unwrap()),
            "replaced" => data["text"].as_str().unwrap().clone_into(&mut text),
            "end" => break data,
            _ => {}
        }
    };
    assert_eq!(end["outcome"], "final");
    assert_eq!(end["text"], json!(text));
    assert_eq!(events.next().await, None, "nothing comes after the end");
    assert_eq!(bench.get("/api/v1/messages/k1").await.expect(200)["end"], end);
    bench.end().await;
}

#[tokio::test]
async fn a_repeated_key_is_the_same_message_and_runs_once() {
    let bench = Bench::with_gateway().await;
    let ended = say(&bench, "k1", "once, please", Some("wait=20")).await.expect(200);
    let again = say(&bench, "k1", "once, please", Some("wait=20")).await.expect(200);
    assert_eq!(ended["end"], again["end"]);
    let (one, other) = tokio::join!(say(&bench, "k2", "twice?", None), say(&bench, "k2", "twice?", None));
    assert_eq!((&one.body["key"], &other.body["key"]), (&json!("k2"), &json!("k2")));
    say(&bench, "k2", "twice?", Some("wait=20")).await.expect(200);
    let journal = bench.sims[0].journal();
    assert_eq!((journal.runs_of("once, please"), journal.runs_of("twice?")), (1, 1));
    bench.end().await;
}

#[tokio::test]
async fn another_text_under_the_same_key_is_a_conflict() {
    let bench = Bench::with_gateway().await;
    say(&bench, "k1", "one text", Some("wait=20")).await.expect(200);
    let refused = say(&bench, "k1", "another text", None).await.expect(409);
    assert_eq!(refused["field"], "Idempotency-Key");
    assert_eq!(bench.sims[0].journal().runs_of("another text"), 0);
    bench.end().await;
}

#[tokio::test]
async fn a_wait_that_is_too_long_and_an_unknown_key_are_refused() {
    let bench = Bench::with_gateway().await;
    assert_eq!(
        say(&bench, "k1", "x", Some("wait=601")).await.expect(422)["field"],
        "Prefer"
    );
    assert_eq!(bench.get("/api/v1/messages/nothing").await.problem(404), "not_found");
    bench.end().await;
}

#[tokio::test]
async fn a_position_continues_a_message_and_a_foreign_one_gets_the_whole_text() {
    let bench = Bench::with_gateway().await;
    let ended: Value = say(&bench, "k1", "hello", Some("wait=20")).await.expect(200);
    let path = "/api/v1/messages/k1/events";
    let mut events = bench.stream(path, None).await;
    while events.next().await.is_some() {}
    let last = events.last.clone().unwrap();
    let mut rest = bench.stream(path, Some(&last)).await;
    while let Some((name, _)) = rest.next().await {
        assert!(name == "started" || name == "end", "{name} was told already");
    }
    let mut foreign = bench.stream(path, Some("1-0-3")).await;
    assert_eq!(foreign.next_of("replaced").await["text"], ended["end"]["text"]);
    bench.end().await;
}
