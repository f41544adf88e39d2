//! Organizations, gateways, boards, and the store as a whole.

use crate::{BoardFilter, BoardRules, Creator, OwnError, Owner, Right, RunId, SecretSource, StoreError};
use serde_json::json;

use super::world::{
    Shared, agent_id, at, board, board_id, furnish, gateway, gateway_id, organization, organization_id, run_id, worker,
};

pub(crate) async fn what_is_not_there_is_none_and_not_an_error(store: &Shared) {
    assert_eq!(store.organization(organization_id(1)).await.unwrap(), None);
    assert_eq!(store.gateway(gateway_id(1)).await.unwrap(), None);
    assert_eq!(store.board(board_id(1)).await.unwrap(), None);
    assert_eq!(store.agent(agent_id(1)).await.unwrap(), None);
    assert_eq!(store.run(run_id(1)).await.unwrap(), None);
    assert_eq!(store.steps(run_id(1)).await.unwrap(), []);
    assert_eq!(store.runs(agent_id(1), 10).await.unwrap(), []);
    assert_eq!(store.next_deadline().await.unwrap(), None);
    assert!(!store.delete_gateway(gateway_id(1)).await.unwrap());
    assert!(!store.delete_board(board_id(1)).await.unwrap());
    assert!(!store.delete_agent(agent_id(1)).await.unwrap());
    assert!(!store.touch(agent_id(1), at(0)).await.unwrap());
}

pub(crate) async fn an_organization_is_written_and_written_again(store: &Shared) {
    let mut acme = organization(1, "Acme");
    store.put_organization(&acme).await.unwrap();
    assert_eq!(store.organization(acme.id).await.unwrap().as_ref(), Some(&acme));
    acme.name = "Ácme & Söhne".into();
    acme.owner = Owner {
        name: Some("Ada Lovelace".into()),
        preferred_name: Some("Ada".into()),
        email: Some("ada@example.org".into()),
        pronouns: Some("she/her".into()),
        timezone: Some("Europe/London".into()),
        notes: Some("line 1\nline \"2\"".into()),
        context: Some("engines".into()),
    };
    store.put_organization(&acme).await.unwrap();
    // A second write must not disturb what refers to it.
    store.insert_gateway(&gateway(1, "east")).await.unwrap();
    store.put_organization(&acme).await.unwrap();
    assert_eq!(store.organizations().await.unwrap(), [acme]);
    assert!(store.gateway(gateway_id(1)).await.unwrap().is_some());
}

pub(crate) async fn a_gateway_reads_back_as_it_was_written(store: &Shared) {
    furnish(store).await;
    for token in [
        None,
        Some(SecretSource::Env("TOKEN_1".into())),
        Some(SecretSource::File("/run/secrets/gateway: 1".into())),
        Some(SecretSource::Host("vault/prod".into())),
    ] {
        let mut changed = gateway(1, "East");
        changed.token = token;
        changed.url = String::new();
        changed.workspace_root = None;
        changed.allow_insecure_tls = true;
        changed.tls_fingerprint = Some("ab:cd".into());
        changed.disable_device_pairing = true;
        store.update_gateway(&changed).await.unwrap();
        assert_eq!(store.gateway(changed.id).await.unwrap(), Some(changed));
    }
}

pub(crate) async fn a_board_reads_back_as_it_was_written(store: &Shared) {
    furnish(store).await;
    let mut changed = board(1, None, "Übersicht");
    assert!(changed.rules.require_approval_for_done && changed.board_type == "goal" && changed.max_agents == 1);
    changed.board_type = "general".into();
    changed.objective = Some("ship".into());
    changed.success_metrics = json!({"users": 10, "nested": {"rate": 0.1}}).as_object().cloned();
    changed.target_date = Some("2027-01-01".into());
    changed.goal_confirmed = true;
    changed.rules = BoardRules {
        require_approval_for_done: false,
        require_review_before_done: true,
        comment_required_for_review: true,
        block_status_changes_with_pending_approval: true,
        only_lead_can_change_status: true,
    };
    changed.max_agents = 10_000;
    changed.paused = true;
    changed.created_at = at(-1_000_000_000_000);
    store.update_board(&changed).await.unwrap();
    assert_eq!(store.board(changed.id).await.unwrap(), Some(changed));
}

pub(crate) async fn lists_are_sorted_and_filtered(store: &Shared) {
    furnish(store).await;
    store.put_organization(&organization(2, "Aardvark")).await.unwrap();
    let mut theirs = gateway(3, "a first");
    theirs.organization_id = organization_id(2);
    store.insert_gateway(&theirs).await.unwrap();

    let names: Vec<String> = store
        .organizations()
        .await
        .unwrap()
        .into_iter()
        .map(|found| found.name)
        .collect();
    assert_eq!(names, ["Aardvark", "Acme"]);
    let gateways = store.gateways(None).await.unwrap();
    assert_eq!(
        gateways.iter().map(|found| &*found.name).collect::<Vec<_>>(),
        ["a first", "east", "west"]
    );
    assert_eq!(store.gateways(Some(organization_id(2))).await.unwrap(), [theirs]);

    let boards = |filter: BoardFilter| async move {
        store
            .boards(&filter)
            .await
            .unwrap()
            .into_iter()
            .map(|found| found.name)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        boards(BoardFilter::default()).await,
        ["board 3", "board 2", "board 1"],
        "newest first"
    );
    let of_gateway = BoardFilter {
        gateway: Some(gateway_id(1)),
        ..BoardFilter::default()
    };
    assert_eq!(boards(of_gateway).await, ["board 2", "board 1"]);
    assert!(
        boards(BoardFilter {
            organization: Some(organization_id(2)),
            ..of_gateway
        })
        .await
        .is_empty()
    );
}

