//! How the program ends.

use std::error::Error;
use std::io;
use std::process;

use windlass::agents::{AgentsError, Interrupted, TemplateError};
use windlass::identity::{DevicePathError, IdentityError, TokenFileError};
use windlass::sqlite::OpenError;
use windlass::store::{OwnError, StoreError};
use windlass::{RegistryError, StartError};
use windlass_line::threads::{self, ResourceError};
use windlass_protocol::{Advice, Advise as _, CallError, GatewayError, NotSent};

use crate::config::ConfigError;
use crate::output::Output;

/// An exit code of the program. Scripts rely on the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ExitCode {
    Ok = 0,
    Rejected = 1,
    Usage = 2,
    Unreachable = 3,
    Refused = 4,
    Unknown = 5,
    Agents = 6,
    Drift = 7,
    Owned = 8,
    /// The output can't be written.
    Output = 9,
    Interrupted = 130,
    /// The reader of the output went away: as a shell shows the signal SIGPIPE.
    Unread = 141,
}

/// The table in `--help`.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0    success
  1    the gateway rejected the call, or has no such session; the agent failed or was stopped; the
       demo lost or duplicated a call; or chaos found a broken guarantee
  2    wrong usage or configuration; nothing was sent
  3    a gateway can't be reached, or its line is down
  4    a gateway refused the connection (token, password, pairing, scope or protocol), its release
       is not supported, or an agent has no right to this
  5    the outcome is unknown, or no answer came in time: the gateway may have executed the call;
       or the gateway lost a message, which may have run in part
  6    some agents or boards failed; the report says which and why
  7    drift: a gateway differs from the store
  8    another process runs the agents of this store, or records into its journal
  9    the output can't be written: a full disk, a closed terminal
  130  interrupted
  141  the reader of the output went away, as in windlass watch | head; no error is printed";

impl From<ExitCode> for process::ExitCode {
    fn from(exit: ExitCode) -> Self {
        Self::from(exit as u8)
    }
}

/// Why the program ends early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something that an operator can be told about.
    Told(ExitCode, Advice),
    /// Nothing more can be written.
    Output(io::Error),
}

impl Failure {
    pub(crate) fn usage(summary: impl Into<String>, next_step: &'static str) -> Self {
        Self::Told(ExitCode::Usage, Advice::new(summary.into(), next_step))
    }

    /// Tells it on stderr.
    pub(crate) fn report(self, output: &Output) -> ExitCode {
        match self {
            Self::Told(exit, advice) => {
                output.error(&advice);
                exit
            }
            // The reader has read enough: `windlass watch | head`. Other programs die of SIGPIPE here, silently, and a shell shows
            // that as 141; with 0 a script could not tell that the rest was not written.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::Unread,
            Self::Output(error) => {
                let advice = Advice::new(
                    format!("The output can't be written: {error}"),
                    "Check where it goes to: a full disk, a closed terminal.",
                );
                output.error(&advice);
                ExitCode::Output
            }
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// Errors with texts that contain the next step.
macro_rules! usage_from {
    ($($error:ty),+) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::usage(error.to_string(), "")
            }
        })+
    };
}

usage_from!(ConfigError, IdentityError, DevicePathError, TokenFileError);

/// Errors with texts that contain the next step, and with causes in their sources.
macro_rules! usage_with_causes_from {
    ($($error:ty),+) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::usage(with_causes(&error), "")
            }
        })+
    };
}

usage_with_causes_from!(OpenError, TemplateError);

/// The text of an error, followed by those of its sources.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

impl From<AgentsError> for Failure {
    fn from(error: AgentsError) -> Self {
        match error {
            AgentsError::Own(OwnError::Owned { .. }) => Self::Told(
                ExitCode::Owned,
                Advice::new(
                    error.to_string(),
                    "As a rule it is the service (windlass agents run): end it, run this again, and start it again. What only looks, and \
                     coordinate nudge and ask, work beside it.",
                ),
            ),
            other => Self::usage(with_causes(&other), ""),
        }
    }
}

impl From<Interrupted> for Failure {
    fn from(error: Interrupted) -> Self {
        Self::Told(
            ExitCode::Agents,
            Advice::new(error.to_string(), "Run the same command again: it continues."),
        )
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Resources(error) => error.into(),
            other => Self::usage(other.to_string(), "Check /dev/urandom."),
        }
    }
}

/// A store says "unable to open" where no descriptors are left.
impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let text = with_causes(&error);
        match threads::see_descriptors() {
            Ok(()) => Self::usage(text, ""),
            Err(limit) => Self::Told(
                ExitCode::Usage,
                Advice::new(format!("{text} ({})", limit.limit()), limit.limit().next_step()),
            ),
        }
    }
}

impl From<ResourceError> for Failure {
    fn from(error: ResourceError) -> Self {
        Self::Told(ExitCode::Usage, error.advice())
    }
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        Self::usage(error.to_string(), "")
    }
}

/// The exit code of a call that has no payload, where its own type tells it. A call that was not sent because its line
/// is down has the line's.
pub(crate) fn of_call(error: &CallError) -> Option<ExitCode> {
    Some(match error {
        CallError::Rejected(rejected) => of_rejection(&rejected.error),
        CallError::NotSent(NotSent::TooLarge { .. } | NotSent::Invalid { .. }) => ExitCode::Usage,
        CallError::NotSent(NotSent::NotReady { .. } | NotSent::WouldWait) => return None,
        CallError::OutcomeUnknown(_) | CallError::TimedOut(_) => ExitCode::Unknown,
        // Queue full, closed, and what a later protocol crate adds.
        _ => ExitCode::Unreachable,
    })
}

pub(crate) fn of_rejection(error: &GatewayError) -> ExitCode {
    if error.missing_scope().is_some() {
        ExitCode::Refused
    } else {
        ExitCode::Rejected
    }
}

/// The advice for a call that failed.
pub(crate) fn advice_on_call(error: &CallError) -> Advice {
    match error {
        CallError::Rejected(rejected) => rejected.error.advice(),
        CallError::NotSent(_) => Advice::new(error.to_string(), ""),
        CallError::OutcomeUnknown(_) => Advice::new(
            error.to_string(),
            "If the method takes an idempotency key, repeat it with the same --key; otherwise read the state first.",
        ),
        _ => Advice::new(
            error.to_string(),
            "Look at the gateway before you repeat it; give a longer --timeout if the method needs it.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_lists_every_exit_code() {
        let all = [
            ExitCode::Ok,
            ExitCode::Rejected,
            ExitCode::Usage,
            ExitCode::Unreachable,
            ExitCode::Refused,
            ExitCode::Unknown,
            ExitCode::Agents,
            ExitCode::Drift,
            ExitCode::Owned,
            ExitCode::Output,
            ExitCode::Interrupted,
            ExitCode::Unread,
        ];
        let listed: Vec<u8> = EXIT_CODES
            .lines()
            .skip(1)
            .filter(|line| !line.starts_with("   "))
            .map(|line| {
                line.split_whitespace()
                    .next()
                    .and_then(|number| number.parse().ok())
                    .unwrap()
            })
            .collect();
        assert_eq!(listed, all.map(|exit| exit as u8));
    }
}
