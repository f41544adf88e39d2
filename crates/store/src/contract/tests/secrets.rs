//! Nothing that is shown shows a secret.

use crate::{
    AgentStatus, AgentToken, CheckIn, Creator, EntryLabel, JournalFilter, NewEntry, NewSend, Run, RunKind, SendFilter,
    StoreError, TokenHash,
};
use windlass_protocol::{RawJson, SessionKey};

use super::world::{Shared, agent_id, at, furnish, gateway_id, run_id, worker};

pub(crate) async fn no_record_and_no_error_shows_a_hash_or_a_secret(store: &Shared) {
    furnish(store).await;
    let (token, next) = (AgentToken::from_bytes([0xa5; 32]), AgentToken::from_bytes([0x5a; 32]));
    let mut agent = worker(1, 1, "Ada");
    agent.token_hash = Some(TokenHash::new(&token, [0x11; 16]));
    agent.next_token_hash = Some(TokenHash::new(&next, [0x22; 16]));
    let stored = store.insert_agent(&agent, Creator::Operator).await.unwrap();
    assert!(stored.knows_token(token.expose()) && stored.knows_token(next.expose()));
    assert!(!stored.knows_token("guess"));

    let mut shown = vec![format!("{token:?} {agent:?} {stored:#?} {store:?}")];
    shown.push(serde_json::to_string(&stored).unwrap());
    shown.push(format!("{:?}", store.gateways(None).await.unwrap()));
    let run = Run::new(run_id(1), stored.id, stored.gateway_id, RunKind::Update, 1, at(1));
    let mut twin = agent.clone();
    twin.id = agent_id(2);
    let errors: Vec<StoreError> = vec![
        store.update_agent(&agent).await.unwrap_err(),
        store.insert_agent(&agent, Creator::Operator).await.unwrap_err(),
        store.insert_agent(&twin, Creator::Operator).await.unwrap_err(),
        store.begin_run(&run, &agent).await.unwrap_err(),
        store
            .check_in(
                stored.id,
                CheckIn {
                    at: at(1),
                    status: Some(AgentStatus::Deleting),
                },
            )
            .await
            .unwrap_err(),
    ];
    for error in errors {
        shown.push(format!("{error} {error:?}"));
    }

    let shown = shown.join(" ");
    let secrets = [
        token.expose(),
        next.expose(),
        "sha256$",
        "ERERERER",
        "IiIiIiIi",
        "digest",
    ];
    for secret in secrets {
        assert!(!shown.contains(secret), "{secret} is in {shown}");
    }
    assert!(
        shown.contains("TokenHash(***)") && shown.contains("AgentToken(***)"),
        "there was something to hide"
    );
}

pub(crate) async fn neither_entries_nor_sends_show_what_they_carry(store: &Shared) {
    let entry = NewEntry {
        gateway: gateway_id(1),
        generation: 1,
        kind: EntryLabel::event("chat"),
        seq: Some(1),
        session_key: None,
        body: RawJson::parse("{\"token\":\"hunter2\"}").unwrap(),
        at: at(1),
    };
    let send = NewSend {
        key: "key-1".into(),
        gateway_id: gateway_id(1),
        session_key: SessionKey::parse("agent:main:main").unwrap(),
        text: "my password is hunter2".into(),
        deliver: None,
        options: serde_json::json!({"note": "hunter2"}),
        created_at: at(1),
        deadline: None,
    };
    store.append(std::slice::from_ref(&entry)).await.unwrap();
    let begun = store.begin_send(&send).await.unwrap();
    let page = store.read_journal(None, &JournalFilter::default(), 1).await.unwrap();
    let pending = store.pending_sends(&SendFilter::default(), None, 1).await.unwrap();
    let error = store.begin_send(&send).await.unwrap_err();
    let shown = format!("{entry:?} {send:#?} {begun:?} {page:#?} {pending:?} {error} {error:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(
        shown.contains("RawJson(19 bytes)") && shown.contains("22 bytes"),
        "{shown}"
    );
    // Whoever writes them out on purpose gets all of it.
    let written = serde_json::to_value(&page.entries[0]).unwrap();
    assert_eq!(
        (&written["kind"], &written["name"], &written["body"]["token"]),
        (&"event".into(), &"chat".into(), &"hunter2".into())
    );
    assert_eq!(serde_json::to_value(&begun).unwrap()["text"], "my password is hunter2");
}