pub(crate) async fn a_record_that_names_an_unknown_one_is_refused(store: &Shared) {
    let unknown = |error: StoreError| match error {
        StoreError::Unknown { what, .. } => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        unknown(store.insert_gateway(&gateway(1, "east")).await.unwrap_err()),
        "organization"
    );
    assert_eq!(
        unknown(store.insert_board(&board(1, None, "b")).await.unwrap_err()),
        "organization"
    );
    store.put_organization(&organization(1, "Acme")).await.unwrap();
    assert_eq!(
        unknown(store.insert_board(&board(1, Some(1), "b")).await.unwrap_err()),
        "gateway"
    );
    let agent = worker(1, 1, "Ada");
    assert_eq!(
        unknown(store.insert_agent(&agent, Creator::Operator).await.unwrap_err()),
        "gateway"
    );
    store.insert_gateway(&gateway(1, "east")).await.unwrap();
    assert_eq!(
        unknown(store.insert_agent(&agent, Creator::Operator).await.unwrap_err()),
        "board"
    );

    store.insert_board(&board(1, Some(1), "b")).await.unwrap();
    let moved = board(1, Some(2), "b");
    assert_eq!(unknown(store.update_board(&moved).await.unwrap_err()), "gateway");
    let mut given_away = gateway(1, "east");
    given_away.organization_id = organization_id(9);
    assert_eq!(
        unknown(store.update_gateway(&given_away).await.unwrap_err()),
        "organization"
    );
}

pub(crate) async fn an_id_can_be_inserted_only_once_and_updated_only_when_there(store: &Shared) {
    furnish(store).await;
    let error = store.insert_gateway(&gateway(1, "other")).await.unwrap_err();
    assert!(matches!(error, StoreError::Exists { what: "gateway", .. }), "{error:?}");
    let error = store.insert_board(&board(1, None, "other")).await.unwrap_err();
    assert!(matches!(error, StoreError::Exists { what: "board", .. }), "{error:?}");
    store
        .insert_agent(&worker(1, 1, "Ada"), Creator::Operator)
        .await
        .unwrap();
    let error = store
        .insert_agent(&worker(1, 2, "Bob"), Creator::Operator)
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Exists { what: "agent", .. }), "{error:?}");
    assert_eq!(
        store.gateway(gateway_id(1)).await.unwrap().unwrap().name,
        "east",
        "nothing was written"
    );

    let error = store.update_gateway(&gateway(7, "x")).await.unwrap_err();
    assert!(
        matches!(error, StoreError::Unknown { what: "gateway", .. }),
        "{error:?}"
    );
    let error = store.update_board(&board(7, None, "x")).await.unwrap_err();
    assert!(matches!(error, StoreError::Unknown { what: "board", .. }), "{error:?}");
    let error = store.update_agent(&worker(7, 1, "x")).await.unwrap_err();
    assert!(matches!(error, StoreError::Unknown { what: "agent", .. }), "{error:?}");
}

pub(crate) async fn what_is_referred_to_cannot_be_deleted(store: &Shared) {
    furnish(store).await;
    store
        .insert_agent(&worker(1, 1, "Ada"), Creator::Operator)
        .await
        .unwrap();
    let error = store.delete_gateway(gateway_id(1)).await.unwrap_err();
    assert_eq!(error.to_string(), "the gateway still has agents: delete them first");
    let error = store.delete_board(board_id(1)).await.unwrap_err();
    assert_eq!(error.to_string(), "the board still has agents: delete them first");
    assert!(store.delete_agent(agent_id(1)).await.unwrap());
    let error = store.delete_gateway(gateway_id(1)).await.unwrap_err();
    assert_eq!(error.to_string(), "the gateway still has boards: delete them first");
    assert!(store.delete_board(board_id(1)).await.unwrap());
    assert!(store.delete_board(board_id(2)).await.unwrap());
    assert!(store.delete_gateway(gateway_id(1)).await.unwrap());
    assert!(!store.delete_gateway(gateway_id(1)).await.unwrap());
}

