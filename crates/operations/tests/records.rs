//! Changes of records: their rules, their consequences and their audit trail, in a store in memory, without lines.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use serde_json::json;
use windlass_operations::activities::{self, ActivityQuery};
use windlass_operations::agent_records::{self, AgentInput, AgentPatch, AgentPlace};
use windlass_operations::agents::FileForm;
use windlass_operations::audit::Records;
use windlass_operations::boards::{self, BoardInput, BoardPatch, BoardRulesPatch};
use windlass_operations::gateway_records::{self, GatewayInput, GatewayPatch};
use windlass_operations::lifecycle_runs::{self, LifecycleRunQuery};
use windlass_operations::tokens::{self, TokenInput};
use windlass_operations::{Caller, Front, OperationError, OperationErrorCode, Role};
use windlass_store::{
    Activities as _, ActivityFilter, Agent, AgentStatus, Agents as _, Board, Gateway, GatewayUid, Gateways as _,
    MemoryStore, NewActivity, Run, RunId, RunKind, Runs as _, Step, StepName, StepState, Timestamp, amend,
};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// A store, and two callers.
struct Bench {
    store: MemoryStore,
    admin: Caller,
    viewer: Caller,
}

impl Bench {
    fn new() -> Self {
        Self {
            store: MemoryStore::new(),
            admin: Caller::new("ada", Role::Admin, Front::Api),
            viewer: Caller::new("grafana", Role::Viewer, Front::Api),
        }
    }

    fn records(&self) -> Records<'_> {
        self.by(&self.admin)
    }

    fn by<'a>(&'a self, caller: &'a Caller) -> Records<'a> {
        Records {
            store: &self.store,
            caller,
            now: NOW,
        }
    }

    async fn gateway(&self, number: u8, name: &str) -> Gateway {
        let random = [[1; 16], [number; 16]];
        gateway_records::insert(&self.records(), lab(name), random)
            .await
            .unwrap()
    }

    async fn board(&self, number: u8, name: &str, gateway: &Gateway) -> Board {
        let input = BoardInput {
            name: name.into(),
            ..BoardInput::default()
        };
        boards::insert(&self.records(), gateway, input, [number; 16])
            .await
            .unwrap()
    }

    async fn agent(&self, number: u8, place: AgentPlace<'_>, name: Option<&str>) -> Result<Agent, OperationError> {
        let input = AgentInput {
            name: name.map(str::to_owned),
            ..AgentInput::default()
        };
        agent_records::insert(&self.records(), place, input, [number; 16]).await
    }

    async fn renamed(&self, gateway: &Gateway, name: &str) -> Result<Gateway, OperationError> {
        let patch = GatewayPatch {
            name: Some(name.into()),
            ..GatewayPatch::default()
        };
        gateway_records::change(&self.records(), gateway.clone(), patch).await
    }

    /// Kinds and messages of the audit trail.
    async fn audit(&self) -> Vec<(String, String)> {
        let filter = ActivityFilter {
            kind_prefix: Some("audit.".into()),
            ..ActivityFilter::default()
        };
        let all = self.store.activities(&filter, Some(0), 100).await.unwrap();
        for activity in &all {
            assert_eq!(
                (activity.actor.as_deref(), activity.source.as_deref(), activity.at),
                (Some("ada"), Some("api"), NOW)
            );
        }
        all.into_iter()
            .map(|activity| (activity.kind, activity.message))
            .collect()
    }
}

fn lab(name: &str) -> GatewayInput {
    GatewayInput {
        name: name.into(),
        url: "wss://lab.example".into(),
        token: Some("env:LAB".into()),
        workspace_root: Some("/srv/agents".into()),
        ..GatewayInput::default()
    }
}

fn field_of<T: std::fmt::Debug>(result: Result<T, OperationError>) -> (OperationErrorCode, Option<String>) {
    let error = result.unwrap_err();
    (error.code, error.field)
}

