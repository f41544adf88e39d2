//! `windlass agents`: jobs on simulated gateways.

use serde_json::{Value, json};
use windlass_testkit::{Generation, SideEffect, SimGateway};

use crate::harness::{Finished, Harness, TOKEN, gateway};
use crate::store_fixture::{StoreFixture, writes};

fn count(sim: &SimGateway, wanted: impl Fn(&SideEffect) -> bool) -> usize {
    sim.journal().count(wanted)
}

fn created(sim: &SimGateway) -> usize {
    count(sim, |effect| matches!(effect, SideEffect::AgentCreated { .. }))
}

fn woken(sim: &SimGateway) -> usize {
    count(sim, |effect| matches!(effect, SideEffect::ChatRun { .. }))
}

/// The report, which is the last line.
fn report(ran: &Finished) -> Value {
    let last = ran.json_lines().pop().unwrap();
    assert_eq!(last["news"], "report", "{ran:#?}");
    last
}

/// The tokens that agents were given.
fn agent_tokens(sim: &SimGateway) -> Vec<String> {
    let mut tokens = Vec::new();
    for params in sim.journal().requests("agents.files.set") {
        let content = params["content"].as_str().unwrap_or_default();
        for line in content.lines() {
            if let Some((_, token)) = line.split_once("AUTH_TOKEN=") {
                let token = token.trim_matches('`');
                assert_eq!(token.len(), 43, "{line}");
                tokens.push(token.to_owned());
            }
        }
    }
    tokens
}

#[tokio::test]
async fn a_provision_brings_agents_to_life_and_a_second_one_writes_nothing() {
    for generation in [Generation::V3, Generation::V4] {
        let sim = gateway().generation(generation).start_tcp().await.unwrap();
        let fixture = StoreFixture::with_agents(&sim).await;
        let ran = fixture.run(&["agents", "provision", "--all", "--json"]).await;
        assert!(!ran.stderr.contains("error:"), "{ran:#?}");
        let lines = ran.json_lines();
        assert_eq!(lines[0], json!({"news": "planned", "agents": 2}));
        for kind in ["step", "ended"] {
            assert!(lines.iter().any(|line| line["news"] == kind), "{kind}: {ran:#?}");
        }
        let report = report(&ran);
        assert_eq!(report["command"], "provision");
        assert_eq!(report["configWrites"], 1, "one write for both: {report}");
        for agent in report["agents"].as_array().unwrap() {
            assert_eq!(agent["failure"], Value::Null, "{report}");
            assert_eq!(
                (&agent["changes"]["created"], &agent["changes"]["woken"]),
                (&json!(true), &json!(true))
            );
        }
        assert_eq!((created(&sim), woken(&sim)), (2, 2));
        let listed = fixture.run(&["agents", "list", "--json"]).await.json();
        assert_eq!(listed["agents"][0]["storedStatus"], "online");
        for agent in listed["agents"].as_array().unwrap() {
            // The command has ended, so nothing watches for an answer: no deadline, no miss, and no run under way.
            let status = agent["status"].as_str().unwrap();
            assert!(["provisioned", "online"].contains(&status), "{generation:?}: {listed}");
            assert_eq!(
                (&agent["checkinDeadlineAt"], &agent["wakeAttempts"]),
                (&Value::Null, &json!(0)),
                "{generation:?}: {listed}"
            );
        }

        let before = writes(&sim);
        let again = fixture.run(&["agents", "provision", "--all"]).await;
        assert!(again.stdout.contains("2 agents: 0 changed, 0 failed"), "{again:#?}");
        assert_eq!(writes(&sim), before);
    }
}

#[tokio::test]
async fn without_a_terminal_progress_is_lines_on_stderr_and_the_report_is_on_stdout() {
    let sim = gateway().start_tcp().await.unwrap();
    let fixture = StoreFixture::with_agents(&sim).await;
    let ran = fixture
        .run(&["agents", "provision", "Scribe", "--no-wake"])
        .await
        .tells(&["1/1 Scribe: done"]);
    assert!(
        !ran.stdout.contains('\u{1b}') && !ran.stderr.contains('\u{1b}'),
        "{ran:?}"
    );
    for text in ["RESULT", "created", "wrote", "AGENTS.md", "1 configuration write"] {
        assert!(ran.stdout.contains(text), "{text}: {ran:#?}");
    }
    assert_eq!((created(&sim), woken(&sim)), (1, 0));
}

