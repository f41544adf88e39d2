//! How a connection ended, and the meaning of that end.

use std::time::Duration;

use windlass_protocol::connection::HandshakeFault;
use windlass_protocol::{
    Advice, Advise as _, CloseClass, CloseReason, ConnectRefusal, CredentialKind, CredentialOrigins, ErrorClass, Pause,
    UpgradeKind,
};

use crate::line::LineErrorKind;
use crate::transport::{DialError, TlsFault, UpgradeError};

/// The next step after a panic.
const A_BUG: &str =
    "This is a bug in Windlass: please report it with the log around this line. The line restarts by itself.";

/// The end of one incarnation of a connection's actor.
#[derive(Debug)]
pub(crate) enum DisconnectReason {
    /// No byte stream.
    Dial(DialError),
    /// No WebSocket.
    Upgrade(UpgradeError),
    /// No handshake.
    Handshake(HandshakeFault),
    /// The gateway refused `connect`, which carried these credentials.
    Refused(Box<ConnectRefusal>, CredentialKind),
    /// The gateway closed the socket.
    Closed(CloseReason),
    /// The socket broke.
    Lost(String),
    /// The device's token could not be read within this time.
    Tokens(Duration),
    /// Nothing was heard for two tick intervals.
    Silent(Duration),
    /// It sends, and has taken no byte for so long.
    NotReading(Duration),
    /// The supervisor asked for it.
    Stopped,
    /// The actor panicked, with this message.
    Panicked(String),
    /// The line's supervisor panicked, and the connection went with it.
    SupervisorPanicked(String),
}

impl DisconnectReason {
    /// When to try again. (A panic is the intensity window's business before it is this one's.)
    pub(crate) fn pause(&self) -> Pause {
        match self {
            Self::Refused(refusal, _) => refusal.pause(),
            Self::Closed(reason) => reason.class().pause(),
            Self::Dial(error) => pause_of_dial(error),
            Self::Upgrade(UpgradeError::Refused(refusal)) => refusal.pause(),
            Self::Upgrade(UpgradeError::NotWebSocket(_)) => Pause::WRONG_PLACE,
            Self::Handshake(HandshakeFault::Protocol(_) | HandshakeFault::Credentials(_)) => Pause::PERSON,
            Self::Upgrade(_)
            | Self::Handshake(_)
            | Self::Lost(_)
            | Self::Tokens(_)
            | Self::Silent(_)
            | Self::NotReading(_)
            | Self::Stopped
            | Self::Panicked(_)
            | Self::SupervisorPanicked(_) => Pause::BACKOFF,
        }
    }

    /// Its kind, as a label.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Dial(_) => "dial",
            Self::Upgrade(_) => "upgrade",
            Self::Handshake(_) => "handshake",
            Self::Refused(..) => "refused",
            Self::Closed(_) => "closed",
            Self::Lost(_) => "lost",
            Self::Tokens(_) => "tokens",
            Self::Silent(_) => "silent",
            Self::NotReading(_) => "not_reading",
            Self::Stopped => "stopped",
            Self::Panicked(_) | Self::SupervisorPanicked(_) => "panicked",
        }
    }

    /// Whether the gateway said that it restarts.
    pub(crate) fn announces_restart(&self) -> bool {
        matches!(self, Self::Closed(reason) if reason.class() == CloseClass::ServiceRestart)
    }

    /// The report for an operator; `None` where the end was ordered. `origins` are the places of the line's credentials.
    pub(crate) fn report(&self, origins: &CredentialOrigins) -> Option<(LineErrorKind, Advice)> {
        if matches!(self, Self::Stopped) {
            None
        } else {
            Some((self.kind(), self.advice(origins)))
        }
    }

    fn kind(&self) -> LineErrorKind {
        match self {
            Self::Panicked(_) | Self::SupervisorPanicked(_) => LineErrorKind::Fault,
            Self::Upgrade(UpgradeError::NotWebSocket(_))
            | Self::Dial(DialError::Tls(TlsFault::Protocol(_) | TlsFault::Broken(_))) => LineErrorKind::WrongAddress,
            Self::Dial(DialError::Tls(_)) => LineErrorKind::Untrusted,
            Self::Upgrade(UpgradeError::Refused(refusal)) => match refusal.kind {
                UpgradeKind::Unauthorized | UpgradeKind::Forbidden | UpgradeKind::ProxyNotTrusted => {
                    LineErrorKind::Refused
                }
                _ if refusal.class() == ErrorClass::Transient => LineErrorKind::Busy,
                _ => LineErrorKind::WrongAddress,
            },
            Self::Refused(refusal, _) => match refusal.pause() {
                Pause::Retry { .. } => LineErrorKind::Busy,
                Pause::SlowPoll { .. } => LineErrorKind::Refused,
            },
            Self::Handshake(HandshakeFault::Protocol(_) | HandshakeFault::Credentials(_)) => LineErrorKind::Refused,
            Self::Closed(reason) if !reason.can_reconnect() => LineErrorKind::Refused,
            Self::Closed(reason) if reason.class() == CloseClass::StartingUp => LineErrorKind::Busy,
            _ => LineErrorKind::Unreachable,
        }
    }

    fn advice(&self, origins: &CredentialOrigins) -> Advice {
        match self {
            Self::Stopped => Advice::new("The line was closed.", "Nothing to do: it was asked for."),
            Self::Refused(refusal, sent) => refusal.advice_on(*sent, origins),
            Self::Closed(reason) => {
                let advice = reason.class().advice();
                let summary = advice.summary.trim_end_matches('.');
                Advice::new(format!("{summary}: {reason}."), advice.next_step)
            }
            Self::Upgrade(error) => error.advice(),
            Self::Dial(error) => error.advice(),
            Self::Handshake(fault) => fault.advice(),
            Self::Lost(why) => Advice::new(
                format!("The connection broke: {why}."),
                "Nothing to do: the line reconnects by itself. If it goes on, look at the gateway's process and the network.",
            ),
            Self::Tokens(within) => Advice::new(
                format!("The device's token could not be read within {} s.", within.as_secs()),
                "Look at the disk, or whatever the host keeps device tokens in: it does not answer. The line tries again by itself.",
            ),
            Self::Silent(silence) => Advice::new(
                format!("Nothing was heard from the gateway for {} s.", silence.as_secs()),
                "Nothing to do: the line reconnects by itself. If it goes on, look for a gateway that hangs or a network that drops idle connections.",
            ),
            Self::NotReading(waited) => Advice::new(
                format!(
                    "The gateway sends, and has not read anything for {} s.",
                    waited.as_secs()
                ),
                "Nothing to do: the line reconnects by itself. If it goes on, look at the gateway's process, and at what stands in between.",
            ),
            Self::Panicked(message) => Advice::new(format!("The connection's actor panicked: {message}."), A_BUG),
            Self::SupervisorPanicked(message) => {
                Advice::new(format!("The line's supervisor panicked: {message}."), A_BUG)
            }
        }
    }
}

fn pause_of_dial(error: &DialError) -> Pause {
    match error {
        DialError::Dns(_)
        | DialError::Tcp(_)
        | DialError::Resources(_)
        | DialError::Timeout { .. }
        | DialError::Tls(TlsFault::Broken(_)) => Pause::BACKOFF,
        DialError::Tls(TlsFault::Protocol(_)) => Pause::WRONG_PLACE,
        DialError::Tls(_) => Pause::PERSON,
    }
}
