//! `windlass chat`: lines from a pipe here, a person at a terminal in `typed`.

use std::time::Duration;

use serde_json::json;
use windlass_testkit::{ChatPlan, Generation, Outcome, RELEASES, RestartKind, SimGateway};

use crate::harness::{Harness, gateway};

/// An answer in so many pieces, a tenth of a second apart.
fn slow(increments: u32) -> ChatPlan {
    ChatPlan {
        increments,
        pace: Duration::from_millis(100),
        ..ChatPlan::default()
    }
}

async fn running(sim: &SimGateway, text: &str) {
    sim.wait_for(|journal| journal.runs_of(text) > 0).await.unwrap();
}

#[tokio::test]
async fn each_line_is_one_turn_and_its_answer_one_text_on_every_release() {
    for release in RELEASES {
        let sim = gateway().release(release).start_tcp().await.unwrap();
        let ran = Harness::of(&sim).run_with(&["chat"], "one\n\ntwo\n").await.ends_with(0);
        assert_eq!(
            (ran.stdout.as_str(), ran.stderr.as_str()),
            ("echo: one\necho: two\n", ""),
            "{release}"
        );
        assert_eq!(
            (sim.journal().runs_of("one"), sim.journal().runs_of("two")),
            (1, 1),
            "{release}"
        );
    }
}

#[tokio::test]
async fn programs_talk_in_json_lines() {
    let sim = gateway().start_tcp().await.unwrap();
    let ran = Harness::of(&sim)
        .run_with(&["chat", "--json"], "one\ntwo\n")
        .await
        .ends_with(0);
    let ends: Vec<_> = ran
        .json_lines()
        .into_iter()
        .filter(|line| line["type"] == "end")
        .collect();
    assert_eq!(ends.len(), 2, "{ends:?}");
    assert_eq!(
        (&ends[1]["outcome"], &ends[1]["text"]),
        (&json!("final"), &json!("echo: two"))
    );
}

#[tokio::test]
async fn a_restart_in_the_middle_of_a_turn_is_told_and_bridged() {
    let sim = gateway()
        .generation(Generation::V4)
        .chat(slow(30))
        .start_tcp()
        .await
        .unwrap();
    let harness = Harness::of(&sim);
    let (ran, ()) = tokio::join!(harness.run_with(&["chat"], "first\nsecond\n"), async {
        running(&sim, "first").await;
        sim.chat(ChatPlan::default());
        sim.restart(RestartKind::Crash);
    });
    let ran = ran.ends_with(0).tells(&["the line broke", "connected again"]);
    assert!(ran.stdout.ends_with("echo: second\n"), "{ran:#?}");
    assert_eq!(ran.stdout.lines().count(), 2, "{ran:#?}");
    assert_eq!(sim.journal().runs_of("second"), 1);
}

#[tokio::test]
async fn the_first_turn_that_fails_ends_it() {
    let sim = gateway().start_tcp().await.unwrap();
    sim.next_chat(ChatPlan {
        outcome: Outcome::Fail { status: 400 },
        ..ChatPlan::default()
    });
    let ran = Harness::of(&sim).run_with(&["chat"], "one\ntwo\n").await.ends_with(1);
    ran.tells(&["could not answer"]);
    assert_eq!(sim.journal().runs_of("two"), 0);
}

#[tokio::test]
async fn a_gateway_that_refuses_us_ends_it_with_4() {
    let sim = gateway().start_tcp().await.unwrap();
    let harness = Harness::new()
        .with("WINDLASS_URL", &sim.url())
        .with("WINDLASS_TOKEN", "wrong");
    harness
        .run_with(&["chat"], "hello\n")
        .await
        .ends_with(4)
        .tells(&["token", "next:"]);
}

/// A person at a terminal.
#[cfg(target_os = "linux")]
mod typed {
    use super::*;
    use crate::terminal::Typist;

    const CTRL_C: &str = "\u{3}";
    const CTRL_D: &str = "\u{4}";

