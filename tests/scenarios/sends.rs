//! Messages that are sent once and followed to their one end.

use std::time::Duration;

use windlass::sessions::{RunEnd, RunProgress, SessionKey};
use windlass_testkit::{ChatPlan, Generation as Protocol, RestartKind, SideEffect, SimGateway};

use crate::bench::{Bench, TOKEN, play, seed, sim};

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
