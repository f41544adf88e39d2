//! The rules of single releases: one function a rule, each with the releases that it was seen on. The rules of runs are in [`runs`].
//!
//! Gateways answer most refusals of provisioning calls with a bare `INVALID_REQUEST`, from 2026.1 to 2026.9. These are
//! all the texts that are looked into, each with the releases that it was seen on, and only where the answer has no
//! `details.code` that says more.

pub(crate) mod messages;
pub mod runs;

use crate::{AgentId, DetailCode, ErrorCode, GatewayError, HelloOk, Release, SessionKey, SessionKeySpace, Verdict};

fn text(error: &GatewayError) -> Option<&str> {
    (error.code == ErrorCode::InvalidRequest && error.detail_code().is_none()).then_some(error.message.as_str())
}

fn says(error: &GatewayError, fits: impl FnOnce(&str) -> bool) -> bool {
    text(error).is_some_and(fits)
}

/// `agent "x" already exists`, to `agents.create`: 2026.2.26 to 2026.9.6.
pub fn agent_exists(error: &GatewayError) -> bool {
    says(error, |text| {
        text.starts_with("agent \"") && text.ends_with("already exists")
    })
}

/// No such agent, or one that was made a moment ago.
///
/// `agent "x" not found`: to `agents.update` and `agents.delete` 2026.2.26 to 2026.9.6, to `agents.files.*` from
/// 2026.8.2 on. `unknown agent id`: to `agents.files.*` up to 2026.7.1. `Agent "x" no longer exists in configuration`:
/// to `chat.send` from 2026.5.12 on.
pub fn agent_unknown(error: &GatewayError) -> bool {
    error.detail_code() == Some(DetailCode::UnknownAgent)
        || says(error, |text| {
            let named = text.starts_with("agent \"") || text.starts_with("Agent \"");
            text == "unknown agent id"
                || (named && (text.ends_with("not found") || text.ends_with("no longer exists in configuration")))
        })
}

/// `unsupported file "TOOLS.md"`, to `agents.files.get` and `agents.files.set`: 2026.2.26 to 2026.9.6.
pub fn file_unsupported(error: &GatewayError) -> bool {
    says(error, |text| text.starts_with("unsupported file"))
}

/// `unsafe workspace file "SOUL.md"`, to `agents.files.set` while another write of it goes on: 2026.3.13 and 2026.4.15.
/// Also the answer to a file that is a link, which waiting does not change.
pub fn file_busy(error: &GatewayError) -> bool {
    says(error, |text| text.starts_with("unsafe workspace file"))
}

/// `label already in use: x`, to `sessions.patch`: 2026.3.13 and 2026.9.6.
pub fn label_taken(error: &GatewayError) -> bool {
    says(error, |text| text.starts_with("label already in use"))
}

/// `config changed since last load; re-run config.get and retry`, to `config.patch`: all nine releases. `config base
/// hash required; ...`: where the file did not exist when it was read.
pub fn config_stale(error: &GatewayError) -> bool {
    says(error, |text| {
        text.starts_with("config changed since last load") || text.starts_with("config base hash")
    })
}

/// `Config write would flatten $include-owned config at agents; ...`, as a bare `UNAVAILABLE` to writes of a section that is in
/// an included file: 2026.5.12 to all of them, 2026.6.11 and 2026.7.1 to `config.patch`, 2026.9.6 to patches of several sections
/// and to `agents.delete`, with `code=CONFIG_INCLUDE_OWNERSHIP` at the end. 2026.8.2 answers each `agents.create` with
/// `ConfigMutationConflictError: included config changed since last load`, for as long as it was tried (four minutes). 2026.3.13 writes the included text into its main file
/// instead.
pub fn include_owned(error: &GatewayError) -> bool {
    const CODE: &str = "CONFIG_INCLUDE_OWNERSHIP";
    const WORDS: [&str; 2] = [
        "Config write would flatten $include-owned config",
        "ConfigMutationConflictError: included config changed since last load",
    ];
    match error.detail_code() {
        Some(code) => code.as_str() == CODE,
        None => error.message.contains(CODE) || WORDS.iter().any(|words| error.message.contains(words)),
    }
}

