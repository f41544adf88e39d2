//! The fake model over a real loopback connection.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::*;

const LONG: Duration = Duration::from_secs(30);

/// Sends one chat completion and hands back the open connection.
async fn ask(model: &FakeModel, body: &Value) -> TcpStream {
    let mut line = TcpStream::connect(model.address).await.expect("the model listens");
    let body = body.to_string();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    line.write_all(format!("{head}{body}").as_bytes())
        .await
        .expect("it reads");
    line
}

async fn answer(model: &FakeModel, body: &Value) -> String {
    let mut text = String::new();
    let mut line = ask(model, body).await;
    tokio::time::timeout(LONG, line.read_to_string(&mut text))
        .await
        .expect("an answer in time")
        .expect("an answer");
    text
}

fn user(text: &str) -> Value {
    json!({"model": "fake-1", "stream": true, "messages": [{"role": "user", "content": text}]})
}

/// The objects of all server events in an answer.
fn events(answer: &str) -> Vec<Value> {
    let objects = answer.lines().filter_map(|line| line.strip_prefix("data: "));
    objects.filter_map(|object| serde_json::from_str(object).ok()).collect()
}

fn said(answer: &str) -> String {
    let content = |event: &Value| Some(event["choices"][0]["delta"]["content"].as_str()?.to_owned());
    events(answer).iter().filter_map(content).collect()
}

#[tokio::test]
async fn an_ordinary_text_is_streamed_back_and_logged() {
    let model = FakeModel::start().await.expect("a free port");
    let answer = answer(&model, &user("how are you")).await;
    assert_eq!(said(&answer), "echo: how are you");
    assert!(answer.contains("data: [DONE]"), "{answer}");
    assert!(answer.contains("text/event-stream"), "{answer}");
    let request = model.log().requests().remove(0);
    assert_eq!((request.number, request.words.as_str()), (1, "how are you"));
    assert_eq!(request.progress, ProvisionProgress::Answered);
}

#[tokio::test]
async fn context_messages_behind_the_users_are_looked_through() {
    let model = FakeModel::start().await.expect("a free port");
    let context = "<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>x<<<END_OPENCLAW_INTERNAL_CONTEXT>>>";
    let parts = json!([{"type": "text", "text": "hello"}]);
    let body = json!({"stream": true, "messages": [
        {"role": "system", "content": "be good"},
        {"role": "user", "content": parts},
        {"role": "user", "content": context},
    ]});
    assert_eq!(said(&answer(&model, &body).await), "echo: hello");
    assert_eq!(model.log().requests()[0].roles, ["system", "user", "user"]);
}

#[tokio::test]
async fn a_refusal_carries_its_status_and_an_error_body() {
    let model = FakeModel::start().await.expect("a free port");
    let answer = answer(&model, &user("HTTP:429")).await;
    assert!(answer.starts_with("HTTP/1.1 429"), "{answer}");
    assert!(answer.contains("fake_429"), "{answer}");
}

#[tokio::test]
async fn a_tool_run_asks_for_the_tool_and_then_tells_its_result() {
    let model = FakeModel::start().await.expect("a free port");
    let order = "TOOL:read:{\"path\":\"a.md\"}";
    let first = answer(&model, &user(order)).await;
    let call = events(&first)
        .into_iter()
        .find_map(|event| event["choices"][0]["delta"].get("tool_calls").cloned())
        .expect("a tool call");
    assert_eq!(call[0]["function"]["name"], "read");
    assert_eq!(call[0]["function"]["arguments"], "{\"path\":\"a.md\"}");
    let second = json!({"stream": true, "messages": [
        {"role": "user", "content": order},
        {"role": "assistant", "content": null, "tool_calls": call},
        {"role": "tool", "content": "contents"},
    ]});
    assert_eq!(said(&answer(&model, &second).await), "tool said: contents");
}

#[tokio::test]
async fn a_hanging_answer_is_aborted_when_the_client_goes() {
    let model = FakeModel::start().await.expect("a free port");
    let mut line = ask(&model, &user("HANG")).await;
    let mut first = [0; 12];
    line.read_exact(&mut first).await.expect("the headers come");
    assert_eq!(&first, b"HTTP/1.1 200");
    drop(line);
    let aborted = model
        .log()
        .wait_for(LONG, |r| r.progress == ProvisionProgress::Aborted)
        .await;
    assert_eq!(aborted.map(|r| r.words), Some("HANG".to_owned()));
}

#[tokio::test]
async fn an_answer_that_is_not_streamed_comes_whole() {
    let model = FakeModel::start().await.expect("a free port");
    let body = json!({"messages": [{"role": "user", "content": "SLOW:2:1"}]});
    let answer = answer(&model, &body).await;
    assert!(answer.contains("part 1 of 2. part 2 of 2. "), "{answer}");
}

#[tokio::test]
async fn a_body_that_is_no_request_is_refused() {
    let model = FakeModel::start().await.expect("a free port");
    let answer = answer(&model, &json!([1])).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert_eq!(model.log().count(), 0);
}

#[tokio::test]
async fn half_a_character_is_sent_as_its_escape() {
    let model = FakeModel::start().await.expect("a free port");
    let answer = answer(&model, &user("say HALF")).await;
    assert!(answer.contains(r#""content":"\ud83d""#), "{answer}");
}