fn invalid(field: &str) -> (OperationErrorCode, Option<String>) {
    (OperationErrorCode::Invalid, Some(field.to_owned()))
}

#[tokio::test]
async fn a_member_of_a_gateway_that_is_not_acceptable_is_named() {
    let bench = Bench::new();
    let with = |change: fn(&mut GatewayInput)| {
        let mut input = lab("lab");
        change(&mut input);
        input
    };
    for (input, field) in [
        (with(|input| input.url = "http://h".into()), "url"),
        (with(|input| input.url = "ws://user:pw@h".into()), "url"),
        (with(|input| input.token = Some("s3cret".into())), "token"),
        (with(|input| input.workspace_root = Some(" ".into())), "workspace_root"),
        (with(|input| input.workspace_root = Some("/".into())), "workspace_root"),
        (
            with(|input| input.tls_fingerprint = Some("xyz".into())),
            "tls_fingerprint",
        ),
        (with(|input| input.name = " ".into()), "name"),
        (
            with(|input| {
                input.url = "ws://h".into();
                input.allow_insecure_tls = true;
            }),
            "allow_insecure_tls",
        ),
        (
            with(|input| {
                input.tls_fingerprint = Some("ab".repeat(32));
                input.allow_insecure_tls = true;
            }),
            "allow_insecure_tls",
        ),
    ] {
        let refused = gateway_records::insert(&bench.records(), input, [[1; 16], [2; 16]]).await;
        let error = refused.unwrap_err();
        assert_eq!(
            (error.code, error.field.as_deref()),
            (OperationErrorCode::Invalid, Some(field))
        );
        assert!(
            !error.to_string().contains("s3cret") && !error.to_string().contains("pw@"),
            "{error}"
        );
    }
    assert_eq!(bench.store.gateways(None).await.unwrap(), []);
}

#[tokio::test]
async fn a_gateway_keeps_a_given_id_and_a_taken_name_is_a_conflict() {
    let bench = Bench::new();
    let id = GatewayUid::from_bytes([9; 16]);
    let input = GatewayInput {
        id: Some(id),
        ..lab(" lab ")
    };
    let made = gateway_records::insert(&bench.records(), input, [[1; 16], [2; 16]])
        .await
        .unwrap();
    assert_eq!((made.id, made.name.as_str(), made.created_at), (id, "lab", NOW));
    let again = gateway_records::insert(&bench.records(), lab("LAB"), [[1; 16], [3; 16]]).await;
    assert_eq!(field_of(again), (OperationErrorCode::Conflict, Some("name".into())));
}

#[tokio::test]
async fn a_change_leaves_members_that_are_missing_and_removes_those_that_are_null() {
    let bench = Bench::new();
    let gateway = bench.gateway(2, "lab").await;
    let patch: GatewayPatch =
        serde_json::from_value(json!({"token": null, "base_url": " https://board.example ", "control_ui": true}))
            .unwrap();
    let after = gateway_records::change(&bench.records(), gateway.clone(), patch)
        .await
        .unwrap();
    let expected = Gateway {
        token: None,
        base_url: Some("https://board.example".into()),
        disable_device_pairing: true,
        ..gateway.clone()
    };
    assert_eq!(after, expected);
    assert_eq!(bench.store.gateway(gateway.id).await.unwrap(), Some(expected));
    let unknown: Result<GatewayPatch, _> = serde_json::from_value(json!({"tokn": null}));
    assert!(unknown.unwrap_err().to_string().contains("tokn"));

    // Nothing to change is no change.
    gateway_records::change(&bench.records(), after, GatewayPatch::default())
        .await
        .unwrap();
    let trail = bench.audit().await;
    let kinds: Vec<&str> = trail.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["audit.gateway.created", "audit.gateway.updated"]);
    assert_eq!(trail[1].1, "gateway \"lab\": token, base_url, control_ui");
}

