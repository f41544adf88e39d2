use proptest::prelude::*;

use super::*;

const UUID: &str = "0b2f8f0e-3a55-4d3c-9f0a-5c1d2e3f4a5b";

fn uuid() -> Uuid {
    Uuid::try_parse(UUID).unwrap()
}

#[test]
fn each_identity_has_its_id_session_and_workspace() {
    let rows = [
        (
            AgentIdentity::GatewayMain(uuid()),
            format!("mc-gateway-{UUID}"),
            format!("/srv/ws/workspace-gateway-{UUID}"),
        ),
        (
            AgentIdentity::BoardLead(uuid()),
            format!("lead-{UUID}"),
            format!("/srv/ws/workspace-lead-{UUID}"),
        ),
        (
            AgentIdentity::Worker(uuid()),
            format!("mc-{UUID}"),
            format!("/srv/ws/workspace-mc-{UUID}"),
        ),
    ];
    for (identity, id, workspace) in rows {
        assert_eq!(identity.agent_id().as_str(), id);
        assert_eq!(identity.session_key().as_str(), format!("agent:{id}:main"));
        assert_eq!(identity.workspace_path("/srv/ws/"), workspace);
        assert_eq!(identity.workspace_path("/srv/ws"), workspace);
        assert_eq!(AgentIdentity::of(&identity.agent_id()), Some(identity));
        assert_eq!(AgentIdentity::of_session(&identity.session_key()), Some(identity));
    }
}

#[test]
fn only_ids_in_exactly_our_spelling_are_ours() {
    let upper = UUID.to_uppercase();
    let simple = UUID.replace('-', "");
    for foreign in [
        "main",
        "mc-",
        "mc-gateway-",
        "lead-x",
        &format!("mc-{upper}"),
        &format!("lead-{simple}"),
        UUID,
    ] {
        assert_eq!(AgentIdentity::of(&AgentId::parse(foreign).unwrap()), None, "{foreign}");
    }
    let side = SessionKey::parse(&format!("agent:mc-{UUID}:other")).unwrap();
    assert_eq!(AgentIdentity::of_session(&side), None);
}

#[test]
fn the_agent_of_a_key_is_its_second_part() {
    let agent = |key: &str| SessionKey::parse(key).unwrap().agent_id().map(|id| id.to_string());
    assert_eq!(agent("agent:main:main").as_deref(), Some("main"));
    assert_eq!(
        agent("agent:alpha-one:whatsapp:group:some group").as_deref(),
        Some("alpha-one")
    );
    for none in ["weird", "agent:", "agent:x", "agent::main", "agents:x:y", "global"] {
        assert_eq!(agent(none), None, "{none}");
    }
}

#[test]
fn texts_that_would_break_keys_paths_or_logs_are_refused() {
    assert_eq!(SessionKey::parse(""), Err(KeyError::Empty));
    assert_eq!(SessionKey::parse(" a"), Err(KeyError::BadCharacter));
    assert_eq!(SessionKey::parse("a\nb"), Err(KeyError::BadCharacter));
    assert!(SessionKey::parse(&"é".repeat(SESSION_KEY_LIMIT)).is_ok());
    assert_eq!(
        SessionKey::parse(&"é".repeat(SESSION_KEY_LIMIT + 1)),
        Err(KeyError::TooLong(SESSION_KEY_LIMIT))
    );
    for bad in ["a:b", "a b", "a/b", "a\\b", "..", ".", "a\0"] {
        assert_eq!(AgentId::parse(bad), Err(KeyError::BadCharacter), "{bad:?}");
    }
    assert!(serde_json::from_str::<AgentId>("\"a:b\"").is_err());
}

#[test]
fn a_name_becomes_the_slug_that_gateways_make_of_it() {
    for (name, expected) in [
        ("Alpha One", "alpha-one"),
        ("  --A__b  C!!", "a-b-c"),
        ("mc-gateway-1", "mc-gateway-1"),
        ("Überraschung", "berraschung"),
        ("…", ""),
        ("", ""),
    ] {
        assert_eq!(slug(name), expected, "{name:?}");
    }
}

proptest! {
    #[test]
    fn a_slug_has_only_its_letters_and_is_its_own_slug(text in ".{0,60}") {
        let once = slug(&text);
        prop_assert!(once.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
        prop_assert!(!once.starts_with('-') && !once.ends_with('-') && !once.contains("--"));
        prop_assert_eq!(slug(&once), once);
    }

    #[test]
    fn parsing_never_panics_and_what_parses_reads_back(text in ".{0,200}") {
        if let Ok(key) = SessionKey::parse(&text) {
            prop_assert_eq!(key.as_str(), &text);
            let json = serde_json::to_string(&key).unwrap();
            prop_assert_eq!(serde_json::from_str::<SessionKey>(&json).unwrap(), key);
        }
    }

    #[test]
    fn the_agent_of_an_agents_main_key_is_that_agent(text in "[a-zA-Z0-9_.-]{1,40}") {
        if let Ok(agent) = AgentId::parse(&text) {
            prop_assert_eq!(SessionKey::main_of(&agent).agent_id(), Some(agent));
        }
    }

    #[test]
    fn every_identity_is_recognised_again(bytes in any::<[u8; 16]>()) {
        let uuid = Uuid::from_bytes(bytes);
        for identity in [AgentIdentity::GatewayMain(uuid), AgentIdentity::BoardLead(uuid), AgentIdentity::Worker(uuid)] {
            prop_assert_eq!(AgentIdentity::of_session(&identity.session_key()), Some(identity));
        }
    }
}
