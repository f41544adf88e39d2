//! Why something was not said, for people and for scripts.

use serde_json::{Value, json};
use windlass::agents::{ControlError, CoordinationError};
use windlass_protocol::Advice;

use crate::exit::{Exit, Failure, of_call, of_rejection};
use crate::fleet::Down;

/// What an API answers when its gateway fails.
const BAD_GATEWAY: u16 = 502;

/// Why something was not said or read.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) exit: Exit,
    pub(crate) status: u16,
    pub(crate) advice: Advice,
}

impl Trouble {
    /// As JSON, to be added to what it is about.
    pub(crate) fn as_json(&self) -> Value {
        json!({
            "outcome": "failed",
            "status": self.status,
            "summary": self.advice.summary,
            "nextStep": self.advice.next_step,
        })
    }

    pub(crate) fn into_failure(self) -> Failure {
        Failure::Told(self.exit, self.advice)
    }
}

impl From<Down> for Trouble {
    fn from(down: Down) -> Self {
        Self {
            exit: down.exit,
            status: BAD_GATEWAY,
            advice: down.advice,
        }
    }
}

impl From<CoordinationError> for Trouble {
    fn from(error: CoordinationError) -> Self {
        Self {
            exit: exit_of(&error),
            status: error.status(),
            advice: Advice::new(error.to_string(), error.next_step()),
        }
    }
}

fn exit_of(error: &CoordinationError) -> Exit {
    match error {
        CoordinationError::Gateway(error) => of_gateway(error),
        CoordinationError::Forbidden(_) => Exit::Refused,
        CoordinationError::TooLate { .. } => Exit::Unknown,
        CoordinationError::NoMainAgent(_)
        | CoordinationError::NoSoul
        | CoordinationError::Lead(_)
        | CoordinationError::Interrupted(_) => Exit::Agents,
        // Records, texts, templates and the store: all for whoever called the program to put right.
        _ => Exit::Usage,
    }
}

fn of_gateway(error: &ControlError) -> Exit {
    match error {
        ControlError::Rejected(rejected) => of_rejection(&rejected.error),
        ControlError::Line(call) => of_call(call).unwrap_or(Exit::Unreachable),
        ControlError::Invalid { .. } => Exit::Usage,
        _ => Exit::Rejected,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use windlass_protocol::{CallError, NotSent};

    use super::*;
    use windlass::agents::Interrupted;

    #[test]
    fn each_trouble_has_the_exit_code_that_says_what_to_do() {
        let not_ready = CallError::from(NotSent::NotReady { waited: Duration::ZERO });
        for (error, exit, status) in [
            (CoordinationError::Gateway(not_ready.into()), Exit::Unreachable, 502),
            (CoordinationError::NoSoul, Exit::Agents, 404),
            (CoordinationError::Interrupted(Interrupted), Exit::Agents, 503),
            (
                CoordinationError::TooLate {
                    after: Duration::from_secs(45),
                },
                Exit::Unknown,
                502,
            ),
            (
                CoordinationError::Invalid {
                    field: "message",
                    why: "is empty".into(),
                },
                Exit::Usage,
                422,
            ),
        ] {
            let trouble = Trouble::from(error);
            assert_eq!((trouble.exit, trouble.status), (exit, status), "{trouble:?}");
        }
    }
}
