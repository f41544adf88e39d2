//! Records that are changed, their past, and tokens of the service.

use serde_json::{Value, json};

use crate::harness::gateway;
use crate::store_fixture::StoreFixture;

#[tokio::test]
async fn a_gateway_is_changed_member_by_member_and_its_main_agent_renamed_with_it() {
    let sim = gateway().start_tcp().await.unwrap();
    let fixture = StoreFixture::of(&sim).await;
    fixture.run(&["agents", "add", "--main", "lab"]).await;
    let set = [
        "gateways",
        "set",
        "lab",
        "--name",
        "harbour",
        "--base-url",
        "https://board.example",
        "--control-ui",
        "true",
        "--json",
    ];
    let set = fixture.run(&set).await.json();
    assert_eq!(
        (&set["name"], &set["baseUrl"], &set["controlUi"], &set["token"]),
        (
            &json!("harbour"),
            &json!("https://board.example"),
            &json!(true),
            &json!("env:T")
        )
    );
    let agents = fixture.run(&["agents", "list", "--json"]).await.json();
    assert_eq!(agents["agents"][0]["name"], "harbour Gateway Agent");
    let removed = fixture
        .run(&["gateways", "set", "harbour", "--base-url", "", "--json"])
        .await
        .json();
    assert_eq!(removed["baseUrl"], Value::Null);

    for (more, told) in [
        (&["--url", "http://h"][..], "--url"),
        (&["--workspace-root", "/"], "--workspace-root"),
        (&["--insecure-tls", "true"], "--insecure-tls"),
        (&["--no-token", "--token-env", "T"], "--no-token"),
    ] {
        let args = [&["gateways", "set", "harbour"][..], more].concat();
        fixture.harness.run(&args).await.ends_with(2).tells(&[told]);
    }
    assert_eq!(sim.journal().connect_attempts(), 0, "records only");
}

#[tokio::test]
async fn a_board_is_changed_renamed_paused_and_deleted_with_its_agents() {
    let sim = gateway().start_tcp().await.unwrap();
    let fixture = StoreFixture::with_agents(&sim).await;
    let set = [
        "boards",
        "set",
        "Docs",
        "--objective",
        "Write them",
        "--review-before-done",
        "true",
        "--max-agents",
        "4",
        "--json",
    ];
    let set = fixture.run(&set).await.json();
    assert_eq!(
        (
            &set["objective"],
            &set["maxAgents"],
            &set["rules"]["requireReviewBeforeDone"]
        ),
        (&json!("Write them"), &json!(4), &json!(true))
    );
    assert_eq!(set["rules"]["requireApprovalForDone"], true, "other rules stay");
    fixture.run(&["boards", "rename", "Docs", "Papers"]).await;
    assert_eq!(
        fixture.run(&["boards", "pause", "papers", "--json"]).await.json()["paused"],
        true
    );
    assert_eq!(
        fixture.run(&["boards", "resume", "papers", "--json"]).await.json()["paused"],
        false
    );

    fixture
        .harness
        .run(&["boards", "delete", "Papers"])
        .await
        .ends_with(2)
        .tells(&["agents"]);
    // Never provisioned: no gateway is asked.
    fixture
        .run(&["boards", "delete", "Papers", "--with-agents", "--yes"])
        .await;
    let boards = fixture.run(&["boards", "list", "--json"]).await.json();
    let agents = fixture.run(&["agents", "list", "--json"]).await.json();
    assert_eq!((&boards["boards"], &agents["agents"]), (&json!([]), &json!([])));
}

#[tokio::test]
async fn an_agent_is_changed_renamed_and_moved() {
    let sim = gateway().start_tcp().await.unwrap();
    let mut fixture = StoreFixture::with_agents(&sim).await;
    fixture.board("Ops", "lab").await;
    fixture.harness = fixture.harness.file("soul.md", "I am {{ agent_name }}.");
    let set = [
        "agents",
        "set",
        "Scribe",
        "--heartbeat-every",
        "15m",
        "--emoji",
        ":pen:",
        "--soul-template",
        "soul.md",
        "--json",
    ];
    let set = fixture.run(&set).await.json();
    assert_eq!(
        (&set["heartbeat"], &set["identity"]),
        (&json!({"every": "15m"}), &json!({"emoji": ":pen:"}))
    );
    let unset = fixture
        .run(&["agents", "set", "Scribe", "--emoji", "", "--json"])
        .await
        .json();
    assert_eq!(unset["identity"], json!({}));
    fixture.run(&["agents", "rename", "Scribe", "Writer"]).await;
    let moved = fixture
        .run(&["agents", "move", "Writer", "--board", "Ops", "--json"])
        .await
        .json();
    assert_eq!((&moved["name"], &moved["boardName"]), (&json!("Writer"), &json!("Ops")));
    for (args, told) in [
        (&["agents", "move", "Lead Agent", "--board", "Ops"][..], "--board"),
        (&["agents", "set", "Writer"], "--heartbeat-every"),
        (&["agents", "rename", "Writer", " "], "empty"),
    ] {
        fixture.harness.run(args).await.ends_with(2).tells(&[told]);
    }
}

