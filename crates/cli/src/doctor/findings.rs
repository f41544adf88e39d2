//! The steps of a connection and their results, on the screen and as JSON.

use serde_json::{Value, json};
use windlass_protocol::Advice;

use crate::exit::ExitCode;
use crate::output::{BAD, DIM, GOOD, HEAD};
use crate::session::Target;

/// A step, in the order in which they are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum DoctorStep {
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

impl DoctorStep {
    pub(crate) const ALL: [Self; 9] = [
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
    const fn name(self) -> &'static str {
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

    /// The step in words.
    const fn title(self) -> &'static str {
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

/// The result of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Finding {
    Ok(String),
    Failed { advice: Advice, exit: ExitCode },
    NotReached,
}

impl Finding {
    const fn name(&self) -> &'static str {
        match self {
            Self::Ok(_) => "ok",
            Self::Failed { .. } => "failed",
            Self::NotReached => "not reached",
        }
    }
}

/// The results of all steps.
#[derive(Debug, Clone)]
pub(crate) struct Findings([Finding; DoctorStep::ALL.len()]);

impl Default for Findings {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Finding::NotReached))
    }
}

impl Findings {
    pub(crate) fn ok(&mut self, step: DoctorStep, detail: impl Into<String>) {
        self.0[step as usize] = Finding::Ok(detail.into());
    }

    pub(crate) fn failed(&mut self, step: DoctorStep, advice: Advice, exit: ExitCode) {
        self.0[step as usize] = Finding::Failed { advice, exit };
    }

    pub(crate) fn is_ok(&self, step: DoctorStep) -> bool {
        matches!(self.0[step as usize], Finding::Ok(_))
    }

    fn iter(&self) -> impl Iterator<Item = (DoctorStep, &Finding)> {
        DoctorStep::ALL.into_iter().zip(&self.0)
    }

    /// The exit code of the step that failed.
    pub(crate) fn exit(&self) -> ExitCode {
        let exit = |finding: &Finding| match finding {
            Finding::Failed { exit, .. } => *exit,
            Finding::Ok(_) | Finding::NotReached => ExitCode::Ok,
        };
        self.0.iter().map(exit).max().unwrap_or(ExitCode::Ok)
    }

    pub(crate) fn lines(&self, target: &Target) -> Vec<String> {
        let mut lines = vec![format!("{HEAD}{}{HEAD:#} at {}", target.name, target.endpoint)];
        for (step, finding) in self.iter() {
            let title = step.title();
            match finding {
                Finding::Ok(detail) => lines.push(format!("  {GOOD}ok         {GOOD:#} {title}: {detail}")),
                Finding::Failed { advice, .. } => {
                    lines.push(format!("  {BAD}FAILED     {BAD:#} {title}: {}", advice.summary));
                    lines.push(format!("              {HEAD}next:{HEAD:#} {}", advice.next_step));
                }
                Finding::NotReached => lines.push(format!("  {DIM}not reached {title}{DIM:#}")),
            }
        }
        lines
    }

    pub(crate) fn as_json(&self, target: &Target) -> Value {
        let steps: Vec<Value> = self
            .iter()
            .map(|(step, finding)| {
                let mut row = json!({"step": step.name(), "result": finding.name()});
                match finding {
                    Finding::Ok(detail) => row["detail"] = json!(detail),
                    Finding::Failed { advice, .. } => {
                        row["summary"] = json!(advice.summary);
                        row["nextStep"] = json!(advice.next_step);
                    }
                    Finding::NotReached => {}
                }
                row
            })
            .collect();
        json!({
            "gateway": target.name,
            "url": target.endpoint.to_string(),
            "exitCode": self.exit() as u8,
            "steps": steps,
        })
    }
}
