//! A small raw client: JSON frames over a WebSocket.
//!
//! It checks whether a gateway is ready, records fixtures, and reads the state of a gateway
//! independently of the product. It shares no code with the product. One task owns one [`Wire`].
//! It reads only while it waits for a frame, and keeps other frames in order.

mod connect;
#[cfg(test)]
mod tests;

use std::{collections::VecDeque, time::Duration};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use thiserror::Error;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{
        self, Message,
        client::IntoClientRequest,
        http::{HeaderName, HeaderValue},
        protocol::{CloseFrame, WebSocketConfig, frame::coding::CloseCode},
    },
};

pub use self::connect::{ALL_SCOPES, ConnectAs};
use crate::clock;

/// Frames that are kept until the scenario waits for them. A turn sends some dozens; a scenario that
/// collects more without reading them has a fault.
const KEPT_FRAMES: usize = 4096;

/// Largest accepted message: above the 25 MiB that gateways allow, for their echoing errors.
const MAX_MESSAGE: usize = 64 * 1024 * 1024;

/// A fault of the connection, as seen from this side.
#[derive(Debug, Error)]
pub enum WireError {
    /// Nothing came in time.
    #[error("nothing came within {} ms while waiting for {what}", within.as_millis())]
    TimedOut {
        /// What was waited for.
        what: String,
        /// How long.
        within: Duration,
    },
    /// The WebSocket was closed while something was still expected.
    #[error("closed with {} `{}` while waiting for {what}", close.code, close.reason)]
    Closed {
        /// What was waited for.
        what: String,
        /// How it was closed.
        close: Close,
    },
    /// The connection could not be opened, or broke while sending.
    #[error("the connection failed")]
    Socket(#[from] Box<tungstenite::Error>),
    /// A frame was no JSON object.
    #[error("a frame is no JSON object")]
    NotJson,
    /// A header that was asked for cannot be sent.
    #[error("`{0}` is no header that can be sent")]
    BadHeader(String),
    /// More frames were kept than `KEPT_FRAMES`.
    #[error("more than {KEPT_FRAMES} frames came that nobody waited for")]
    TooMuch,
}

/// How a WebSocket ended. Code 1006 stands for an end without a close frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// The close code.
    pub code: u16,
    /// The reason's text, often empty.
    pub reason: String,
}

/// The side that began the end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClosedBy {
    /// [`Wire::close`].
    Us,
    /// The gateway, or the cause of a broken connection.
    Gateway,
}

/// An error that the gateway answered.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{} `{}`", self.code(), self.message())]
pub struct Refusal(pub Value);

impl Refusal {
    /// `error.code`.
    pub fn code(&self) -> &str {
        self.0["code"].as_str().unwrap_or_default()
    }

    /// `error.message`.
    pub fn message(&self) -> &str {
        self.0["message"].as_str().unwrap_or_default()
    }

    /// `error.details.code`, if the release sends one.
    pub fn detail_code(&self) -> Option<&str> {
        self.0["details"]["code"].as_str()
    }

    /// Whether the gateway says that trying again makes sense.
    pub fn is_retryable(&self) -> bool {
        self.0["retryable"].as_bool() == Some(true)
    }
}

/// Sees every frame that passes, in both directions.
pub trait Tap: Send + Sync {
    /// A frame that this side sent.
    fn sent(&self, frame: &Value);
    /// A frame that this side received.
    fn received(&self, frame: &Value);
    /// The end of the connection. When we began it, `close` is the gateway's answer to our close.
    fn closed(&self, close: &Close, by: ClosedBy);
}

/// One WebSocket connection to a gateway.
pub struct Wire {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    kept: VecDeque<Value>,
    close: Option<Close>,
    closing: ClosedBy,
    sent: u64,
    tap: Option<Box<dyn Tap>>,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire")
            .field("kept", &self.kept.len())
            .field("close", &self.close)
            .finish_non_exhaustive()
    }
}

impl Wire {
    /// Opens a connection to `url` (`ws://host:port`).
    pub async fn open(url: &str, within: Duration) -> Result<Self, WireError> {
        Self::open_with(url, &[], None, within).await
    }

    /// Opens a connection with further request `headers`, watched by `tap`.
    pub async fn open_with(
        url: &str,
        headers: &[(&str, &str)],
        tap: Option<Box<dyn Tap>>,
        within: Duration,
    ) -> Result<Self, WireError> {
        let mut request = url.into_client_request().map_err(Box::new)?;
        for (name, value) in headers {
            let bad = || WireError::BadHeader((*name).to_owned());
            let value = HeaderValue::from_str(value).map_err(|_| bad())?;
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
            request.headers_mut().insert(name, value);
        }
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        let opening = connect_async_with_config(request, Some(config), true);
        let (socket, _) = timeout(within, opening)
            .await
            .map_err(|_| timed_out("the upgrade", within))?
            .map_err(Box::new)?;
        Ok(Self {
            socket,
            kept: VecDeque::new(),
            close: None,
            closing: ClosedBy::Gateway,
            sent: 0,
            tap,
        })
    }

    /// Waits for the challenge and connects. The answer is the `hello-ok` payload or the refusal.
    pub async fn connect(
        &mut self,
        who: &ConnectAs<'_>,
        within: Duration,
    ) -> Result<Result<Value, Refusal>, WireError> {
        let challenge = self.event("connect.challenge", within).await?;
        let params = who.params(&challenge["payload"]);
        self.call("connect", params, within).await
    }