pub(crate) async fn only_one_can_own_a_store_at_a_time(store: &Shared) {
    let ownership = store.own().await.unwrap();
    let error = store.own().await.unwrap_err();
    assert!(
        matches!(
            error,
            OwnError::Owned {
                right: Right::Agents,
                ..
            }
        ),
        "{error:?}"
    );
    // Records can be written all the same.
    store.put_organization(&organization(1, "Acme")).await.unwrap();
    drop(ownership);
    drop(store.own().await.unwrap());
    // The right to write the journal is another one.
    let agents = store.own().await.unwrap();
    let journal = store.own_journal().await.unwrap();
    let error = store.own_journal().await.unwrap_err();
    assert!(
        matches!(
            error,
            OwnError::Owned {
                right: Right::Journal,
                ..
            }
        ),
        "{error:?}"
    );
    drop((agents, journal));
    drop(store.own_journal().await.unwrap());
}

pub(crate) async fn a_closed_store_says_so(store: &Shared) {
    furnish(store).await;
    store.close().await.unwrap();
    store.close().await.unwrap();
    assert!(matches!(store.organizations().await, Err(StoreError::Closed)));
    assert!(matches!(
        store.put_organization(&organization(1, "x")).await,
        Err(StoreError::Closed)
    ));
    assert!(matches!(
        store.steps(RunId::from_bytes([1; 16])).await,
        Err(StoreError::Closed)
    ));
}

pub(crate) async fn a_name_belongs_to_one_gateway_and_one_board_of_an_organization(store: &Shared) {
    furnish(store).await;
    store.put_organization(&organization(2, "Aardvark")).await.unwrap();
    for (name, other) in [("East", "west"), (" EAST ", "ÖST")] {
        let taken = |error| matches!(error, StoreError::NameTaken { what: "gateway", by, .. } if by == gateway_id(1).to_string());
        assert!(
            taken(store.insert_gateway(&gateway(9, name)).await.unwrap_err()),
            "{name}"
        );
        assert!(
            taken(store.update_gateway(&gateway(2, name)).await.unwrap_err()),
            "{name}"
        );
        store.update_gateway(&gateway(2, other)).await.unwrap();
    }
    let error = store.insert_gateway(&gateway(9, "öst")).await.unwrap_err();
    assert!(
        matches!(error, StoreError::NameTaken { .. }),
        "Unicode letters too: {error:?}"
    );
    let taken =
        |error| matches!(error, StoreError::NameTaken { what: "board", by, .. } if by == board_id(1).to_string());
    assert!(taken(store.insert_board(&board(9, None, "Board 1")).await.unwrap_err()));
    assert!(taken(
        store.update_board(&board(3, Some(2), "BOARD 1")).await.unwrap_err()
    ));

    // What has a name keeps it, another organization has names of its own, and a name that was given up is free.
    store.update_board(&board(1, Some(1), "BOARD 1")).await.unwrap();
    let mut theirs = gateway(9, "east");
    theirs.organization_id = organization_id(2);
    store.insert_gateway(&theirs).await.unwrap();
    assert!(store.delete_board(board_id(1)).await.unwrap());
    store.insert_board(&board(9, None, "board 1")).await.unwrap();
}

pub(crate) async fn of_many_that_add_one_name_one_does(store: &Shared) {
    furnish(store).await;
    let adds = (10..26).map(|number| {
        let store = store.clone();
        tokio::spawn(async move {
            let gateway = store.insert_gateway(&gateway(number, "north")).await.is_ok();
            let board = store.insert_board(&board(number, Some(1), "Docs")).await.is_ok();
            (gateway, board)
        })
    });
    let (mut gateways, mut boards) = (0, 0);
    for add in adds.collect::<Vec<_>>() {
        let (gateway, board) = add.await.unwrap();
        gateways += usize::from(gateway);
        boards += usize::from(board);
    }
    assert_eq!((gateways, boards), (1, 1));
}

pub(crate) async fn a_workspace_root_that_is_no_folder_of_its_own_is_refused(store: &Shared) {
    furnish(store).await;
    for bad in [
        "/",
        "//",
        "C:\\",
        "c:/",
        "~",
        "~/",
        "../x",
        "x",
        "./x",
        "/srv/../etc",
        "/srv/..",
        "/srv/./x",
        "C:x",
        "C:\\a\\..\\b",
        "/srv/a\nb",
        "/srv/\u{7f}",
        "/srv/\u{2028}x",
        "/srv/`x`",
        "~ada/x",
    ] {
        let mut changed = gateway(1, "east");
        changed.workspace_root = Some(bad.into());
        let error = store.update_gateway(&changed).await.unwrap_err();
        assert!(
            matches!(
                error,
                StoreError::Invalid {
                    field: "gateway.workspace_root",
                    ..
                }
            ),
            "{bad:?}: {error:?}"
        );
    }
    for good in [
        "/srv",
        "/srv/agents/",
        "",
        " ",
        " /srv/x ",
        "/srv/two words/x",
        "~/agents",
        "C:\\agents",
        "d:/agents/x",
        "/srv/a..b",
        "/srv/...",
        "\\\\host\\share\\x",
    ] {
        let mut changed = gateway(1, "east");
        changed.workspace_root = Some(good.into());
        store
            .update_gateway(&changed)
            .await
            .unwrap_or_else(|error| panic!("{good:?}: {error}"));
    }
}
