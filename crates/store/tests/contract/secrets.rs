//! Nothing that is shown shows a secret.

use windlass_store::{AgentStatus, AgentToken, CheckIn, Creator, Run, RunKind, StoreError, TokenHash};

use crate::world::{Shared, agent_id, at, furnish, run_id, worker};

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
