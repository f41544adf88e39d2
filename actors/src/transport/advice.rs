//! What an operator is told about a gateway that can't be dialled.

use std::error::Error;

use windlass_protocol::{Advice, Advise};

use super::{DialError, TlsFault, UpgradeError};

impl Advise for DialError {
    fn advice(&self) -> Advice {
        Advice::new(sentence(self), dial_step(self))
    }
}

impl Advise for UpgradeError {
    fn advice(&self) -> Advice {
        let step = match self {
            Self::Refused(refusal) => return refusal.advice(),
            Self::Timeout(_) => {
                "The gateway's process hangs, or the port belongs to something else: look at it on its host."
            }
            Self::NotWebSocket(_) | Self::Broken(_) => {
                "Check that the URL is the gateway's own address and port (wss:// if it speaks TLS there), and that no \
                 proxy in between swallows WebSockets."
            }
        };
        Advice::new(sentence(self), step)
    }
}

fn dial_step(error: &DialError) -> &'static str {
    match error {
        DialError::Dns(_) => "Check the host name in the gateway's URL and this machine's name resolution.",
        DialError::Tls(TlsFault::PinMismatch { .. }) => {
            "If the gateway's certificate was renewed, compare the fingerprint on its host and pin the new one; \
             otherwise somebody may stand in between."
        }
        DialError::Tls(TlsFault::Untrusted { .. }) => {
            "Have the certificate signed by a root that this machine trusts; or compare the fingerprint on the gateway's \
             host and pin it."
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
pub(crate) fn sentence(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        format!("{}{}.", first.to_uppercase(), letters.as_str())
    })
}
