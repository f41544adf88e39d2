//! Messages that are sent once and followed to their one end.

use std::time::Duration;

use windlass::protocol::run::{Doubt, Evidence};
use windlass::sessions::{RunEnd, RunProgress, SessionKey};
use windlass_testkit::{ChatPlan, Generation as Protocol, RestartKind, SideEffect, SimGateway};

use crate::bench::{Bench, Stopwatch, TOKEN, play, seed, sim};

fn main_session() -> SessionKey {
    "agent:main:main".parse().unwrap()
}

/// An answer in so many pieces, a tenth of a second apart.
fn slow(increments: u32) -> ChatPlan {
    ChatPlan {
        increments,
        pace: Duration::from_millis(100),
        ..ChatPlan::default()
    }
}

/// How often the model was given this text.
fn runs(sim: &SimGateway, text: &str) -> usize {
    sim.journal()
        .count(|effect| matches!(effect, SideEffect::ChatRun { message, .. } if message == text))
}

#[tokio::test(start_paused = true)]
async fn the_increments_of_a_message_are_its_final_text_on_every_release() {
    for release in windlass_testkit::RELEASES {
        play(async {
            let bench = Bench::new(SimGateway::builder().release(release).token(TOKEN).start_pipe()).await;
            bench.wait_up().await;
            let message = bench.gateway.message(main_session(), "tell me a story");
            let mut following = bench.gateway.send(message).await.unwrap();
            let mut text = String::new();
            while let Some(progress) = following.next().await {
                match progress {
                    RunProgress::Increment(more) => text.push_str(&more),
                    RunProgress::Replaced(whole) => text = whole,
                    _ => {}
                }
            }
            let RunEnd::Final(answer) = following.end().await.unwrap() else {
                panic!("{release}: no answer");
            };
            assert!(!answer.text.is_empty() && !answer.cut, "{release}");
            assert_eq!(text, answer.text, "{release}");
            bench.finish().await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_under_a_short_key_is_followed_by_its_events_on_every_release() {
    for release in windlass_testkit::RELEASES {
        play(async {
            let bench = Bench::new(SimGateway::builder().release(release).token(TOKEN).start_pipe()).await;
            bench.wait_up().await;
            let message = bench.gateway.message("main".parse().unwrap(), "in short");
            let mut following = bench.gateway.send(message).await.unwrap();
            let mut increments = 0;
            while let Some(progress) = following.next().await {
                increments += usize::from(matches!(progress, RunProgress::Increment(_)));
            }
            let end = following.end().await.unwrap();
            let RunEnd::Final(answer) = end else {
                panic!("{release}: {end:?}")
            };
            assert!(increments > 0, "{release}: nothing was heard of the run");
            assert_eq!(answer.by, Evidence::Event, "{release}");
            bench.finish().await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_was_aborted_before_another_process_looks_ends_as_aborted() {
    for release in windlass_testkit::RELEASES {
        play(async {
            let sim = SimGateway::builder().release(release).token(TOKEN).chat(slow(600));
            let bench = Bench::new(sim.start_pipe()).await;
            bench.wait_up().await;
            let message = bench.gateway.message(main_session(), "stop me").key("the-key");
            let following = bench.gateway.send(message).await.unwrap();
            bench.wait_requests("chat.send", 1).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            let stop = serde_json::json!({"sessionKey": "agent:main:main", "runId": "the-key"});
            bench.gateway.call("chat.abort", stop).await.unwrap();
            assert!(matches!(following.end().await.unwrap(), RunEnd::Aborted { .. }));
            // Another process knows the key and nothing else.
            let other = Bench::new(bench.sim.clone()).await;
            other.wait_up().await;
            let start = Stopwatch::start();
            let message = other.gateway.message(main_session(), "stop me").continuing("the-key");
            let end = other.gateway.send_and_wait(message).await.unwrap();
            if matches!(release, "2026.8.2" | "2026.9.6") {
                assert!(matches!(end, RunEnd::Aborted { .. }), "{release}: {end:?}");
            } else {
                // No row tells of it, and a key of an unknown age is not tried again.
                assert_eq!(end, RunEnd::Unknown(Doubt::KeyForgotten), "{release}");
            }
            assert!(
                start.elapsed() < Duration::from_secs(1),
                "{release}: {:?}",
                start.elapsed()
            );
            assert_eq!(runs(&bench.sim, "stop me"), 1);
            other.windlass.shutdown(Duration::from_secs(1)).await;
            bench.finish().await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn messages_to_one_session_are_answered_one_after_the_other() {
    for generation in [Protocol::V3, Protocol::V4] {
        play(async {
            let bench = Bench::up(generation).await;
            let texts = ["one", "two", "three"];
            let mut following = Vec::new();
            for text in texts {
                let message = bench.gateway.message(main_session(), text);
                following.push(bench.gateway.send(message).await.unwrap());
            }
            for (text, following) in texts.iter().zip(following) {
                let end = following.end().await.unwrap();
                let RunEnd::Final(answer) = end else { panic!("{end:?}") };
                assert!(answer.text.contains(text) && !answer.joined, "{text}: {answer:?}");
            }
            bench.finish().await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_in_the_middle_of_a_run_ends_in_one_answer() {
    for generation in [Protocol::V3, Protocol::V4] {
        play(async {
            let bench = Bench::up(generation).await;
            bench.sim.chat(slow(40));
            let message = bench.gateway.message(main_session(), "think it over");
            let following = bench.gateway.send(message).await.unwrap();
            bench
                .sim
                .wait_for(|journal| journal.executions("chat.send") == 1)
                .await
                .unwrap();
            // A real gateway needs two seconds to start again; sooner its uptime does not prove that it did.
            tokio::time::sleep(Duration::from_secs(2)).await;
            bench.sim.restart(RestartKind::Crash);
            bench.sim.chat(ChatPlan::default());
            let end = following.end().await.unwrap();
            // Either it was run to its end, or the gateway lost it: never a doubt, never twice by us.
            assert!(
                matches!(end, RunEnd::Final(_) | RunEnd::Lost(_)),
                "{generation:?}: {end:?}"
            );
            let sent = bench.sim.journal().requests("chat.send").len();
            assert!(sent <= 2, "{sent}");
            bench.finish().await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_cut_at_any_moment_of_a_run_costs_neither_the_answer_nor_a_second_run() {
    for generation in [Protocol::V3, Protocol::V4] {
        for tenths in 0..30 {
            play(async {
                seed();
                let bench = Bench::new(sim(generation).chat(slow(20)).start_pipe()).await;
                bench.wait_up().await;
                let message = bench.gateway.message(main_session(), "hold on");
                let following = bench.gateway.send(message).await.unwrap();
                tokio::time::sleep(Duration::from_millis(100 * tenths)).await;
                bench.sim.cut_all();
                let end = following.end().await.unwrap();
                assert!(matches!(end, RunEnd::Final(_)), "{generation:?} {tenths}: {end:?}");
                assert_eq!(runs(&bench.sim, "hold on"), 1, "{generation:?} {tenths}");
                bench.finish().await;
            })
            .await;
        }
    }
}
