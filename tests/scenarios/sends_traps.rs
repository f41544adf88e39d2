//! What releases do with messages that nobody would expect, each with its switch in the simulation.

use std::time::Duration;

use windlass::protocol::run::{Doubt, Repair};
use windlass::request::{ChatSend, SessionsPatch};
use windlass::sessions::{RunEnd, SessionKey};
use windlass_testkit::{ChatPlan, Outcome, Profile, RELEASES, RestartKind, SecondSend, SimGateway};

use crate::bench::{Bench, TOKEN, play};

fn main_session() -> SessionKey {
    "agent:main:main".parse().unwrap()
}

/// A gateway of this release, changed by one switch.
async fn bench(release: &str, switch: impl FnOnce(&mut Profile)) -> Bench {
    let mut profile = Profile::of(release).unwrap();
    switch(&mut profile);
    let bench = Bench::new(SimGateway::builder().profile(profile).token(TOKEN).start_pipe()).await;
    bench.wait_up().await;
    bench
}

async fn say(bench: &Bench, text: &str) -> RunEnd {
    let message = bench.gateway.message(main_session(), text);
    bench.gateway.send_and_wait(message).await.unwrap()
}

async fn answer(bench: &Bench, text: &str) -> String {
    match say(bench, text).await {
        RunEnd::Final(answer) => answer.text,
        end => panic!("{text}: {end:?}"),
    }
}

fn slow() -> ChatPlan {
    ChatPlan {
        increments: 10,
        pace: Duration::from_millis(300),
        ..ChatPlan::default()
    }
}

fn failing(status: u16) -> ChatPlan {
    ChatPlan {
        outcome: Outcome::Fail { status },
        ..ChatPlan::default()
    }
}

