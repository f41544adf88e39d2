//! `windlass coordinate`: what is said to agents, and what becomes of it.

use serde_json::{Value, json};
use windlass_testkit::{Generation, SideEffect, SimGateway};

use crate::harness::{Finished, Harness, TOKEN, gateway};
use crate::store_fixture::StoreFixture;

/// A fixture whose agents are awake.
async fn awake(sim: &SimGateway) -> StoreFixture {
    let fixture = StoreFixture::with_agents(sim).await;
    fixture.run(&["agents", "provision", "--all"]).await;
    fixture
}

/// What agents were told that holds this.
fn told(sim: &SimGateway, words: &str) -> Vec<(String, String)> {
    let effects = sim.journal().effects().into_iter();
    let runs = effects.filter_map(|effect| match effect {
        SideEffect::ChatRun { session, message, .. } => Some((session, message)),
        _ => None,
    });
    runs.filter(|(_, message)| message.contains(words)).collect()
}

/// The activities of the store, newest last.
async fn activities(fixture: &StoreFixture) -> Vec<String> {
    use windlass::sqlite::SqliteStore;
    use windlass::store::{Activities as _, ActivityFilter};
    let path = fixture.harness.path(".local/share/windlass/windlass.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let all = store.activities(&ActivityFilter::default(), None, 500).await.unwrap();
    all.into_iter().map(|activity| activity.kind).collect()
}

fn shows_no_escape(ran: &Finished) {
    assert!(
        !ran.stdout.contains('\u{1b}') && !ran.stderr.contains('\u{1b}'),
        "{ran:?}"
    );
}

#[tokio::test]
async fn a_nudge_comes_into_the_agents_session_under_the_id_that_is_shown() {
    for generation in [Generation::V3, Generation::V4] {
        let sim = gateway().generation(generation).start_tcp().await.unwrap();
        let fixture = awake(&sim).await;
        let nudge = ["coordinate", "nudge", "Scribe", "The contents are empty", "--json"];
        let said = fixture.run(&nudge).await.json();
        assert_eq!(
            (&said["operation"], &said["outcome"], &said["agentName"]),
            (&json!("nudge"), &json!("sent"), &json!("Scribe"))
        );
        // The gateway takes it at once, and begins the run a little later.
        sim.wait_for(|_| !told(&sim, "The contents are empty").is_empty())
            .await
            .unwrap();
        let heard = told(&sim, "The contents are empty");
        assert_eq!(heard.len(), 1, "{generation:?}: {heard:?}");
        let id = said["correlationId"].as_str().unwrap();
        assert!(heard[0].1.contains(id), "{id} is not in {heard:?}");
        assert!(activities(&fixture).await.contains(&"board.nudge.sent".to_owned()));
    }
}

#[tokio::test]
async fn what_is_said_twice_under_one_id_is_heard_once() {
    let sim = gateway().start_tcp().await.unwrap();
    let fixture = awake(&sim).await;
    let nudge = [
        "coordinate",
        "nudge",
        "scribe",
        "Wake up",
        "--correlation-id",
        "ticket-7",
    ];
    for _ in 0..2 {
        let ran = fixture.run(&nudge).await;
        assert!(ran.stdout.contains("told Scribe (ticket-7)"), "{ran:#?}");
        shows_no_escape(&ran);
    }
    assert_eq!(told(&sim, "Wake up").len(), 1);
}

#[tokio::test]
async fn words_come_from_stdin_with_their_lines() {
    let sim = gateway().start_tcp().await.unwrap();
    let fixture = awake(&sim).await;
    let nudge = ["coordinate", "nudge", "Scribe", "-"];
    fixture
        .harness
        .run_with(&nudge, "first line\nsecond line\n")
        .await
        .ends_with(0);
    let heard = told(&sim, "second line");
    assert!(heard[0].1.contains("first line"), "{heard:?}");
    let nothing = fixture.harness.run_with(&nudge, "\n").await.ends_with(2);
    nothing.tells(&["TEXT: there are no words in it"]);
    let too_much = "x".repeat(90_000);
    fixture
        .harness
        .run_with(&nudge, &too_much)
        .await
        .ends_with(2)
        .tells(&["TEXT"]);
}

#[tokio::test]
async fn a_nudge_works_beside_the_service_and_a_handoff_says_why_it_does_not() {
    let sim = gateway().start_tcp().await.unwrap();
    let fixture = awake(&sim).await;
    let store = fixture.harness.path(".local/share/windlass/windlass.db");
    let store = store.to_str().unwrap().to_owned();
    let mut service = Harness::new()
        .with("T", TOKEN)
        .start(&["agents", "run", "--store", &store, "--json"]);
    assert_eq!(service.line().await["news"], "started");
    fixture.run(&["coordinate", "nudge", "Scribe", "Still there?"]).await;
    assert_eq!(told(&sim, "Still there?").len(), 1);
    let lead = ["coordinate", "lead", "Docs", "Take this over", "--handoff"];
    let all = ["coordinate", "broadcast", "--all", "Hear ye"];
    let soul = ["coordinate", "soul", "Scribe", "--set", "-"];
    for owned in [&lead[..], &all, &soul] {
        let ran = fixture.harness.run_with(owned, "You are a poet.").await.ends_with(8);
        ran.tells(&["another process", "next:", "windlass agents run", "start it again"]);
    }
    assert!(told(&sim, "Hear ye").is_empty() && told(&sim, "Take this over").is_empty());
    fixture.run(&["coordinate", "soul", "Scribe"]).await;
    service.interrupt();
    service.end().await.ends_with(0);
    fixture.run(&lead).await;
}

#[tokio::test]
async fn the_user_is_asked_through_the_gateways_own_agent() {
    let sim = gateway().start_tcp().await.unwrap();
    let fixture = awake(&sim).await;
    let ask = [
        "coordinate",
        "ask",
        "Docs",
        "British spelling?",
        "--channel",
        "telegram",
        "--json",
    ];
    let ran = fixture
        .harness
        .run(&ask)
        .await
        .ends_with(6)
        .tells(&["no agent of its own", "--correlation-id"]);
    assert_eq!(
        (&ran.json()["outcome"], &ran.json()["status"]),
        (&json!("failed"), &json!(409))
    );
    fixture.run(&["agents", "add", "--main", "lab"]).await;
    fixture.run(&["agents", "provision", "lab Gateway Agent"]).await;
    fixture.run(&ask).await;
    let heard = told(&sim, "British spelling?");
    assert!(
        heard[0].0.contains("mc-gateway-") && heard[0].1.contains("telegram"),
        "{heard:?}"
    );
    fixture.run(&["coordinate", "onboard", "Docs", "A handbook"]).await;
    assert_eq!(told(&sim, "A handbook").len(), 1);
    let kinds = activities(&fixture).await;
    for kind in ["gateway.ask.failed", "gateway.ask.sent", "board.onboarding.sent"] {
        assert!(kinds.iter().any(|known| known == kind), "{kind} is not in {kinds:?}");
    }
}

#[tokio::test]
async fn a_soul_is_printed_and_written_and_stays_written() {
    for generation in [Generation::V3, Generation::V4] {
        let sim = gateway().generation(generation).start_tcp().await.unwrap();
        let fixture = awake(&sim).await;
        let before = fixture.run(&["coordinate", "soul", "Scribe"]).await.stdout;
        assert!(before.starts_with("# Soul"), "{before}");
        let set = ["coordinate", "soul", "Scribe", "--set", "-"];
        let words = "You are a poet.\n{{ not_a_template }}\n";
        fixture.harness.run_with(&set, words).await.ends_with(0);
        let read = fixture.run(&["coordinate", "soul", "Scribe", "--json"]).await.json();
        assert_eq!(read["text"].as_str().unwrap().trim_end(), words.trim_end());
        let drift = fixture.run(&["agents", "drift", "Scribe", "--json"]).await.json();
        assert_eq!(drift["drifted"], 0, "{drift}");
        let missing = ["coordinate", "soul", "Scribe", "--set", "none.md"];
        fixture
            .harness
            .run(&missing)
            .await
            .ends_with(2)
            .tells(&["--set", "none.md"]);
    }
}

#[tokio::test]
async fn what_a_gateway_put_into_a_soul_steers_no_terminal() {
    let sim = gateway().start_tcp().await.unwrap();
    let fixture = awake(&sim).await;
    let file = json!({"agentId": "x", "workspace": "/w", "file": {
        "name": "SOUL.md", "path": "/w/SOUL.md", "missing": false, "content": "one\n\u{1b}[2Jtwo\u{202e}"
    }});
    sim.script().reply("agents.files.get", file);
    let ran = fixture.run(&["coordinate", "soul", "Scribe"]).await;
    assert_eq!(ran.stdout, "one\n\\u{1b}[2Jtwo\\u{202e}\n");
}

#[tokio::test]
async fn a_lead_is_brought_to_life_for_what_it_is_told() {
    let sim = gateway().start_tcp().await.unwrap();
    let fixture = StoreFixture::of(&sim).await;
    fixture.board("Docs", "lab").await;
    let lead = ["coordinate", "lead", "Docs", "How far are you?", "--tag", "weekly"];
    let ran = fixture.run(&lead).await;
    assert!(
        ran.stdout.contains("told Lead Agent, which was provisioned for it"),
        "{ran:#?}"
    );
    assert_eq!(told(&sim, "How far are you?").len(), 1);
    let again = fixture.run(&lead).await;
    assert!(!again.stdout.contains("brought to life"), "{again:#?}");
}

/// The result of a board in a report.
fn of_board<'a>(report: &'a Value, name: &str) -> &'a Value {
    let boards = report["boards"].as_array().unwrap();
    boards
        .iter()
        .find(|board| board["name"] == name)
        .unwrap_or_else(|| panic!("{name}: {report}"))
}