#[tokio::test]
async fn a_gateway_is_renamed_with_its_main_agent_unless_that_has_a_name_of_its_own() {
    let bench = Bench::new();
    let gateway = bench.gateway(2, "lab").await;
    let main = bench.agent(3, AgentPlace::Main(&gateway), None).await.unwrap();
    assert_eq!(main.name, "lab Gateway Agent");
    let gateway = bench.renamed(&gateway, "harbour").await.unwrap();
    let name = async || bench.store.agent(main.id).await.unwrap().unwrap().name;
    assert_eq!(name().await, "harbour Gateway Agent");
    amend(&bench.store, main.id, |main| main.name = "Pilot".into())
        .await
        .unwrap();
    bench.renamed(&gateway, "port").await.unwrap();
    assert_eq!(name().await, "Pilot");
}

#[tokio::test]
async fn a_gateway_or_board_in_use_is_not_deleted() {
    let bench = Bench::new();
    let gateway = bench.gateway(2, "lab").await;
    let board = bench.board(3, "Docs", &gateway).await;
    bench.agent(4, AgentPlace::Lead(&board), None).await.unwrap();
    let conflict = (OperationErrorCode::Conflict, None);
    assert_eq!(field_of(boards::remove(&bench.records(), &board).await), conflict);
    assert_eq!(
        field_of(gateway_records::remove(&bench.records(), &gateway).await),
        conflict
    );
}

#[tokio::test]
async fn a_rule_of_a_board_is_set_without_touching_the_others() {
    let bench = Bench::new();
    let gateway = bench.gateway(2, "lab").await;
    let board = bench.board(3, "Docs", &gateway).await;
    assert!(board.rules.require_approval_for_done, "on by default");
    let set = |rules| BoardPatch {
        rules,
        ..BoardPatch::default()
    };
    let off = BoardRulesPatch {
        require_approval_for_done: Some(false),
        ..BoardRulesPatch::default()
    };
    let board = boards::change(&bench.records(), board, None, set(off)).await.unwrap();
    let review = BoardRulesPatch {
        require_review_before_done: Some(true),
        ..BoardRulesPatch::default()
    };
    let board = boards::change(&bench.records(), board, None, set(review))
        .await
        .unwrap();
    assert!(!board.rules.require_approval_for_done && board.rules.require_review_before_done);
    let typo: Result<BoardPatch, _> = serde_json::from_value(json!({"rules": {"require_aproval": true}}));
    assert!(typo.unwrap_err().to_string().contains("require_aproval"));
}

#[tokio::test]
async fn a_pause_of_a_board_is_a_kind_of_its_own_in_the_audit_trail() {
    let bench = Bench::new();
    let gateway = bench.gateway(2, "lab").await;
    let mut board = bench.board(3, "Docs", &gateway).await;
    for paused in [true, true, false] {
        let patch = BoardPatch {
            paused: Some(paused),
            ..BoardPatch::default()
        };
        board = boards::change(&bench.records(), board, None, patch).await.unwrap();
        assert_eq!(board.paused, paused);
    }
    let kinds: Vec<String> = bench.audit().await.into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(
        kinds[2..],
        ["audit.board.paused", "audit.board.resumed"],
        "the second pause is no change"
    );
}

#[tokio::test]
async fn a_board_goes_to_another_gateway_only_without_agents() {
    let bench = Bench::new();
    let (lab, harbour) = (bench.gateway(2, "lab").await, bench.gateway(3, "harbour").await);
    let board = bench.board(4, "Docs", &lab).await;
    let moved = boards::change(&bench.records(), board, Some(&harbour), BoardPatch::default())
        .await
        .unwrap();
    assert_eq!(moved.gateway_id, Some(harbour.id));
    bench.agent(5, AgentPlace::Lead(&moved), None).await.unwrap();
    let refused = boards::change(&bench.records(), moved, Some(&lab), BoardPatch::default()).await;
    assert_eq!(
        field_of(refused),
        (OperationErrorCode::Conflict, Some("gateway".into()))
    );
}

