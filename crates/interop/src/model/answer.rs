//! Puts a behaviour into the form of a chat completion.

use std::{collections::VecDeque, convert::Infallible, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use serde_json::{Value, json};
use windlass::protocol::json::unmarked;

use super::{behaviour::Behaviour, json_response, log::Ticket};
use crate::clock;

/// Id of the one tool call that an answer makes.
const CALL_ID: &str = "call_fake_1";

/// Fields that all chunks of one answer share.
#[derive(Clone, Debug)]
struct Head {
    id: String,
    created: u64,
    model: String,
}

impl Head {
    fn new(model: &str) -> Self {
        let now = clock::since_epoch();
        Self {
            id: format!("chatcmpl-fake-{}", now.as_nanos()),
            created: now.as_secs(),
            model: model.to_owned(),
        }
    }

    fn object(&self, kind: &str, choices: &Value, usage: Option<Value>) -> Value {
        let mut object = json!({
            "id": self.id, "created": self.created, "model": self.model,
            "object": kind, "choices": choices,
        });
        if let Some(usage) = usage {
            object["usage"] = usage;
        }
        object
    }

    fn event(&self, delta: &Value, finish: Option<&str>) -> Bytes {
        let choices = json!([{"index": 0, "delta": delta, "finish_reason": finish}]);
        event(&self.object("chat.completion.chunk", &choices, None))
    }
}

fn event(object: &Value) -> Bytes {
    Bytes::from(format!("data: {}\n\n", unmarked(&object.to_string())))
}

/// The rest of a streamed answer.
struct Script {
    steps: VecDeque<(Bytes, Duration)>,
    /// True when the stream never ends after its steps.
    hangs: bool,
    ticket: Option<Ticket>,
}

/// The answer as a stream of server events.
pub(super) fn streamed(behaviour: Behaviour, model: &str, ticket: Ticket) -> Response {
    let script = script(behaviour, &Head::new(model), ticket);
    let body = Body::from_stream(stream::unfold(script, next_piece));
    let headers = [(CONTENT_TYPE, "text/event-stream")];
    (StatusCode::OK, headers, body).into_response()
}

async fn next_piece(mut script: Script) -> Option<(Result<Bytes, Infallible>, Script)> {
    let Some((piece, pause)) = script.steps.pop_front() else {
        if script.hangs {
            // The client's going away drops this future and with it the ticket.
            std::future::pending::<()>().await;
        }
        return None;
    };
    tokio::time::sleep(pause).await;
    if script.steps.is_empty()
        && !script.hangs
        && let Some(ticket) = script.ticket.take()
    {
        ticket.finish();
    }
    Some((Ok(piece), script))
}

/// The pieces of a streamed answer, each with the pause before it.
fn script(behaviour: Behaviour, head: &Head, ticket: Ticket) -> Script {
    let opening = head.event(&json!({"role": "assistant", "content": ""}), None);
    let mut steps = VecDeque::from([(opening, Duration::ZERO)]);
    let hangs = match behaviour {
        Behaviour::Say { chunks, pause } => {
            let said = chunks.len();
            let mut before = Duration::ZERO;
            for chunk in chunks {
                let piece = head.event(&json!({ "content": chunk }), None);
                steps.push_back((piece, std::mem::replace(&mut before, pause)));
            }
            close(&mut steps, head, "stop", said, pause);
            false
        }
        Behaviour::CallTool { name, arguments } => {
            let calls = json!({"tool_calls": [tool_call(&name, &arguments)]});
            steps.push_back((head.event(&calls, None), Duration::ZERO));
            close(&mut steps, head, "tool_calls", 0, Duration::ZERO);
            false
        }
        Behaviour::Hang | Behaviour::Refuse(_) => true,
    };
    Script {
        steps,
        hangs,
        ticket: Some(ticket),
    }
}

/// Adds the end of every answer: the reason, after `pause`, the usage, and the end mark.
fn close(steps: &mut VecDeque<(Bytes, Duration)>, head: &Head, finish: &str, said: usize, pause: Duration) {
    let usage = head.object("chat.completion.chunk", &json!([]), Some(usage(said)));
    steps.push_back((head.event(&json!({}), Some(finish)), pause));
    steps.push_back((event(&usage), Duration::ZERO));
    steps.push_back((Bytes::from_static(b"data: [DONE]\n\n"), Duration::ZERO));
}

/// The answer in one piece, after the time that its stream would take.
pub(super) async fn whole(behaviour: Behaviour, model: &str, ticket: Ticket) -> Response {
    let (message, finish, said) = match behaviour {
        Behaviour::Say { chunks, pause } => {
            let said = chunks.len();
            tokio::time::sleep(pause * u32::try_from(said).unwrap_or(u32::MAX)).await;
            (json!({"role": "assistant", "content": chunks.concat()}), "stop", said)
        }
        Behaviour::CallTool { name, arguments } => {
            let calls = json!([tool_call(&name, &arguments)]);
            let message = json!({"role": "assistant", "content": null, "tool_calls": calls});
            (message, "tool_calls", 0)
        }
        Behaviour::Hang | Behaviour::Refuse(_) => std::future::pending().await,
    };
    ticket.finish();
    let choices = json!([{"index": 0, "message": message, "finish_reason": finish}]);
    let head = Head::new(model);
    let object = head.object("chat.completion", &choices, Some(usage(said)));
    json_response(StatusCode::OK, &object)
}

fn tool_call(name: &str, arguments: &str) -> Value {
    json!({
        "index": 0, "id": CALL_ID, "type": "function",
        "function": {"name": name, "arguments": arguments},
    })
}

fn usage(said: usize) -> Value {
    json!({"prompt_tokens": 10, "completion_tokens": said, "total_tokens": 10 + said})
}
