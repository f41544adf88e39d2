//! A tiny WebSocket client that knows nothing but frames.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer as _, SigningKey};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use windlass_testkit::SimGateway;

/// No single wait of a test is longer than this, in tokio time.
const LIMIT: Duration = Duration::from_secs(100);

pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

pub(crate) struct Client {
    socket: WebSocketStream<Box<dyn Io>>,
    pub(crate) events: VecDeque<Value>,
    pub(crate) seen: Vec<Value>,
    next_id: u32,
}

/// What came next.
#[derive(Debug, PartialEq)]
pub(crate) enum Seen {
    Frame(Value),
    Closed(u16, String),
    /// The stream ended without a close frame.
    Gone,
}

impl Client {
    /// Over TCP or a pipe, whichever the gateway has.
    pub(crate) async fn dial(sim: &SimGateway) -> Self {
        Self::try_dial(sim, &[]).await.expect("the upgrade is taken")
    }

    pub(crate) async fn try_dial(sim: &SimGateway, headers: &[(&'static str, &str)]) -> Result<Self, Error> {
        let io: Box<dyn Io> = match sim.address() {
            Some(address) => Box::new(TcpStream::connect(address).await?),
            None => Box::new(sim.dial().await?),
        };
        Self::over(io, &sim.url(), headers).await
    }

    pub(crate) async fn over(io: Box<dyn Io>, url: &str, headers: &[(&'static str, &str)]) -> Result<Self, Error> {
        let mut request = url.into_client_request()?;
        for (name, value) in headers {
            request
                .headers_mut()
                .insert(*name, value.parse().expect("header value"));
        }
        let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        let (socket, _) = tokio_tungstenite::client_async_with_config(request, io, Some(config)).await?;
        Ok(Self {
            socket,
            events: VecDeque::new(),
            seen: Vec::new(),
            next_id: 0,
        })
    }

    /// Dials and says hello as a backend with all scopes and a device.
    pub(crate) async fn hello(sim: &SimGateway) -> Self {
        let mut client = Self::dial(sim).await;
        let answer = client.connect(sim, Connect::default()).await;
        assert_eq!(answer["ok"], true, "{answer}");
        client
    }

    /// Waits for the challenge and sends `connect`; gives the response.
    pub(crate) async fn connect(&mut self, sim: &SimGateway, with: Connect) -> Value {
        let challenge = self.event("connect.challenge").await;
        let params = with.params(sim.token().as_deref(), &challenge["payload"]);
        self.request("connect", params).await
    }

    pub(crate) async fn next(&mut self) -> Seen {
        tokio::time::timeout(LIMIT, self.next_unlimited())
            .await
            .expect("something comes in time")
    }

    async fn next_unlimited(&mut self) -> Seen {
        loop {
            return match self.socket.next().await {
                Some(Ok(Message::Text(text))) => {
                    let frame = serde_json::from_str(&text).unwrap_or_else(|_| json!({"garbage": text.as_str()}));
                    self.seen.push(frame);
                    Seen::Frame(self.seen.last().cloned().expect("pushed"))
                }
                Some(Ok(Message::Close(Some(frame)))) => Seen::Closed(frame.code.into(), frame.reason.to_string()),
                Some(Ok(Message::Close(None)) | Err(_)) | None => Seen::Gone,
                Some(Ok(_)) => continue,
            };
        }
    }

    /// The next frame, which must be one.
    pub(crate) async fn frame(&mut self) -> Value {
        match self.next().await {
            Seen::Frame(frame) => frame,
            other => panic!("a frame was expected, not {other:?}"),
        }
    }

    /// The next event of this name; others stay in `events`.
    pub(crate) async fn event(&mut self, name: &str) -> Value {
        if let Some(at) = self.events.iter().position(|event| event["event"] == name) {
            return self.events.remove(at).expect("found");
        }
        loop {
            let frame = self.frame().await;
            if frame["event"] == name {
                return frame;
            }
            self.events.push_back(frame);
        }
    }

    /// The next `chat` event in this state.
    pub(crate) async fn chat(&mut self, state: &str) -> Value {
        loop {
            let event = self.event("chat").await;
            if event["payload"]["state"] == state {
                return event["payload"].clone();
            }
        }
    }

    pub(crate) async fn send(&mut self, method: &str, params: Value) -> String {
        self.next_id += 1;
        let id = format!("c-{}", self.next_id);
        self.text(&json!({"type": "req", "id": id, "method": method, "params": params}).to_string())
            .await;
        id
    }

    /// As [`send`](Self::send), on a socket that may be gone.
    pub(crate) async fn try_send(&mut self, method: &str, params: Value) -> Result<(), Error> {
        self.next_id += 1;
        let id = format!("c-{}", self.next_id);
        let text = json!({"type": "req", "id": id, "method": method, "params": params}).to_string();
        self.socket.send(Message::text(text)).await
    }

    pub(crate) async fn text(&mut self, text: &str) {
        self.socket
            .send(Message::text(text))
            .await
            .expect("the socket takes it");
    }

    pub(crate) async fn binary(&mut self, bytes: &[u8]) {
        self.socket
            .send(Message::binary(bytes.to_vec()))
            .await
            .expect("the socket takes it");
    }

    /// The response to `id`; events stay in `events`.
    pub(crate) async fn response(&mut self, id: &str) -> Value {
        loop {
            let frame = self.frame().await;
            if frame["type"] == "res" && frame["id"] == id {
                return frame;
            }
            self.events.push_back(frame);
        }
    }

    pub(crate) async fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.send(method, params).await;
        self.response(&id).await
    }

    /// The payload of a request that must succeed.
    pub(crate) async fn ok(&mut self, method: &str, params: Value) -> Value {
        let answer = self.request(method, params).await;
        assert_eq!(answer["ok"], true, "{method}: {answer}");
        answer["payload"].clone()
    }

    /// The error of a request that must fail.
    pub(crate) async fn error(&mut self, method: &str, params: Value) -> Value {
        let answer = self.request(method, params).await;
        assert_eq!(answer["ok"], false, "{method}: {answer}");
        answer["error"].clone()
    }

    /// Skips frames until the connection ends: code and reason, or `None` without a close frame.
    pub(crate) async fn closed(&mut self) -> Option<(u16, String)> {
        loop {
            match self.next().await {
                Seen::Frame(frame) => self.events.push_back(frame),
                Seen::Closed(code, reason) => return Some((code, reason)),
                Seen::Gone => return None,
            }
        }
    }

    /// True if nothing comes for this long.
    pub(crate) async fn quiet(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.next_unlimited()).await.is_err()
    }
}

/// The parameters of `connect`.
#[derive(Clone)]
pub(crate) struct Connect {
    pub(crate) client: (&'static str, &'static str),
    pub(crate) range: (u64, u64),
    pub(crate) scopes: Vec<&'static str>,
    pub(crate) caps: Vec<&'static str>,
    pub(crate) role: &'static str,
    /// `None`: the gateway's own token.
    pub(crate) auth: Option<Value>,
    /// Seed byte of the device key.
    pub(crate) device: Option<u8>,
    pub(crate) version: Signature,
    /// Applied to the finished parameters.
    pub(crate) change: fn(&mut Value),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Signature {
    V1,
    V2,
    V3,
}

pub(crate) const ALL_SCOPES: [&str; 5] = [
    "operator.read",
    "operator.write",
    "operator.admin",
    "operator.approvals",
    "operator.pairing",
];

impl Default for Connect {
    fn default() -> Self {
        Self {
            client: ("gateway-client", "backend"),
            range: (3, 4),
            scopes: ALL_SCOPES.to_vec(),
            caps: vec!["tool-events"],
            role: "operator",
            auth: None,
            device: Some(1),
            version: Signature::V2,
            change: |_| {},
        }
    }
}

impl Connect {
    pub(crate) fn params(&self, token: Option<&str>, challenge: &Value) -> Value {
        let auth = self
            .auth
            .clone()
            .unwrap_or_else(|| json!({"token": token.unwrap_or_default()}));
        let mut params = json!({
            "minProtocol": self.range.0,
            "maxProtocol": self.range.1,
            "client": {"id": self.client.0, "version": "1.0.0", "platform": "Linux", "mode": self.client.1},
            "role": self.role,
            "scopes": self.scopes,
            "caps": self.caps,
            "auth": auth,
        });
        if let Some(seed) = self.device {
            params["device"] = self.sign(seed, &params, challenge);
        }
        (self.change)(&mut params);
        params
    }

    fn sign(&self, seed: u8, params: &Value, challenge: &Value) -> Value {
        let key = SigningKey::from_bytes(&[seed; 32]);
        let public = key.verifying_key();
        let nonce = challenge["nonce"].as_str().expect("nonce");
        let token = ["token", "deviceToken", "bootstrapToken"]
            .iter()
            .find_map(|key| params["auth"][*key].as_str());
        let core = format!(
            "{}|{}|{}|{}|{}|{}|{}",
            device_id(seed),
            self.client.0,
            self.client.1,
            self.role,
            self.scopes.join(","),
            challenge["ts"],
            token.unwrap_or_default(),
        );
        let text = match self.version {
            Signature::V1 => format!("v1|{core}"),
            Signature::V2 => format!("v2|{core}|{nonce}"),
            Signature::V3 => format!("v3|{core}|{nonce}|linux|"),
        };
        let mut device = json!({
            "id": device_id(seed),
            "publicKey": URL_SAFE_NO_PAD.encode(public.as_bytes()),
            "signature": URL_SAFE_NO_PAD.encode(key.sign(text.as_bytes()).to_bytes()),
            "signedAt": challenge["ts"],
        });
        if self.version != Signature::V1 {
            device["nonce"] = json!(nonce);
        }
        device
    }
}

pub(crate) fn device_id(seed: u8) -> String {
    let public = SigningKey::from_bytes(&[seed; 32]).verifying_key();
    let digest = Sha256::digest(public.as_bytes());
    digest.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