    /// Waits for the line on which one types.
    async fn prompt(typist: &mut Typist) {
        typist.sees("> ").await;
    }

    #[tokio::test]
    async fn what_is_typed_is_answered_and_the_commands_do_what_they_say() {
        let sim = gateway().chat(slow(3)).start_tcp().await.unwrap();
        let mut typist = Typist::sit_down(&Harness::of(&sim), "chat");
        typist.sees("agent:main:main").await;
        prompt(&mut typist).await;
        typist.types("hello\r");
        typist.sees("echo: hello").await;
        prompt(&mut typist).await;
        typist.types("/nonsense\r");
        typist.sees("is not a command").await;
        prompt(&mut typist).await;
        typist.types("/help\r");
        typist.sees("/history [N]").await;
        prompt(&mut typist).await;
        typist.types("/history 1\r");
        typist.sees("  echo: hello").await;
        prompt(&mut typist).await;
        typist.types("//wave\r");
        typist.sees("echo: /wave").await;
        prompt(&mut typist).await;
        typist.types("/new\r");
        typist.sees("new session").await;
        prompt(&mut typist).await;
        typist.types(CTRL_D);
        let (code, shown) = typist.gets_up().await;
        assert_eq!(code, 0, "{shown}");
        assert_eq!(sim.journal().executions("sessions.reset"), 1);
        assert_eq!(sim.journal().executions("chat.send"), 2, "{shown}");
    }

    #[tokio::test]
    async fn the_last_messages_are_shown_at_the_beginning() {
        let sim = gateway().start_tcp().await.unwrap();
        let harness = Harness::of(&sim);
        harness.run_with(&["chat"], "one\ntwo\n").await.ends_with(0);
        let mut typist = Typist::sit_down(&harness, "chat main --history 2");
        for text in ["user", "two", "assistant", "echo: two"] {
            typist.sees(text).await;
        }
        prompt(&mut typist).await;
        typist.types("/quit\r");
        let (code, shown) = typist.gets_up().await;
        assert_eq!(code, 0);
        assert!(!shown.contains("echo: one"), "{shown}");
    }

    #[tokio::test]
    async fn ctrl_c_stops_the_answer_and_at_the_prompt_two_of_them_leave() {
        let sim = gateway().start_tcp().await.unwrap();
        sim.next_chat(ChatPlan {
            outcome: Outcome::Hang,
            ..ChatPlan::default()
        });
        let mut typist = Typist::sit_down(&Harness::of(&sim), "chat");
        prompt(&mut typist).await;
        typist.types("wait\r");
        running(&sim, "wait").await;
        typist.types(CTRL_C);
        typist.sees("stopping").await;
        typist.sees("-- stopped").await;
        prompt(&mut typist).await;
        assert_eq!(sim.journal().executions("chat.abort"), 1);
        typist.types("go on\r");
        typist.sees("echo: go on").await;
        prompt(&mut typist).await;
        typist.types(CTRL_C);
        typist.sees("press Ctrl-C again to exit").await;
        prompt(&mut typist).await;
        typist.types(CTRL_C);
        let (code, shown) = typist.gets_up().await;
        assert_eq!(code, 130, "{shown}");
    }

    #[tokio::test]
    async fn two_of_them_leave_an_answer_that_does_not_stop_and_the_terminal_is_as_it_was() {
        let sim = gateway().start_tcp().await.unwrap();
        sim.next_chat(ChatPlan {
            outcome: Outcome::Hang,
            ..ChatPlan::default()
        });
        // It says that it stops the answer, and does not.
        sim.script()
            .reply("chat.abort", json!({"ok": true, "aborted": true, "runIds": []}));
        let mut typist = Typist::sit_down(&Harness::of(&sim), "chat; code=$?; stty -a; exit $code");
        prompt(&mut typist).await;
        typist.types("wait\r");
        running(&sim, "wait").await;
        typist.types(CTRL_C);
        typist.sees("again to exit at once").await;
        typist.types(CTRL_C);
        typist.sees("the agent continues").await;
        let (code, shown) = typist.gets_up().await;
        assert_eq!(code, 130, "{shown}");
        let modes = shown.rsplit("the agent continues").next().unwrap();
        for mode in [" echo ", " icanon "] {
            assert!(modes.contains(mode), "{mode} is not in {modes:?}");
        }
    }