/// Somebody else says something, and the gateway has begun with it.
async fn somebody_says(bench: &Bench, key: &str, text: &str) {
    let request = ChatSend::new("agent:main:main", text);
    bench.gateway.request(request).idempotency_key(key).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_into_somebody_elses_run_gets_the_answer_that_its_release_gives_it() {
    for (second, own) in [
        (SecondSend::Joins, false),
        (SecondSend::JoinsByName, false),
        (SecondSend::RunsAfter, true),
    ] {
        for release in ["2026.3.13", "2026.9.6"] {
            play(async {
                let bench = bench(release, |profile| profile.second_send = second).await;
                bench.sim.next_chat(slow());
                somebody_says(&bench, "theirs", "first").await;
                let RunEnd::Final(end) = say(&bench, "second").await else {
                    panic!("{release} {second:?}: no answer")
                };
                let wanted = if own { "echo: second" } else { "echo: first" };
                assert_eq!(end.text, wanted, "{release} {second:?}");
                assert_eq!(
                    bench.sim.journal().requests("chat.send").len(),
                    2,
                    "{release} {second:?}"
                );
                bench.finish().await;
            })
            .await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_into_a_foreign_run_is_answered_on_each_release() {
    for release in RELEASES {
        play(async {
            let bench = bench(release, |_| {}).await;
            let own = Profile::of(release).unwrap().second_send == SecondSend::RunsAfter;
            bench.sim.next_chat(slow());
            somebody_says(&bench, "theirs", "first").await;
            let RunEnd::Final(end) = say(&bench, "second").await else {
                panic!("{release}: no answer")
            };
            let wanted = if own { "echo: second" } else { "echo: first" };
            assert_eq!(end.text, wanted, "{release}");
            assert_eq!(bench.sim.journal().requests("chat.send").len(), 2, "{release}");
            bench.finish().await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_run_is_reported_as_failed_however_its_release_tells_of_it() {
    for release in RELEASES {
        for status in [400, 500] {
            play(async {
                let bench = bench(release, |_| {}).await;
                bench.sim.chat(failing(status));
                let RunEnd::Failed(failure) = say(&bench, "fail").await else {
                    panic!("{release} {status}: no failure")
                };
                assert!(failure.message.contains(&status.to_string()), "{release}: {failure:?}");
                assert_eq!(bench.sim.journal().runs_of("fail"), 1, "{release}");
                bench.finish().await;
            })
            .await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_nobody_heard_of_is_not_taken_for_a_success_because_agent_wait_says_ok() {
    for honest in [false, true] {
        for release in ["2026.3.13", "2026.9.6"] {
            play(async {
                let bench = bench(release, |profile| profile.honest_wait = honest).await;
                bench.sim.chat(ChatPlan {
                    first_after: Duration::from_secs(2),
                    ..failing(400)
                });
                let message = bench.gateway.message(main_session(), "fail");
                let following = bench.gateway.send(message).await.unwrap();
                bench.wait_requests("chat.send", 1).await;
                tokio::time::sleep(Duration::from_secs(1)).await;
                // It fails while the line is down.
                bench.sim.go_unavailable(Duration::from_secs(5));
                bench.sim.cut_all();
                let end = following.end().await.unwrap();
                assert!(matches!(end, RunEnd::Failed(_)), "{release} {honest}: {end:?}");
                bench.finish().await;
            })
            .await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn ten_turns_in_quick_succession_have_each_their_own_answer_on_every_release() {
    for release in RELEASES {
        play(async {
            let bench = bench(release, |_| {}).await;
            for number in 0..10 {
                let text = format!("turn {number}");
                assert_eq!(answer(&bench, &text).await, format!("echo: {text}"), "{release}");
                assert_eq!(bench.sim.journal().runs_of(&text), 1, "{release}");
            }
            bench.finish().await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_was_put_back_is_answered_by_a_run_that_is_not_its_key() {
    play(async {
        let bench = bench("2026.9.6", |profile| profile.requeues_early_sends = true).await;
        answer(&bench, "one").await;
        let following = bench
            .gateway
            .send(bench.gateway.message(main_session(), "two"))
            .await
            .unwrap();
        let key = following.key().to_owned();
        let RunEnd::Final(end) = following.end().await.unwrap() else {
            panic!("no answer")
        };
        assert_eq!(end.text, "echo: two");
        assert_ne!(end.run_id, key);
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_was_there_before_its_first_turn_fails_with_what_repairs_it() {
    play(async {
        let bench = bench("2026.6.11", |_| {}).await;
        // As somebody else would make it.
        let patch = SessionsPatch::new("agent:main:work");
        bench.gateway.request(patch).await.unwrap();
        let work: SessionKey = "agent:main:work".parse().unwrap();
        let sessions = bench.gateway.sessions();
        let first = sessions
            .send_and_wait(sessions.message(work.clone(), "one"))
            .await
            .unwrap();
        assert!(matches!(first, RunEnd::Final(_)), "{first:?}");
        let second = sessions
            .send_and_wait(sessions.message(work.clone(), "two"))
            .await
            .unwrap();
        let RunEnd::Failed(failure) = second else {
            panic!("{second:?}")
        };
        assert_eq!(failure.repair, Some(Repair::DeleteSession));
        sessions.delete(&work).await.unwrap();
        for text in ["three", "four"] {
            let end = sessions
                .send_and_wait(sessions.message(work.clone(), text))
                .await
                .unwrap();
            assert!(matches!(end, RunEnd::Final(_)), "{text}: {end:?}");
        }
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_key_that_another_text_has_is_refused_or_found_out() {
    for (release, refused) in [("2026.3.13", false), ("2026.3.13", true), ("2026.9.6", true)] {
        play(async {
            let bench = bench(release, |profile| profile.key_conflicts_refused = refused).await;
            somebody_says(&bench, "the-key", "one thing").await;
            let message = bench.gateway.message(main_session(), "another thing").key("the-key");
            let end = bench.gateway.send_and_wait(message).await.unwrap();
            match end {
                RunEnd::Refused(_) => assert!(refused, "{release}"),
                RunEnd::Unknown(Doubt::KeyUsedBefore) => assert!(!refused, "{release}"),
                end => panic!("{release} {refused}: {end:?}"),
            }
            assert_eq!(bench.sim.journal().runs_of("another thing"), 0);
            bench.finish().await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_text_again_is_said_again_though_its_release_takes_it_for_a_repetition() {
    for release in ["2026.6.11", "2026.9.6"] {
        play(async {
            let bench = bench(release, |profile| profile.dedupes_content = true).await;
            for _ in 0..3 {
                assert_eq!(answer(&bench, "go on").await, "echo: go on", "{release}");
            }
            assert_eq!(bench.sim.journal().runs_of("go on"), 3, "{release}");
            bench.finish().await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_text_again_is_told_from_the_one_before_where_rows_have_no_keys() {
    for release in ["2026.1.30", "2026.3.13", "2026.5.12"] {
        for restart in [false, true] {
            play(async {
                let bench = bench(release, |profile| profile.requeues_early_sends = false).await;
                for _ in 0..2 {
                    answer(&bench, "go on").await;
                    tokio::time::sleep(Duration::from_secs(3)).await;
                }
                bench.sim.script().once().hold("chat.send");
                let message = bench.gateway.message(main_session(), "go on");
                let following = bench.gateway.send(message).await.unwrap();
                bench.wait_requests("chat.send", 3).await;
                // It runs to its end, and nobody hears of it.
                bench.sim.silent(true);
                tokio::time::sleep(Duration::from_secs(2)).await;
                bench.sim.silent(false);
                if restart {
                    bench.sim.restart(RestartKind::Crash);
                } else {
                    bench.sim.cut_all();
                }
                let end = following.end().await.unwrap();
                assert!(matches!(end, RunEnd::Final(_)), "{release} {restart}: {end:?}");
                assert_eq!(bench.sim.journal().runs_of("go on"), 3, "{release} {restart}");
                bench.finish().await;
            })
            .await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_after_a_failure_is_not_sent_before_the_session_has_settled() {
    for release in ["2026.6.11", "2026.7.1"] {
        play(async {
            let bench = bench(release, |_| {}).await;
            bench.sim.next_chat(failing(400));
            let message = |text| bench.gateway.message(main_session(), text);
            let first = bench.gateway.send(message("fails")).await.unwrap();
            let second = bench.gateway.send(message("again")).await.unwrap();
            assert!(matches!(first.end().await.unwrap(), RunEnd::Failed(_)), "{release}");
            let RunEnd::Final(answer) = second.end().await.unwrap() else {
                panic!("{release}: no answer")
            };
            assert_eq!(answer.text, "echo: again", "{release}");
            bench.finish().await;
        })
        .await;
    }
}
