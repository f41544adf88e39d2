//! Faults of single frames, seen from the client and from the gateway.

use std::num::NonZeroUsize;
use std::time::Duration;

use serde_json::{Value, json};
use windlass_testkit::SimGateway;
use windlass_testkit::chaos::{ChaosProxy, Direction, Door, Fault, FaultKind, FrameFault, FrameRule, LogEvent, Which};

use crate::chaos::{before, hello};
use crate::client::{Client, Seen};

async fn set() -> (SimGateway, ChaosProxy, Client) {
    let sim = SimGateway::builder().start_pipe();
    let proxy = before(&sim);
    let client = hello(&proxy, &sim).await;
    (sim, proxy, client)
}

fn emit(sim: &SimGateway, numbers: std::ops::Range<u32>) {
    for n in numbers {
        sim.emit("custom", json!({ "n": n }));
    }
}

/// The next frames; a text that is no JSON stands in `garbage`.
async fn frames(client: &mut Client, count: usize) -> Vec<Value> {
    let mut frames = Vec::new();
    while frames.len() < count {
        frames.push(client.frame().await);
    }
    frames
}

/// `n` of each frame that is an event.
fn numbers(frames: &[Value]) -> Vec<Option<u64>> {
    frames.iter().map(|frame| frame["payload"]["n"].as_u64()).collect()
}

/// What arrives of five events, the third of which is tampered with.
async fn third_of_five(fault: FrameFault, arrive: usize) -> Vec<Value> {
    let (sim, proxy, mut client) = set().await;
    proxy.arm(fault.next().of(Which::Named("custom".into())).nth(3));
    emit(&sim, 1..6);
    let arrived = frames(&mut client, arrive).await;
    assert!(client.quiet(Duration::from_secs(5)).await, "{arrived:?}");
    let tampered = LogEvent::Tampered {
        conn: 1,
        direction: Direction::ToClient,
        frame: 5,
        fault,
    };
    assert!(
        proxy.log().iter().any(|entry| entry.what == tampered),
        "{:?}",
        proxy.log()
    );
    arrived
}

#[tokio::test(start_paused = true)]
async fn a_lost_frame_leaves_a_hole() {
    let arrived = third_of_five(FrameFault::Lose, 4).await;
    assert_eq!(numbers(&arrived), [1, 2, 4, 5].map(Some));
}

#[tokio::test(start_paused = true)]
async fn a_duplicated_frame_comes_twice() {
    let arrived = third_of_five(FrameFault::Duplicate, 6).await;
    assert_eq!(numbers(&arrived), [1, 2, 3, 3, 4, 5].map(Some));
}

#[tokio::test(start_paused = true)]
async fn a_reordered_frame_lets_the_next_one_pass() {
    let arrived = third_of_five(FrameFault::Reorder, 5).await;
    assert_eq!(numbers(&arrived), [1, 2, 4, 3, 5].map(Some));
}

#[tokio::test(start_paused = true)]
async fn truncated_corrupted_and_garbage_frames_are_whole_frames_still() {
    for fault in [FrameFault::Truncate, FrameFault::Garbage] {
        let arrived = third_of_five(fault, 5).await;
        assert_eq!(
            numbers(&arrived),
            [Some(1), Some(2), None, Some(4), Some(5)],
            "{fault:?}: {arrived:?}"
        );
    }
    let arrived = third_of_five(FrameFault::Corrupt, 5).await;
    let original = third_of_five(FrameFault::Oversize(100), 6).await;
    assert_ne!(arrived[2], original[3]);
}

#[tokio::test(start_paused = true)]
async fn an_oversize_frame_has_the_size_that_was_asked_for() {
    let arrived = third_of_five(FrameFault::Oversize(3_000_000), 6).await;
    assert_eq!(arrived[2].to_string().len(), 3_000_000);
    assert_eq!(arrived[2]["type"], "oversize", "it is JSON");
    assert_eq!(numbers(&arrived)[3], Some(3));
}