#[tokio::test]
async fn a_plan_and_a_dry_run_say_what_would_be_done_and_do_nothing() {
    let sim = gateway().start_tcp().await.unwrap();
    let fixture = StoreFixture::with_agents(&sim).await;
    let plan = fixture.run(&["agents", "plan", "--all", "--json"]).await.json();
    let dry = fixture
        .run(&["agents", "provision", "--all", "--dry-run", "--json"])
        .await
        .json();
    assert_eq!(plan, dry);
    let lead = &plan["plan"][0];
    assert_eq!(
        (&lead["create"], &lead["wake"], &lead["changes"], &lead["drifted"]),
        (&json!(true), &json!(true), &json!(true), &json!(true))
    );
    assert!(
        lead["files"]
            .as_array()
            .unwrap()
            .iter()
            .any(|file| file["action"] == "create"),
        "{lead}"
    );
    let quiet = fixture
        .run(&["agents", "plan", "Scribe", "--no-wake", "--json"])
        .await
        .json();
    assert_eq!(quiet["plan"][0]["wake"], false);
    let shown = fixture.run(&["agents", "plan", "--all"]).await.stdout;
    for text in ["create", "write", "wake", "nothing was done"] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    assert_eq!(writes(&sim), []);
    let listed = fixture.run(&["agents", "list", "--json"]).await.json();
    assert_eq!(listed["agents"][0]["generation"], 0, "nothing was begun");
}

#[tokio::test]
async fn drift_ends_with_7_and_none_with_0() {
    for generation in [Generation::V3, Generation::V4] {
        let sim = gateway().generation(generation).start_tcp().await.unwrap();
        let fixture = StoreFixture::with_agents(&sim).await;
        fixture.run(&["agents", "provision", "--all"]).await;
        let none = fixture.run(&["agents", "drift", "--all", "--json"]).await.json();
        assert_eq!(none["drifted"], 0, "{none}");
        let agent = none["agents"][0]["agentId"].as_str().unwrap();
        let set = json!({"agentId": agent, "name": "SOUL.md", "content": "somebody else"}).to_string();
        Harness::of(&sim)
            .run(&["call", "agents.files.set", &set])
            .await
            .ends_with(0);

        let before = writes(&sim);
        let drifted = fixture
            .harness
            .run(&["agents", "drift", "--all", "--json"])
            .await
            .ends_with(7)
            .json();
        assert_eq!(
            (&drifted["drifted"], &drifted["agents"][0]["drifted"]),
            (&json!(1), &json!(true))
        );
        let shown = fixture
            .harness
            .run(&["agents", "drift", "--all"])
            .await
            .ends_with(7)
            .stdout;
        assert!(
            shown.contains("rewrite SOUL.md") && shown.contains("1 drifted"),
            "{shown}"
        );
        assert_eq!(writes(&sim), before, "looking is not touching");
        fixture.run(&["agents", "provision", "--all"]).await;
        fixture.run(&["agents", "drift", "--all"]).await;
    }
}

#[tokio::test]
async fn a_sync_writes_todays_templates_and_wakes_nobody() {
    let sim = gateway().start_tcp().await.unwrap();
    let fixture = StoreFixture::with_agents(&sim).await;
    fixture.run(&["agents", "add", "--main", "lab"]).await;
    fixture.run(&["agents", "provision", "--all"]).await;
    let (woken_before, moved) = (woken(&sim), ["--base-url", "https://board.example/api"]);
    let sync = [&["agents", "sync", "--on", "lab"][..], &moved].concat();
    let dry = fixture
        .run(&[&sync[..], &["--dry-run", "--json"]].concat())
        .await
        .json();
    assert_eq!(dry["plan"].as_array().unwrap().len(), 2, "no main: {dry}");
    let synced = fixture.run(&[&sync[..], &["--json"]].concat()).await;
    let synced = report(&synced);
    assert_eq!(synced["agents"].as_array().unwrap().len(), 2);
    for agent in synced["agents"].as_array().unwrap() {
        assert!(!agent["changes"]["written"].as_array().unwrap().is_empty(), "{synced}");
    }
    let before = writes(&sim);
    fixture.run(&sync).await;
    assert_eq!(writes(&sim), before, "a second sync finds nothing to do");
    let leads = fixture
        .run(&[
            "agents",
            "sync",
            "--on",
            "lab",
            "--lead-only",
            "--include-main",
            "--json",
        ])
        .await;
    assert_eq!(report(&leads)["agents"].as_array().unwrap().len(), 2, "lead and main");
    assert_eq!(woken(&sim), woken_before);
}