    #[tokio::test]
    async fn a_restart_in_the_middle_of_an_answer_is_told_and_the_answer_comes() {
        let sim = gateway()
            .generation(Generation::V4)
            .chat(slow(30))
            .start_tcp()
            .await
            .unwrap();
        let mut typist = Typist::sit_down(&Harness::of(&sim), "chat");
        prompt(&mut typist).await;
        typist.types("hold on\r");
        running(&sim, "hold on").await;
        sim.chat(ChatPlan::default());
        sim.restart(RestartKind::Crash);
        typist.sees("the line broke").await;
        typist.sees("connected again; the gateway was restarted").await;
        typist.sees("echo:").await;
        prompt(&mut typist).await;
        typist.types("/quit\r");
        assert_eq!(typist.gets_up().await.0, 0);
    }

    #[tokio::test]
    async fn after_a_crash_of_an_old_gateway_one_can_go_on() {
        let sim = gateway()
            .generation(Generation::V3)
            .chat(slow(30))
            .start_tcp()
            .await
            .unwrap();
        sim.been_up_for(Duration::from_secs(5));
        let harness = Harness::of(&sim);
        let mut typist = Typist::sit_down(&harness, "chat");
        prompt(&mut typist).await;
        typist.types("hold on\r");
        typist.sees("echo").await;
        sim.chat(ChatPlan::default());
        sim.restart(RestartKind::Crash);
        typist.sees("-- connected again").await;
        // Whether it is answered or called lost: it ends.
        prompt(&mut typist).await;
        typist.types("and now?\r");
        typist.sees("echo: and now?").await;
        prompt(&mut typist).await;
        typist.types(CTRL_D);
        assert_eq!(typist.gets_up().await.0, 0);
        let said = harness
            .run(&["sessions", "history", "--json"])
            .await
            .ends_with(0)
            .json_lines();
        let count = |text: &str| said.iter().filter(|row| row["text"] == text).count();
        assert!(count("hold on") <= 1 && count("and now?") == 1, "{said:?}");
    }

    #[tokio::test]
    async fn a_cut_while_one_types_is_told_above_the_line_and_garbles_nothing() {
        let sim = gateway().start_tcp().await.unwrap();
        let mut typist = Typist::sit_down(&Harness::of(&sim), "chat");
        prompt(&mut typist).await;
        typist.types("hel");
        typist.sees("hel").await;
        sim.cut_all();
        typist.sees("-- the line broke").await;
        typist.sees("-- connected again").await;
        prompt(&mut typist).await;
        typist.types("lo\r");
        typist.sees("echo: hello").await;
        prompt(&mut typist).await;
        typist.types(CTRL_D);
        assert_eq!(typist.gets_up().await.0, 0);
        assert_eq!(sim.journal().runs_of("hello"), 1);
    }

    #[tokio::test]
    async fn what_is_typed_during_an_answer_is_kept_for_the_next_line() {
        let sim = gateway().chat(slow(10)).start_tcp().await.unwrap();
        let mut typist = Typist::sit_down(&Harness::of(&sim), "chat");
        prompt(&mut typist).await;
        typist.types("a long answer please\r");
        running(&sim, "a long answer please").await;
        typist.types("early bird\r");
        typist.sees("echo: a long answer please").await;
        typist.sees("echo: early bird").await;
        prompt(&mut typist).await;
        typist.types(CTRL_D);
        let (code, shown) = typist.gets_up().await;
        assert_eq!((code, sim.journal().runs_of("early bird")), (0, 1), "{shown}");
    }
}