#[tokio::test(start_paused = true)]
async fn ids_are_wrong_or_repeated() {
    let (_sim, proxy, mut client) = set().await;
    let answers = |fault: FrameFault| fault.next().of(Which::Responses);
    let first = client.send("health", json!({})).await;
    client.response(&first).await;
    proxy.arm(answers(FrameFault::RepeatId));
    client.send("health", json!({})).await;
    assert_eq!(client.frame().await["id"], json!(first));
    proxy.arm(answers(FrameFault::WrongId));
    let id = client.send("health", json!({})).await;
    let answer = client.frame().await;
    assert!(answer["id"].is_string() && answer["id"] != json!(id), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_torn_frame_and_a_close_end_both_connections() {
    for (fault, seen) in [
        (FrameFault::Tear, Seen::Gone),
        (FrameFault::Close(4999), Seen::Closed(4999, String::new())),
    ] {
        let (sim, proxy, mut client) = set().await;
        proxy.arm(fault.next());
        emit(&sim, 1..4);
        assert_eq!(client.next().await, seen);
        sim.wait_for(|journal| journal.open_connections() == 0)
            .await
            .expect("the gateway's end is gone too");
        proxy.shutdown().await;
        drop(client);
        crate::leaves_nothing(sim).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_now_carries_its_code() {
    let (_sim, proxy, mut client) = set().await;
    proxy.apply(&Fault::Close(1013));
    assert_eq!(client.next().await, Seen::Closed(1013, String::new()));
}

#[tokio::test(start_paused = true)]
async fn requests_are_hit_on_their_way_to_the_gateway() {
    let to_gateway = |fault: FrameFault| -> FrameRule {
        fault
            .next()
            .towards(Direction::ToGateway)
            .of(Which::Named("status".into()))
    };
    let (sim, proxy, mut client) = set().await;
    proxy.arm(to_gateway(FrameFault::Duplicate));
    client.ok("health", json!({})).await;
    let id = client.send("status", json!({})).await;
    client.response(&id).await;
    client.response(&id).await;
    assert_eq!(sim.journal().executions("status"), 2);
    proxy.arm(to_gateway(FrameFault::Lose));
    client.send("status", json!({})).await;
    client.ok("health", json!({})).await;
    assert_eq!(sim.journal().executions("status"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_chance_of_one_hits_everything_until_calm() {
    let (sim, proxy, mut client) = set().await;
    proxy.arm(FrameFault::Lose.next().permille(1000));
    emit(&sim, 1..10);
    assert!(client.quiet(Duration::from_secs(5)).await);
    proxy.calm();
    emit(&sim, 10..11);
    assert_eq!(numbers(&frames(&mut client, 1).await), [Some(10)]);
}

#[tokio::test(start_paused = true)]
async fn the_clock_of_a_challenge_is_moved() {
    let sim = SimGateway::builder().start_pipe();
    let told = async |proxy: &ChaosProxy| {
        let io = proxy.dial().await.expect("taken");
        let mut client = Client::over(Box::new(io), &proxy.url(), &[]).await.expect("upgraded");
        let challenge = client.event("connect.challenge").await;
        challenge["payload"]["ts"].as_i64().expect("a number")
    };
    let proxy = before(&sim);
    let right = told(&proxy).await;
    proxy.apply(&Fault::SkewClock(-600_000));
    assert_eq!(told(&proxy).await, right - 600_000);
    assert!(
        proxy
            .log()
            .iter()
            .any(|entry| matches!(entry.what, LogEvent::Skewed { by_ms: -600_000, .. }))
    );
}

#[tokio::test(start_paused = true)]
async fn slices_and_slow_readers_change_nothing_but_the_time() {
    let (sim, proxy, mut client) = set().await;
    proxy.apply(&Fault::Slice(NonZeroUsize::new(3)));
    emit(&sim, 1..20);
    assert_eq!(
        numbers(&frames(&mut client, 19).await),
        (1..20).map(Some).collect::<Vec<_>>()
    );
    proxy.apply(&Fault::SlowReader(Direction::ToClient, Some(100)));
    let begin = crate::now();
    emit(&sim, 20..40);
    let slow = frames(&mut client, 20).await;
    assert_eq!(numbers(&slow), (20..40).map(Some).collect::<Vec<_>>());
    let bytes: usize = slow.iter().map(|frame| frame.to_string().len()).sum();
    let least = Duration::from_secs(u64::try_from(bytes).expect("fits") / 100);
    assert!(begin.elapsed() > least / 2, "{bytes} bytes in {:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn doors_hang_answer_or_fail() {
    let sim = SimGateway::builder().start_pipe();
    let proxy = before(&sim);
    let attempt = async || {
        let io = proxy.dial().await.expect("taken");
        Client::over(Box::new(io), &proxy.url(), &[]).await.map(drop)
    };
    for (door, reached) in [(Door::Hang, 0), (Door::HangUpgrade, 1)] {
        proxy.apply(&Fault::Door(door));
        let hung = tokio::time::timeout(Duration::from_secs(60), attempt()).await;
        assert!(hung.is_err(), "{door:?}: {hung:?}");
        assert_eq!(sim.journal().connect_attempts(), reached, "{door:?}");
    }
    proxy.apply(&Fault::Door(Door::AnswerUpgrade(502)));
    let refused = attempt().await.expect_err("502");
    assert!(
        matches!(&refused, tokio_tungstenite::tungstenite::Error::Http(response) if response.status() == 502),
        "{refused}"
    );
    proxy.apply(&Fault::Door(Door::FailTls));
    attempt().await.expect_err("no HTTP");
    proxy.apply(&Fault::Door(Door::Refuse));
    proxy.dial().await.expect_err("refused");
    proxy.calm();
    attempt().await.expect("open again");
    proxy.shutdown().await;
    crate::leaves_nothing(sim).await;
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_fault_is_taken_back_by_calm() {
    use rand::SeedableRng as _;
    let sim = SimGateway::builder().start_pipe();
    let proxy = before(&sim);
    let mut rng = rand::rngs::StdRng::seed_from_u64(5);
    for kind in FaultKind::ALL {
        proxy.apply(&kind.draw(&mut rng));
        proxy.calm();
        hello(&proxy, &sim).await.ok("health", json!({})).await;
    }
}