#[tokio::test]
async fn an_agent_has_the_name_and_identity_of_its_role_unless_it_is_given_others() {
    let bench = Bench::new();
    let gateway = bench.gateway(2, "lab").await;
    let board = bench.board(3, "Docs", &gateway).await;
    let lead = bench.agent(4, AgentPlace::Lead(&board), None).await.unwrap();
    assert_eq!(
        (lead.name.as_str(), lead.identity["role"].as_str()),
        ("Lead Agent", "Board Lead")
    );
    assert_eq!(
        field_of(bench.agent(5, AgentPlace::Worker(&board), None).await),
        invalid("name")
    );
    let input: AgentInput = serde_json::from_value(json!({
        "name": "Scribe",
        "identity": {"role": "Writer"},
        "heartbeat": {"every": "15m"},
        "soul": {"text": "I write."},
    }))
    .unwrap();
    let worker = agent_records::insert(&bench.records(), AgentPlace::Worker(&board), input, [6; 16])
        .await
        .unwrap();
    assert_eq!(
        worker.identity,
        BTreeMap::from([("role".to_owned(), "Writer".to_owned())])
    );
    assert_eq!(worker.soul_override.unwrap().content(), "I write.");
    let odd = AgentInput {
        name: Some("Odd".into()),
        heartbeat: serde_json::Map::from_iter([("every".to_owned(), json!("often"))]),
        ..AgentInput::default()
    };
    let refused = agent_records::insert(&bench.records(), AgentPlace::Worker(&board), odd, [7; 16]).await;
    assert_eq!(field_of(refused), invalid("heartbeat.every"));
}

#[tokio::test]
async fn entries_of_an_identity_are_set_and_removed_one_by_one() {
    let bench = Bench::new();
    let gateway = bench.gateway(2, "lab").await;
    let main = bench.agent(3, AgentPlace::Main(&gateway), None).await.unwrap();
    let patch: AgentPatch =
        serde_json::from_value(json!({"name": " Pilot ", "identity": {"emoji": null, "purpose": "Steers"}})).unwrap();
    let main = agent_records::change(&bench.records(), &main, None, &patch)
        .await
        .unwrap();
    let identity = json!({"role": "Gateway Agent", "purpose": "Steers"});
    assert_eq!((main.name.as_str(), json!(main.identity)), ("Pilot", identity));
    let soul = AgentPatch {
        soul: Some(Some(FileForm::Template("I am {{ agent_name }}.".into()))),
        ..AgentPatch::default()
    };
    let main = agent_records::change(&bench.records(), &main, None, &soul)
        .await
        .unwrap();
    assert!(main.soul_override.is_some());
    let none: AgentPatch = serde_json::from_value(json!({"soul": null})).unwrap();
    let main = agent_records::change(&bench.records(), &main, None, &none)
        .await
        .unwrap();
    assert_eq!(main.soul_override, None);
}

#[tokio::test]
async fn a_worker_moves_between_boards_and_after_its_first_run_only_on_its_gateway() {
    let bench = Bench::new();
    let (lab, harbour) = (bench.gateway(2, "lab").await, bench.gateway(3, "harbour").await);
    let docs = bench.board(4, "Docs", &lab).await;
    let ops = bench.board(5, "Ops", &lab).await;
    let far = bench.board(6, "Far", &harbour).await;
    let lead = bench.agent(7, AgentPlace::Lead(&docs), None).await.unwrap();
    let worker = bench.agent(8, AgentPlace::Worker(&docs), Some("Scribe")).await.unwrap();
    let to = async |agent: &Agent, board: &Board| {
        agent_records::change(&bench.records(), agent, Some(board), &AgentPatch::default()).await
    };
    let refused = (OperationErrorCode::Conflict, Some("board".into()));
    assert_eq!(field_of(to(&lead, &ops).await), refused);
    let moved = to(&worker, &far).await.unwrap();
    assert_eq!(
        (moved.board_id, moved.gateway_id),
        (Some(far.id), harbour.id),
        "never provisioned"
    );
    to(&worker, &docs).await.unwrap();
    amend(&bench.store, worker.id, |worker| worker.lifecycle_generation = 1)
        .await
        .unwrap();
    assert_eq!(field_of(to(&worker, &far).await), refused);
    let moved = to(&worker, &ops).await.unwrap();
    assert_eq!(
        (moved.board_id, moved.session_key),
        (Some(ops.id), worker.session_key.clone())
    );
}