#[tokio::test]
async fn a_broadcast_reaches_the_boards_of_gateways_that_are_up_and_names_the_others() {
    let (up, down) = (
        gateway().start_tcp().await.unwrap(),
        gateway().start_tcp().await.unwrap(),
    );
    let fixture = StoreFixture::of(&up).await;
    fixture.gateway("attic", &down).await;
    for (board, place) in [("Docs", "lab"), ("Code", "lab"), ("Old", "attic")] {
        fixture.board(board, place).await;
    }
    down.stop().await;
    let all = ["coordinate", "broadcast", "--all", "Hear ye", "--timeout", "2s"];
    let json: Vec<&str> = all.iter().copied().chain(["--json"]).collect();
    let report = fixture.harness.run(&json).await.ends_with(6).json();
    assert_eq!((&report["sent"], &report["failed"]), (&json!(2), &json!(1)));
    for name in ["Docs", "Code"] {
        assert_eq!(of_board(&report, name)["error"], Value::Null);
    }
    assert_eq!(of_board(&report, "Old")["status"], 502);
    assert_eq!(told(&up, "Hear ye").len(), 2);

    let table = fixture
        .harness
        .run(&all)
        .await
        .ends_with(6)
        .tells(&["--correlation-id"]);
    for text in [
        "BOARD",
        "Lead Agent",
        "told",
        "failed (502)",
        "why:",
        "2 told, 1 failed",
    ] {
        assert!(table.stdout.contains(text), "{text} is not in {table:#?}");
    }
    let attic = ["coordinate", "broadcast", "--on", "attic", "Hear ye", "--timeout", "2s"];
    fixture.harness.run(&attic).await.ends_with(3);
    fixture
        .run(&["coordinate", "broadcast", "--board", "Docs", "Only you"])
        .await;
    assert_eq!(told(&up, "Only you").len(), 1);
}

