//! Sessions and messages under faults.

use std::time::Duration;

use windlass_agents::control_plane::{AgentMessage, ControlError, ControlPlane as _, ResourceKind};
use windlass_protocol::SessionKey;
use windlass_testkit::{ChatPlan, RELEASES, RestartKind, SideEffect, SimGateway, WireError};

use crate::bench::{Bench, card, entry, main_of, play};

fn wake(name: &str, text: &str, key: &str) -> AgentMessage {
    AgentMessage {
        key: main_of(name),
        text: text.into(),
        deliver: true,
        idempotency_key: key.into(),
        tried_before: false,
        within: Duration::from_mins(1),
    }
}

#[tokio::test(start_paused = true)]
async fn a_label_that_is_taken_is_left_out() {
    play(async {
        for release in ["2026.3.13", "2026.9.6"] {
            let bench = Bench::of(release).await;
            for agent in ["a", "b"] {
                bench.plane.create_agent(&card(agent)).await.unwrap();
            }
            bench.plane.ensure_session(&main_of("a"), Some("Lead")).await.unwrap();
            bench.plane.ensure_session(&main_of("b"), Some("Lead")).await.unwrap();
            let label = |session: Option<windlass_agents::control_plane::SessionInfo>| session.unwrap().label;
            assert_eq!(
                label(bench.plane.session(&main_of("a")).await.unwrap()).as_deref(),
                Some("Lead")
            );
            assert_eq!(label(bench.plane.session(&main_of("b")).await.unwrap()), None);
            bench.finish().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_release_that_breaks_early_sessions_gets_none() {
    play(async {
        let bench = Bench::of("2026.6.11").await;
        let (plane, key) = (&bench.plane, main_of("a"));
        plane.create_agent(&card("a")).await.unwrap();
        assert!(!plane.capabilities().await.unwrap().sessions_before_turns);
        plane.ensure_session(&key, Some("A")).await.unwrap();
        for round in 0..3 {
            let text = format!("turn {round}");
            plane.send(&wake("a", &text, &format!("run-{round}"))).await.unwrap();
            tokio::time::sleep(Duration::from_secs(10)).await;
            plane.ensure_session(&key, Some("A")).await.unwrap();
        }
        // A reset is the deletion that lets the next turn make a sound session.
        assert!(plane.reset_session(&key).await.unwrap());
        for round in 3..6 {
            plane
                .send(&wake("a", &format!("turn {round}"), &format!("run-{round}")))
                .await
                .unwrap();
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
        let history = bench.sim.journal();
        let made = |effect: &SideEffect| matches!(effect, SideEffect::ChatRun { .. });
        assert_eq!(history.count(made), 6);
        let early = |effect: &SideEffect| matches!(effect, SideEffect::SessionReset { .. });
        assert_eq!(history.count(early), 0);
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_text_that_is_taken_for_a_repetition_is_said_again() {
    play(async {
        let bench = Bench::of("2026.6.11").await;
        bench.plane.create_agent(&card("a")).await.unwrap();
        bench.plane.send(&wake("a", "same", "run-1")).await.unwrap();
        let over = bench
            .sim
            .wait_for(|journal| journal.count(|effect| matches!(effect, SideEffect::RunEnded { .. })) == 1);
        over.await.unwrap();
        bench.plane.send(&wake("a", "same", "run-2")).await.unwrap();
        assert_eq!(bench.sim.journal().runs_of("same"), 2);
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_answer_is_lost_reaches_the_agent_once() {
    play(async {
        for release in ["2026.3.13", "2026.5.12", "2026.6.11", "2026.9.6"] {
            for happened in [true, false] {
                let bench = Bench::of(release).await;
                bench.plane.create_agent(&card("a")).await.unwrap();
                let script = bench.sim.script().once();
                if happened {
                    script.drop_connection_before_answer("chat.send");
                } else {
                    script.drop_connection_before_execution("chat.send");
                }
                bench
                    .plane
                    .send(&wake("a", "good morning mark-9", "run-9"))
                    .await
                    .unwrap();
                assert_eq!(
                    bench.sim.journal().runs_of("good morning mark-9"),
                    1,
                    "{release} {happened}"
                );
                bench.finish().await;
            }
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_message_of_an_attempt_before_is_looked_up_and_sent_once() {
    play(async {
        for release in RELEASES {
            for happened in [true, false] {
                let slow = ChatPlan {
                    pace: Duration::from_secs(20),
                    ..ChatPlan::default()
                };
                let bench = Bench::with(SimGateway::builder().release(release).chat(slow)).await;
                bench.plane.create_agent(&card("a")).await.unwrap();
                bench.plane.patch_agents(vec![entry("a")]).await.unwrap();
                let message = wake("a", "good morning", "run-1");
                if happened {
                    bench.plane.send(&message).await.unwrap();
                }
                let again = AgentMessage {
                    tried_before: true,
                    ..message
                };
                bench.another_plane().send(&again).await.unwrap();
                assert_eq!(bench.sim.journal().runs_of("good morning"), 1, "{release} {happened}");
                bench.finish().await;
            }
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_refused_for_a_while_is_sent_again_and_a_command_is_an_error() {
    play(async {
        let bench = Bench::of("2026.9.6").await;
        bench.plane.create_agent(&card("a")).await.unwrap();
        let busy = WireError::new("UNAVAILABLE", "busy").retry_after_ms(100);
        bench.sim.script().times(3).fail("chat.send", busy);
        bench.plane.send(&wake("a", "good morning", "run-1")).await.unwrap();
        assert_eq!(bench.sim.journal().runs_of("good morning"), 1);
        let error = bench.plane.send(&wake("a", "stop", "run-2")).await.unwrap_err();
        assert_eq!(error, ControlError::TakenAsCommand);
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_main_session_of_a_living_agent_stays_and_the_error_says_so() {
    play(async {
        let bench = Bench::of("2026.9.6").await;
        bench.plane.create_agent(&card("a")).await.unwrap();
        bench.plane.ensure_session(&main_of("a"), None).await.unwrap();
        let error = bench.plane.delete_session(&main_of("a")).await.unwrap_err();
        assert_eq!(
            error,
            ControlError::NotAllowed(ResourceKind::MainSession("agent:a:main".into()))
        );
        let other = SessionKey::parse("agent:a:other").unwrap();
        bench.plane.ensure_session(&other, None).await.unwrap();
        assert!(bench.plane.delete_session(&other).await.unwrap());
        bench.plane.delete_agent(&crate::bench::id("a"), true).await.unwrap();
        assert!(!bench.plane.delete_session(&main_of("a")).await.unwrap());
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_reset_whose_answer_is_lost_happens_once() {
    play(async {
        for release in ["2026.3.13", "2026.9.6"] {
            let bench = Bench::of(release).await;
            bench.plane.ensure_session(&main_of("main"), None).await.unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
            bench
                .sim
                .script()
                .once()
                .drop_connection_before_answer("sessions.reset");
            assert!(bench.plane.reset_session(&main_of("main")).await.unwrap());
            let reset = |effect: &SideEffect| matches!(effect, SideEffect::SessionReset { .. });
            assert_eq!(bench.count(reset), 1, "{release}");
            bench.sim.restart(RestartKind::Clean);
            assert!(bench.plane.reset_session(&main_of("main")).await.unwrap());
            bench.finish().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_session_in_which_a_run_goes_on_is_deleted_when_it_is_over() {
    play(async {
        let bench = Bench::of("2026.4.15").await;
        bench.plane.create_agent(&card("a")).await.unwrap();
        bench.plane.ensure_session(&main_of("a"), None).await.unwrap();
        let active = "Session agent:a:main is still active; try again in a moment.";
        let script = bench.sim.script().times(8);
        script.fail("sessions.delete", WireError::new("UNAVAILABLE", active));
        assert!(bench.plane.delete_session(&main_of("a")).await.unwrap());
        assert_eq!(bench.sim.journal().requests("sessions.delete").len(), 9);
        bench.finish().await;
    })
    .await;
}