#[tokio::test]
async fn an_agent_that_is_being_deleted_is_not_changed() {
    let bench = Bench::new();
    let gateway = bench.gateway(2, "lab").await;
    let main = bench.agent(3, AgentPlace::Main(&gateway), None).await.unwrap();
    amend(&bench.store, main.id, |main| main.status = AgentStatus::Deleting)
        .await
        .unwrap();
    let patch = AgentPatch {
        name: Some("Other".into()),
        ..AgentPatch::default()
    };
    let refused = agent_records::change(&bench.records(), &main, None, &patch).await;
    assert_eq!(field_of(refused), (OperationErrorCode::Conflict, None));
    assert_eq!(bench.store.agent(main.id).await.unwrap().unwrap().name, main.name);
}

#[tokio::test]
async fn a_viewer_changes_nothing() {
    let bench = Bench::new();
    let gateway = bench.gateway(2, "lab").await;
    let board = bench.board(3, "Docs", &gateway).await;
    let main = bench.agent(4, AgentPlace::Main(&gateway), None).await.unwrap();
    let viewer = bench.by(&bench.viewer);
    let forbidden = (OperationErrorCode::Forbidden, None);
    let gateways = gateway_records::change(&viewer, gateway.clone(), GatewayPatch::default()).await;
    assert_eq!(field_of(gateways), forbidden);
    assert_eq!(field_of(gateway_records::remove(&viewer, &gateway).await), forbidden);
    assert_eq!(
        field_of(boards::change(&viewer, board.clone(), None, BoardPatch::default()).await),
        forbidden
    );
    assert_eq!(field_of(boards::remove(&viewer, &board).await), forbidden);
    let agents = agent_records::change(&viewer, &main, None, &AgentPatch::default()).await;
    assert_eq!(field_of(agents), forbidden);
    assert_eq!(field_of(tokens::list(&bench.store, &bench.viewer).await), forbidden);
}

#[tokio::test]
async fn a_token_is_shown_once_and_its_record_tells_its_end() {
    let bench = Bench::new();
    let input = |expires_in_s| TokenInput {
        name: "grafana".into(),
        role: Role::Viewer,
        expires_in_s,
    };
    let random = ([1; 16], [2; 32]);
    let made = tokens::create(&bench.store, &bench.admin, input(Some(60)), random, NOW)
        .await
        .unwrap();
    assert!(made.token.starts_with("wl_"));
    assert!(!format!("{made:?}").contains(&made.token));
    assert_eq!(
        made.record.expires_at,
        Some(Timestamp::from_millis(NOW.as_millis() + 60_000))
    );
    let listed = tokens::list(&bench.store, &bench.admin).await.unwrap();
    assert!(!serde_json::to_string(&listed).unwrap().contains(&made.token[3..]));
    for (random, life, error) in [
        (
            ([3; 16], [4; 32]),
            None,
            (OperationErrorCode::Conflict, Some("name".to_owned())),
        ),
        (([3; 16], [4; 32]), Some(0), invalid("expires_in_s")),
        (([3; 16], [4; 32]), Some(u64::MAX), invalid("expires_in_s")),
    ] {
        let refused = tokens::create(&bench.store, &bench.admin, input(life), random, NOW).await;
        assert_eq!(field_of(refused), error);
    }
    let later = Timestamp::from_millis(NOW.as_millis() + 1);
    for now in [NOW, later] {
        let revoked = tokens::revoke(&bench.store, &bench.admin, "GRAFANA", now)
            .await
            .unwrap();
        assert_eq!(revoked.revoked_at, Some(NOW), "the first time counts");
    }
    let kinds: Vec<String> = bench.audit().await.into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["audit.token.created", "audit.token.revoked"]);
}