#[tokio::test]
async fn changes_are_in_the_audit_trail_with_the_person_who_made_them() {
    let sim = gateway().start_tcp().await.unwrap();
    let mut fixture = StoreFixture::with_agents(&sim).await;
    fixture.harness = fixture.harness.with("USER", "ada");
    fixture.run(&["boards", "pause", "Docs"]).await;
    let of_board = ["activities", "--board", "Docs", "--audit", "--json"];
    let listed = fixture.run(&of_board).await.json();
    let all = listed["activities"].as_array().unwrap();
    let kinds: Vec<&str> = all.iter().map(|activity| activity["kind"].as_str().unwrap()).collect();
    let made = ["audit.board.created", "audit.agent.created", "audit.agent.created"];
    assert_eq!(kinds, [&made[..], &["audit.board.paused"]].concat());
    let last = all.last().unwrap();
    assert_eq!((&last["actor"], &last["source"]), (&json!("ada"), &json!("cli")));
    let latest = fixture.run(&["activities", "--limit", "1"]).await.stdout;
    assert!(
        latest.contains("audit.board.paused") && latest.contains("ada"),
        "{latest}"
    );
}

#[tokio::test]
async fn new_activities_are_followed() {
    let sim = gateway().start_tcp().await.unwrap();
    let fixture = StoreFixture::of(&sim).await;
    let store = fixture.harness.path(".local/share/windlass/windlass.db");
    let other = crate::harness::Harness::new().with("WINDLASS_STORE", store.to_str().unwrap());
    let mut follower = fixture.harness.start(&["activities", "--follow", "--json"]);
    assert_eq!(follower.line().await["kind"], "audit.gateway.created");
    other.run(&["boards", "add", "Docs"]).await.ends_with(0);
    assert_eq!(follower.line().await["kind"], "audit.board.created");
}

#[tokio::test]
async fn runs_of_an_agent_are_shown_with_their_steps() {
    let sim = gateway().start_tcp().await.unwrap();
    let fixture = StoreFixture::with_agents(&sim).await;
    let none = fixture.run(&["agents", "runs", "Scribe"]).await.stdout;
    assert!(none.contains("no runs yet"), "{none}");
    fixture.run(&["agents", "provision", "Scribe"]).await;
    let runs = fixture.run(&["agents", "runs", "Scribe", "--json"]).await.json();
    assert_eq!(
        (&runs["runs"][0]["state"], &runs["runs"][0]["kind"]),
        (&json!("done"), &json!("provision"))
    );
    let shown = fixture.run(&["agents", "runs", "Scribe"]).await.stdout;
    assert!(
        shown.contains("provision done") && shown.contains("  agent, "),
        "{shown}"
    );
}

#[tokio::test]
async fn a_token_is_printed_once_listed_without_itself_and_revoked() {
    let harness = crate::harness::Harness::new();
    let create = ["tokens", "create", "grafana", "--role", "viewer", "--expires", "30d"];
    let made = harness.run(&create).await.ends_with(0);
    let token = made.stdout.trim();
    assert!(token.starts_with("wl_") && !made.stderr.contains(token), "{made:?}");
    let listed = harness.run(&["tokens", "list", "--json"]).await.ends_with(0);
    assert!(!listed.stdout.contains(token));
    let listed = listed.json();
    assert_eq!(
        (&listed["tokens"][0]["role"], &listed["tokens"][0]["revokedAt"]),
        (&json!("viewer"), &Value::Null)
    );
    harness.run(&create).await.ends_with(2).tells(&["taken"]);
    let id = listed["tokens"][0]["id"].as_str().unwrap();
    harness.run(&["tokens", "revoke", &id[..8]]).await.ends_with(0);
    let shown = harness.run(&["tokens", "list"]).await.ends_with(0).stdout;
    assert!(shown.contains("revoked"), "{shown}");
    for (args, told) in [
        (&["tokens", "create", "x", "--role", "root"][..], "viewer"),
        (&["tokens", "revoke", "nobody"], "nobody"),
        (
            &["tokens", "create", "x", "--role", "admin", "--expires", "soon"],
            "--expires",
        ),
    ] {
        harness.run(args).await.ends_with(2).tells(&[told]);
    }
}
