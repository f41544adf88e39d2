//! The runner's exit codes.

use std::process::ExitCode;

use crate::report::Summary;

/// How the runner ends. The numbers are part of its interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: everything that can be done on the releases holds.
    Good,
    /// 1: a scenario failed, or a command could not do its work.
    Failed,
    /// 2: the command line was wrong (written by the argument parser).
    Usage,
    /// 77: nothing failed, but something was not tried, for example because npm is missing.
    Skipped,
    /// 130: interrupted by a person or a supervisor; everything started was stopped.
    Interrupted,
}

impl Exit {
    /// The number that the process ends with.
    pub fn code(self) -> u8 {
        match self {
            Self::Good => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Skipped => 77,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl From<Summary> for Exit {
    fn from(summary: Summary) -> Self {
        match summary {
            Summary { failed: 1.., .. } => Self::Failed,
            Summary { skipped: 1.., .. } => Self::Skipped,
            _ => Self::Good,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skip_is_never_a_pass_and_a_failure_outweighs_it() {
        let passed = Summary {
            passed: 3,
            not_possible: 1,
            ..Summary::default()
        };
        assert_eq!(Exit::from(passed), Exit::Good);
        let skipped = Summary { skipped: 1, ..passed };
        assert_eq!(Exit::from(skipped), Exit::Skipped);
        assert_eq!(Exit::from(Summary { failed: 1, ..skipped }), Exit::Failed);
    }
}
