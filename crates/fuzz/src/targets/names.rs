//! Short texts with a grammar: ids, keys, cursors, releases, methods.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use windlass_protocol::{
    AGENT_ID_LIMIT, AgentId, AgentIdentity, CallId, GatewayId, MethodName, Release, SESSION_KEY_LIMIT, SessionKey,
    TraceParent, Verdict, slug,
};
use windlass_store::{AgentUid, Cursor, TokenHash};

use crate::shared::{assert_fit_to_show, text};

/// A value that was read is shown as a text that is read as the same value. Errors can be shown. A function that takes a name out of
/// a name returns a name.
pub(super) fn run(data: &[u8]) {
    let Some(text) = text(data) else { return };
    round_trip::<Cursor>(text);
    round_trip::<GatewayId>(text);
    round_trip::<Release>(text);
    round_trip::<TraceParent>(text);
    round_trip::<AgentUid>(text);
    if let Some(id) = CallId::parse(text) {
        assert_eq!(id.number().to_string(), text, "one text for each id");
    }
    if let Ok(method) = MethodName::new(text.to_owned()) {
        let quoted = serde_json::to_string(method.as_str()).expect("a text is JSON");
        assert_eq!(quoted, format!("\"{text}\""), "no escaping is needed");
    }
    let _ = text.parse::<TokenHash>();
    let _ = Verdict::of(Some(text), Some(text));
    session_key(text);
    agent_id(text);
}

fn round_trip<T>(text: &str)
where
    T: FromStr<Err: Display> + Display + PartialEq + Debug,
{
    match text.parse::<T>() {
        Ok(value) => {
            let again = value.to_string().parse::<T>();
            assert!(again.is_ok_and(|again| again == value), "{value}");
        }
        Err(error) => assert_fit_to_show(&error.to_string()),
    }
}

fn session_key(text: &str) {
    let Ok(key) = SessionKey::parse(text) else { return };
    assert!(key.as_str().chars().count() <= SESSION_KEY_LIMIT);
    if let Some(identity) = AgentIdentity::of_session(&key) {
        assert!(key.as_str().contains(identity.agent_id().as_str()));
    }
}

fn agent_id(text: &str) {
    let short = slug(text);
    assert_eq!(slug(&short), short, "a slug is its own slug");
    let Ok(id) = AgentId::parse(text) else { return };
    assert!(id.as_str().chars().count() <= AGENT_ID_LIMIT);
    assert_eq!(AgentId::parse(id.as_str()).as_ref(), Ok(&id));
    assert_eq!(SessionKey::main_of(&id).agent_id().as_ref(), Some(&id));
    if let Some(identity) = AgentIdentity::of(&id) {
        assert_eq!(identity.agent_id(), id);
    }
}
