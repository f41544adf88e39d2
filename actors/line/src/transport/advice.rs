//! Advice for an operator on a gateway that can't be dialled.

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

/// Whether this process, or the whole shard, has as many files and sockets open as it may.
fn is_out_of_descriptors(error: &DialError) -> bool {
    /// The numbers of EMFILE and ENFILE on every Unix; other systems have no such limit.
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    let (DialError::Dns(error) | DialError::Tcp(error)) = error else {
        return false;
    };
    cfg!(unix) && matches!(error.raw_os_error(), Some(EMFILE | ENFILE))
}

fn dial_step(error: &DialError) -> &'static str {
    match error {
        error if is_out_of_descriptors(error) => {
            "This is the limit of this process or shard, and not the gateway: raise it (ulimit -n, or LimitNOFILE of the \
             service); each line takes one file descriptor."
        }
        DialError::Dns(_) => "Check the host name in the gateway's URL and this shard's name resolution.",
        DialError::Resources(error) => error.limit().next_step(),
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
fn sentence(error: &dyn Error) -> String {
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

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn who_has_no_file_descriptor_left_is_told_so_and_not_sent_to_the_gateway() {
        let limit = |number| io::Error::from_raw_os_error(number);
        for error in [
            DialError::Tcp(limit(24)),
            DialError::Tcp(limit(23)),
            DialError::Dns(limit(24)),
        ] {
            let told = error.advice().to_string();
            assert!(told.contains("ulimit -n") && told.contains("open files"), "{told}");
        }
        let refused = DialError::Tcp(io::ErrorKind::ConnectionRefused.into())
            .advice()
            .to_string();
        assert!(refused.contains("Check that the gateway runs"), "{refused}");
    }
}
