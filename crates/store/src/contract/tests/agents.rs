//! Agents: names, places, limits, and the fence.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::{
    AgentFilter, AgentRole, AgentStatus, AgentToken, AgentUid, Creator, FileOverride, RunKind, StoreError, TokenHash,
    amend,
};
use serde_json::json;
use windlass_protocol::SessionKey;

use super::world::{Shared, agent_id, at, board, board_id, furnish, gateway_id, lead, main_agent, worker};

pub(crate) async fn an_agent_reads_back_as_it_was_written(store: &Shared) {
    furnish(store).await;
    let mut agent = worker(1, 1, "Grace Hopper");
    agent.status = AgentStatus::Updating;
    agent.token_hash = Some(TokenHash::new(&AgentToken::from_bytes([1; 32]), [1; 16]));
    agent.next_token_hash = Some(TokenHash::new(&AgentToken::from_bytes([2; 32]), [2; 16]));
    agent.heartbeat = json!({"every": "10m", "activeHours": {"start": "08:00"}})
        .as_object()
        .cloned()
        .unwrap();
    agent.identity = [("role".to_owned(), "Compiler \"pioneer\"\n".to_owned())]
        .into_iter()
        .collect();
    agent.identity_override = Some(FileOverride::Template("{{ agent_name }}".into()));
    agent.soul_override = Some(FileOverride::Text("{%endraw%}{{ auth_token }}\0\n".into()));
    agent.provision_requested_at = Some(at(1));
    agent.provision_action = Some(RunKind::Update);
    agent.last_seen_at = Some(at(-5));
    agent.lifecycle_generation = u64::from(u32::MAX) + 1;
    agent.wake_attempts = 2;
    agent.last_wake_sent_at = Some(at(2));
    agent.checkin_deadline_at = Some(at(32));
    agent.last_provision_error = Some("no".into());
    let stored = store.insert_agent(&agent, Creator::Operator).await.unwrap();
    assert_eq!(stored.revision, 1);
    agent.revision = 1;
    assert_eq!(stored, agent);
    assert_eq!(store.agent(agent.id).await.unwrap(), Some(agent.clone()));

    // The other way round.
    let swap = |file: Option<FileOverride>| match file {
        Some(FileOverride::Template(content)) => Some(FileOverride::Text(content)),
        Some(FileOverride::Text(content)) => Some(FileOverride::Template(content)),
        None => None,
    };
    agent.identity_override = swap(agent.identity_override);
    agent.soul_override = swap(agent.soul_override);
    let stored = store.update_agent(&agent).await.unwrap();
    agent.revision = 2;
    assert_eq!(store.agent(agent.id).await.unwrap(), Some(stored));

    // And back to nothing.
    let mut bare = worker(1, 1, "Grace Hopper");
    bare.revision = 2;
    let stored = store.update_agent(&bare).await.unwrap();
    assert_eq!(stored.revision, 3);
    assert_eq!(store.agent(agent.id).await.unwrap(), Some(stored));
}

pub(crate) async fn each_role_has_its_session_on_the_gateway(store: &Shared) {
    furnish(store).await;
    let (gateway, board) = (gateway_id(1), board_id(1));
    let worker = worker(3, 1, "Ada");
    for (agent, key) in [
        (main_agent(1, 1, "main"), format!("agent:mc-gateway-{gateway}:main")),
        (lead(2, 1, "Lead Agent"), format!("agent:lead-{board}:main")),
        (worker.clone(), format!("agent:mc-{}:main", worker.id)),
    ] {
        let stored = store.insert_agent(&agent, Creator::Operator).await.unwrap();
        assert_eq!(stored.session_key.as_str(), key);
        assert_eq!(stored.agent_id(), stored.identity_on_gateway().agent_id());
        let found = store
            .agent_by_session(gateway, &SessionKey::parse(&key).unwrap())
            .await
            .unwrap();
        assert_eq!(found.as_ref(), Some(&stored));
        assert_eq!(
            store
                .agent_by_session(gateway_id(2), &stored.session_key)
                .await
                .unwrap(),
            None
        );
    }
}

pub(crate) async fn a_gateway_has_one_main_agent(store: &Shared) {
    furnish(store).await;
    store
        .insert_agent(&main_agent(1, 1, "east agent"), Creator::Operator)
        .await
        .unwrap();
    store
        .insert_agent(&main_agent(2, 2, "west agent"), Creator::Operator)
        .await
        .unwrap();
    let error = store
        .insert_agent(&main_agent(3, 1, "another"), Creator::Operator)
        .await
        .unwrap_err();
    assert!(
        matches!(error, StoreError::AlreadyHasMain { by, .. } if by == agent_id(1)),
        "{error:?}"
    );
    assert!(error.to_string().contains(&agent_id(1).to_string()));
}

