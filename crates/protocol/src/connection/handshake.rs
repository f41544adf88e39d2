//! From an open socket to hello-ok.
//!
//! ```text
//!   AwaitingChallenge ──connect.challenge──▶ AwaitingHello ──hello-ok──▶ a Session
//!         │ late                                  │ late       └─error──▶ refused
//!         └──────────────▶ fault ◀────────────────┘
//! ```

use std::time::{Duration, Instant};

use crate::BoundedHello;
use crate::Challenge;
use crate::ConnectRefusal;
use crate::frame::{EventFrame, Response, encode_request};
use crate::json::decode;
use crate::text::{MESSAGE_LIMIT, printable};
use crate::time::after;
use crate::{CallId, Frame, MAX_PROTOCOL, MIN_PROTOCOL, MethodName, RawJson};

/// One handshake. Everything that comes in before hello-ok goes through it.
#[derive(Debug)]
pub struct Handshake {
    id: CallId,
    within: Duration,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    AwaitingChallenge { until: Instant },
    AwaitingHello { until: Instant },
}

/// The next step after a frame of the handshake.
#[derive(Debug)]
pub enum HandshakeStep {
    /// Nothing yet.
    Wait,
    /// Write this frame.
    Send(String),
    /// The gateway let us in.
    Up(Box<BoundedHello>),
    /// The gateway refused.
    Refused(ConnectRefusal),
}

/// Why a handshake can't go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeFault {
    /// No challenge came in time: not a gateway, or one that hangs.
    #[error("no connect.challenge came within {} s of the upgrade", .within.as_secs_f64())]
    NoChallenge {
        /// How long was waited.
        within: Duration,
    },
    /// `connect` was sent and not answered in time.
    #[error("connect was not answered within {} s", .within.as_secs_f64())]
    NoHello {
        /// How long was waited.
        within: Duration,
    },
    /// A gateway does not send this frame at this point.
    #[error("unexpected handshake frame: {0}")]
    Unexpected(String),
    /// The gateway chose a protocol that was not offered.
    #[error("the gateway chose protocol {0}, which was not offered ({MIN_PROTOCOL} to {MAX_PROTOCOL})")]
    Protocol(u32),
    /// The connect request could not be made.
    #[error("the connect request could not be made: {0}")]
    Credentials(String),
}

impl Handshake {
    /// How long to wait for the challenge, and as long again for the answer to `connect`, unless told otherwise: the reference
    /// client's 15 s (2026.9.6). Gateways send both at once, slow machines within seconds.
    pub const TIMEOUT: Duration = Duration::from_secs(15);
    /// Largest frame that a gateway takes before hello-ok; a larger one is answered by close 1009.
    pub const MAX_FRAME: usize = 64 * 1024;

    /// Begins on a socket that was just upgraded; `id` will be the id of the connect request. Challenge and answer may each take
    /// as long as `within` says.
    pub fn begin(id: CallId, now: Instant, within: Duration) -> Self {
        let until = after(now, within);
        Self {
            id,
            within,
            state: State::AwaitingChallenge { until },
        }
    }

    /// When to call [`late`](Self::late).
    pub const fn deadline(&self) -> Instant {
        match self.state {
            State::AwaitingChallenge { until } | State::AwaitingHello { until } => until,
        }
    }

    /// Why the handshake failed, once its deadline passed.
    pub const fn late(&self) -> HandshakeFault {
        let within = self.within;
        match self.state {
            State::AwaitingChallenge { .. } => HandshakeFault::NoChallenge { within },
            State::AwaitingHello { .. } => HandshakeFault::NoHello { within },
        }
    }

    /// Takes one frame. `sign` makes the parameters of `connect` for a challenge.
    ///
    /// # Errors
    /// [`HandshakeFault`] when the socket has to be given up.
    pub fn receive(
        &mut self,
        text: &str,
        now: Instant,
        sign: impl FnOnce(&Challenge) -> Result<RawJson, String>,
    ) -> Result<HandshakeStep, HandshakeFault> {
        let frame = Frame::decode(text).map_err(|error| HandshakeFault::Unexpected(error.to_string()))?;
        match frame {
            Frame::Event(event) if event.name == "connect.challenge" => self.challenged(&event, now, sign),
            Frame::Response(response) => self.answered(response),
            // 2026.9.6 may broadcast events to a socket that it just let in, before the answer is written.
            Frame::Event(_) | Frame::Other(_) => Ok(HandshakeStep::Wait),
        }
    }

    fn challenged(
        &mut self,
        event: &EventFrame<'_>,
        now: Instant,
        sign: impl FnOnce(&Challenge) -> Result<RawJson, String>,
    ) -> Result<HandshakeStep, HandshakeFault> {
        let State::AwaitingChallenge { .. } = self.state else {
            return Err(HandshakeFault::Unexpected("a second connect.challenge".into()));
        };
        let challenge: Challenge =
            decode(event.payload.as_str()).map_err(|error| unreadable("connect.challenge", &error))?;
        let params = sign(&challenge).map_err(HandshakeFault::Credentials)?;
        let connect = MethodName::new("connect").expect("the name has only letters");
        let frame = encode_request(self.id, &connect, Some(&params));
        if frame.len() > Self::MAX_FRAME {
            return Err(HandshakeFault::Credentials("it is over 64 KiB".into()));
        }
        self.state = State::AwaitingHello {
            until: after(now, self.within),
        };
        Ok(HandshakeStep::Send(frame))
    }

    fn answered(&self, response: Response<'_>) -> Result<HandshakeStep, HandshakeFault> {
        match response.outcome {
            // A refusal may carry the id "invalid": the gateway could not read the request.
            Err(error) => Ok(HandshakeStep::Refused(ConnectRefusal::from(error))),
            Ok(_) if CallId::parse(&response.id) != Some(self.id) => {
                Err(HandshakeFault::Unexpected("an answer to another request".into()))
            }
            Ok(payload) => {
                let read = BoundedHello::read(payload.as_str()).map_err(|error| unreadable("hello-ok", &error))?;
                if !(MIN_PROTOCOL..=MAX_PROTOCOL).contains(&read.hello.protocol) {
                    return Err(HandshakeFault::Protocol(read.hello.protocol));
                }
                Ok(HandshakeStep::Up(Box::new(read)))
            }
        }
    }
}

/// The error may repeat the value there, which may be as long as a message.
fn unreadable(what: &str, error: &serde_json::Error) -> HandshakeFault {
    HandshakeFault::Unexpected(format!("{what}: {}", printable(&error.to_string(), MESSAGE_LIMIT)))
}

#[cfg(test)]
#[path = "handshake_tests.rs"]
mod tests;
