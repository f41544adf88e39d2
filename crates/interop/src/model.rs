//! A fake model: an OpenAI-compatible chat-completions server on loopback.
//!
//! Real releases run their agents against it. A scenario selects the behaviour of the "model" by the
//! text that it sends: see [`Behaviour::choose`]. It streams as a real one does (one server event for
//! each chunk, a usage chunk, `[DONE]`) and keeps a bounded log of its requests.

mod answer;
mod behaviour;
mod log;
mod prompt;
#[cfg(test)]
mod tests;

use std::{io, net::SocketAddr};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};
use windlass::protocol::json::{decode, unmarked};

pub use self::{
    behaviour::Behaviour,
    log::{ModelLog, ModelRequest, ProvisionProgress},
    prompt::user_words,
};

/// Names of the models that the server offers.
pub const MODELS: [&str; 2] = ["fake-1", "fake-2"];

/// Largest accepted request. A prompt is about 100 kB; scenarios send messages of up to 25 MiB.
const MAX_REQUEST: usize = 64 * 1024 * 1024;

/// A running fake model. Dropping it stops the server and cuts its connections.
#[derive(Debug)]
pub struct FakeModel {
    address: SocketAddr,
    log: ModelLog,
    server: JoinHandle<()>,
}

impl FakeModel {
    /// Starts a server on a free port of the loopback address.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let log = ModelLog::new();
        let app = router(log.clone());
        let server = tokio::spawn(async move {
            // `serve` retries failed accepts by itself and returns no error that means anything.
            drop(axum::serve(listener, app).await);
        });
        Ok(Self { address, log, server })
    }

    /// Base URL for a provider of kind `openai-completions`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The requests to the model so far.
    pub fn log(&self) -> &ModelLog {
        &self.log
    }
}

impl Drop for FakeModel {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn router(log: ModelLog) -> Router {
    Router::new()
        .route("/v1/models", get(list_models))
        .route("/v1/chat/completions", post(complete))
        .layer(DefaultBodyLimit::max(MAX_REQUEST))
        .with_state(log)
}

async fn list_models() -> Response {
    let data: Vec<Value> = MODELS
        .iter()
        .map(|id| json!({"id": id, "object": "model", "owned_by": "fake"}))
        .collect();
    json_response(StatusCode::OK, &json!({"object": "list", "data": data}))
}

/// The parts of a chat-completions request that matter here.
#[derive(Debug, Default, Deserialize)]
struct Completion {
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    stream: bool,
    #[serde(default)]
    messages: Vec<Message>,
    #[serde(default)]
    tools: Vec<Value>,
}

#[derive(Debug, Deserialize)]
struct Message {
    role: String,
    #[serde(default)]
    content: Value,
}

impl Message {
    /// The text of the message: a string, or the texts of its parts.
    fn text(&self) -> String {
        match &self.content {
            Value::String(text) => text.clone(),
            Value::Array(parts) => parts
                .iter()
                .filter_map(|part| part.get("text").and_then(Value::as_str))
                .collect(),
            _ => String::new(),
        }
    }
}

async fn complete(State(log): State<ModelLog>, body: Bytes) -> Response {
    // A text that a gateway forwards may have half a character in it.
    let request: Completion = match decode(&String::from_utf8_lossy(&body)) {
        Ok(request) => request,
        Err(error) => return refusal(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let noted = note(&request);
    let behaviour = Behaviour::choose(&noted.words, noted.tool_result.as_deref());
    let model = noted.model.clone();
    let ticket = log.open(noted);
    match (behaviour, request.stream) {
        (Behaviour::Refuse(status), _) => {
            ticket.finish();
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            refusal(status, &format!("fake failure {}", status.as_u16()))
        }
        (behaviour, true) => answer::streamed(behaviour, &model, ticket),
        (behaviour, false) => answer::whole(behaviour, &model, ticket).await,
    }
}

fn note(request: &Completion) -> ModelRequest {
    let (words, tool_result) = last_turn(&request.messages);
    let tool_name = |tool: &Value| Some(tool["function"]["name"].as_str()?.to_owned());
    ModelRequest {
        number: 0,
        model: request.model.clone().unwrap_or_else(|| MODELS[0].to_owned()),
        stream: request.stream,
        words,
        tool_result,
        tools: request.tools.iter().filter_map(tool_name).collect(),
        roles: request.messages.iter().map(|m| m.role.clone()).collect(),
        prompt: request.messages.iter().map(Message::text).collect(),
        progress: ProvisionProgress::Answering,
    }
}

/// The words of the last user message that has any, and the last tool result after it.
///
/// 2026.9 adds its runtime context as further user messages: those have no words of the user.
fn last_turn(messages: &[Message]) -> (String, Option<String>) {
    let mut tool_result = None;
    for message in messages.iter().rev() {
        match message.role.as_str() {
            "tool" if tool_result.is_none() => tool_result = Some(message.text()),
            "user" => {
                let words = user_words(&message.text());
                if !words.is_empty() {
                    return (words, tool_result);
                }
            }
            _ => {}
        }
    }
    (String::new(), tool_result)
}

fn refusal(status: StatusCode, message: &str) -> Response {
    let code = format!("fake_{}", status.as_u16());
    let error = json!({"message": message, "type": "fake_error", "code": code});
    json_response(status, &json!({ "error": error }))
}

fn json_response(status: StatusCode, body: &Value) -> Response {
    let headers = [(CONTENT_TYPE, "application/json")];
    (status, headers, unmarked(&body.to_string()).into_owned()).into_response()
}
