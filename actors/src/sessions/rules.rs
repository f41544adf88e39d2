//! What releases do differently with sessions, each as one rule.
//!
//! Those that provisioning needs, too, stand in [`control_plane::rules`](crate::control_plane::rules); those of a run in
//! [`windlass_protocol::run::rules`].

use windlass_protocol::run::rules::same_session;
use windlass_protocol::{AgentId, ErrorCode, GatewayError, HelloOk, SessionKey};

pub(super) use crate::control_plane::rules::{breaks_early_sessions, label_taken, main_session_kept, session_active};

/// Whether the gateway advertises a method.
pub(super) fn offers(hello: &HelloOk, method: &str) -> bool {
    let methods = hello.features.methods.as_deref().unwrap_or_default();
    methods.iter().any(|known| known == method)
}

/// Whether the release knows no such parameter: params are closed objects, and a refusal names what is too much
/// (`invalid chat.history params: at root: unexpected property 'offset'`; all nine releases of 2026).
pub(super) fn param_unknown(error: &GatewayError, name: &str) -> bool {
    error.code == ErrorCode::InvalidRequest
        && error.detail_code().is_none()
        && error.message.contains(&format!("unexpected property '{name}'"))
}

/// Whether a page that is asked for by its offset may be given (from 2026.7 on; none of generation 3 does).
pub(super) const fn may_know_offsets(hello: &HelloOk) -> bool {
    hello.protocol >= 4
}

/// The gateway's main session: what it says of itself, or what it calls it when it says nothing.
pub(super) fn main_session(hello: &HelloOk) -> SessionKey {
    let defaults = hello.snapshot.session_defaults.as_ref();
    let said = defaults.and_then(|defaults| SessionKey::parse(defaults.main_session_key.as_deref()?).ok());
    said.unwrap_or_else(|| {
        let agent = defaults.and_then(|defaults| AgentId::parse(defaults.default_agent_id.as_deref()?).ok());
        let agent = agent.unwrap_or_else(|| AgentId::parse("main").expect("main is an id"));
        SessionKey::main_of(&agent)
    })
}

/// Whether a key means the gateway's main session.
pub(super) fn is_main(hello: &HelloOk, key: &SessionKey) -> bool {
    same_session(key.as_str(), main_session(hello).as_str())
}

#[cfg(test)]
mod tests {
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
    fn the_main_session_is_the_one_that_the_gateway_names() {
        let named = hello(&json!({"mainSessionKey": "agent:boss:home", "defaultAgentId": "boss"}));
        assert_eq!(main_session(&named).as_str(), "agent:boss:home");
        assert_eq!(
            main_session(&hello(&json!({"defaultAgentId": "boss"}))).as_str(),
            "agent:boss:main"
        );
        assert_eq!(main_session(&hello(&json!(null))).as_str(), "agent:main:main");
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
