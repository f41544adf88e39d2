//! How a connection ended, and what that means.

use std::error::Error;
use std::time::Duration;

use windlass_protocol::connection::HandshakeFault;
use windlass_protocol::{Advice, Advise as _, CloseReason, ConnectRefusal, Pause};

use crate::transport::{DialError, TlsFault, UpgradeError};

/// The end of one incarnation of a connection's actor.
#[derive(Debug)]
pub(crate) enum Exit {
    /// No byte stream.
    Dial(DialError),
    /// No WebSocket.
    Upgrade(UpgradeError),
    /// No handshake.
    Handshake(HandshakeFault),
    /// The gateway refused `connect`.
    Refused(Box<ConnectRefusal>),
    /// The gateway closed the socket.
    Closed(CloseReason),
    /// The socket broke.
    Lost(String),
    /// Nothing was heard for two tick intervals.
    Silent(Duration),
    /// The supervisor asked for it.
    Stopped,
    /// The actor panicked, with this message.
    Panicked(String),
}

impl Exit {
    /// When to try again. (A panic is the intensity window's business before it is this one's.)
    pub(crate) fn pause(&self) -> Pause {
        match self {
            Self::Refused(refusal) => refusal.pause(),
            Self::Closed(reason) => reason.class().pause(),
            Self::Dial(error) => pause_of_dial(error),
            Self::Upgrade(UpgradeError::Refused(refusal)) => refusal.pause(),
            Self::Upgrade(UpgradeError::NotWebSocket(_)) => Pause::WRONG_PLACE,
            Self::Handshake(HandshakeFault::Protocol(_) | HandshakeFault::Credentials(_)) => Pause::PERSON,
            Self::Upgrade(_)
            | Self::Handshake(_)
            | Self::Lost(_)
            | Self::Silent(_)
            | Self::Stopped
            | Self::Panicked(_) => Pause::BACKOFF,
        }
    }

    /// Whether the gateway said that it restarts.
    pub(crate) fn announces_restart(&self) -> bool {
        matches!(self, Self::Closed(reason) if reason.class() == windlass_protocol::CloseClass::ServiceRestart)
    }

    /// What to tell an operator.
    pub(crate) fn advice(&self) -> Option<Advice> {
        Some(match self {
            Self::Stopped => return None,
            Self::Refused(refusal) => refusal.advice(),
            Self::Closed(reason) => {
                let advice = reason.class().advice();
                Advice::new(format!("{} ({reason})", advice.summary), advice.next_step)
            }
            Self::Upgrade(UpgradeError::Refused(refusal)) => refusal.advice(),
            Self::Upgrade(error) => Advice::new(
                with_sources(error),
                "Check that the URL is the gateway's own address and port, and that no proxy in between swallows WebSockets.",
            ),
            Self::Dial(error) => Advice::new(with_sources(error), dial_step(error)),
            Self::Handshake(fault) => Advice::new(
                with_sources(fault),
                "Check that the address is an OpenClaw gateway's and that it is not overloaded; its log says more.",
            ),
            Self::Lost(why) => Advice::new(
                format!("The connection broke: {why}."),
                "Nothing to do: the line reconnects by itself. If it goes on, look at the gateway's process and the network.",
            ),
            Self::Silent(silence) => Advice::new(
                format!("Nothing was heard from the gateway for {} s.", silence.as_secs()),
                "Nothing to do: the line reconnects by itself. If it goes on, look for a gateway that hangs or a network that drops idle connections.",
            ),
            Self::Panicked(message) => Advice::new(
                format!("The connection's actor panicked: {message}."),
                "This is a bug in Windlass: please report it with the log around this line. The line restarts by itself.",
            ),
        })
    }
}

fn pause_of_dial(error: &DialError) -> Pause {
    match error {
        DialError::Dns(_) | DialError::Tcp(_) | DialError::Timeout { .. } | DialError::Tls(TlsFault::Broken(_)) => {
            Pause::BACKOFF
        }
        DialError::Tls(TlsFault::Protocol(_)) => Pause::WRONG_PLACE,
        DialError::Tls(_) => Pause::PERSON,
    }
}

fn dial_step(error: &DialError) -> &'static str {
    match error {
        DialError::Dns(_) => "Check the host name in the gateway's URL and this machine's name resolution.",
        DialError::Tls(TlsFault::PinMismatch { .. }) => {
            "If the gateway's certificate was renewed, compare the fingerprint with it and pin the new one; otherwise somebody may stand in between."
        }
        DialError::Tls(TlsFault::Untrusted(_)) => {
            "Have the certificate signed by a root that this machine trusts, or pin its SHA-256 fingerprint."
        }
        DialError::Tls(TlsFault::NoRoots) => "Install the system's CA certificates, or pin the gateway's fingerprint.",
        DialError::Tls(_) => {
            "Check whether the gateway speaks TLS on that port: without TLS the URL begins with ws://."
        }
        DialError::Tcp(_) | DialError::Timeout { .. } => {
            "Check that the gateway runs and listens on that address and port, and that no firewall is in between."
        }
    }
}

/// An error and all that caused it, as one sentence.
fn with_sources(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    if let Some(first) = text.get(..1) {
        text = format!("{}{}.", first.to_uppercase(), &text[1..]);
    }
    text
}
