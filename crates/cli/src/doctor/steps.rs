//! The steps, and what became of each.

use windlass_protocol::Advice;

use super::Stopped;
use crate::exit::Exit;

/// A step, in the order in which they are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Dns,
    Tcp,
    Tls,
    Upgrade,
    Challenge,
    Protocol,
    Auth,
    Pairing,
    Scopes,
}

impl Step {
    pub(super) const ALL: [Self; 9] = [
        Self::Dns,
        Self::Tcp,
        Self::Tls,
        Self::Upgrade,
        Self::Challenge,
        Self::Protocol,
        Self::Auth,
        Self::Pairing,
        Self::Scopes,
    ];

    /// One lower-case word.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Upgrade => "upgrade",
            Self::Challenge => "challenge",
            Self::Protocol => "protocol",
            Self::Auth => "auth",
            Self::Pairing => "pairing",
            Self::Scopes => "scopes",
        }
    }

    /// What the step is about, for people.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Dns => "Look up the host's name",
            Self::Tcp => "Open a TCP connection",
            Self::Tls => "Encrypt it with TLS",
            Self::Upgrade => "Upgrade it to a WebSocket",
            Self::Challenge => "Get the gateway's challenge",
            Self::Protocol => "Agree on a protocol",
            Self::Auth => "Log in",
            Self::Pairing => "Be a paired device",
            Self::Scopes => "Be granted the scopes",
        }
    }
}

/// What became of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Finding {
    Ok(String),
    Failed { advice: Advice, exit: Exit },
    NotReached,
}

impl Finding {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Ok(_) => "ok",
            Self::Failed { .. } => "failed",
            Self::NotReached => "not reached",
        }
    }
}

/// What became of all steps.
#[derive(Debug)]
pub(super) struct Findings([Finding; Step::ALL.len()]);

impl Default for Findings {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Finding::NotReached))
    }
}

impl Findings {
    pub(super) fn ok(&mut self, step: Step, detail: impl Into<String>) {
        self.0[step as usize] = Finding::Ok(detail.into());
    }

    pub(super) fn failed(&mut self, step: Step, advice: Advice, exit: Exit) -> Stopped {
        self.0[step as usize] = Finding::Failed { advice, exit };
        Stopped
    }

    pub(super) fn is_ok(&self, step: Step) -> bool {
        matches!(self.0[step as usize], Finding::Ok(_))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Step, &Finding)> {
        Step::ALL.into_iter().zip(&self.0)
    }

    /// The exit code of the step that failed.
    pub(super) fn exit(&self) -> Exit {
        let exit = |finding: &Finding| match finding {
            Finding::Failed { exit, .. } => *exit,
            Finding::Ok(_) | Finding::NotReached => Exit::Ok,
        };
        self.0.iter().map(exit).max().unwrap_or(Exit::Ok)
    }
}