/// `Cannot delete the main session (agent:x:main).`, to `sessions.delete`: for every agent from 2026.8.2 on, before for
/// the default one.
pub fn main_session_kept(error: &GatewayError) -> bool {
    says(error, |text| text.starts_with("Cannot delete the main session"))
}

/// `Session agent:x:main is still active; try again in a moment.`, to `sessions.delete` while a run goes on: 2026.4.15, as a
/// bare `UNAVAILABLE`. Releases before and after end the run instead.
pub fn session_active(error: &GatewayError) -> bool {
    error.code == ErrorCode::Unavailable
        && error.detail_code().is_none()
        && error.message.starts_with("Session ")
        && error.message.contains("is still active")
}

/// An `UNAVAILABLE` that says neither whether nor when to ask again: 2026.9.6 to `agents.delete` while its workers still hold
/// another agent's database. Some of these pass in seconds and some never do, so they are tried again a few times only.
pub fn bare_unavailable(error: &GatewayError) -> bool {
    error.code == ErrorCode::Unavailable && error.details.is_none() && error.retryable.is_none()
}

/// `unknown method: x`: all nine releases.
pub fn unknown_method(error: &GatewayError) -> bool {
    says(error, |text| text.starts_with("unknown method"))
}

/// Whether a session that is made before its first turn breaks at the second: seen on 2026.6.11, not on 2026.5.12 and
/// 2026.7.1. Nothing that the gateway shows tells, and nobody looked at the releases between.
pub fn breaks_early_sessions(server_version: &str) -> bool {
    const FINE_BEFORE: Release = Release::new(2026, 5, 12);
    const FINE_AGAIN: Release = Release::new(2026, 7, 1);
    match Verdict::of(Some(server_version), None) {
        Verdict::Supported { version } => version > FINE_BEFORE && version < FINE_AGAIN,
        _ => false,
    }
}

/// Whether the release knows no such parameter: params are closed objects, and a refusal names what is too much
/// (`invalid chat.history params: at root: unexpected property 'offset'`; all nine releases of 2026).
pub fn param_unknown(error: &GatewayError, name: &str) -> bool {
    error.code == ErrorCode::InvalidRequest
        && error.detail_code().is_none()
        && error.message.contains(&format!("unexpected property '{name}'"))
}

/// Whether a page that is asked for by its offset may be given (from 2026.7 on; none of generation 3 does).
pub const fn may_know_offsets(hello: &HelloOk) -> bool {
    hello.protocol >= 4
}

/// The gateway's main session; that of the agent `main` where the gateway's hello names one that is no session key.
pub fn main_session(hello: &HelloOk) -> SessionKey {
    let said = SessionKeySpace::of(hello).main_session();
    SessionKey::parse(&said).unwrap_or_else(|_| SessionKey::main_of(&AgentId::main()))
}

