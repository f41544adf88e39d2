//! A session is one session in whichever spelling it is named, and what a gateway does with a message by itself is its end.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;
use windlass::protocol::run::CommandDone;
use windlass::request::SessionsPatch;
use windlass::sessions::{RunEnd, SessionKey, SessionQuery};
use windlass::{EventFilter, LineEvent};
use windlass_testkit::{ChatPlan, NO_REPLY, RELEASES, SideEffect, SimGateway, SimGatewayBuilder};

use crate::bench::{Bench, Stopwatch, TOKEN, next, play};

async fn up(sim: SimGatewayBuilder) -> Bench {
    let bench = Bench::new(sim.token(TOKEN).start_pipe()).await;
    bench.wait_up().await;
    bench
}

fn of(release: &str) -> SimGatewayBuilder {
    SimGateway::builder().release(release)
}

fn key(text: &str) -> SessionKey {
    text.parse().unwrap()
}

async fn say(bench: &Bench, session: &str, text: &str) -> RunEnd {
    let message = bench.gateway.message(key(session), text);
    bench.gateway.send_and_wait(message).await.unwrap()
}

async fn answer(bench: &Bench, session: &str, text: &str) -> String {
    match say(bench, session, text).await {
        RunEnd::Final(answer) => answer.text,
        end => panic!("{session} {text}: {end:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_is_answered_in_whichever_spelling_its_session_is_named() {
    for release in RELEASES {
        play(async {
            let bench = up(of(release)).await;
            for session in [
                "agent:main:Test1",
                "AGENT:Main:Test1",
                "Main",
                "Weird Key",
                "agent:main:matrix:channel:!AbC:srv.org",
                "Global",
            ] {
                let before = Stopwatch::start();
                let text = format!("hello {session}");
                assert_eq!(
                    answer(&bench, session, &text).await,
                    format!("echo: {text}"),
                    "{release}"
                );
                assert!(before.elapsed() < Duration::from_secs(2), "{release} {session}");
            }
            bench.finish().await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn two_spellings_of_one_session_take_turns_also_before_the_gateway_was_ever_met() {
    for release in RELEASES {
        play(async {
            let bench = Bench::new(of(release).token(TOKEN).chat(ChatPlan::default()).start_pipe()).await;
            let spellings = ["main", "agent:main:main", "Main", "AGENT:main:MAIN"];
            let said = spellings.map(|session| answer(&bench, session, session));
            for (said, session) in join_all(said).await.iter().zip(spellings) {
                assert_eq!(said, &format!("echo: {session}"), "{release}");
            }
            bench.finish().await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_filter_hears_the_session_and_the_agent_that_it_means() {
    for release in RELEASES {
        play(async {
            let bench = Bench::new(of(release).token(TOKEN).start_pipe()).await;
            // Before the gateway was met, and after.
            let session = |name: &str| EventFilter::all().name("chat").session(name);
            let mut early = vec![bench.gateway.events(session("main"))];
            bench.wait_up().await;
            early.push(bench.gateway.events(session("MAIN")));
            early.push(bench.gateway.events(session("agent:Main:main")));
            early.push(bench.gateway.events(EventFilter::all().name("chat").agent("Main")));
            let mut other = bench.gateway.events(session("agent:main:other"));
            answer(&bench, "main", "hello").await;
            for (at, events) in early.iter_mut().enumerate() {
                loop {
                    if let LineEvent::Event(event) = next(events).await {
                        let chat: Value = event.decode().unwrap();
                        assert!(chat["sessionKey"].as_str().unwrap().ends_with("main"), "{release} {at}");
                        break;
                    }
                }
            }
            answer(&bench, "agent:main:Other", "and now").await;
            loop {
                if let LineEvent::Event(event) = next(&mut other).await {
                    let chat: Value = event.decode().unwrap();
                    assert_eq!(chat["sessionKey"], "agent:main:other", "{release}");
                    break;
                }
            }
            drop((early, other));
            bench.finish().await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_session_that_all_agents_share_is_listed_shown_watched_and_answered() {
    for release in RELEASES {
        play(async {
            let bench = up(of(release).global_session().main_key("home")).await;
            let sessions = bench.gateway.sessions();
            let mut events = bench
                .gateway
                .events(EventFilter::all().name("chat").session("agent:main:home"));
            let mut roster = bench.gateway.session_cache().await.unwrap();
            for name in ["global", "main", "Home", "agent:main:main"] {
                assert_eq!(answer(&bench, name, name).await, format!("echo: {name}"), "{release}");
                let row = sessions
                    .get(&key(name))
                    .await
                    .unwrap()
                    .unwrap_or_else(|| panic!("{release}: no {name}"));
                assert_eq!(row.key, "global", "{release}");
            }
            let listed = sessions.list(&SessionQuery::all()).await.unwrap();
            let keys: Vec<&str> = listed.iter().map(|row| row.key.as_str()).collect();
            assert_eq!(keys, ["global"], "{release}");
            let view = roster
                .wait_for(|view| view.sessions.get("main").is_some())
                .await
                .unwrap();
            assert_eq!(
                view.sessions.get("agent:main:home").unwrap().row.key,
                "global",
                "{release}"
            );
            let status = sessions.status().await.unwrap();
            assert_eq!(
                (status.sessions, status.main_key.unwrap().as_str()),
                (Some(1), "global"),
                "{release}"
            );
            while !matches!(next(&mut events).await, LineEvent::Event(_)) {}
            drop((roster, events));
            tokio::time::sleep(Duration::from_millis(1)).await;
            bench.finish().await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_reset_under_another_spelling_is_told_to_the_messages_of_the_session() {
    play(async {
        let bench = up(of("2026.3.13")).await;
        bench
            .gateway
            .request(SessionsPatch::new("agent:main:main"))
            .await
            .unwrap();
        bench.sim.next_chat(ChatPlan {
            first_after: Duration::from_secs(60),
            ..ChatPlan::default()
        });
        let message = bench.gateway.message(key("Main"), "hello");
        let following = bench.gateway.send(message).await.unwrap();
        bench.wait_requests("chat.send", 1).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        bench.gateway.sessions().reset(&key("agent:main:MAIN")).await.unwrap();
        let end = tokio::time::timeout(Duration::from_secs(20), following.end()).await;
        assert!(matches!(
            end.expect("2026.3.13 tells nobody of it").unwrap(),
            RunEnd::Lost(_)
        ));
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_command_ends_at_once_is_sent_once_and_says_what_it_stopped() {
    for release in RELEASES {
        play(async {
            let bench = up(of(release)).await;
            let before = Stopwatch::start();
            for text in ["stop", "STOP", "/stop", " abort"] {
                let nothing = CommandDone {
                    aborted: Some(false),
                    run_ids: Vec::new(),
                };
                assert_eq!(
                    say(&bench, "main", text).await,
                    RunEnd::Command(nothing),
                    "{release} {text}"
                );
            }
            assert!(before.elapsed() < Duration::from_secs(1), "{release}");
            let sends = bench.sim.journal().requests("chat.send").len();
            let done = bench
                .sim
                .journal()
                .count(|effect| matches!(effect, SideEffect::CommandDone { .. }));
            assert_eq!((sends, done), (4, 4), "{release}");
            // Another client's run is stopped by it.
            bench.sim.next_chat(ChatPlan {
                first_after: Duration::from_secs(60),
                ..ChatPlan::default()
            });
            let theirs = windlass::request::ChatSend::new("agent:main:main", "think");
            bench.gateway.request(theirs).idempotency_key("theirs").await.unwrap();
            let RunEnd::Command(done) = say(&bench, "main", "stop").await else {
                panic!("{release}: no command")
            };
            assert_eq!(
                (done.aborted, done.run_ids),
                (Some(true), vec!["theirs".to_owned()]),
                "{release}"
            );
            // Commands that have a run are answered like anything else.
            assert_eq!(answer(&bench, "main", "/status").await, "OpenClaw", "{release}");
            bench.finish().await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_model_that_says_nothing_ends_its_message_at_once() {
    for release in RELEASES {
        play(async {
            let bench = up(of(release)).await;
            answer(&bench, "main", "hello").await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            let before = Stopwatch::start();
            let end = say(&bench, "main", &format!("say {NO_REPLY}")).await;
            match &end {
                RunEnd::Final(answer) => assert_eq!(answer.text, "", "{release}"),
                // 2026.9.6 asks its model again, and then tells of a failure.
                RunEnd::Failed(failure) => {
                    assert!(
                        release == "2026.9.6" && failure.message.contains("generate a response"),
                        "{failure:?}"
                    );
                }
                end => panic!("{release}: {end:?}"),
            }
            assert!(
                before.elapsed() < Duration::from_secs(2),
                "{release}: {:?}",
                before.elapsed()
            );
            assert_eq!(bench.sim.journal().requests("chat.send").len(), 2, "{release}");
            tokio::time::sleep(Duration::from_secs(3)).await;
            assert_eq!(answer(&bench, "main", "and now").await, "echo: and now", "{release}");
            bench.finish().await;
        })
        .await;
    }
}