pub(crate) async fn a_board_has_one_lead(store: &Shared) {
    furnish(store).await;
    store
        .insert_agent(&lead(1, 1, "Lead Agent"), Creator::Operator)
        .await
        .unwrap();
    let error = store
        .insert_agent(&lead(2, 1, "Other"), Creator::Operator)
        .await
        .unwrap_err();
    assert!(
        matches!(error, StoreError::AlreadyHasLead { by, .. } if by == agent_id(1)),
        "{error:?}"
    );
    let mut promoted = store
        .insert_agent(&worker(3, 1, "Ada"), Creator::Operator)
        .await
        .unwrap();
    promoted.is_board_lead = true;
    let error = store.update_agent(&promoted).await.unwrap_err();
    assert!(
        matches!(error, StoreError::AlreadyHasLead { by, .. } if by == agent_id(1)),
        "{error:?}"
    );
}

pub(crate) async fn a_name_is_taken_in_whatever_letters_on_its_board(store: &Shared) {
    furnish(store).await;
    store
        .insert_agent(&worker(1, 1, "Ünal Ærø ΣΊΣΥΦΟΣ"), Creator::Operator)
        .await
        .unwrap();
    for name in ["Ünal Ærø ΣΊΣΥΦΟΣ", "ünal ærø σίσυφος", " ÜNAL ÆRØ ΣΊΣΥΦΟΣ "] {
        let error = store
            .insert_agent(&worker(2, 1, name), Creator::Operator)
            .await
            .unwrap_err();
        assert!(
            matches!(&error, StoreError::NameTaken { by, .. } if *by == agent_id(1).to_string()),
            "{name}: {error:?}"
        );
        let error = store
            .insert_agent(&lead(2, 1, name), Creator::Operator)
            .await
            .unwrap_err();
        assert!(matches!(error, StoreError::NameTaken { .. }), "{name}: {error:?}");
    }
    let mut other = store
        .insert_agent(&worker(2, 1, "Unal"), Creator::Operator)
        .await
        .unwrap();
    other.name = "ünal ærø σίσυφος".into();
    let error = store.update_agent(&other).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::NameTaken { by, .. } if *by == agent_id(1).to_string()),
        "{error:?}"
    );

    // Its own name in other letters is no clash.
    let mut same = store.agent(agent_id(1)).await.unwrap().unwrap();
    same.name = "ünal ærø ΣΊΣΥΦΟΣ".into();
    store.update_agent(&same).await.unwrap();
}

pub(crate) async fn a_name_is_taken_in_its_gateways_workspace_but_for_leads(store: &Shared) {
    furnish(store).await;
    store
        .insert_agent(&worker(1, 1, "Ada"), Creator::Operator)
        .await
        .unwrap();
    let error = store
        .insert_agent(&worker(2, 2, "ADA"), Creator::Operator)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, StoreError::NameTaken { by, .. } if *by == agent_id(1).to_string()),
        "{error:?}"
    );
    let error = store
        .insert_agent(&main_agent(2, 1, "ada"), Creator::Operator)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, StoreError::NameTaken { by, .. } if *by == agent_id(1).to_string()),
        "{error:?}"
    );
    store
        .insert_agent(&worker(3, 3, "Ada"), Creator::Operator)
        .await
        .unwrap();

    // All leads have the same name unless they are given another.
    store
        .insert_agent(&lead(4, 1, "Lead Agent"), Creator::Operator)
        .await
        .unwrap();
    store
        .insert_agent(&lead(5, 2, "Lead Agent"), Creator::Operator)
        .await
        .unwrap();
    let error = store
        .insert_agent(&worker(6, 1, "lead agent"), Creator::Operator)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, StoreError::NameTaken { by, .. } if *by == agent_id(4).to_string()),
        "{error:?}"
    );
}

pub(crate) async fn a_session_belongs_to_one_agent_of_a_gateway(store: &Shared) {
    furnish(store).await;
    let ada = store
        .insert_agent(&worker(1, 1, "Ada"), Creator::Operator)
        .await
        .unwrap();
    let mut bob = worker(2, 1, "Bob");
    bob.session_key = ada.session_key.clone();
    let error = store.insert_agent(&bob, Creator::Operator).await.unwrap_err();
    assert!(
        matches!(error, StoreError::SessionTaken { by, .. } if by == ada.id),
        "{error:?}"
    );
    let mut elsewhere = worker(3, 3, "Bob");
    elsewhere.session_key = ada.session_key.clone();
    store.insert_agent(&elsewhere, Creator::Operator).await.unwrap();
}

