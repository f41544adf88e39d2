//! Frames as plain JSON values, built without the protocol crate so that the simulation stays an
//! independent oracle for it.

use serde_json::{Map, Value, json};

use super::halves;

/// An error object as it travels in a response: `{code, message, details?, retryable?, retryAfterMs?}`.
///
/// ```
/// use windlass_testkit::WireError;
/// let busy = WireError::new("UNAVAILABLE", "busy").retry_after_ms(500);
/// assert_eq!(busy.to_json()["retryable"], true);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct WireError {
    code: String,
    message: String,
    details: Option<Value>,
    retryable: Option<bool>,
    retry_after_ms: Option<u64>,
}

impl WireError {
    /// An error with only a code and a message.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            details: None,
            retryable: None,
            retry_after_ms: None,
        }
    }

    /// `INVALID_REQUEST`, the code of most refusals.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new("INVALID_REQUEST", message)
    }

    /// Adds `details`.
    pub fn details(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }

    /// Sets `retryable` without a delay.
    pub fn retryable(mut self, retryable: bool) -> Self {
        self.retryable = Some(retryable);
        self
    }

    /// Marks the error retryable after this many milliseconds.
    pub fn retry_after_ms(mut self, ms: u64) -> Self {
        self.retryable = Some(true);
        self.retry_after_ms = Some(ms);
        self
    }

    /// The message, which is also the close reason of a refused handshake.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The object that goes into the frame.
    pub fn to_json(&self) -> Value {
        let mut object = Map::new();
        object.insert("code".into(), json!(self.code));
        object.insert("message".into(), json!(self.message));
        if let Some(details) = &self.details {
            object.insert("details".into(), details.clone());
        }
        if let Some(retryable) = self.retryable {
            object.insert("retryable".into(), json!(retryable));
        }
        if let Some(ms) = self.retry_after_ms {
            object.insert("retryAfterMs".into(), json!(ms));
        }
        Value::Object(object)
    }
}

/// A response frame. `id` is a value because a gateway echoes even an id that is no string
/// (seen on 2026.9.6: `5` comes back as `5`).
pub(crate) fn response(id: &Value, result: &Result<Value, WireError>) -> String {
    halves::written(&match result {
        Ok(payload) => json!({"type": "res", "id": id, "ok": true, "payload": payload}),
        Err(error) => json!({"type": "res", "id": id, "ok": false, "error": error.to_json()}),
    })
}

/// A failed response that carries a payload besides the error, as the second answer of `agent` does on 2026.9.6.
pub(crate) fn failed_with_payload(id: &Value, error: &WireError, payload: &Value) -> String {
    halves::written(&json!({"type": "res", "id": id, "ok": false, "error": error.to_json(), "payload": payload}))
}

/// An event frame. `state` is `(presence, health)` and only `presence` and `health` events have it.
pub(crate) fn event(name: &str, payload: &Value, seq: Option<u64>, state: Option<(u64, u64)>) -> String {
    let mut frame = Map::new();
    frame.insert("type".into(), json!("event"));
    frame.insert("event".into(), json!(name));
    frame.insert("payload".into(), payload.clone());
    if let Some(seq) = seq {
        frame.insert("seq".into(), json!(seq));
    }
    if let Some((presence, health)) = state {
        frame.insert("stateVersion".into(), json!({"presence": presence, "health": health}));
    }
    halves::written(&Value::Object(frame))
}

/// What a raw text turned out to be.
pub(crate) enum Inbound {
    /// Not JSON at all.
    Garbage,
    /// JSON, but no request frame: the id to answer with and the complaint.
    Invalid {
        id: Value,
        message: String,
    },
    Request {
        id: String,
        method: String,
        params: Value,
    },
}

/// Reads a frame as a gateway does; the object is closed, and has `traceparent` only on some releases.
pub(crate) fn parse(text: &str, traceparent: bool) -> Inbound {
    let Ok(value) = halves::read(text) else {
        return Inbound::Garbage;
    };
    let Value::Object(mut object) = value else {
        return Inbound::Invalid {
            id: json!("invalid"),
            message: "invalid request frame: must be object".into(),
        };
    };
    let complaints = complaints(&object, traceparent);
    // Echoed as it is for a frame with a string or number id, except that an event is answered to `invalid`.
    let id = object.remove("id").unwrap_or_else(|| json!("invalid"));
    if !complaints.is_empty() {
        return Inbound::Invalid {
            id,
            message: format!("invalid request frame: {}", complaints.join("; ")),
        };
    }
    match (id, object.remove("method")) {
        (Value::String(id), Some(Value::String(method))) => Inbound::Request {
            id,
            method,
            params: object.remove("params").unwrap_or_else(|| json!({})),
        },
        (id, _) => Inbound::Invalid {
            id,
            message: "invalid request frame".into(),
        },
    }
}

fn complaints(object: &Map<String, Value>, traceparent: bool) -> Vec<String> {
    const KNOWN: [&str; 5] = ["type", "id", "method", "params", "expectedProfileId"];
    let mut found = Vec::new();
    for key in ["type", "id", "method"] {
        if !object.contains_key(key) {
            found.push(format!("must have required property '{key}'"));
        }
    }
    found.extend(
        object
            .keys()
            .filter(|key| !(KNOWN.contains(&key.as_str()) || traceparent && *key == "traceparent"))
            .map(|key| format!("at root: unexpected property '{key}'")),
    );
    if object.get("type").is_some_and(|kind| kind != "req") {
        found.push("at /type: must be equal to constant".into());
    }
    for key in ["id", "method"] {
        match object.get(key) {
            Some(Value::String(text)) if text.is_empty() => {
                found.push(format!("at /{key}: must not have fewer than 1 characters"));
            }
            Some(Value::String(_)) | None => {}
            Some(_) => found.push(format!("at /{key}: must be string")),
        }
    }
    found
}
