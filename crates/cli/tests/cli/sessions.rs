//! `windlass sessions`: looking at conversations, and one message with its answer.

use std::time::Duration;

use serde_json::{Value, json};
use windlass_testkit::{ChatPlan, Generation, Outcome, RELEASES, RestartKind, SimGateway};

use crate::harness::{Harness, gateway};
use crate::store_fixture::StoreFixture;

/// An answer in so many pieces, a tenth of a second apart.
fn slow(increments: u32) -> ChatPlan {
    ChatPlan {
        increments,
        pace: Duration::from_millis(100),
        ..ChatPlan::default()
    }
}

async fn running(sim: &SimGateway) {
    sim.wait_for(|journal| journal.executions("chat.send") > 0)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_message_is_answered_on_every_release() {
    for release in RELEASES {
        let sim = gateway().release(release).start_tcp().await.unwrap();
        let harness = Harness::of(&sim);
        let ran = harness
            .run(&["sessions", "send", "main", "good morning"])
            .await
            .ends_with(0);
        assert_eq!(
            (ran.stdout.as_str(), ran.stderr.as_str()),
            ("echo: good morning\n", ""),
            "{release}"
        );
        let history = harness
            .run(&["sessions", "history", "--json"])
            .await
            .ends_with(0)
            .json_lines();
        let said = |role: &str| history.iter().filter(|row| row["role"] == role).count();
        assert_eq!((said("user"), said("assistant")), (1, 1), "{release}: {history:?}");
    }
}

#[tokio::test]
async fn programs_get_what_happens_line_by_line_and_the_end_last() {
    let sim = gateway().chat(slow(4)).start_tcp().await.unwrap();
    let send = ["sessions", "send", "agent:main:main", "count to four", "--json"];
    let ran = Harness::of(&sim).run(&send).await.ends_with(0);
    let lines = ran.json_lines();
    let kinds: Vec<&str> = lines.iter().filter_map(|line| line["type"].as_str()).collect();
    assert_eq!(
        (kinds[0], kinds[1], *kinds.last().unwrap()),
        ("sent", "started", "end"),
        "{kinds:?}"
    );
    let mut text = String::new();
    for line in &lines {
        match line["type"].as_str() {
            Some("increment") => text.push_str(line["text"].as_str().unwrap()),
            Some("replaced") => text = line["text"].as_str().unwrap().to_owned(),
            _ => {}
        }
    }
    let end = lines.last().unwrap();
    assert_eq!((&end["outcome"], &end["text"]), (&json!("final"), &json!(text)));
    assert_eq!(
        lines[0]["key"],
        sim.journal().requests("chat.send")[0]["idempotencyKey"]
    );
}

#[tokio::test]
async fn a_restart_in_the_middle_costs_neither_the_answer_nor_a_second_run() {
    let sim = gateway()
        .generation(Generation::V4)
        .chat(slow(30))
        .start_tcp()
        .await
        .unwrap();
    let harness = Harness::of(&sim);
    let send = ["sessions", "send", "main", "think it over"];
    let (ran, ()) = tokio::join!(harness.run(&send), async {
        running(&sim).await;
        sim.chat(ChatPlan::default());
        sim.restart(RestartKind::Crash);
    });
    let ran = ran.ends_with(0).tells(&["the line broke", "connected again"]);
    assert!(ran.stdout.contains("echo:"), "{ran:#?}");
    let said = harness.run(&["sessions", "history", "--json"]).await.json_lines();
    let asked = said.iter().filter(|row| row["text"] == "think it over").count();
    assert_eq!(asked, 1, "{said:?}");
}

#[tokio::test]
async fn each_end_has_its_exit_code() {
    let sim = gateway().start_tcp().await.unwrap();
    let harness = Harness::of(&sim);
    let fails = ChatPlan {
        outcome: Outcome::Fail { status: 400 },
        ..ChatPlan::default()
    };
    sim.next_chat(fails);
    let failed = harness
        .run(&["sessions", "send", "main", "fail", "--json"])
        .await
        .ends_with(1);
    assert_eq!(failed.json_lines().last().unwrap()["outcome"], "failed");

    sim.script().once().fail(
        "chat.send",
        windlass_testkit::WireError::new("INVALID_REQUEST", "not today"),
    );
    harness
        .run(&["sessions", "send", "main", "no"])
        .await
        .ends_with(1)
        .tells(&["not today"]);

    let hangs = ChatPlan {
        outcome: Outcome::Hang,
        ..ChatPlan::default()
    };
    sim.next_chat(hangs);
    let send = [
        "sessions",
        "send",
        "agent:main:slow",
        "wait",
        "--timeout",
        "1s",
        "--json",
    ];
    let late = harness.run(&send).await.ends_with(5).tells(&["--key"]);
    let key = late.json_lines()[0]["key"].as_str().unwrap().to_owned();
    let again = ["sessions", "send", "agent:main:slow", "wait", "--key", &key];
    let abort = ["sessions", "abort", "agent:main:slow"];
    let looked = sim.journal().executions("chat.history");
    let (stopped, ()) = tokio::join!(harness.run(&again), async {
        sim.wait_for(|journal| journal.executions("chat.history") > looked)
            .await
            .unwrap();
        harness.run(&abort).await.ends_with(0);
    });
    stopped.ends_with(1).tells(&["The run was stopped"]);
    assert_eq!(sim.journal().runs_of("wait"), 1, "the key was kept");
}

#[tokio::test]
async fn who_does_not_wait_gets_the_run_and_its_key() {
    let sim = gateway().chat(slow(20)).start_tcp().await.unwrap();
    let harness = Harness::of(&sim);
    let sent = harness
        .run(&["sessions", "send", "main", "later", "--no-wait", "--json"])
        .await
        .ends_with(0)
        .json_lines();
    let key = sent[1]["key"].as_str().unwrap();
    assert_eq!(sent[1]["type"], "started");
    let answer = harness
        .run(&["sessions", "send", "main", "later", "--key", key])
        .await
        .ends_with(0);
    assert!(answer.stdout.contains("echo: later"), "{answer:#?}");
    assert_eq!(sim.journal().runs_of("later"), 1);
}

#[tokio::test]
async fn an_interrupt_leaves_the_run_alone_and_tells_its_key() {
    let sim = gateway().chat(slow(600)).start_tcp().await.unwrap();
    let started = Harness::of(&sim).start(&["sessions", "send", "main", "a long one"]);
    running(&sim).await;
    started.interrupt();
    let key = sim.journal().requests("chat.send")[0]["idempotencyKey"]
        .as_str()
        .unwrap()
        .to_owned();
    started.end().await.ends_with(130).tells(&["the agent continues", &key]);
    assert_eq!(sim.journal().executions("chat.abort"), 0);
}

#[tokio::test]
async fn sessions_are_listed_with_what_people_look_for() {
    for generation in [Generation::V3, Generation::V4] {
        let sim = gateway().generation(generation).start_tcp().await.unwrap();
        let harness = Harness::of(&sim);
        for session in ["agent:main:main", "agent:main:review"] {
            harness.run(&["sessions", "send", session, "hello"]).await.ends_with(0);
        }
        let patch = json!({"key": "agent:main:review", "label": "Nightly"}).to_string();
        harness.run(&["call", "sessions.patch", &patch]).await.ends_with(0);
        let table = harness.run(&["sessions", "list"]).await.ends_with(0).stdout;
        for text in [
            "SESSION",
            "agent:main:main",
            "agent:main:review",
            "Nightly",
            "fake/fake-1",
            " ago",
        ] {
            assert!(table.contains(text), "{generation:?}: {text} is not in {table}");
        }
        let rows = harness
            .run(&["sessions", "list", "--label", "Nightly", "--json"])
            .await
            .json();
        assert_eq!(
            (&rows["key"], &rows["label"]),
            (&json!("agent:main:review"), &json!("Nightly"))
        );
        let one = harness
            .run(&["sessions", "list", "--limit", "1", "--json"])
            .await
            .json();
        assert_eq!(one["key"], "agent:main:review", "changed last");
        let none = harness
            .run(&["sessions", "list", "--agent", "nobody"])
            .await
            .ends_with(1);
        none.tells(&["no agent", "nobody"]);
    }
}

#[tokio::test]
async fn a_session_is_shown_with_what_runs_in_it() {
    let sim = gateway().generation(Generation::V4).start_tcp().await.unwrap();
    let harness = Harness::of(&sim);
    harness.run(&["sessions", "send", "main", "hello"]).await.ends_with(0);
    let shown = harness.run(&["sessions", "show", "main"]).await.ends_with(0).stdout;
    for text in ["agent:main:main", "fake/fake-1", "none", "supported"] {
        assert!(shown.contains(text), "{text} is not in {shown}");
    }
    sim.next_chat(ChatPlan {
        outcome: Outcome::Hang,
        ..ChatPlan::default()
    });
    let sent = harness
        .run(&["sessions", "send", "main", "wait", "--no-wait", "--json"])
        .await
        .json_lines();
    let run = &sent[1]["runId"];
    let busy = harness
        .run(&["sessions", "show", "main", "--json"])
        .await
        .ends_with(0)
        .json();
    assert_eq!((&busy["running"], &busy["runId"]), (&json!(true), run), "{busy}");
    let stopped = harness
        .run(&["sessions", "abort", "main", "--json"])
        .await
        .ends_with(0)
        .json();
    assert_eq!(&stopped["aborted"][0], run);
    let idle = harness.run(&["sessions", "abort", "main"]).await.ends_with(0).stdout;
    assert!(idle.contains("nothing ran"), "{idle}");
    harness
        .run(&["sessions", "show", "agent:main:none"])
        .await
        .ends_with(1)
        .tells(&["agent:main:none"]);
}

#[tokio::test]
async fn what_was_added_since_a_cursor_is_read_by_it_where_the_release_has_cursors() {
    let sim = gateway().release("2026.9.6").start_tcp().await.unwrap();
    let harness = Harness::of(&sim);
    let say = async |text: &str| {
        let send = ["sessions", "send", "main", text];
        harness.run(&send).await.ends_with(0);
    };
    let page = async |more: &[&str]| {
        let history = [&["sessions", "history", "main", "--json"], more].concat();
        harness.run(&history).await.ends_with(0).json_lines()
    };
    let texts = |lines: &[Value]| -> Vec<String> {
        let rows = lines.iter().filter(|line| line["type"] == "message");
        rows.map(|row| row["text"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    let cursor = |lines: &[Value]| lines.last().unwrap()["after"].as_str().unwrap().to_owned();
    say("one").await;
    let first = page(&[]).await;
    assert_eq!(texts(&first), ["one", "echo: one"]);
    assert!(texts(&page(&["--after", &cursor(&first)]).await).is_empty());
    say("two").await;
    let added = page(&["--after", &cursor(&first)]).await;
    assert_eq!(texts(&added), ["two", "echo: two"]);
    say("three").await;
    let added = page(&["--after", &cursor(&added)]).await;
    assert_eq!(
        texts(&added),
        ["three", "echo: three"],
        "a page goes on where the one before ended"
    );
    // A reset leaves nothing that the cursor could belong to.
    harness
        .run(&["call", "sessions.reset", r#"{"key":"agent:main:main"}"#])
        .await
        .ends_with(0);
    let old = ["sessions", "history", "main", "--after", &cursor(&added)];
    harness
        .run(&old)
        .await
        .ends_with(0)
        .tells(&["the cursor does not hold any more"]);

    let sim = gateway().release("2026.3.13").start_tcp().await.unwrap();
    let old = ["sessions", "history", "main", "--after", "some-cursor"];
    let refused = Harness::of(&sim).run(&old).await.ends_with(1);
    refused.tells(&["no cursors", "--after", "next:"]);
}

#[tokio::test]
async fn a_history_is_read_page_by_page_and_all_at_once() {
    for generation in [Generation::V3, Generation::V4] {
        let sim = gateway().generation(generation).start_tcp().await.unwrap();
        let harness = Harness::of(&sim);
        for text in ["one", "two", "three"] {
            harness.run(&["sessions", "send", "main", text]).await.ends_with(0);
        }
        let texts = |lines: &[Value]| -> Vec<String> {
            let rows = lines.iter().filter(|line| line["type"] == "message");
            rows.map(|row| row["text"].as_str().unwrap_or_default().to_owned())
                .collect()
        };
        let last = harness
            .run(&["sessions", "history", "main", "--limit", "2", "--json"])
            .await
            .json_lines();
        assert_eq!(texts(&last), ["three", "echo: three"], "{generation:?}");
        let before = last.last().unwrap()["before"].to_string();
        let older = [
            "sessions", "history", "main", "--limit", "2", "--before", &before, "--json",
        ];
        let older = harness.run(&older).await.ends_with(0).json_lines();
        assert_eq!(texts(&older), ["two", "echo: two"], "{generation:?}");
        let all = harness
            .run(&["sessions", "history", "main", "--all", "--json"])
            .await
            .json_lines();
        assert_eq!(texts(&all).len(), 6, "{generation:?}: {all:?}");
        let shown = harness.run(&["sessions", "history", "main", "--limit", "2"]).await;
        let shown = shown.tells(&["older messages: --before 2"]).stdout;
        for text in ["user", "  three", "assistant", "  echo: three"] {
            assert!(shown.contains(text), "{generation:?}: {text} is not in {shown}");
        }
    }
}

#[tokio::test]
async fn what_was_said_steers_no_terminal() {
    let sim = gateway().start_tcp().await.unwrap();
    let harness = Harness::of(&sim);
    let plan = ChatPlan {
        reply: Some("first\n\u{1b}]0;title\u{7}\u{9b}31m\u{202e}last".into()),
        ..ChatPlan::default()
    };
    sim.next_chat(plan);
    let answer = harness.run(&["sessions", "send", "main", "say it"]).await.ends_with(0);
    let history = harness.run(&["sessions", "history", "main"]).await.ends_with(0);
    for shown in [&answer.stdout, &history.stdout] {
        assert!(
            shown.contains("first\n") && shown.contains("\\u{1b}]0;title"),
            "{shown:?}"
        );
        let steers = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!shown.chars().any(steers), "{shown:?}");
    }
}

#[tokio::test]
async fn an_agent_is_named_as_people_call_it_and_a_slip_makes_no_session() {
    let sim = gateway().start_tcp().await.unwrap();
    let fixture = StoreFixture::with_agents(&sim).await;
    fixture.run(&["agents", "provision", "Scribe", "--no-wake"]).await;
    let harness = Harness::of(&sim);
    harness.run(&["sessions", "send", "scribe", "hello"]).await.ends_with(0);
    let session = sim.journal().requests("chat.send")[0]["sessionKey"].clone();
    assert!(session.as_str().unwrap().starts_with("agent:mc-"), "{session}");
    let slip = harness.run(&["sessions", "send", "scrbe", "hello"]).await.ends_with(1);
    slip.tells(&["no session \"scrbe\"", "agent:ID:NAME"]);
    assert_eq!(sim.journal().executions("chat.send"), 1);
}

#[tokio::test]
async fn flags_that_mean_nothing_together_are_named() {
    let sim = gateway().start_tcp().await.unwrap();
    let harness = Harness::of(&sim);
    for (args, tells) in [
        (&["history", "--before", "2", "--all"][..], &["--before", "--all"][..]),
        (&["history", "--limit", "0"], &["--limit"]),
        (&["send", "main", ""], &["TEXT"]),
        (&["send", "main", "hi", "--timeout", "1"], &["--timeout"]),
        (&["send", "agent:main:\u{1}", "hi"], &["no session key"]),
    ] {
        let args: Vec<&str> = std::iter::once("sessions").chain(args.iter().copied()).collect();
        harness.run(&args).await.ends_with(2).tells(tells);
    }
}