/// Whether a key means the gateway's main session.
pub fn is_main(hello: &HelloOk, key: &SessionKey) -> bool {
    let space = SessionKeySpace::of(hello);
    space.same(key.as_str(), &space.main_session())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn invalid(message: &str) -> GatewayError {
        GatewayError::new(ErrorCode::InvalidRequest, message)
    }

    #[test]
    fn each_text_is_known_by_its_own_rule_only() {
        type Rule = fn(&GatewayError) -> bool;
        let rules: [(Rule, &[&str]); 8] = [
            (agent_exists, &["agent \"alpha-one\" already exists"]),
            (
                agent_unknown,
                &[
                    "agent \"a\" not found",
                    "unknown agent id",
                    "Agent \"a\" no longer exists in configuration",
                ],
            ),
            (file_unsupported, &["unsupported file \"TOOLS.md\""]),
            (file_busy, &["unsafe workspace file \"SOUL.md\""]),
            (label_taken, &["label already in use: Lead"]),
            (
                config_stale,
                &[
                    "config changed since last load; re-run config.get and retry",
                    "config base hash required; re-run config.get and retry with baseHash",
                ],
            ),
            (
                main_session_kept,
                &["Cannot delete the main session (agent:main:main)."],
            ),
            (unknown_method, &["unknown method: agents.create"]),
        ];
        for (at, (rule, _)) in rules.iter().enumerate() {
            for (other, (_, texts)) in rules.iter().enumerate() {
                for text in *texts {
                    assert_eq!(rule(&invalid(text)), at == other, "rule {at}: {text}");
                }
            }
            assert!(!rule(&invalid("cron job not found: x")));
            assert!(
                !rule(&GatewayError::new(ErrorCode::Unavailable, rules[at].1[0])),
                "{at}"
            );
        }
    }

    #[test]
    fn configuration_that_is_included_is_known_by_its_code() {
        let message = "Error: Config write would flatten $include-owned config at agents; edit that include file directly \
                       or remove the $include first.: code=CONFIG_INCLUDE_OWNERSHIP";
        assert!(include_owned(&GatewayError::new(ErrorCode::Unavailable, message)));
        let coded = json!({"code": "INVALID_REQUEST", "message": "", "details": {"code": "CONFIG_INCLUDE_OWNERSHIP"}});
        assert!(include_owned(&serde_json::from_value(coded).unwrap()));
        let other = json!({"code": "INVALID_REQUEST", "message": message, "details": {"code": "CRON_JOB_NOT_FOUND"}});
        assert!(!include_owned(&serde_json::from_value(other).unwrap()));
        assert!(!include_owned(&GatewayError::new(ErrorCode::Unavailable, "busy")));
        let uncoded =
            "Error: Config write would flatten $include-owned config at agents; edit that include file directly";
        assert!(include_owned(&GatewayError::new(ErrorCode::Unavailable, uncoded)));
        let conflict = "ConfigMutationConflictError: included config changed since last load";
        assert!(include_owned(&GatewayError::new(ErrorCode::Unavailable, conflict)));
    }

    #[test]
    fn a_session_that_is_active_is_told_from_other_things_that_are_not_available() {
        let unavailable = |message: &str| GatewayError::new(ErrorCode::Unavailable, message);
        let active = "Session agent:a:main is still active; try again in a moment.";
        assert!(session_active(&unavailable(active)) && !session_active(&invalid(active)));
        assert!(!session_active(&unavailable(
            "Session history database read was revoked"
        )));
    }

    #[test]
    fn a_detail_code_counts_more_than_the_text() {
        let coded = |code: &str, message: &str| -> GatewayError {
            let error = json!({"code": "INVALID_REQUEST", "message": message, "details": {"code": code}});
            serde_json::from_value(error).unwrap()
        };
        assert!(agent_unknown(&coded("UNKNOWN_AGENT_ID", "whatever")));
        assert!(!agent_unknown(&coded("CRON_JOB_NOT_FOUND", "agent \"a\" not found")));
    }

    #[test]
    fn only_releases_about_2026_6_break_early_sessions() {
        let breaks: Vec<bool> = ["dev", "2026.5.12", "2026.6.11", "2026.6.30", "2026.7.1", "2026.9.6"]
            .map(breaks_early_sessions)
            .into();
        assert_eq!(breaks, [false, false, true, true, false, false]);
    }
}

#[cfg(test)]
mod sessions_tests {
    use serde_json::json;

    use super::*;

    fn hello(defaults: &serde_json::Value) -> HelloOk {
        let hello = json!({
            "type": "hello-ok", "protocol": 4, "server": {"version": "2026.9.6", "connId": "c"},
            "features": {}, "snapshot": {"sessionDefaults": defaults}, "policy": {},
        });
        serde_json::from_value(hello).expect("a hello")
    }

    #[test]
    fn a_short_key_means_the_main_session_too() {
        let hello = hello(&json!({"mainSessionKey": "agent:main:main"}));
        let is_main = |key: &str| is_main(&hello, &key.parse().expect("a key"));
        assert!(is_main("main") && is_main("agent:main:main"));
        assert!(!is_main("agent:other:main") && !is_main("weird"));
    }

    #[test]
    fn a_parameter_that_is_not_known_is_told_from_one_that_is_wrong() {
        let refused = |text: &str| GatewayError::new(ErrorCode::InvalidRequest, text);
        let unknown = refused("invalid chat.history params: at root: unexpected property 'offset'");
        assert!(param_unknown(&unknown, "offset") && !param_unknown(&unknown, "cursor"));
        let wrong = refused("invalid chat.history params: at /offset: must be integer");
        assert!(!param_unknown(&wrong, "offset"));
    }
}