#[tokio::test]
async fn a_paused_board_is_skipped_by_name() {
    let sim = gateway().start_tcp().await.unwrap();
    let fixture = StoreFixture::of(&sim).await;
    fixture.run(&["boards", "add", "Docs", "--on", "lab", "--paused"]).await;
    fixture.worker("Scribe", "Docs").await;
    let ran = fixture.run(&["agents", "sync", "--on", "lab"]).await;
    assert!(
        ran.stdout.contains("skipped") && ran.stdout.contains("Docs is paused"),
        "{ran:#?}"
    );
}

#[tokio::test]
async fn a_rotated_token_is_new_and_the_old_one_is_refused_at_check_in() {
    let sim = gateway().start_tcp().await.unwrap();
    let fixture = StoreFixture::of(&sim).await;
    fixture.board("Docs", "lab").await;
    fixture.worker("Scribe", "Docs").await;
    fixture.run(&["agents", "provision", "Scribe"]).await;
    let old = agent_tokens(&sim).pop().unwrap();
    let rotated = report(&fixture.run(&["agents", "rotate-token", "Scribe", "--json"]).await);
    assert_eq!(rotated["command"], "rotate-token");
    assert_eq!(rotated["agents"][0]["changes"]["rotated"], true);
    let new = agent_tokens(&sim).pop().unwrap();
    assert_ne!(old, new);

    let harness = fixture
        .harness
        .with("OLD", &old)
        .with("NEW", &new)
        .file("token", &format!("{new}\n"));
    let refused = harness
        .run(&["agents", "checkin", "Scribe", "--token-env", "OLD"])
        .await
        .ends_with(4);
    refused.tells(&["Scribe", "AUTH_TOKEN"]);
    for args in [["--token-env", "NEW"], ["--token-file", "token"]] {
        let checkin = [&["agents", "checkin", "scribe"][..], &args, &["--json"]].concat();
        let seen = harness.run(&checkin).await.ends_with(0).json();
        assert_eq!(
            (&seen["checkedIn"], &seen["agent"]["status"]),
            (&json!(true), &json!("online"))
        );
        assert_eq!(seen["agent"]["checkinDeadlineAt"], Value::Null);
    }
    harness
        .run(&["agents", "checkin", "Scribe", "--token-env", "NONE"])
        .await
        .ends_with(2)
        .tells(&["NONE"]);
    harness
        .run(&["agents", "checkin", "Scribe"])
        .await
        .ends_with(2)
        .tells(&["--token-env"]);
    let offline = [
        "agents",
        "checkin",
        "Scribe",
        "--token-env",
        "NEW",
        "--status",
        "offline",
    ];
    assert_eq!(harness.run(&offline).await.ends_with(0).stdout, "Scribe is offline\n");
}

