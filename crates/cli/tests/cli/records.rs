//! `windlass gateways`, `boards`, `owner`, and the records of `agents`.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::process::Child;

use crate::harness::{Harness, TOKEN, gateway};
use crate::store_fixture::StoreFixture;

#[tokio::test]
async fn the_store_is_made_at_the_first_gateway_for_its_owner_only() {
    let harness = Harness::new();
    let missing = harness.run(&["agents", "list"]).await.ends_with(2);
    missing.tells(&[".local/share/windlass/windlass.db", "gateways add"]);
    let add = [
        "gateways",
        "add",
        "lab",
        "--url",
        "ws://127.0.0.1:1",
        "--workspace-root",
        "/srv",
    ];
    let ran = harness.run(&add).await.ends_with(0);
    assert!(ran.stdout.starts_with("gateway lab added ("), "{ran:?}");
    let mode = |path: &str| std::fs::metadata(harness.path(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(".local/share/windlass"), 0o700);
    assert_eq!(mode(".local/share/windlass/windlass.db"), 0o600);

    let elsewhere = harness.path("other.db");
    let elsewhere = elsewhere.to_str().unwrap();
    harness
        .run(&["gateways", "list", "--store", elsewhere])
        .await
        .ends_with(2)
        .tells(&["other.db"]);
    harness
        .run(&[&add[..], &["--store", elsewhere]].concat())
        .await
        .ends_with(0);
    let by_variable = harness
        .command(["gateways", "list", "--json"])
        .env("WINDLASS_STORE", elsewhere)
        .output()
        .await
        .unwrap();
    assert!(by_variable.status.success());
}

#[tokio::test]
async fn a_gateway_is_listed_with_where_its_token_is_and_removed_when_nothing_is_on_it() {
    let sim = gateway().start_tcp().await.unwrap();
    let fixture = StoreFixture::of(&sim).await;
    let listed = fixture.run(&["gateways", "list", "--json"]).await.json();
    let lab = &listed["gateways"][0];
    assert_eq!(
        (&lab["name"], &lab["url"], &lab["token"], &lab["boards"], &lab["agents"]),
        (&json!("lab"), &json!(sim.url()), &json!("env:T"), &json!(0), &json!(0))
    );
    assert_eq!(lab["workspaceRoot"], "/srv/agents");
    let shown = fixture.run(&["gateways", "list"]).await.stdout;
    assert!(shown.contains("env:T") && shown.contains("/srv/agents"), "{shown}");

    fixture.board("Docs", "lab").await;
    let refused = fixture.harness.run(&["gateways", "remove", "lab"]).await.ends_with(2);
    refused.tells(&["boards"]);
    let id = lab["id"].as_str().unwrap();
    fixture
        .harness
        .run(&["gateways", "remove", "nobody"])
        .await
        .ends_with(2)
        .tells(&["nobody"]);
    let twice = fixture
        .harness
        .run(&["gateways", "add", "LAB", "--url", "ws://h", "--workspace-root", "/srv"])
        .await;
    twice.ends_with(2).tells(&["LAB", &id[..8]]);
    assert_eq!(sim.journal().connect_attempts(), 0, "nobody was asked");
}

#[tokio::test]
async fn what_makes_no_gateway_is_refused_by_its_flag() {
    let harness = Harness::new();
    let add = |more: &[&str]| {
        let mut args = vec!["gateways", "add", "lab", "--workspace-root", "/srv"];
        args.extend(more);
        args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>()
    };
    for (more, told) in [
        (&[][..], "--url"),
        (&["--url", "http://h"], "--url"),
        (&["--url", "ws://user:pw@h"], "--url"),
        (&["--url", "ws://h", "--token-env", "s3cret value"], "--token-env"),
        (&["--url", "ws://h", "--token-file", "nowhere"], "nowhere"),
        (&["--url", "wss://h", "--tls-fingerprint", "xyz"], "--tls-fingerprint"),
        (&["--url", "ws://h", "--insecure-tls"], "--insecure-tls"),
        (&["--url", "ws://h", "--gateway", "x"], "--gateway"),
    ] {
        let args = add(more);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let ran = harness.run(&args).await.ends_with(2).tells(&[told]);
        assert!(!ran.stderr.contains("s3cret") && !ran.stderr.contains("pw@"), "{ran:?}");
    }
    harness.run(&["gateways", "list"]).await.ends_with(2);
}

#[tokio::test]
async fn a_workspace_root_that_agents_would_share_with_all_else_is_refused_by_its_flag() {
    let harness = Harness::new();
    for root in ["/", "../x", "x", "/srv/../etc", "/srv/a\nb", " "] {
        let args = ["gateways", "add", "lab", "--url", "ws://h", "--workspace-root", root];
        harness.run(&args).await.ends_with(2).tells(&["--workspace-root"]);
    }
    let long = "x".repeat(121);
    let args = ["gateways", "add", &long, "--url", "ws://h", "--workspace-root", "/srv"];
    harness.run(&args).await.ends_with(2).tells(&["Name", "120"]);
}

#[tokio::test]
async fn of_many_processes_that_add_one_name_one_does() {
    let harness = Harness::new();
    let first = [
        "gateways",
        "add",
        "first",
        "--url",
        "ws://h",
        "--workspace-root",
        "/srv",
    ];
    harness.run(&first).await.ends_with(0);
    let all = (0..6).map(|number| {
        let name = if number % 2 == 0 { "Lab" } else { "LAB" };
        let args = ["gateways", "add", name, "--url", "ws://h", "--workspace-root", "/srv"];
        harness
            .command(args)
            .stderr(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    });
    let all: Vec<Child> = all.collect();
    let ends = join_all(all.into_iter().map(Child::wait_with_output)).await;
    let ends: Vec<_> = ends.into_iter().map(Result::unwrap).collect();
    let added = ends.iter().filter(|end| end.status.success()).count();
    assert_eq!(added, 1, "{ends:?}");
    for end in ends.iter().filter(|end| !end.status.success()) {
        let told = String::from_utf8_lossy(&end.stderr);
        assert!(told.contains("taken") || told.contains("locked"), "{told}");
    }
}

#[tokio::test]
async fn what_is_on_a_gateway_that_is_gone_is_forgotten_without_asking_it() {
    let sim = gateway().start_tcp().await.unwrap();
    let fixture = StoreFixture::with_agents(&sim).await;
    fixture.run(&["agents", "provision", "Scribe"]).await;
    let journal = sim.journal();
    sim.stop().await;
    let attempts = journal.connect_attempts();

    // Never provisioned: there is nothing to ask about.
    fixture.worker("Unborn", "Docs").await;
    let deleted = fixture.run(&["agents", "delete", "Unborn", "--yes"]).await;
    assert!(deleted.stdout.contains("forgotten"), "{deleted:?}");

    let warned = fixture.harness.run(&["agents", "forget", "Scribe"]).await.ends_with(2);
    warned.tells(&["no gateway is asked", "--yes"]);
    let forgotten = fixture.run(&["agents", "forget", "Scribe", "--yes"]).await;
    assert!(forgotten.stdout.contains("forgotten"), "{forgotten:?}");
    forgotten.tells(&["no gateway is asked"]);
    fixture
        .harness
        .run(&["gateways", "forget", "lab"])
        .await
        .ends_with(2)
        .tells(&["1 board and 1 agent", "--yes"]);
    fixture.run(&["gateways", "forget", "lab", "--yes", "--json"]).await;
    for (kind, args) in [
        ("gateways", ["gateways", "list", "--json"]),
        ("boards", ["boards", "list", "--json"]),
        ("agents", ["agents", "list", "--json"]),
    ] {
        let listed = fixture.run(&args).await.json();
        assert_eq!(listed[kind], json!([]), "{listed}");
    }
    assert_eq!(journal.connect_attempts(), attempts, "nobody was asked");
}

#[tokio::test]
async fn a_board_keeps_its_goal_and_its_rules() {
    let sim = gateway().start_tcp().await.unwrap();
    let fixture = StoreFixture::of(&sim).await;
    let made = fixture
        .run(&[
            "boards",
            "add",
            "Docs",
            "--on",
            "lab",
            "--objective",
            "Write them",
            "--target-date",
            "2026-12-01",
            "--max-agents",
            "5",
            "--success-metrics",
            "{\"pages\": 40}",
            "--review-before-done",
            "--json",
        ])
        .await
        .json();
    assert_eq!(made["maxAgents"], 5);
    let listed = fixture.run(&["boards", "list", "--json"]).await.json();
    assert_eq!(listed["boards"][0], made);
    assert_eq!(made["successMetrics"], json!({"pages": 40}));
    assert_eq!(made["rules"]["requireReviewBeforeDone"], true);
    assert_eq!(made["rules"]["requireApprovalForDone"], true);
    assert!(fixture.run(&["boards", "list"]).await.stdout.contains("Docs"));

    let add = |more: &'static [&'static str]| [&["boards", "add"][..], more].concat();
    for (more, told) in [
        (&["Docs", "--on", "lab"][..], "Docs"),
        (&["Ops", "--on", "nowhere"], "nowhere"),
        (&["Ops", "--on", "lab", "--success-metrics", "[1]"], "--success-metrics"),
        (&["Ops", "--on", "lab", "--max-agents", "10001"], "--max-agents"),
    ] {
        fixture.harness.run(&add(more)).await.ends_with(2).tells(&[told]);
    }
}

#[tokio::test]
async fn the_owner_is_set_field_by_field() {
    let harness = Harness::new();
    harness.run(&["owner", "set"]).await.ends_with(2).tells(&["--name"]);
    harness
        .run(&["owner", "set", "--name", "Ada Lovelace", "--timezone", "Europe/London"])
        .await
        .ends_with(0);
    harness
        .run(&["owner", "set", "--preferred-name", "Ada", "--timezone", ""])
        .await
        .ends_with(0);
    let shown = harness.run(&["owner", "show", "--json"]).await.ends_with(0).json();
    assert_eq!(shown["organization"], "default");
    assert_eq!(
        (
            &shown["owner"]["name"],
            &shown["owner"]["preferredName"],
            &shown["owner"]["timezone"]
        ),
        (&json!("Ada Lovelace"), &json!("Ada"), &Value::Null)
    );
    assert!(
        harness
            .run(&["owner", "show"])
            .await
            .ends_with(0)
            .stdout
            .contains("Ada Lovelace")
    );
}

#[tokio::test]
async fn an_agent_has_its_place_its_identity_and_its_templates() {
    let sim = gateway().start_tcp().await.unwrap();
    let mut fixture = StoreFixture::of(&sim).await;
    fixture.board("Docs", "lab").await;
    fixture.harness = fixture.harness.file("soul.md", "I am {{ agent_name }}.");
    let made = fixture
        .run(&[
            "agents",
            "add",
            "Scribe",
            "--board",
            "docs",
            "--role",
            "Writer",
            "--emoji",
            ":pen:",
            "--heartbeat-every",
            "15m",
            "--soul-template",
            "soul.md",
            "--json",
        ])
        .await
        .json();
    assert_eq!(
        (&made["role"], &made["status"]),
        (&json!("worker"), &json!("provisioning"))
    );
    assert_eq!(made["identity"], json!({"role": "Writer", "emoji": ":pen:"}));
    assert_eq!(made["heartbeat"], json!({"every": "15m"}));
    let lead = fixture
        .run(&["agents", "add", "--board", "Docs", "--lead", "--json"])
        .await
        .json();
    assert_eq!(
        (&lead["name"], &lead["identity"]["role"]),
        (&json!("Lead Agent"), &json!("Board Lead"))
    );
    let main = fixture.run(&["agents", "add", "--main", "lab", "--json"]).await.json();
    assert_eq!(main["name"], "lab Gateway Agent");
    assert_eq!(main["identity"], json!({"role": "Gateway Agent", "emoji": ":compass:"}));

    let listed = fixture.run(&["agents", "list", "--json"]).await.json();
    assert_eq!(listed["agents"].as_array().unwrap().len(), 3);
    let of_board = fixture
        .run(&["agents", "list", "--board", "Docs", "--on", "lab", "--json"])
        .await
        .json();
    assert_eq!(of_board["agents"].as_array().unwrap().len(), 2);
    let shown = fixture.run(&["agents", "list"]).await.stdout;
    assert!(shown.contains("Scribe") && shown.contains("DEADLINE"), "{shown}");
    assert_eq!(sim.journal().connect_attempts(), 0, "records only");
}

#[tokio::test]
async fn what_makes_no_agent_is_refused_by_its_reason() {
    let sim = gateway().start_tcp().await.unwrap();
    let fixture = StoreFixture::with_agents(&sim).await;
    let big = "x".repeat(65 * 1024);
    let fixture = StoreFixture {
        harness: fixture.harness.file("big.md", &big),
    };
    for (more, told) in [
        (&["Scribe"][..], "--board"),
        (&["Scribe", "--board", "Docs"], "taken"),
        (&["--board", "Docs"], "NAME"),
        (&["--board", "Docs", "--lead", "Second"], "lead already"),
        (&["X", "--board", "nowhere"], "nowhere"),
        (&["X", "--main", "nowhere"], "nowhere"),
        (&["X", "--main", "lab", "--lead"], "--lead"),
        (
            &["X", "--board", "Docs", "--heartbeat-every", "often"],
            "--heartbeat-every",
        ),
        (&["X", "--board", "Docs", "--soul-template", "none.md"], "none.md"),
        (
            &["X", "--board", "Docs", "--identity-template", "big.md"],
            "--identity-template",
        ),
    ] {
        let args = [&["agents", "add"][..], more].concat();
        fixture.harness.run(&args).await.ends_with(2).tells(&[told]);
    }
}

#[tokio::test]
async fn an_agent_is_named_by_id_prefix_or_name_and_an_ambiguous_name_lists_the_candidates() {
    let sim = gateway().start_tcp().await.unwrap();
    let fixture = StoreFixture::with_agents(&sim).await;
    fixture.board("Ops", "lab").await;
    fixture.run(&["agents", "add", "--board", "Ops", "--lead"]).await;
    let listed = fixture.run(&["agents", "list", "--json"]).await.json();
    let ids: Vec<&str> = listed["agents"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|agent| agent["name"] == "Lead Agent")
        .map(|agent| agent["id"].as_str().unwrap())
        .collect();
    let ran = fixture
        .harness
        .run(&["agents", "plan", "lead agent"])
        .await
        .ends_with(2);
    ran.tells(&[&ids[0][..8], &ids[1][..8], "Docs", "Ops", "Use its id"]);
    for name in [ids[0], &ids[0][..8], "scribe"] {
        fixture.run(&["agents", "plan", name]).await;
    }
    fixture
        .harness
        .run(&["agents", "plan", "nobody"])
        .await
        .ends_with(2)
        .tells(&["nobody"]);
    fixture
        .harness
        .run(&["agents", "plan"])
        .await
        .ends_with(2)
        .tells(&["--all"]);
    fixture
        .harness
        .run(&["agents", "plan", "Scribe", "--all"])
        .await
        .ends_with(2)
        .tells(&["--all"]);
}

#[tokio::test]
async fn names_that_steer_a_terminal_are_refused_or_written_out() {
    let sim = gateway().start_tcp().await.unwrap();
    let fixture = StoreFixture::of(&sim).await;
    fixture.board("Docs\u{202e}", "lab").await;
    let shown = fixture.run(&["boards", "list"]).await.stdout;
    assert!(shown.contains("\\u{202e}") && !shown.contains('\u{202e}'), "{shown}");
    let refused = fixture
        .harness
        .run(&["boards", "add", "a\u{1b}[31m", "--on", "lab"])
        .await
        .ends_with(2);
    assert!(!refused.stderr.contains("\u{1b}[31m"), "{refused:?}");
}

#[tokio::test]
async fn a_board_is_added_on_the_only_gateway_or_on_the_one_that_the_flag_names() {
    let sim = gateway().start_tcp().await.unwrap();
    let fixture = StoreFixture::of(&sim).await;
    fixture.run(&["boards", "add", "One"]).await;
    fixture.gateway("other", &sim).await;
    let unclear = fixture.harness.run(&["boards", "add", "Two"]).await.ends_with(2);
    unclear.tells(&["2 gateways: lab, other", "--on"]);
    let added = fixture.run(&["boards", "add", "Two", "-g", "other"]).await;
    assert!(added.stdout.contains("on other"), "{added:?}");
}

#[tokio::test]
async fn the_place_of_a_gateways_token_is_changed_without_touching_its_boards() {
    let sim = gateway().start_tcp().await.unwrap();
    let fixture = StoreFixture::of(&sim).await;
    fixture.board("Docs", "lab").await;
    let harness = fixture.harness.file("lab.token", TOKEN);
    let path = harness.path("lab.token");
    let set = [
        "gateways",
        "set",
        "lab",
        "--token-file",
        path.to_str().unwrap(),
        "--json",
    ];
    let set = harness.run(&set).await.ends_with(0).json();
    assert_eq!(set["token"], format!("file:{}", path.display()));
    assert_eq!(set["boards"], 1);
    harness.run(&["call", "health", "-g", "lab"]).await.ends_with(0);
    harness
        .run(&["gateways", "set", "lab", "--no-token"])
        .await
        .ends_with(0);
    let listed = harness.run(&["gateways", "list", "--json"]).await.ends_with(0).json();
    assert_eq!(listed["gateways"][0]["token"], Value::Null);
    harness
        .run(&["gateways", "set", "lab"])
        .await
        .ends_with(2)
        .tells(&["--token-env"]);
    let unset = harness
        .run(&["gateways", "set", "lab", "--token-env", "NOT_THERE"])
        .await
        .ends_with(2);
    unset.tells(&["NOT_THERE is not set"]);
}
