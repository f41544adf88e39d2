//! The hello-ok of the stand-in.

use std::fmt::Write as _;

/// How much a gateway says of itself in hello-ok: it is kept for as long as the line lives, so it counts in its memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum HelloSize {
    /// One method and one event.
    Small,
    /// As many methods, events and capabilities as 2026.9.6 advertises (466, 64, 21), about 15 kB.
    Full,
}

/// The frames that open a connection.
#[derive(Debug)]
pub struct Hello {
    pub(super) challenge: String,
    /// The payload of the answer to `connect`.
    pub(super) hello_ok: String,
}

impl Hello {
    /// The frames of one life of a gateway.
    pub fn new(size: HelloSize) -> Self {
        let boot = std::process::id();
        let challenge = format!(
            r#"{{"type":"event","event":"connect.challenge","payload":{{"nonce":"00000000-0000-4000-8000-{boot:012}","ts":1764000000000,"capabilities":["model-catalog-snapshot"]}}}}"#
        );
        let (methods, events, capabilities) = match size {
            HelloSize::Small => (1, 1, 1),
            HelloSize::Full => (466, 64, 21),
        };
        let hello_ok = format!(
            r#"{{"type":"hello-ok","protocol":4,"server":{{"version":"2026.9.6","connId":"c-1","buildId":"stand-in","bootId":"boot-{boot}"}},"features":{{"methods":[{}],"events":[{}],"capabilities":[{}]}},"snapshot":{{"presence":[],"health":{{"ok":true}},"stateVersion":{{"presence":1,"health":1}},"uptimeMs":1000,"authMode":"token"}},"policy":{{"maxPayload":26214400,"maxBufferedBytes":52428800,"tickIntervalMs":30000}},"auth":{{"method":"token","role":"operator","scopes":["operator.read","operator.write","operator.admin","operator.approvals","operator.pairing"]}}}}"#,
            names("sessions.groups.method", methods),
            names("session.event", events),
            names("capability", capabilities)
        );
        Self { challenge, hello_ok }
    }
}

fn names(stem: &str, count: usize) -> String {
    let mut list = String::new();
    for index in 0..count {
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(list, r#"{comma}"{stem}.{index}""#);
    }
    list
}