pub(crate) async fn a_lead_creates_no_more_workers_than_the_board_allows(store: &Shared) {
    furnish(store).await;
    let mut two = board(1, Some(1), "b");
    two.max_agents = 2;
    store.update_board(&two).await.unwrap();
    store
        .insert_agent(&lead(1, 1, "Lead Agent"), Creator::Operator)
        .await
        .unwrap();
    store.insert_agent(&worker(2, 1, "a"), Creator::Lead).await.unwrap();
    store.insert_agent(&worker(3, 1, "b"), Creator::Lead).await.unwrap();
    let error = store.insert_agent(&worker(4, 1, "c"), Creator::Lead).await.unwrap_err();
    assert!(matches!(error, StoreError::LimitReached { max: 2 }), "{error:?}");
    // Other boards and operators are not held to it; whoever an operator adds counts.
    store.insert_agent(&worker(4, 2, "c"), Creator::Lead).await.unwrap();
    store.insert_agent(&worker(5, 1, "d"), Creator::Operator).await.unwrap();
    assert!(store.delete_agent(agent_id(2)).await.unwrap());
    let error = store.insert_agent(&worker(6, 1, "e"), Creator::Lead).await.unwrap_err();
    assert!(matches!(error, StoreError::LimitReached { max: 2 }), "{error:?}");
    assert!(store.delete_agent(agent_id(3)).await.unwrap());
    store.insert_agent(&worker(6, 1, "e"), Creator::Lead).await.unwrap();
}

/// Runs 16 of the same thing at once; how each ended.
async fn at_once<T: Send + 'static, F>(store: &Shared, call: impl Fn(Shared, u16) -> F) -> Vec<Result<T, StoreError>>
where
    F: Future<Output = Result<T, StoreError>> + Send + 'static,
{
    let tasks: Vec<_> = (1..=16)
        .map(|number| tokio::spawn(call(Arc::clone(store), number)))
        .collect();
    let mut ends = Vec::new();
    for task in tasks {
        ends.push(task.await.unwrap());
    }
    ends
}

pub(crate) async fn the_last_place_is_given_once_when_many_ask(store: &Shared) {
    furnish(store).await;
    let ends = at_once(store, |store, number| async move {
        store
            .insert_agent(&worker(number, 1, &format!("worker {number}")), Creator::Lead)
            .await
    });
    let ends = ends.await;
    assert_eq!(ends.iter().filter(|end| end.is_ok()).count(), 1);
    assert_eq!(
        ends.iter()
            .filter(|end| matches!(end, Err(StoreError::LimitReached { max: 1 })))
            .count(),
        15
    );
}

pub(crate) async fn a_name_is_given_once_when_many_ask(store: &Shared) {
    furnish(store).await;
    let ends = at_once(store, |store, number| async move {
        let name = if number % 2 == 0 { "ada" } else { "ADA" };
        store
            .insert_agent(&worker(number, 1 + number % 2, name), Creator::Operator)
            .await
    });
    let ends = ends.await;
    assert_eq!(ends.iter().filter(|end| end.is_ok()).count(), 1);
    assert_eq!(
        ends.iter()
            .filter(|end| matches!(end, Err(StoreError::NameTaken { .. })))
            .count(),
        15
    );
}

pub(crate) async fn an_agent_goes_where_its_board_is(store: &Shared) {
    furnish(store).await;
    let mut stray = worker(1, 1, "Ada");
    stray.gateway_id = gateway_id(2);
    let error = store.insert_agent(&stray, Creator::Operator).await.unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Invalid {
                field: "agent.gateway_id",
                ..
            }
        ),
        "{error:?}"
    );

    // A board that moves leaves its agents where they are until somebody moves them.
    let ada = store
        .insert_agent(&worker(1, 1, "Ada"), Creator::Operator)
        .await
        .unwrap();
    store.update_board(&board(1, Some(2), "moved")).await.unwrap();
    let mut ada = store.update_agent(&ada).await.unwrap();
    ada.gateway_id = gateway_id(2);
    store.update_agent(&ada).await.unwrap();
}

pub(crate) async fn a_change_of_what_was_changed_meanwhile_is_refused(store: &Shared) {
    furnish(store).await;
    let first = store
        .insert_agent(&worker(1, 1, "Ada"), Creator::Operator)
        .await
        .unwrap();
    let second = store.update_agent(&first).await.unwrap();
    assert_eq!((first.revision, second.revision), (1, 2));
    let error = store.update_agent(&first).await.unwrap_err();
    assert!(
        matches!(error, StoreError::Conflict { agent } if agent == first.id),
        "{error:?}"
    );
    let mut future = second.clone();
    future.revision = 3;
    assert!(matches!(
        store.update_agent(&future).await,
        Err(StoreError::Conflict { .. })
    ));
    assert_eq!(store.agent(first.id).await.unwrap(), Some(second));
}

