//! Gateways cut texts between the two halves of a character. What is left of one hides nothing, on any release.

use std::time::Duration;

use serde_json::{Value, json};
use windlass::sessions::{HistoryQuery, RunEnd, RunProgress, SessionKey, SessionQuery};
use windlass::{CallError, EventFilter, LineEvent, RawJson};
use windlass_testkit::{ChatPlan, RELEASES, SimGateway, WireError, half};

use crate::bench::{Bench, Stopwatch, TOKEN, play};

/// The first half of an emoji, as it stands on the wire.
const HALF: &str = r"\ud83d";

fn session() -> SessionKey {
    "agent:main:main".parse().unwrap()
}

fn cut(text: &str) -> String {
    format!("{text}{}", half(0xd83d))
}

async fn up(release: &str) -> Bench {
    let bench = Bench::new(SimGateway::builder().release(release).token(TOKEN).start_pipe()).await;
    bench.wait_up().await;
    bench
}

fn raw(text: String) -> RawJson {
    RawJson::parse(text).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_line_comes_up_whatever_the_hello_says_of_others() {
    for release in RELEASES {
        play(async {
            let bench = up(release).await;
            let said = raw(format!(r#"{{"text":"cut {HALF}"}}"#));
            bench.gateway.call("system-event", &said).await.unwrap();
            bench.sim.cut_all();
            bench.wait_state(|status| !status.is_up()).await;
            let status = bench.wait_up().await;
            assert_eq!(status.generation.number(), 2, "{release}: at the first try");
            let presence: Value = bench
                .gateway
                .call("system-presence", json!({}))
                .await
                .unwrap()
                .decode()
                .unwrap();
            assert!(presence.to_string().contains("cut \u{fffd}"), "{release}");
            bench.finish().await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_ends_in_half_a_character_is_an_answer_at_once() {
    for release in RELEASES {
        play(async {
            let bench = up(release).await;
            // In as many pieces as there are halves: each delta ends in one.
            bench.sim.chat(ChatPlan {
                reply: Some(cut("😀😀")),
                increments: 5,
                ..ChatPlan::default()
            });
            let watch = Stopwatch::start();
            let message = bench.gateway.message(session(), "hello");
            let mut following = bench.gateway.send(message).await.unwrap();
            let mut text = String::new();
            while let Some(progress) = following.next().await {
                match progress {
                    RunProgress::Increment(more) => text.push_str(&more),
                    RunProgress::Replaced(whole) => panic!("{release}: {text:?} was replaced by {whole:?}"),
                    _ => {}
                }
            }
            match following.end().await.unwrap() {
                RunEnd::Final(answer) => {
                    assert_eq!((&*answer.text, &*text), ("😀😀\u{fffd}", "😀😀\u{fffd}"), "{release}");
                }
                end => panic!("{release}: {end:?}"),
            }
            assert!(
                watch.elapsed() < Duration::from_secs(2),
                "{release}: {:?}",
                watch.elapsed()
            );
            bench.finish().await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_row_with_half_a_character_hides_no_other_row() {
    for release in RELEASES {
        play(async {
            let bench = up(release).await;
            bench.sim.chat(ChatPlan {
                reply: Some(cut("ok ")),
                ..ChatPlan::default()
            });
            let sessions = bench.gateway.sessions();
            for key in ["agent:main:main", "agent:main:other"] {
                let message = bench.gateway.message(key.parse().unwrap(), "hello");
                bench.gateway.send(message).await.unwrap().end().await.unwrap();
            }
            let label = raw(format!(r#"{{"key":"agent:main:main","label":"lab{HALF}"}}"#));
            bench.gateway.call("sessions.patch", &label).await.unwrap();

            let list = sessions.list(&SessionQuery::default()).await.unwrap();
            let labels: Vec<_> = list.iter().map(|row| row.label.as_deref()).collect();
            assert!(
                labels.len() == 2 && labels.contains(&Some("lab\u{fffd}")),
                "{release}: {labels:?}"
            );

            let mut roster = bench.gateway.session_cache().await.unwrap();
            let view = roster.fresh().await.unwrap();
            assert_eq!(view.sessions.iter().count(), 2, "{release}");
            drop(roster);

            let page = sessions.history(&session(), &HistoryQuery::last()).await.unwrap();
            let texts: Vec<_> = page
                .rows
                .iter()
                .filter_map(windlass::request::ChatMessage::text)
                .collect();
            assert!(texts.iter().any(|text| text == "ok \u{fffd}"), "{release}: {texts:?}");
            tokio::time::sleep(Duration::from_millis(1)).await;
            bench.finish().await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_cut_in_the_history_is_still_known_as_ours() {
    for release in ["2026.3.13", "2026.8.2", "2026.9.6"] {
        play(async {
            let bench = up(release).await;
            // An emoji on each side of every place where a release cuts.
            let text = format!("{}{}", "x".repeat(7_999), "😀".repeat(3_000));
            bench.sim.chat(ChatPlan {
                reply: Some(text.clone()),
                ..ChatPlan::default()
            });
            // The answer is lost with the connection, so that only the history tells of it.
            bench.sim.script().once().drop_connection_before_answer("chat.send");
            let message = bench.gateway.message(session(), text.as_str());
            match bench.gateway.send(message).await.unwrap().end().await.unwrap() {
                RunEnd::Final(answer) => {
                    assert!(
                        text.starts_with(&answer.text) && answer.text.len() >= 7_999,
                        "{release}"
                    );
                    assert_eq!(answer.cut, answer.text != text, "{release}");
                }
                end => panic!("{release}: {end:?}"),
            }
            bench.finish().await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_and_an_event_are_read_and_handed_on_as_they_came() {
    play(async {
        let bench = up("2026.9.6").await;
        bench
            .sim
            .script()
            .fail("health", WireError::new("NOT_FOUND", cut("no such ")));
        match bench.gateway.call("health", json!({})).await {
            Err(CallError::Rejected(rejected)) => assert_eq!(&*rejected.error.message, "no such \u{fffd}"),
            other => panic!("{other:?}"),
        }

        let mut events = bench.gateway.events(EventFilter::all().name("odd"));
        let payloads = [
            r#"{"sessionKey":"agent:main:main","text":"\ud83d"}"#.to_owned(),
            "[1e999]".to_owned(),
            deep(5_000),
        ];
        for payload in &payloads {
            bench.sim.send_text(
                bench.sim.connections()[0],
                &format!(r#"{{"type":"event","event":"odd","payload":{payload}}}"#),
            );
        }
        for payload in &payloads {
            match next_event(&mut events).await {
                LineEvent::Event(event) => {
                    assert_eq!(event.payload.as_str(), payload);
                    event.decode::<Value>().unwrap();
                }
                LineEvent::Marker(marker) => panic!("{marker:?}"),
            }
        }
        // A payload that is no JSON is no event.
        for payload in ["{:}", "[truefalse]", r#"{"a" 1}"#, "[,]"] {
            bench.sim.send_text(
                bench.sim.connections()[0],
                &format!(r#"{{"type":"event","event":"odd","payload":{payload}}}"#),
            );
            assert!(
                matches!(next_event(&mut events).await, LineEvent::Marker(_)),
                "{payload}"
            );
        }
        drop(events);
        bench.finish().await;
    })
    .await;
}

fn deep(levels: usize) -> String {
    format!("{}{}", "[".repeat(levels), "]".repeat(levels))
}

async fn next_event(events: &mut windlass::Subscription) -> LineEvent {
    loop {
        let item = events.next().await.unwrap();
        // How the line came up is of no interest here.
        if !matches!(&item, LineEvent::Marker(marker) if marker.name() == "reconnected") {
            return item;
        }
    }
}
