//! A connection's actor, and the supervisor over it.

use std::time::Duration;

use windlass_protocol::connection::Resend;
use windlass_protocol::{CallError, NotSent, UnknownReason};

use crate::failpoint::arm;
use crate::routing::{LineEvent, Marker};
use crate::testing::{Harness, id, is_degraded, last_error, play, wait_state, wait_up};
use crate::{EventFilter, LineErrorKind, LineState};

/// Where an attempt to connect can panic, and where a connection that is up can.
const BEFORE_HELLO: [&str; 2] = ["connection.started", "connection.dial"];
const WHILE_UP: [&str; 2] = ["connection.turn", "connection.stream"];

#[tokio::test(start_paused = true)]
async fn a_connection_that_panics_before_hello_is_started_again() {
    for place in BEFORE_HELLO {
        play(async {
            let harness = Harness::new();
            let armed = arm(place, 2);
            let line = harness.up("gw").await;
            assert_eq!(armed.left(), 0);
            assert!(last_error(&line).contains(place), "{}", last_error(&line));
            assert_eq!(line.generation().number(), 1);
            harness.finish().await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_panics_while_calls_are_under_way_leaves_each_its_one_end() {
    for place in WHILE_UP {
        play(async {
            let harness = Harness::new();
            let line = harness.up("gw").await;
            let mut events = line.subscribe(EventFilter::all(), 64);
            harness.sim.script().hold("health");
            harness.sim.script().hold("chat.abort");
            let read = harness.call(&line, "health", Resend::Always);
            let write = harness.call(&line, "chat.abort", Resend::Never);
            harness.wait_requests("health", 1).await;
            harness.wait_requests("chat.abort", 1).await;
            let armed = arm(place, 1);
            // Something to write, and something to read.
            let third = harness.call(&line, "status", Resend::Always);
            armed.gone_off().await;
            let Err(CallError::OutcomeUnknown(unknown)) = write.await.unwrap() else {
                panic!("what may not be written again has another end")
            };
            assert_eq!(unknown.why, UnknownReason::LineLost);
            harness.sim.script().clear("health");
            read.await.unwrap().expect("what may be written again is");
            third.await.unwrap().expect("what may be written again is");
            assert_eq!(line.generation().number(), 2);
            let error = line.status().borrow().last_error.clone().unwrap();
            assert_eq!(error.kind, LineErrorKind::Fault);
            let mut markers = Vec::new();
            while let Some(item) = futures_util::FutureExt::now_or_never(events.next()).flatten() {
                if let LineEvent::Marker(marker) = item {
                    markers.push(*marker);
                }
            }
            assert!(
                matches!(
                    &markers[..],
                    [Marker::Disconnected { .. }, Marker::Reconnected { .. }, ..]
                ),
                "{markers:?}"
            );
            harness.finish().await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_panics_over_an_order_is_started_again() {
    play(async {
        let harness = Harness::new();
        let line = harness.up("gw").await;
        let armed = arm("connection.handler", 1);
        harness.shard.update(Harness::spec("gw")).await.unwrap();
        armed.gone_off().await;
        wait_state(&line, |status| status.is_up() && status.generation.number() == 2).await;
        harness.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_panics_again_and_again_rests_as_degraded_and_comes_back() {
    play(async {
        let harness = Harness::new();
        let armed = arm("connection.started", 8);
        let line = harness.add("gw").await;
        let degraded = wait_state(&line, is_degraded).await;
        let LineState::Degraded { until, failures } = degraded.state else {
            unreachable!("it was waited for")
        };
        assert_eq!(failures, 6);
        assert_eq!(until.duration_since(degraded.since).unwrap().as_secs(), 30);
        let up = wait_up(&line).await;
        assert_eq!(armed.left(), 0);
        let rested = up.since.duration_since(degraded.since).unwrap();
        // A rest after the sixth panic, and another one after the seventh; then those before are forgotten.
        assert!(rested >= Duration::from_secs(60), "{rested:?}");
        harness.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_panics_while_it_drains_ends_what_is_left_and_its_removal() {
    for place in ["connection.turn", "connection.stream"] {
        play(async {
            let harness = Harness::new();
            let line = harness.up("gw").await;
            harness.sim.script().hold("health");
            let call = harness.call(&line, "health", Resend::Always);
            harness.wait_requests("health", 1).await;
            let shard = harness.shard.clone();
            let removed =
                tokio::task::spawn_local(async move { shard.remove(id("gw"), Duration::from_secs(3600)).await });
            wait_state(&line, |status| matches!(status.state, LineState::Draining { .. })).await;
            let armed = arm(place, 1);
            harness.sim.emit("custom", serde_json::json!({}));
            armed.gone_off().await;
            removed.await.unwrap().unwrap();
            // It may have gone back to the queue before the line closed.
            let end = call.await.unwrap().unwrap_err();
            assert!(
                matches!(end, CallError::NotSent(NotSent::Closed) | CallError::OutcomeUnknown(_)),
                "{end:?}"
            );
            assert!(matches!(line.status().borrow().state, LineState::Closed));
            harness.finish().await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_panics_over_the_order_to_drain_is_removed_all_the_same() {
    play(async {
        let harness = Harness::new();
        let line = harness.up("gw").await;
        let armed = arm("connection.handler", 1);
        harness.shard.remove(id("gw"), Duration::from_secs(3600)).await.unwrap();
        assert_eq!(armed.left(), 0);
        assert!(matches!(line.status().borrow().state, LineState::Closed));
        harness.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_that_panics_takes_its_connection_along_and_loses_no_call() {
    play(async {
        let harness = Harness::new();
        let line = harness.up("gw").await;
        harness.sim.script().hold("health");
        harness.sim.script().hold("chat.abort");
        let read = harness.call(&line, "health", Resend::Always);
        let write = harness.call(&line, "chat.abort", Resend::Never);
        harness.wait_requests("chat.abort", 1).await;
        let armed = arm("supervisor", 1);
        // Any command: it has the supervisor take a turn.
        harness.shard.reconnect_now(id("gw")).await.unwrap();
        armed.gone_off().await;
        let down = wait_state(&line, |status| !status.is_up()).await;
        assert!(matches!(down.state, LineState::Waiting { .. }), "{:?}", down.state);
        assert!(last_error(&line).contains("The line's supervisor panicked"));
        let end = write.await.unwrap().unwrap_err();
        assert!(matches!(end, CallError::OutcomeUnknown(_)), "{end:?}");
        harness.sim.script().clear("health");
        read.await.unwrap().expect("what may be written again is");
        assert_eq!(line.generation().number(), 2);
        harness.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_that_panics_again_and_again_rests_as_degraded_and_comes_back() {
    play(async {
        let harness = Harness::new();
        let armed = arm("supervisor", 7);
        let line = harness.add("gw").await;
        wait_state(&line, is_degraded).await;
        wait_up(&line).await;
        assert_eq!(armed.left(), 0);
        harness.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_line_can_be_removed_while_its_supervisor_rests() {
    play(async {
        let harness = Harness::new();
        let armed = arm("supervisor", 7);
        let line = harness.add("gw").await;
        wait_state(&line, is_degraded).await;
        let start = harness.clock.now();
        harness.shard.remove(id("gw"), Duration::from_secs(3600)).await.unwrap();
        assert!(harness.clock.now() - start < Duration::from_secs(1));
        assert!(matches!(line.status().borrow().state, LineState::Closed));
        drop(armed);
        harness.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_that_panics_while_its_line_drains_closes_it() {
    play(async {
        let harness = Harness::new();
        let line = harness.up("gw").await;
        harness.sim.script().hold("health");
        let call = harness.call(&line, "health", Resend::Never);
        harness.wait_requests("health", 1).await;
        // Passed at the turn after the order to drain.
        let armed = arm("supervisor", 1);
        harness.shard.remove(id("gw"), Duration::from_secs(3600)).await.unwrap();
        assert_eq!(armed.left(), 0);
        let end = call.await.unwrap().unwrap_err();
        assert!(matches!(end, CallError::OutcomeUnknown(_)), "{end:?}");
        assert!(matches!(line.status().borrow().state, LineState::Closed));
        harness.finish().await;
    })
    .await;
}