    /// Sends a request and waits for its response. `null` params are left out.
    pub async fn call(
        &mut self,
        method: &str,
        params: Value,
        within: Duration,
    ) -> Result<Result<Value, Refusal>, WireError> {
        let id = self.request(method, params).await?;
        self.response(&id, within).await
    }

    /// Sends a request and returns its id without waiting.
    pub async fn request(&mut self, method: &str, params: Value) -> Result<String, WireError> {
        self.sent += 1;
        let id = format!("{}-{method}", self.sent);
        let mut frame = json!({"type": "req", "id": id, "method": method});
        if !params.is_null() {
            frame["params"] = params;
        }
        self.send(&frame).await?;
        Ok(id)
    }

    /// Sends `frame` as it is.
    pub async fn send(&mut self, frame: &Value) -> Result<(), WireError> {
        if let Some(tap) = &self.tap {
            tap.sent(frame);
        }
        let message = Message::text(frame.to_string());
        self.socket.send(message).await.map_err(Box::new)?;
        Ok(())
    }

    /// Waits for the next response to the request with `id`.
    pub async fn response(&mut self, id: &str, within: Duration) -> Result<Result<Value, Refusal>, WireError> {
        let fits = |frame: &Value| frame["type"] == "res" && frame["id"] == id;
        let mut frame = self.frame(&format!("the answer to {id}"), within, fits).await?;
        if frame["ok"] == true {
            Ok(Ok(frame["payload"].take()))
        } else {
            Ok(Err(Refusal(frame["error"].take())))
        }
    }

    /// Waits for the next event of this name and returns the whole frame.
    pub async fn event(&mut self, name: &str, within: Duration) -> Result<Value, WireError> {
        self.frame(name, within, |frame| frame["event"] == name).await
    }

    /// Waits for the next frame that fits, among those that are kept and those that come.
    ///
    /// `what` names it in errors. Frames that do not fit are kept.
    pub async fn frame(
        &mut self,
        what: &str,
        within: Duration,
        fits: impl Fn(&Value) -> bool,
    ) -> Result<Value, WireError> {
        if let Some(at) = self.kept.iter().position(&fits) {
            return Ok(self.kept.remove(at).unwrap_or_default());
        }
        let deadline = clock::now() + within;
        loop {
            let frame = self.read(what, within, deadline).await?;
            if fits(&frame) {
                return Ok(frame);
            }
            self.keep(frame)?;
        }
    }

    /// Waits until the gateway closes the connection. Frames that still come are kept.
    pub async fn closed(&mut self, within: Duration) -> Result<Close, WireError> {
        let deadline = clock::now() + within;
        loop {
            match self.read("the close", within, deadline).await {
                Ok(frame) => self.keep(frame)?,
                Err(WireError::Closed { close, .. }) => return Ok(close),
                Err(other) => return Err(other),
            }
        }
    }

    /// Takes the frames that arrived without a wait for them.
    pub fn take_kept(&mut self) -> Vec<Value> {
        self.kept.drain(..).collect()
    }

    /// Closes the connection in order and waits for the gateway's answer.
    pub async fn close(mut self, within: Duration) -> Result<Close, WireError> {
        if let Some(close) = self.close {
            return Ok(close);
        }
        self.closing = ClosedBy::Us;
        let normal = CloseFrame {
            code: CloseCode::Normal,
            reason: "".into(),
        };
        self.socket.close(Some(normal)).await.map_err(Box::new)?;
        self.closed(within).await
    }

    fn keep(&mut self, frame: Value) -> Result<(), WireError> {
        if self.kept.len() >= KEPT_FRAMES {
            return Err(WireError::TooMuch);
        }
        self.kept.push_back(frame);
        Ok(())
    }

    async fn read(&mut self, what: &str, within: Duration, deadline: std::time::Instant) -> Result<Value, WireError> {
        if let Some(close) = self.close.clone() {
            let what = what.to_owned();
            return Err(WireError::Closed { what, close });
        }
        let left = deadline.saturating_duration_since(clock::now());
        let read = timeout(left, self.next_frame()).await;
        match read.map_err(|_| timed_out(what, within))?? {
            Ok(frame) => Ok(frame),
            Err(close) => {
                if let Some(tap) = &self.tap {
                    tap.closed(&close, self.closing);
                }
                self.close = Some(close.clone());
                let what = what.to_owned();
                Err(WireError::Closed { what, close })
            }
        }
    }

    /// The next JSON frame, or how the connection ended.
    async fn next_frame(&mut self) -> Result<Result<Value, Close>, WireError> {
        loop {
            let text = match self.socket.next().await {
                Some(Ok(Message::Text(text))) => text,
                Some(Ok(Message::Close(frame))) => return Ok(Err(close_of(frame))),
                Some(Ok(_)) => continue,
                // For every cause: without a close frame the end is code 1006.
                Some(Err(_)) | None => return Ok(Err(close_of_broken())),
            };
            let frame: Value = windlass::protocol::json::decode(&text).map_err(|_| WireError::NotJson)?;
            if !frame.is_object() {
                return Err(WireError::NotJson);
            }
            if let Some(tap) = &self.tap {
                tap.received(&frame);
            }
            return Ok(Ok(frame));
        }
    }
}

fn timed_out(what: &str, within: Duration) -> WireError {
    let what = what.to_owned();
    WireError::TimedOut { what, within }
}

fn close_of(frame: Option<CloseFrame>) -> Close {
    frame.map_or(
        Close {
            code: 1005,
            reason: String::new(),
        },
        |frame| Close {
            code: frame.code.into(),
            reason: frame.reason.to_string(),
        },
    )
}

fn close_of_broken() -> Close {
    Close {
        code: 1006,
        reason: String::new(),
    }
}