#[tokio::test]
async fn activities_are_paged_from_the_latest_to_the_first_and_read_on_from_a_number() {
    let bench = Bench::new();
    for number in 1..=5 {
        let activity = NewActivity {
            kind: if number == 3 {
                "audit.x".into()
            } else {
                "agent.x".into()
            },
            message: number.to_string(),
            agent_id: None,
            board_id: None,
            actor: None,
            source: None,
            at: NOW,
        };
        bench.store.record(&activity).await.unwrap();
    }
    let mut query = ActivityQuery {
        limit: Some(2),
        ..ActivityQuery::default()
    };
    let mut pages = Vec::new();
    loop {
        let page = activities::list(&bench.store, &bench.viewer, &query).await.unwrap();
        pages.push(page.items.iter().map(|activity| activity.id).collect::<Vec<_>>());
        query.cursor = page.next_cursor;
        if query.cursor.is_none() {
            break;
        }
    }
    assert_eq!(pages, [vec![5, 4], vec![3, 2], vec![1]]);
    let ids = async |query: ActivityQuery| {
        let page = activities::list(&bench.store, &bench.viewer, &query).await.unwrap();
        page.items.iter().map(|activity| activity.id).collect::<Vec<_>>()
    };
    let after = ActivityQuery {
        after: Some(3),
        ..ActivityQuery::default()
    };
    assert_eq!(ids(after).await, [4, 5]);
    let audit = ActivityQuery {
        audit: true,
        ..ActivityQuery::default()
    };
    assert_eq!(ids(audit).await, [3]);
    let kind = ActivityQuery {
        kind: Some("agent.".into()),
        ..ActivityQuery::default()
    };
    assert_eq!(ids(kind).await, [5, 4, 2, 1]);
}

#[tokio::test]
async fn runs_of_an_agent_are_shown_with_their_steps_also_when_the_agent_is_gone() {
    let bench = Bench::new();
    let gateway = bench.gateway(2, "lab").await;
    let main = bench.agent(3, AgentPlace::Main(&gateway), None).await.unwrap();
    let list = async |agent: &str| {
        lifecycle_runs::list(&bench.store, &bench.viewer, agent, LifecycleRunQuery::default()).await
    };
    assert!(list(&main.name).await.unwrap().items.is_empty());
    let run = Run::new(
        RunId::from_bytes([5; 16]),
        main.id,
        gateway.id,
        RunKind::Provision,
        1,
        NOW,
    );
    bench.store.begin_run(&run, &main).await.unwrap();
    let step = Step {
        run_id: run.id,
        name: StepName::Render,
        state: StepState::Done,
        attempts: 1,
        detail: json!({"inner": true}),
        at: NOW,
    };
    bench.store.put_step(&step).await.unwrap();
    let ended = run.ended(NOW, Some("no space".into()));
    bench.store.end_run_and_delete(&ended).await.unwrap();
    let runs = list(&main.id.to_string()).await.unwrap().items;
    let shown = serde_json::to_value(&runs).unwrap();
    assert_eq!(
        (&shown[0]["state"], &shown[0]["error"], &shown[0]["steps"][0]["name"]),
        (&json!("failed"), &json!("no space"), &json!("render"))
    );
    assert!(
        !shown.to_string().contains("inner"),
        "details are the provisioner's own"
    );
    assert_eq!(field_of(list("nobody").await).0, OperationErrorCode::NotFound);
    assert_eq!(
        field_of(list(&gateway.id.to_string()).await).0,
        OperationErrorCode::NotFound
    );
}
