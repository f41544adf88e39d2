//! Numbers, audiences, ticks and slow readers.

use std::time::Duration;

use serde_json::{Value, json};
use windlass_testkit::{Generation, Profile, SimGateway};

use crate::client::{Client, Connect};
use crate::leaves_nothing;

fn seqs(frames: &[Value]) -> Vec<u64> {
    frames
        .iter()
        .filter(|frame| frame["type"] == "event")
        .filter_map(|frame| frame["seq"].as_u64())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn numbers_count_per_connection_on_generation_4_and_per_process_on_generation_3() {
    for (generation, first) in [(Generation::V3, false), (Generation::V4, true)] {
        let sim = SimGateway::builder().generation(generation).start_pipe();
        let mut early = Client::hello(&sim).await;
        for _ in 0..3 {
            sim.emit("tick", json!({"ts": 1}));
            early.event("tick").await;
        }
        let mut late = Client::hello(&sim).await;
        sim.emit("tick", json!({"ts": 2}));
        let (a, b) = (early.event("tick").await, late.event("tick").await);
        assert_eq!(b["seq"] == 1, first, "{generation:?}: {b}");
        assert_eq!(a["seq"] == b["seq"], !first);
        let seen = seqs(&early.seen);
        assert!(seen.windows(2).all(|pair| pair[1] == pair[0] + 1), "no holes: {seen:?}");
        assert!(early.seen[0].get("seq").is_none(), "the challenge has no number");
    }
}

#[tokio::test(start_paused = true)]
async fn a_withheld_event_leaves_a_hole() {
    for generation in [Generation::V3, Generation::V4] {
        let sim = SimGateway::builder().generation(generation).start_pipe();
        let mut client = Client::hello(&sim).await;
        sim.emit("tick", json!({"ts": 1}));
        let before = client.event("tick").await["seq"].as_u64().expect("a number");
        sim.withhold_next_event();
        sim.emit("tick", json!({"ts": 2}));
        sim.emit("tick", json!({"ts": 3}));
        let after = client.event("tick").await;
        assert_eq!(
            (after["payload"]["ts"].as_u64(), after["seq"].as_u64()),
            (Some(3), Some(before + 2))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn without_scopes_generation_3_shows_chat_and_generation_4_only_housekeeping() {
    for (generation, shows) in [(Generation::V3, true), (Generation::V4, false)] {
        let sim = SimGateway::builder().generation(generation).start_pipe();
        let mut bare = Client::dial(&sim).await;
        bare.connect(
            &sim,
            Connect {
                scopes: vec![],
                ..Connect::default()
            },
        )
        .await;
        sim.emit("chat", json!({"state": "final"}));
        sim.emit("device.pair.requested", json!({}));
        sim.emit("tick", json!({"ts": 1}));
        bare.event("tick").await;
        let names: Vec<_> = bare.events.iter().filter_map(|event| event["event"].as_str()).collect();
        assert_eq!(names.contains(&"chat"), shows, "{generation:?}");
        assert!(!names.contains(&"device.pair.requested"));
    }
}

#[tokio::test(start_paused = true)]
async fn ticks_come_at_their_interval() {
    let sim = SimGateway::builder().tick_interval(Duration::from_secs(5)).start_pipe();
    let mut client = Client::hello(&sim).await;
    let begin = crate::now();
    let first = client.event("tick").await["payload"]["ts"].as_u64().expect("ms");
    let second = client.event("tick").await["payload"]["ts"].as_u64().expect("ms");
    assert_eq!(second - first, 5000);
    assert_eq!(begin.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn an_event_to_one_connection_is_numbered_for_it_alone() {
    let sim = SimGateway::builder().generation(Generation::V4).start_pipe();
    let mut one = Client::hello(&sim).await;
    let mut two = Client::hello(&sim).await;
    let numbers = sim.connections();
    sim.emit_to(numbers[0], "cron", json!({"jobId": "j", "action": "added"}));
    sim.emit("tick", json!({"ts": 1}));
    assert_eq!(one.event("cron").await["seq"], 1);
    assert_eq!(one.event("tick").await["seq"], 2);
    assert_eq!(two.event("tick").await["seq"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_loses_what_repeats_itself_and_is_closed_for_the_rest() {
    let mut profile = Profile::latest(Generation::V4);
    profile.max_buffered_bytes = 100_000;
    let sim = SimGateway::builder().profile(profile).start_pipe();
    let mut client = Client::hello(&sim).await;
    let big = "x".repeat(10_000);
    for at in 0..100 {
        sim.emit("tick", json!({"ts": at, "padding": big}));
        tokio::task::yield_now().await;
    }
    sim.emit("tick", json!({"ts": 999}));
    let mut seen = Vec::new();
    while !client.quiet(Duration::from_secs(1)).await {
        seen = seqs(&client.seen);
    }
    assert!(seen.len() < 100, "some were dropped");
    for at in 0..100 {
        sim.emit("cron", json!({"jobId": at, "padding": big}));
        tokio::task::yield_now().await;
    }
    assert_eq!(client.closed().await, Some((1008, "slow consumer".into())));
    leaves_nothing(sim).await;
}

#[tokio::test(start_paused = true)]
async fn a_dead_reader_is_noticed_by_generation_4_through_its_pings() {
    let sim = SimGateway::builder().generation(Generation::V4).start_pipe();
    let client = Client::hello(&sim).await;
    // Nobody polls the client, so nothing answers the pings.
    sim.wait_for(|journal| journal.open_connections() == 0)
        .await
        .expect("cut");
    drop(client);
}