#[tokio::test]
async fn an_agent_may_say_only_what_its_place_allows() {
    let sim = gateway().start_tcp().await.unwrap();
    let fixture = awake(&sim).await;
    let ask = ["coordinate", "ask", "Docs", "May I?", "--as", "Scribe"];
    fixture
        .harness
        .run(&ask)
        .await
        .ends_with(4)
        .tells(&["only the board's lead", "next:"]);
    fixture
        .run(&["coordinate", "nudge", "Scribe", "Go on", "--as", "Lead Agent"])
        .await;
    let heard = told(&sim, "Go on");
    assert!(heard[0].1.starts_with("Lead Agent"), "{heard:?}");
}

#[tokio::test]
async fn wrong_names_and_flags_end_with_2_before_anything_is_sent() {
    let sim = gateway().start_tcp().await.unwrap();
    let fixture = StoreFixture::with_agents(&sim).await;
    for (args, tells) in [
        (&["nudge", "Nobody", "hi"][..], &["no agent \"Nobody\""][..]),
        (&["ask", "Nowhere", "hi"], &["no board \"Nowhere\""]),
        (&["broadcast", "hi"], &["--on", "--board", "--all"]),
        (&["broadcast", "hi", "--all", "--on", "lab"], &["--all", "--on"]),
        (
            &["nudge", "Scribe", "hi", "--correlation-id", "a b"],
            &["--correlation-id"],
        ),
        (&["nudge", "Scribe", "hi", "--url", "ws://h"], &["--url"]),
        (&["nudge", "Scribe", "hi", "--as", "Nobody"], &["no agent \"Nobody\""]),
    ] {
        let args: Vec<&str> = std::iter::once("coordinate").chain(args.iter().copied()).collect();
        fixture.harness.run(&args).await.ends_with(2).tells(tells);
    }
    assert_eq!(sim.journal().connect_attempts(), 0);
}