#[tokio::test]
async fn a_deletion_needs_a_yes_and_takes_agent_and_record() {
    let sim = gateway().start_tcp().await.unwrap();
    let fixture = StoreFixture::with_agents(&sim).await;
    fixture.run(&["agents", "provision", "--all"]).await;
    let before = writes(&sim);
    fixture
        .harness
        .run(&["agents", "delete", "Scribe"])
        .await
        .ends_with(2)
        .tells(&["--yes"]);
    assert_eq!(writes(&sim), before);
    let deleted = report(
        &fixture
            .run(&["agents", "delete", "Scribe", "--yes", "--delete-files", "--json"])
            .await,
    );
    assert_eq!(deleted["agents"][0]["changes"]["removed"], true);
    assert_eq!(
        count(&sim, |effect| matches!(effect, SideEffect::AgentDeleted { .. })),
        1
    );
    let listed = fixture.run(&["agents", "list", "--json"]).await.json();
    assert_eq!(listed["agents"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn one_gateway_that_is_down_stops_the_agents_of_no_other() {
    let (up, down) = (
        gateway().start_tcp().await.unwrap(),
        gateway().start_tcp().await.unwrap(),
    );
    let fixture = StoreFixture::of(&up).await;
    fixture.gateway("far", &down).await;
    fixture.board("Docs", "lab").await;
    fixture.board("Ops", "far").await;
    fixture.worker("Scribe", "Docs").await;
    fixture.worker("Stoker", "Ops").await;
    down.kill().await;
    let limit = ["--timeout", "2s", "--json"];
    let ran = fixture
        .harness
        .run(&[&["agents", "provision", "--all"][..], &limit].concat())
        .await
        .ends_with(6);
    let report = report(&ran);
    let of = |name: &str| {
        report["agents"]
            .as_array()
            .unwrap()
            .iter()
            .find(|agent| agent["name"] == name)
            .unwrap()
    };
    assert_eq!(of("Scribe")["failure"], Value::Null);
    let failure = &of("Stoker")["failure"];
    assert!(failure["summary"].as_str().unwrap().starts_with("far: "), "{failure}");
    assert_eq!(failure["transient"], true);
    let alone = [&["agents", "provision", "Stoker"][..], &limit].concat();
    fixture.harness.run(&alone).await.ends_with(3);
    let drift = ["agents", "drift", "Stoker", "--timeout", "1s"];
    let looked = fixture.harness.run(&drift).await.ends_with(3);
    assert!(looked.stdout.contains("why:  far: "), "{looked:?}");
    fixture
        .harness
        .run(&["agents", "sync", "--on", "far", "--timeout", "1s"])
        .await
        .ends_with(3);
}

#[tokio::test]
async fn a_gateway_that_refuses_us_ends_with_4() {
    let sim = gateway().start_tcp().await.unwrap();
    let fixture = StoreFixture::with_agents(&sim).await;
    sim.set_token("another");
    let ran = fixture
        .harness
        .run(&["agents", "provision", "--all"])
        .await
        .ends_with(4);
    assert!(ran.stdout.contains("lab: ") && ran.stdout.contains("next:"), "{ran:#?}");
    assert_eq!(writes(&sim), []);
}

#[tokio::test]
async fn a_template_error_of_one_agent_is_named_and_the_others_are_done() {
    let sim = gateway().start_tcp().await.unwrap();
    let fixture = StoreFixture::with_agents(&sim).await;
    let fixture = StoreFixture {
        harness: fixture.harness.file("soul.md", "I am\n{{ agent_nam }}."),
    };
    fixture
        .run(&[
            "agents",
            "add",
            "Wrong",
            "--board",
            "Docs",
            "--soul-template",
            "soul.md",
        ])
        .await;
    let ran = fixture
        .harness
        .run(&["agents", "provision", "--all"])
        .await
        .ends_with(6);
    for text in ["own SOUL.md", "agent_nam", "line 2", "3 agents: 2 changed, 1 failed"] {
        assert!(ran.stdout.contains(text), "{text}: {ran:#?}");
    }
    assert_eq!(created(&sim), 2);
    let plan = fixture.harness.run(&["agents", "plan", "Wrong"]).await.ends_with(6);
    assert!(plan.stdout.contains("agent_nam"), "{plan:#?}");
    let shown = fixture.run(&["agents", "list"]).await.stdout;
    assert!(shown.contains("why:") && shown.contains("agent_nam"), "{shown}");
    let folder = fixture
        .harness
        .run(&["agents", "provision", "--all", "--templates", "nowhere"])
        .await
        .ends_with(2);
    folder.tells(&["nowhere"]);
}

#[tokio::test]
async fn the_version_verdict_is_clear_about_old_unknown_and_absent_gateways() {
    let sim = gateway().start_tcp().await.unwrap();
    let fixture = StoreFixture::of(&sim).await;
    let checked = fixture.run(&["gateways", "list", "--check", "--json"]).await.json();
    let check = &checked["gateways"][0]["check"];
    assert_eq!(
        (&check["verdict"], &check["version"]),
        (&json!("supported"), &json!("2026.9.6"))
    );
    let shown = fixture.run(&["gateways", "list", "--check", "lab"]).await.stdout;
    assert!(shown.contains("supported (2026.9.6)"), "{shown}");
    let gone = gateway().start_tcp().await.unwrap();
    fixture.gateway("gone", &gone).await;
    gone.kill().await;
    let ran = fixture
        .harness
        .run(&["gateways", "list", "--check", "--timeout", "1s"])
        .await
        .ends_with(3);
    assert!(
        ran.stdout.contains("not reached") && ran.stdout.contains("next:"),
        "{ran:#?}"
    );
}

#[tokio::test]
async fn a_service_owns_the_store_sees_agents_at_work_and_ends_with_0() {
    let sim = gateway().start_tcp().await.unwrap();
    let fixture = StoreFixture::of(&sim).await;
    fixture.board("Docs", "lab").await;
    fixture.worker("Scribe", "Docs").await;
    fixture.run(&["agents", "provision", "Scribe", "--no-wake"]).await;
    let listed = fixture.run(&["agents", "list", "--json"]).await.json();
    let session = listed["agents"][0]["sessionKey"].as_str().unwrap().to_owned();
    let store = fixture.harness.path(".local/share/windlass/windlass.db");
    let other = fixture.harness;
    let serving = Harness::new()
        .with("WINDLASS_STORE", store.to_str().unwrap())
        .with("T", TOKEN);
    let mut service = serving.start(&["agents", "run", "--json"]);
    let started = service.line().await;
    assert_eq!((&started["news"], &started["agents"]), (&json!("started"), &json!(1)));
    loop {
        let line = service.line().await;
        if line["news"] == "line" && line["state"] == "up" {
            assert_eq!(line["gateway"], "lab");
            break;
        }
    }
    let owned = other.run(&["agents", "provision", "Scribe"]).await.ends_with(8);
    owned.tells(&["another process", "next:"]);
    other.run(&["agents", "list"]).await.ends_with(0);
    other.run(&["agents", "plan", "Scribe"]).await.ends_with(0);
    let store = windlass::sqlite::SqliteStore::open(store).await.unwrap();
    let seen = || async {
        let filter = windlass::store::AgentFilter::default();
        let agents = windlass::store::Agents::agents(&store, &filter).await.unwrap();
        agents[0].last_seen_at
    };
    assert_eq!(seen().await, None);
    let message = json!({"role": "assistant", "content": [{"type": "text", "text": "at work"}]});
    let payload = json!({"runId": "r", "sessionKey": session, "seq": 1, "state": "final", "message": message});
    let deadline = tokio::time::timeout(std::time::Duration::from_secs(30), async {
        while seen().await.is_none() {
            sim.emit("chat", payload.clone());
            tokio::task::yield_now().await;
        }
    });
    deadline
        .await
        .expect("the service takes a chat event for a sign of life");
    service.signal("TERM");
    let ran = service.end().await.ends_with(0);
    assert_eq!(ran.json_lines().pop().unwrap()["news"], "stopped");
    other.run(&["agents", "provision", "Scribe"]).await.ends_with(0);
}

#[tokio::test]
async fn no_command_shows_the_token_of_a_gateway_or_of_an_agent() {
    let sim = gateway().start_tcp().await.unwrap();
    let fixture = StoreFixture::with_agents(&sim).await;
    let harness = fixture.harness.with("WINDLASS_LOG", "trace");
    let mut runs = Vec::new();
    for args in [
        &["agents", "plan", "--all", "--json"][..],
        &["agents", "provision", "--all", "--json"],
        &["agents", "rotate-token", "--all"],
        &["agents", "sync", "--on", "lab", "--rotate-tokens"],
        &["agents", "drift", "--all", "--json"],
        &["agents", "list", "--json"],
        &["gateways", "list", "--check", "--json"],
        &["agents", "delete", "Scribe", "--yes"],
    ] {
        runs.push(harness.run(args).await.ends_with(0));
    }
    let mut secrets = agent_tokens(&sim);
    assert!(secrets.len() >= 6, "two agents with three tokens each");
    secrets.push(TOKEN.to_owned());
    assert!(
        runs.iter().any(|ran| ran.stderr.contains("DEBUG")),
        "nothing was logged"
    );
    for ran in &runs {
        for secret in &secrets {
            assert!(
                !ran.stdout.contains(secret) && !ran.stderr.contains(secret),
                "{secret} is in {ran:#?}"
            );
        }
    }
    let database = std::fs::read(harness.path(".local/share/windlass/windlass.db")).unwrap();
    for secret in &secrets {
        assert!(
            !database.windows(secret.len()).any(|window| window == secret.as_bytes()),
            "{secret}"
        );
    }
}
