//! From an open socket to hello-ok.
//!
//! ```text
//!   AwaitingChallenge ──connect.challenge──▶ AwaitingHello ──hello-ok──▶ a Session
//!         │ late                                  │ late       └─error──▶ refused
//!         └──────────────▶ fault ◀────────────────┘
//! ```
//!
//! [`BootIdentity`] tells a reconnect to the same gateway process from one to a restarted gateway. It matters because a gateway remembers idempotency keys in memory only (5 minutes, 1,000 entries; 2026.3.13 and
//! 2026.9.6): after a restart the same key may run a second time.

use std::time::{Duration, Instant};

use crate::frame::{EventFrame, Response, encode_request};
use crate::json::decode;
use crate::text::{MESSAGE_LIMIT, printable};
use crate::time::after;
use crate::{
    BoundedHello, CallId, Challenge, ConnectRefusal, Frame, HelloOk, MAX_PROTOCOL, MIN_PROTOCOL, MethodName, RawJson,
};

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

/// The known facts of the gateway process behind a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootIdentity {
    boot_id: Option<String>,
    /// When the process said that it started, by our clock.
    started: Option<Instant>,
}

/// Whether the gateway behind two connections is the same life of the same process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Continuity {
    /// It kept its memory.
    Same,
    /// It was restarted.
    Restarted,
    /// It does not tell.
    Unknown,
}

impl BootIdentity {
    /// The largest difference between two readings of the same start: the delay of a slow line varies so much between two
    /// handshakes. A process that is started again needs at least two seconds until it answers (nine releases of 2026).
    const TOLERANCE: Duration = Duration::from_millis(1500);

    /// Reads it off a hello-ok that came at `now`.
    pub fn new(hello: &HelloOk, now: Instant) -> Self {
        let uptime = hello.snapshot.uptime_ms.map(Duration::from_millis);
        Self {
            boot_id: hello.server.boot_id.clone(),
            started: uptime.and_then(|uptime| now.checked_sub(uptime)),
        }
    }

    /// Compares with the connection before. `announced` is whether that one ended with a `shutdown` event or close
    /// 1012.
    ///
    /// `bootId` decides where there is one (2026.8.2 and later). Elsewhere an announcement, or a start that moved,
    /// proves a restart; nothing proves the contrary, since a restart inside the process keeps its uptime (seen on
    /// 2026.3.13) and may be announced while no client is connected.
    pub fn since(&self, before: &Self, announced: bool) -> Continuity {
        if let (Some(now), Some(before)) = (&self.boot_id, &before.boot_id) {
            return if now == before {
                Continuity::Same
            } else {
                Continuity::Restarted
            };
        }
        let moved = match (self.started, before.started) {
            (Some(now), Some(before)) => apart(now, before) > Self::TOLERANCE,
            _ => false,
        };
        if announced || moved {
            Continuity::Restarted
        } else {
            Continuity::Unknown
        }
    }
}

fn apart(a: Instant, b: Instant) -> Duration {
    a.saturating_duration_since(b).max(b.saturating_duration_since(a))
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod boot_tests {
    use super::*;

    fn identity(boot_id: Option<&str>, started: Option<u64>) -> BootIdentity {
        #[expect(clippy::disallowed_methods, reason = "an Instant can't be made from nothing")]
        static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
        BootIdentity {
            boot_id: boot_id.map(str::to_owned),
            started: started.map(|seconds| *START + Duration::from_secs(seconds)),
        }
    }

    #[test]
    fn the_boot_id_decides_where_there_is_one() {
        let before = identity(Some("a"), Some(100));
        assert_eq!(identity(Some("a"), Some(900)).since(&before, true), Continuity::Same);
        assert_eq!(
            identity(Some("b"), Some(100)).since(&before, false),
            Continuity::Restarted
        );
    }

    #[test]
    fn without_a_boot_id_a_start_that_moved_is_a_restart_and_one_that_stayed_proves_nothing() {
        let before = identity(None, Some(100));
        assert_eq!(identity(None, Some(101)).since(&before, false), Continuity::Unknown);
        assert_eq!(identity(None, Some(102)).since(&before, false), Continuity::Restarted);
    }

    #[test]
    fn an_announced_restart_inside_the_process_keeps_the_uptime_and_is_a_restart() {
        let before = identity(None, Some(100));
        assert_eq!(identity(None, Some(100)).since(&before, true), Continuity::Restarted);
    }

    #[test]
    fn a_gateway_that_tells_nothing_leaves_it_unknown() {
        assert_eq!(
            identity(None, None).since(&identity(None, None), false),
            Continuity::Unknown
        );
    }
}
