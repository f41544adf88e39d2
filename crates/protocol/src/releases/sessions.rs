//! How releases differ in their session methods, one rule a function.

use crate::{AgentId, ErrorCode, GatewayError, HelloOk, SessionKey, SessionKeySpace};

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