pub(crate) async fn of_many_writers_of_one_revision_one_wins(store: &Shared) {
    furnish(store).await;
    let agent = store
        .insert_agent(&worker(1, 1, "Ada"), Creator::Operator)
        .await
        .unwrap();
    let ends = at_once(store, |store, number| {
        let mut agent = agent.clone();
        agent.lifecycle_generation = u64::from(number);
        async move { store.update_agent(&agent).await }
    });
    let mut won: Vec<_> = ends.await.into_iter().filter_map(Result::ok).collect();
    assert_eq!(won.len(), 1);
    assert_eq!(store.agent(agent.id).await.unwrap(), won.pop());
}

pub(crate) async fn amend_reads_again_until_it_wins(store: &Shared) {
    furnish(store).await;
    let agent = store
        .insert_agent(&worker(1, 1, "Ada"), Creator::Operator)
        .await
        .unwrap();
    let ends = at_once(store, |store, _| async move {
        // More rivals than tries: whoever is told to read again does.
        loop {
            match amend(&*store, agent_id(1), |agent| agent.lifecycle_generation += 1).await {
                Err(StoreError::Conflict { .. }) => {}
                done => return done,
            }
        }
    });
    for end in ends.await {
        end.unwrap();
    }
    let now = store.agent(agent.id).await.unwrap().unwrap();
    assert_eq!((now.lifecycle_generation, now.revision), (16, 17), "no change was lost");
    assert_eq!(amend(&**store, agent_id(9), |_| ()).await.unwrap(), None);
}

pub(crate) async fn a_refused_change_changes_nothing(store: &Shared) {
    furnish(store).await;
    store
        .insert_agent(&worker(1, 1, "Ada"), Creator::Operator)
        .await
        .unwrap();
    let bob = store
        .insert_agent(&worker(2, 1, "Bob"), Creator::Operator)
        .await
        .unwrap();
    let mut renamed = bob.clone();
    renamed.name = "ada".into();
    renamed.lifecycle_generation = 9;
    store.update_agent(&renamed).await.unwrap_err();
    assert_eq!(store.agent(bob.id).await.unwrap().as_ref(), Some(&bob));
    // And the store goes on.
    store.update_agent(&bob).await.unwrap();
}

pub(crate) async fn agents_are_listed_by_gateway_board_and_role(store: &Shared) {
    furnish(store).await;
    for agent in [
        worker(4, 1, "d"),
        main_agent(1, 1, "a"),
        lead(2, 1, "b"),
        worker(3, 2, "c"),
        main_agent(5, 2, "e"),
        worker(6, 3, "f"),
    ] {
        store.insert_agent(&agent, Creator::Operator).await.unwrap();
    }
    let names = |gateway: Option<u16>, board: Option<u16>, role| {
        let filter = AgentFilter {
            gateway: gateway.map(gateway_id),
            board: board.map(board_id),
            role,
        };
        async move {
            let found = store.agents(&filter).await.unwrap();
            found.into_iter().map(|agent| agent.name).collect::<String>()
        }
    };
    assert_eq!(names(None, None, None).await, "abcdef", "oldest first");
    assert_eq!(names(Some(1), None, None).await, "abcd");
    assert_eq!(names(None, Some(1), None).await, "bd");
    assert_eq!(names(None, None, Some(AgentRole::Main)).await, "ae");
    assert_eq!(names(None, None, Some(AgentRole::Lead)).await, "b");
    assert_eq!(names(Some(1), None, Some(AgentRole::Worker)).await, "cd");
    assert_eq!(names(Some(2), Some(1), None).await, "");
}

pub(crate) async fn a_deleted_agent_leaves_its_name_free(store: &Shared) {
    furnish(store).await;
    store.insert_agent(&lead(1, 1, "Ada"), Creator::Operator).await.unwrap();
    assert!(store.delete_agent(agent_id(1)).await.unwrap());
    assert!(!store.delete_agent(agent_id(1)).await.unwrap());
    store.insert_agent(&lead(2, 1, "ada"), Creator::Operator).await.unwrap();
    let left: BTreeSet<AgentUid> = store
        .agents(&AgentFilter::default())
        .await
        .unwrap()
        .into_iter()
        .map(|agent| agent.id)
        .collect();
    assert_eq!(left, BTreeSet::from([agent_id(2)]));
}
