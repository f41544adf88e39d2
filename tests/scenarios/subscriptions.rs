//! What is declared is subscribed at every connection, and its state stands in its place between the events.

use std::time::Duration;

use serde_json::{Value, json};
use windlass::protocol::Scope;
use windlass::{EventFilter, Gateway, Generation, LineEvent, Marker, Subscription, Topic, TopicSubscription};
use windlass_testkit::{Entry, Generation as Protocol, SimGatewayBuilder, WireError};

use crate::bench::{Bench, next, next_marker, play, sim};

const SESSION: &str = "agent:main:main";

/// One release of each way in which subscriptions are had.
const RELEASES: [&str; 4] = ["2026.3.13", "2026.4.15", "2026.8.2", "2026.9.6"];

fn release(name: &str) -> SimGatewayBuilder {
    sim(Protocol::V4).release(name)
}

async fn up(sim: SimGatewayBuilder) -> Bench {
    let bench = Bench::new(sim.start_pipe()).await;
    bench.wait_up().await;
    bench
}

fn declare(gateway: &Gateway, topic: Topic) -> TopicSubscription {
    gateway.subscribe_topic(topic).unwrap()
}

/// The next snapshot, over anything else.
async fn next_snapshot(events: &mut Subscription) -> (Generation, Topic, Option<Value>) {
    loop {
        if let Marker::Resynced {
            generation,
            what,
            snapshot,
            ..
        } = next_marker(events).await
        {
            return (generation, what, snapshot.map(|snapshot| snapshot.decode().unwrap()));
        }
    }
}

fn keys(list: &Value) -> Vec<&str> {
    let rows = list["sessions"].as_array().expect("a list of sessions");
    rows.iter().map(|row| row["key"].as_str().unwrap()).collect()
}

/// Everything that is there to read, as one word each: names of markers, `n` of events.
async fn words(events: &mut Subscription) -> Vec<String> {
    let mut words = Vec::new();
    while let Ok(Some(item)) = tokio::time::timeout(Duration::from_millis(500), events.next()).await {
        words.push(match item {
            LineEvent::Event(event) => event.decode::<Value>().unwrap()["n"].to_string(),
            LineEvent::Marker(marker) => marker.name().to_owned(),
        });
    }
    words
}

async fn finish(bench: Bench) {
    let left = bench.gateway.inspect().await.unwrap();
    assert_eq!((left.topics, left.subscribers), (0, 0), "something is left");
    bench.finish().await;
}

