//! Events arrive in order, and whatever is lost is told by a marker.

use std::ops::Range;
use std::time::Duration;

use serde_json::json;
use windlass::protocol::connection::Gap;
use windlass::protocol::{ChatEvent, ChatState, message_text};
use windlass::{Backlog, EventFilter, Generation, LineEvent, Marker, Overflow, SlowPolicy, Subscription, WhenFull};
use windlass_testkit::{ChatPlan, Generation as Protocol, RestartKind};

use crate::bench::{Bench, chat, next, next_marker, play, sim};

#[tokio::test(start_paused = true)]
async fn a_chat_run_is_seen_from_its_first_delta_to_its_final() {
    play(async {
        for protocol in [Protocol::V3, Protocol::V4] {
            let bench = Bench::up(protocol).await;
            bench.sim.chat(ChatPlan {
                increments: 400,
                pace: Duration::from_millis(5),
                ..ChatPlan::default()
            });
            let message = "word ".repeat(400);
            let mut events = bench
                .gateway
                .events(EventFilter::all().name("chat").session("agent:main:main"));
            bench.gateway.call("chat.send", chat(message.trim())).await.unwrap();
            let (mut deltas, mut last) = (0, String::new());
            let text = loop {
                let LineEvent::Event(event) = next(&mut events).await else {
                    panic!("a marker in between")
                };
                let chat: ChatEvent = event.decode().unwrap();
                match chat.state {
                    ChatState::Delta => {
                        let text = message_text(chat.message.as_ref().unwrap()).unwrap();
                        assert!(text.starts_with(&last), "deltas only ever grow");
                        last = text.clone();
                        deltas += 1;
                    }
                    ChatState::Final => break message_text(chat.message.as_ref().unwrap()).unwrap(),
                    _ => {}
                }
            };
            assert_eq!(text, format!("echo: {}", message.trim()));
            assert!(deltas > 1, "{deltas}");
            drop(events);
            bench.finish().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_subscription_outlives_the_connection_and_marks_the_break() {
    play(async {
        for (protocol, restarted) in [(Protocol::V3, true), (Protocol::V4, true), (Protocol::V4, false)] {
            let bench = Bench::up(protocol).await;
            let mut events = bench.gateway.events(EventFilter::all().name("custom"));
            bench.sim.emit("custom", json!({ "n": 1 }));
            let LineEvent::Event(first) = next(&mut events).await else {
                panic!("no event")
            };
            assert_eq!(first.generation, Generation::new(1));
            if restarted {
                bench.sim.restart(RestartKind::Clean);
            } else {
                bench.sim.cut_all();
            }
            assert_eq!(
                next_marker(&mut events).await,
                Marker::Disconnected {
                    generation: Generation::new(1)
                }
            );
            let up = Marker::Reconnected {
                generation: Generation::new(2),
                gateway_restarted: Some(restarted),
            };
            assert_eq!(next_marker(&mut events).await, up);
            bench.sim.emit("custom", json!({ "n": 2 }));
            let LineEvent::Event(second) = next(&mut events).await else {
                panic!("no event")
            };
            assert_eq!(second.generation, Generation::new(2));
            drop(events);
            bench.finish().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_first_connection_is_marked_too() {
    play(async {
        let bench = Bench::new(sim(Protocol::V4).start_pipe()).await;
        let mut events = bench.gateway.events(EventFilter::all());
        let first = Marker::Reconnected {
            generation: Generation::new(1),
            gateway_restarted: None,
        };
        assert_eq!(next_marker(&mut events).await, first);
        drop(events);
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_event_that_the_gateway_dropped_is_one_gap_where_numbers_count_per_connection() {
    play(async {
        let bench = Bench::up(Protocol::V4).await;
        let mut events = bench.gateway.events(EventFilter::all());
        bench.sim.emit("custom", json!({ "n": 1 }));
        bench.sim.withhold_next_event();
        bench.sim.emit("custom", json!({ "n": 2 }));
        bench.sim.emit("custom", json!({ "n": 3 }));
        let Marker::Gap(Gap { expected, received }) = next_marker(&mut events).await else {
            panic!("no gap")
        };
        assert_eq!(received, expected + 1);
        let LineEvent::Event(event) = next(&mut events).await else {
            panic!("a second marker")
        };
        assert_eq!(event.payload.decode::<serde_json::Value>().unwrap()["n"], 3);
        drop(events);
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_hour_on_a_gateway_with_one_counter_for_all_raises_no_false_alarm() {
    play(async {
        let read_only = |spec: &mut windlass::GatewaySpec| spec.scopes = vec![windlass::protocol::Scope::Read];
        let bench = Bench::with(sim(Protocol::V3).start_pipe(), read_only).await;
        bench.wait_up().await;
        let mut events = bench.gateway.events(EventFilter::all());
        for _ in 0..60 {
            bench.sim.withhold_next_event();
            bench.sim.emit("custom", json!({}));
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        bench.sim.emit("last", json!({}));
        loop {
            match next(&mut events).await {
                LineEvent::Event(event) if &*event.name == "last" => break,
                LineEvent::Event(_) => {}
                LineEvent::Marker(marker) => panic!("a false alarm: {marker:?}"),
            }
        }
        drop(events);
        bench.finish().await;
    })
    .await;
}

async fn expect_numbers(events: &mut Subscription, numbers: Range<u64>) {
    for n in numbers {
        let LineEvent::Event(event) = next(events).await else {
            panic!("something was lost before {n}")
        };
        assert_eq!(event.payload.decode::<serde_json::Value>().unwrap()["n"], n);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stuck_subscriber_loses_its_own_events_only_and_learns_how_many() {
    play(async {
        let bench = Bench::up(Protocol::V4).await;
        let filter = EventFilter::all().name("custom");
        let mut stuck = bench.gateway.events_bounded(filter.clone(), 10);
        let mut quick = bench.gateway.events(filter);
        for n in 0..100 {
            bench.sim.emit("custom", json!({ "n": n }));
        }
        expect_numbers(&mut quick, 0..100).await;
        assert_eq!(next_marker(&mut stuck).await, Marker::Lagged(90));
        expect_numbers(&mut stuck, 90..100).await;
        drop((stuck, quick));
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_may_rather_be_disconnected_or_wait_in_an_overflow() {
    play(async {
        let bench = Bench::up(Protocol::V4).await;
        let filter = EventFilter::all().name("custom");
        let policy = |slow| Backlog::items(10).slow(slow);
        let mut leaves = bench
            .gateway
            .events_bounded(filter.clone(), policy(SlowPolicy::Disconnect));
        let block = SlowPolicy::Block {
            overflow: Overflow::default(),
            then: WhenFull::Disconnect,
        };
        let mut waits = bench.gateway.events_bounded(filter.clone(), policy(block));
        let mut quick = bench.gateway.events(filter);
        for n in 0..1000 {
            bench.sim.emit("custom", json!({ "n": n }));
        }
        expect_numbers(&mut quick, 0..1000).await;
        assert_eq!(bench.gateway.inspect().await.unwrap().subscribers, 2);
        expect_numbers(&mut leaves, 0..10).await;
        assert_eq!(next_marker(&mut leaves).await, Marker::TooSlow);
        assert!(leaves.next().await.is_none());
        expect_numbers(&mut waits, 0..1000).await;
        drop((leaves, waits, quick));
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_thousand_subscribers_cost_one_look_into_each_event_and_none_delays_another() {
    play(async {
        const EVENTS: u64 = 500;
        let bench = Bench::up(Protocol::V4).await;
        let filter = |n: u64| EventFilter::all().name("custom").session(format!("agent:a{n}:main"));
        // Half of them never read.
        let mut all: Vec<_> = (0..1000)
            .map(|n| bench.gateway.events_bounded(filter(n / 2), 4))
            .collect();
        let mut quick = bench.gateway.events(EventFilter::all().name("custom"));
        for n in 0..EVENTS {
            let key = format!("agent:a{n}:main");
            bench.sim.emit("custom", json!({ "n": n, "sessionKey": key }));
        }
        expect_numbers(&mut quick, 0..EVENTS).await;
        for (n, events) in all.iter_mut().enumerate().filter(|(n, _)| n % 2 == 0) {
            let own = n as u64 / 2;
            expect_numbers(events, own..own + 1).await;
        }
        let counted = bench.gateway.inspect().await.unwrap();
        assert_eq!((counted.parses, counted.subscribers), (EVENTS, 1001));
        drop((all, quick));
        assert_eq!(bench.gateway.inspect().await.unwrap().subscribers, 0);
        bench.finish().await;
    })
    .await;
}
