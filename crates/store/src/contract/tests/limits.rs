//! How much fits.

use crate::limits::{JSON_BYTES, MAX_AGENTS, MESSAGE_CHARS, NAME_CHARS, TEMPLATE_BYTES, TEXT_CHARS};
use crate::{
    Agent, Board, Creator, FileOverride, Gateway, NewActivity, Organization, Run, RunKind, SecretSource, StoreError,
};

use super::world::{
    Shared, agent_id, at, board, board_id, furnish, gateway, gateway_id, main_agent, organization, run_id, worker,
};

/// Puts a text into a record, somewhere.
type Change<R> = fn(&mut R, String);

fn field(error: &StoreError) -> &'static str {
    match error {
        StoreError::Invalid { field, .. } => field,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn empty_and_too_long_texts_are_refused_by_their_field(store: &Shared) {
    furnish(store).await;
    let long = |limit: usize| "é".repeat(limit + 1);
    for (text, why) in [
        ("", "is empty"),
        (" \t", "is empty"),
        ("a\nb", "control"),
        (&long(NAME_CHARS), "longer"),
    ] {
        let error = store.put_organization(&organization(1, text)).await.unwrap_err();
        assert_eq!(field(&error), "organization.name");
        assert!(error.to_string().contains(why), "{error}");
        assert_eq!(
            field(&store.insert_gateway(&gateway(8, text)).await.unwrap_err()),
            "gateway.name"
        );
        assert_eq!(
            field(&store.insert_board(&board(8, None, text)).await.unwrap_err()),
            "board.name"
        );
        let error = store
            .insert_agent(&worker(8, 1, text), Creator::Operator)
            .await
            .unwrap_err();
        assert_eq!(field(&error), "agent.name");
    }

    let organizations: [(&str, Change<Organization>); 2] = [
        ("owner.name", |record, text| record.owner.name = Some(text)),
        ("owner.notes", |record, text| record.owner.notes = Some(text)),
    ];
    for (name, change) in organizations {
        let mut record = organization(1, "Acme");
        change(&mut record, long(TEXT_CHARS));
        assert_eq!(field(&store.put_organization(&record).await.unwrap_err()), name);
    }
    let gateways: [(&str, Change<Gateway>); 4] = [
        ("gateway.url", |record, text| record.url = text),
        ("gateway.workspace_root", |record, text| {
            record.workspace_root = Some(text);
        }),
        ("gateway.tls_fingerprint", |record, text| {
            record.tls_fingerprint = Some(text);
        }),
        ("gateway.token", |record, text| {
            record.token = Some(SecretSource::Host(text));
        }),
    ];
    for (name, change) in gateways {
        let mut record = gateway(1, "east");
        change(&mut record, long(TEXT_CHARS));
        assert_eq!(field(&store.update_gateway(&record).await.unwrap_err()), name);
    }
    let boards: [(&str, Change<Board>); 5] = [
        ("board.board_type", |record, text| record.board_type = text),
        ("board.objective", |record, text| record.objective = Some(text)),
        ("board.target_date", |record, text| record.target_date = Some(text)),
        ("board.success_metrics", |record, text| {
            record.success_metrics = Some([("a".to_owned(), text.repeat(5).into())].into_iter().collect());
        }),
        ("board.max_agents", |record, _| record.max_agents = MAX_AGENTS + 1),
    ];
    for (name, change) in boards {
        let mut record = board(1, Some(1), "b");
        change(&mut record, long(TEXT_CHARS));
        assert_eq!(field(&store.update_board(&record).await.unwrap_err()), name);
    }
    too_much_of_an_agent(store).await;
    let activity = NewActivity {
        actor: None,
        source: None,
        kind: String::new(),
        message: String::new(),
        agent_id: None,
        board_id: None,
        at: at(0),
    };
    assert_eq!(field(&store.record(&activity).await.unwrap_err()), "activity.kind");
}

async fn too_much_of_an_agent(store: &Shared) {
    let agent = store
        .insert_agent(&worker(1, 1, "Ada"), Creator::Operator)
        .await
        .unwrap();
    let agents: [(&str, Change<Agent>); 7] = [
        ("agent.identity_override", |agent, text| {
            agent.identity_override = Some(FileOverride::Template(text));
        }),
        ("agent.soul_override", |agent, text| {
            agent.soul_override = Some(FileOverride::Text(text));
        }),
        ("agent.heartbeat", |agent, text| {
            drop(agent.heartbeat.insert("a".into(), text.into()));
        }),
        ("agent.identity", |agent, text| {
            drop(agent.identity.insert("role".into(), text));
        }),
        ("agent.identity", |agent, _| {
            drop(agent.identity.insert(String::new(), "x".into()));
        }),
        ("agent.identity", |agent, _| {
            agent
                .identity
                .extend((0..65).map(|key| (key.to_string(), String::new())));
        }),
        ("agent.board_id", |agent, _| {
            (agent.board_id, agent.is_board_lead) = (None, true);
        }),
    ];
    for (name, change) in agents {
        let mut agent = agent.clone();
        change(&mut agent, "x".repeat(TEMPLATE_BYTES.max(JSON_BYTES) + 1));
        assert_eq!(field(&store.update_agent(&agent).await.unwrap_err()), name);
    }
    let mut run = Run::new(run_id(1), agent.id, agent.gateway_id, RunKind::Update, 1, at(0));
    run.options = "x".repeat(JSON_BYTES).into();
    assert_eq!(field(&store.begin_run(&run, &agent).await.unwrap_err()), "run.options");
    assert_eq!(
        store.agent(agent_id(1)).await.unwrap(),
        Some(agent),
        "nothing was written"
    );
}

pub(crate) async fn the_longest_texts_are_taken(store: &Shared) {
    furnish(store).await;
    let name = "é".repeat(NAME_CHARS);
    let mut agent = worker(1, 1, &name);
    agent.soul_override = Some(FileOverride::Text("x".repeat(TEMPLATE_BYTES)));
    agent.identity.insert("purpose".into(), "é".repeat(TEXT_CHARS));
    let stored = store.insert_agent(&agent, Creator::Operator).await.unwrap();
    assert_eq!(store.agent(agent.id).await.unwrap(), Some(stored));
    let mut board = board(1, Some(1), &name);
    board.objective = Some("é".repeat(TEXT_CHARS));
    store.update_board(&board).await.unwrap();
    assert_eq!(store.board(board_id(1)).await.unwrap(), Some(board));
}

pub(crate) async fn what_is_said_of_a_failure_is_cut_and_not_refused(store: &Shared) {
    furnish(store).await;
    let (long, cut) = ("é".repeat(MESSAGE_CHARS + 1), format!("{}…", "é".repeat(MESSAGE_CHARS)));
    let mut agent = store
        .insert_agent(&main_agent(1, 1, "main"), Creator::Operator)
        .await
        .unwrap();
    agent.last_provision_error = Some(long.clone());
    let run = Run::new(run_id(1), agent.id, gateway_id(1), RunKind::Update, 1, at(0));
    let agent = store.begin_run(&run, &agent).await.unwrap();
    assert_eq!(agent.last_provision_error.as_ref(), Some(&cut));
    assert_eq!(store.agent(agent.id).await.unwrap().as_ref(), Some(&agent));
    store
        .end_run(&run.ended(at(1), Some(long.clone())), Some(&agent))
        .await
        .unwrap();
    assert_eq!(store.run(run.id).await.unwrap().unwrap().error.as_ref(), Some(&cut));
    let new = NewActivity {
        actor: None,
        source: None,
        kind: "a".into(),
        message: long,
        agent_id: None,
        board_id: None,
        at: at(0),
    };
    assert_eq!(store.record(&new).await.unwrap().message, cut);
}

pub(crate) async fn a_url_with_a_secret_in_it_is_refused(store: &Shared) {
    furnish(store).await;
    for url in ["ws://user:hunter2@host", "wss://host/?token=hunter2"] {
        let mut gateway = gateway(1, "east");
        gateway.url = url.into();
        let error = store.update_gateway(&gateway).await.unwrap_err();
        assert_eq!(field(&error), "gateway.url");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}

pub(crate) async fn a_secret_in_place_of_its_reference_is_refused(store: &Shared) {
    furnish(store).await;
    for source in [
        SecretSource::Env("hunter2-hunter2".into()),
        SecretSource::Env(String::new()),
        SecretSource::Host(String::new()),
        SecretSource::File("".into()),
        SecretSource::File("a\nb".into()),
    ] {
        let mut gateway = gateway(1, "east");
        gateway.token = Some(source);
        let error = store.update_gateway(&gateway).await.unwrap_err();
        assert_eq!(field(&error), "gateway.token");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}
