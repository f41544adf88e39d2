//! Changes of records: their caller, and the errors of operations in the words of the command line.

use std::env;

use windlass::store::limits::NAME_CHARS;
use windlass::store::{SecretSource, Store};
use windlass_operations::audit::Records as Changed;
use windlass_operations::{Caller, Front, OperationError, OperationErrorCode, Role};
use windlass_protocol::Advice;

use crate::exit::{ExitCode, Failure};
use crate::store::now;
use crate::text::escaped;

/// The flag for each member of an input that has one.
const FLAGS: [(&str, &str); 18] = [
    ("url", "--url"),
    ("token", "--token-file"),
    ("workspace_root", "--workspace-root"),
    ("base_url", "--base-url"),
    ("allow_insecure_tls", "--insecure-tls"),
    ("tls_fingerprint", "--tls-fingerprint"),
    ("control_ui", "--control-ui"),
    ("gateway", "--on"),
    ("board_type", "--type"),
    ("objective", "--objective"),
    ("success_metrics", "--success-metrics"),
    ("target_date", "--target-date"),
    ("max_agents", "--max-agents"),
    ("board", "--board"),
    ("heartbeat.every", "--heartbeat-every"),
    ("soul_override", "--soul-template"),
    ("identity_override", "--identity-template"),
    ("expires_in_s", "--expires"),
];

/// The person at the command line, by the name that the system has for them.
pub(crate) fn caller() -> Caller {
    let name = env::var("USER").ok().filter(|name| !name.trim().is_empty());
    let name = name.map_or_else(|| "local".to_owned(), |name| escaped(&name, NAME_CHARS));
    Caller::new(name, Role::Admin, Front::Cli)
}

/// The records, for a change that the caller makes now.
pub(crate) fn changed<'a>(store: &'a dyn Store, caller: &'a Caller) -> Changed<'a> {
    Changed {
        store,
        caller,
        now: now(),
    }
}

/// The text of a token's place, as an operation takes it.
pub(crate) fn place(source: &SecretSource) -> Result<String, Failure> {
    let text = source.to_string();
    if text.parse().as_ref() == Ok(source) {
        return Ok(text);
    }
    Err(Failure::usage(
        "flag --token-file: the path is no text, or is too long",
        "Give a shorter path of plain characters.",
    ))
}

impl From<OperationError> for Failure {
    fn from(error: OperationError) -> Self {
        let exit = match error.code {
            OperationErrorCode::Forbidden => ExitCode::Refused,
            _ => ExitCode::Usage,
        };
        let advice = match error.field.as_deref().and_then(flag_of) {
            Some(flag) => Advice::new(in_words(flag, &error), ""),
            None if error.code == OperationErrorCode::Invalid => Advice::new(error.summary, ""),
            None => Advice::new(error.summary, error.next_step),
        };
        Self::Told(exit, advice)
    }
}

fn flag_of(member: &str) -> Option<&'static str> {
    let found = FLAGS.iter().find(|(known, _)| *known == member);
    found.map(|(_, flag)| *flag)
}

/// The problem of a flag. An operation begins its sentence with the member, and here the flag stands for it.
fn in_words(flag: &str, error: &OperationError) -> String {
    let member = error.field.as_deref().unwrap_or_default();
    let begins = error.summary.get(..member.len());
    let about_member = begins.is_some_and(|begin| begin.eq_ignore_ascii_case(member));
    let summary = error.summary.trim_end_matches('.');
    if about_member {
        format!("flag {flag}: it{}", &summary[member.len()..])
    } else {
        format!("flag {flag}: {summary}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_told_by_its_flag() {
        let told = |error: OperationError| match Failure::from(error) {
            Failure::Told(exit, advice) => (exit, advice.summary.to_string()),
            Failure::Output(error) => panic!("{error}"),
        };
        assert_eq!(
            told(OperationError::invalid("workspace_root", "is empty")),
            (ExitCode::Usage, "flag --workspace-root: it is empty".to_owned())
        );
        let (_, of_no_flag) = told(OperationError::invalid("name", "is empty"));
        assert_eq!(of_no_flag, "Name is empty.");
    }
}