#[tokio::test(start_paused = true)]
async fn every_release_gives_the_sessions_of_the_moment() {
    play(async {
        for name in RELEASES {
            let bench = up(release(name)).await;
            bench
                .gateway
                .call("sessions.patch", json!({"key": SESSION, "label": "one"}))
                .await
                .unwrap();
            let mut events = bench.gateway.events(EventFilter::all().name("none").snapshots());
            let mut plain = bench.gateway.events(EventFilter::all().name("none"));
            let sessions = declare(&bench.gateway, Topic::Sessions);
            let (generation, what, list) = next_snapshot(&mut events).await;
            assert_eq!((generation, what), (Generation::new(1), Topic::Sessions), "{name}");
            assert_eq!(keys(&list.unwrap()), [SESSION], "{name}");
            assert_eq!(next_snapshot(&mut plain).await.2, None, "{name}: not asked for");
            drop((sessions, events, plain));
            finish(bench).await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn one_sessions_messages_come_with_its_history() {
    play(async {
        for name in RELEASES {
            let bench = up(release(name)).await;
            let sent = bench
                .gateway
                .call("chat.send", json!({"sessionKey": SESSION, "message": "first"}))
                .await;
            sent.unwrap();
            tokio::time::sleep(Duration::from_secs(30)).await;
            let mut events = bench
                .gateway
                .events(EventFilter::all().name("session.message").snapshots());
            let messages = declare(&bench.gateway, Topic::messages(SESSION));
            let (_, what, history) = next_snapshot(&mut events).await;
            assert_eq!(what, Topic::messages(SESSION));
            assert_eq!(history.unwrap()["messages"].as_array().unwrap().len(), 2, "{name}");
            bench
                .gateway
                .call("chat.send", json!({"sessionKey": SESSION, "message": "second"}))
                .await
                .unwrap();
            if name != "2026.3.13" {
                assert!(matches!(next(&mut events).await, LineEvent::Event(_)), "{name}");
            }
            tokio::time::sleep(Duration::from_secs(30)).await;
            drop((messages, events));
            finish(bench).await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_event_that_the_gateway_dropped_costs_one_gap_and_one_load() {
    play(async {
        for name in ["2026.5.12", "2026.9.6"] {
            let bench = up(release(name)).await;
            let mut events = bench.gateway.events(EventFilter::all().name("custom"));
            let sessions = declare(&bench.gateway, Topic::Sessions);
            assert_eq!(words(&mut events).await, ["resynced"]);
            bench.sim.emit("custom", json!({ "n": 1 }));
            bench.sim.withhold_next_event();
            bench.sim.emit("custom", json!({ "n": 2 }));
            bench.sim.emit("custom", json!({ "n": 3 }));
            assert_eq!(words(&mut events).await, ["1", "gap", "3", "resynced"], "{name}");
            tokio::time::sleep(Duration::from_secs(600)).await;
            assert_eq!(words(&mut events).await, [""; 0]);
            assert_eq!(bench.gateway.inspect().await.unwrap().resyncs.done, 2);
            drop((sessions, events));
            finish(bench).await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn gaps_while_the_state_is_loaded_cost_one_more_load() {
    play(async {
        let bench = up(release("2026.9.6")).await;
        let mut events = bench.gateway.events(EventFilter::all().name("custom"));
        bench.sim.script().times(1).hold("sessions.subscribe");
        let sessions = declare(&bench.gateway, Topic::Sessions);
        bench.wait_requests("sessions.subscribe", 1).await;
        // A hole is seen only behind a number that is known.
        bench.sim.emit("custom", json!({ "n": 0 }));
        for n in 0..5 {
            bench.sim.withhold_next_event();
            bench.sim.emit("custom", json!({}));
            bench.sim.emit("custom", json!({ "n": n }));
        }
        assert_eq!(words(&mut events).await.iter().filter(|word| *word == "gap").count(), 5);
        bench.sim.script().release("sessions.subscribe");
        assert_eq!(words(&mut events).await, ["resynced", "resynced"]);
        assert_eq!(bench.sim.journal().requests("sessions.subscribe").len(), 2);
        drop((sessions, events));
        finish(bench).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_hour_with_one_counter_for_all_costs_one_load_for_each_connection() {
    play(async {
        for name in ["2026.1.30", "2026.2.26", "2026.3.13", "2026.4.15"] {
            let few_scopes = |spec: &mut windlass::GatewaySpec| spec.scopes = vec![Scope::Read];
            let bench = Bench::with(release(name).start_pipe(), few_scopes).await;
            bench.wait_up().await;
            let mut events = bench.gateway.events(EventFilter::all().name("custom"));
            let sessions = declare(&bench.gateway, Topic::Sessions);
            for minute in 0..60 {
                if minute == 30 {
                    bench.sim.cut_all();
                    bench
                        .wait_state(|status| status.is_up() && status.generation == Generation::new(2))
                        .await;
                }
                bench.sim.withhold_next_event();
                bench.sim.emit("exec.approval.requested", json!({}));
                bench.sim.emit("custom", json!({}));
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
            let markers: Vec<_> = words(&mut events)
                .await
                .into_iter()
                .filter(|word| word != "null")
                .collect();
            assert_eq!(
                markers,
                ["resynced", "disconnected", "reconnected", "resynced"],
                "{name}"
            );
            let counted = bench.gateway.inspect().await.unwrap().resyncs;
            assert_eq!((counted.done, counted.failed, counted.refused), (2, 0, 0), "{name}");
            drop((sessions, events));
            finish(bench).await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_stands_exactly_where_its_answer_came_however_many_events_surround_it() {
    play(async {
        const AROUND: u64 = 500;
        let bench = up(release("2026.9.6")).await;
        let mut events = bench.gateway.events(EventFilter::all().name("custom").snapshots());
        bench.sim.script().once().never_answer("sessions.subscribe");
        let sessions = declare(&bench.gateway, Topic::Sessions);
        bench.wait_requests("sessions.subscribe", 1).await;
        let asked = bench
            .sim
            .journal()
            .records()
            .into_iter()
            .find_map(|record| match record.entry {
                Entry::Request { conn, id, method, .. } if method == "sessions.subscribe" => Some((conn, id)),
                _ => None,
            });
        let (conn, id) = asked.unwrap();
        let event = |n| json!({"type": "event", "event": "custom", "payload": {"n": n}}).to_string();
        let list = json!({"type": "res", "id": id, "ok": true, "payload": {"list": {"sessions": [{"key": "k"}]}}});
        // All in one go, so that the line reads them in one turn.
        for n in 0..AROUND {
            bench.sim.send_text(conn, &event(n));
        }
        bench.sim.send_text(conn, &list.to_string());
        for n in AROUND..2 * AROUND {
            bench.sim.send_text(conn, &event(n));
        }
        let mut expected: Vec<_> = (0..2 * AROUND).map(|n| n.to_string()).collect();
        expected.insert(usize::try_from(AROUND).unwrap(), "resynced".into());
        assert_eq!(words(&mut events).await, expected);
        drop((sessions, events));
        finish(bench).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_roster_of_snapshot_and_changes_misses_nothing_under_load() {
    play(async {
        for name in ["2026.4.15", "2026.9.6"] {
            let bench = up(release(name)).await;
            let mut events = bench
                .gateway
                .events_bounded(EventFilter::all().name("sessions.changed").snapshots(), 10_000);
            let sessions = declare(&bench.gateway, Topic::Sessions);
            let gateway = bench.gateway.clone();
            let writes = tokio::task::spawn_local(async move {
                for n in 0..300 {
                    gateway
                        .call("sessions.patch", json!({"key": format!("agent:main:s{n}")}))
                        .await
                        .unwrap();
                }
            });
            // Loaded over and over while the list grows.
            let mut roster = std::collections::BTreeSet::new();
            let mut loads = 0;
            while roster.len() < 300 {
                match next(&mut events).await {
                    LineEvent::Event(event) => {
                        let changed: Value = event.decode().unwrap();
                        roster.insert(changed["sessionKey"].as_str().unwrap().to_owned());
                    }
                    LineEvent::Marker(marker) => {
                        let Marker::Resynced { snapshot, .. } = *marker else {
                            panic!("{marker:?}");
                        };
                        let list: Value = snapshot.unwrap().decode().unwrap();
                        let listed = keys(&list).into_iter().map(str::to_owned).collect();
                        assert!(
                            roster.is_subset(&listed),
                            "{name}: a change before the snapshot is not in it"
                        );
                        roster = listed;
                        loads += 1;
                        if loads < 100 {
                            sessions.resync();
                        }
                    }
                }
            }
            writes.await.unwrap();
            assert!(loads > 10, "{name}: {loads}");
            words(&mut events).await;
            drop((sessions, events));
            finish(bench).await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn each_of_fifty_connections_is_subscribed_anew() {
    play(async {
        for name in ["2026.4.15", "2026.9.6"] {
            let bench = up(release(name)).await;
            let mut events = bench.gateway.events(EventFilter::all().name("sessions.changed"));
            let declared = [Topic::Sessions, Topic::messages(SESSION)].map(|topic| declare(&bench.gateway, topic));
            for connection in 1..=50 {
                // Both are asked for at once, and come as they are answered.
                let mut loaded = [next_snapshot(&mut events).await, next_snapshot(&mut events).await];
                loaded.sort_by(|a, b| a.1.cmp(&b.1));
                let expected = [Topic::Sessions, Topic::messages(SESSION)];
                assert_eq!(
                    loaded.map(|(generation, what, _)| (generation.number(), what)),
                    expected.map(|topic| (connection, topic)),
                    "{name}"
                );
                bench
                    .gateway
                    .call("sessions.patch", json!({"key": SESSION}))
                    .await
                    .unwrap();
                let LineEvent::Event(event) = next(&mut events).await else {
                    panic!("{name}: no event at connection {connection}")
                };
                assert_eq!(event.generation, Generation::new(connection));
                bench.sim.cut_all();
                // The backoff starts again only after a healthy stretch.
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            bench
                .wait_state(|status| status.is_up() && status.generation == Generation::new(51))
                .await;
            words(&mut events).await;
            assert_eq!(
                bench.sim.journal().requests("sessions.messages.subscribe").len(),
                51,
                "{name}"
            );
            assert_eq!(bench.gateway.inspect().await.unwrap().resyncs.done, 2 * 51, "{name}");
            drop((declared, events));
            finish(bench).await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_last_guard_takes_the_subscription_back() {
    play(async {
        for (name, can_leave) in [("2026.4.15", true), ("2026.9.6", false)] {
            let bench = up(release(name)).await;
            let mut events = bench.gateway.events(EventFilter::all().name("sessions.changed"));
            let guards = [(); 2].map(|()| declare(&bench.gateway, Topic::Sessions));
            let messages = declare(&bench.gateway, Topic::messages(SESSION));
            words(&mut events).await;
            let [first, second] = guards;
            drop(first);
            bench
                .gateway
                .call("sessions.patch", json!({"key": SESSION}))
                .await
                .unwrap();
            assert!(
                matches!(next(&mut events).await, LineEvent::Event(_)),
                "{name}: still held"
            );
            drop((second, messages));
            words(&mut events).await;
            let journal = bench.sim.journal();
            assert_eq!(
                journal.requests("sessions.messages.unsubscribe"),
                [json!({"key": SESSION})]
            );
            assert_eq!(
                journal.requests("sessions.unsubscribe").len(),
                usize::from(can_leave),
                "{name}"
            );
            bench
                .gateway
                .call("sessions.patch", json!({"key": SESSION}))
                .await
                .unwrap();
            assert_eq!(words(&mut events).await.is_empty(), can_leave, "{name}");
            // The next connection knows nothing of it.
            bench.sim.cut_all();
            bench
                .wait_state(|status| status.is_up() && status.generation == Generation::new(2))
                .await;
            bench
                .gateway
                .call("sessions.patch", json!({"key": SESSION}))
                .await
                .unwrap();
            assert_eq!(words(&mut events).await, ["disconnected", "reconnected"], "{name}");
            drop(events);
            finish(bench).await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_declared_while_the_line_is_down_is_subscribed_when_it_is_up() {
    play(async {
        let bench = Bench::new(release("2026.9.6").start_pipe()).await;
        bench.sim.kill().await;
        let mut events = bench.gateway.events(EventFilter::all().name("none"));
        let kept = declare(&bench.gateway, Topic::Sessions);
        drop(declare(&bench.gateway, Topic::messages(SESSION)));
        tokio::time::sleep(Duration::from_secs(60)).await;
        bench.sim.start_again().await;
        bench.gateway.reconnect_now().await.unwrap();
        next_snapshot(&mut events).await;
        assert_eq!(words(&mut events).await, [""; 0]);
        assert!(bench.sim.journal().requests("sessions.messages.subscribe").is_empty());
        drop((kept, events));
        finish(bench).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_subscription_without_the_scope_for_it_is_told_once_and_not_asked_for_again() {
    play(async {
        let no_read = |spec: &mut windlass::GatewaySpec| spec.scopes = vec![Scope::Pairing];
        for name in ["2026.4.15", "2026.9.6"] {
            let bench = Bench::with(release(name).start_pipe(), no_read).await;
            bench.wait_up().await;
            let mut events = bench.gateway.events(EventFilter::all().name("none"));
            let sessions = declare(&bench.gateway, Topic::Sessions);
            let Marker::Unsynced { what, why, .. } = next_marker(&mut events).await else {
                panic!("{name}: not told")
            };
            assert_eq!(what, Topic::Sessions);
            assert!(why.contains("missing scope: operator.read"), "{why}");
            tokio::time::sleep(Duration::from_secs(3600)).await;
            assert_eq!(words(&mut events).await, [""; 0], "{name}");
            assert_eq!(bench.sim.journal().requests("sessions.subscribe").len(), 1, "{name}");
            assert!(bench.sim.journal().requests("sessions.list").is_empty(), "{name}");
            assert_eq!(bench.gateway.inspect().await.unwrap().resyncs.refused, 1);
            drop((sessions, events));
            finish(bench).await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_load_that_fails_is_tried_again_while_the_line_is_up() {
    play(async {
        for name in RELEASES {
            let bench = up(release(name)).await;
            let mut events = bench.gateway.events(EventFilter::all().name("none").snapshots());
            for method in ["sessions.subscribe", "sessions.list"] {
                let busy = WireError::new("UNAVAILABLE", "busy").retry_after_ms(100);
                bench.sim.script().times(3).fail(method, busy.retryable(true));
                bench.sim.script().times(1).never_answer(method);
            }
            let sessions = declare(&bench.gateway, Topic::Sessions);
            let (_, _, list) = next_snapshot(&mut events).await;
            assert!(list.is_some(), "{name}");
            let counted = bench.gateway.inspect().await.unwrap().resyncs;
            // The last release gives the list with the subscription.
            let failures = if name == "2026.9.6" { 4 } else { 8 };
            assert_eq!(
                (counted.done, counted.failed, counted.refused),
                (1, failures, 0),
                "{name}"
            );
            drop((sessions, events));
            finish(bench).await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn everything_is_the_sessions_and_the_messages_of_each_those_to_come_included() {
    play(async {
        for name in ["2026.4.15", "2026.9.6"] {
            let bench = up(release(name)).await;
            for n in 0..20 {
                let key = format!("agent:main:old{n}");
                bench
                    .gateway
                    .call("sessions.patch", json!({ "key": key }))
                    .await
                    .unwrap();
            }
            let mut events = bench
                .gateway
                .events(EventFilter::all().name("session.message").snapshots());
            let everything = declare(&bench.gateway, Topic::Everything);
            assert_eq!(next_snapshot(&mut events).await.1, Topic::Sessions);
            assert_eq!(next_snapshot(&mut events).await.1, Topic::Everything);
            assert_eq!(bench.gateway.inspect().await.unwrap().topics, 21, "{name}");
            for key in ["agent:main:old7", "agent:main:new"] {
                bench
                    .gateway
                    .call("sessions.patch", json!({ "key": key }))
                    .await
                    .unwrap();
                tokio::time::sleep(Duration::from_secs(1)).await;
                bench
                    .gateway
                    .call("chat.send", json!({"sessionKey": key, "message": "hi"}))
                    .await
                    .unwrap();
                loop {
                    if let LineEvent::Event(event) = next(&mut events).await {
                        assert_eq!(event.decode::<Value>().unwrap()["sessionKey"], key, "{name}");
                        break;
                    }
                }
                tokio::time::sleep(Duration::from_secs(30)).await;
                words(&mut events).await;
            }
            bench.sim.cut_all();
            let order = [next_snapshot(&mut events).await.1, next_snapshot(&mut events).await.1];
            assert_eq!(order, [Topic::Sessions, Topic::Everything], "{name}");
            drop(everything);
            words(&mut events).await;
            let left = bench.sim.journal().requests("sessions.messages.unsubscribe").len();
            assert_eq!(left, 21, "{name}");
            drop(events);
            finish(bench).await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn guards_that_outlive_the_line_are_harmless() {
    play(async {
        let bench = up(release("2026.9.6")).await;
        let mut events = bench.gateway.events(EventFilter::all().name("none"));
        let sessions = declare(&bench.gateway, Topic::Sessions);
        next_snapshot(&mut events).await;
        let gateway = bench.gateway.clone();
        bench.finish().await;
        let late = declare(&gateway, Topic::Everything);
        late.resync();
        assert!(events.next().await.is_some(), "the end of the connection");
        assert!(events.next().await.is_none());
        drop((sessions, late));
    })
    .await;
}
