//! The registry itself.

use std::time::Duration;

use windlass_protocol::connection::{CallLimits, Resend};

use crate::failpoint::arm;
use crate::registry::RegistryError;
use crate::testing::{Harness, id, play, wait_state};
use crate::{Line, LineState};

#[tokio::test(start_paused = true)]
async fn a_registry_that_panics_fails_the_request_in_hand_and_costs_no_line_anything() {
    play(async {
        let harness = Harness::new();
        let line = harness.up("one").await;
        harness.sim.script().hold("health");
        let call = harness.call(&line, "health", Resend::Never);
        harness.wait_requests("health", 1).await;
        for _ in 0..7 {
            let armed = arm("registry.tell", 1);
            let failed = harness.shard.reconnect_now(id("one")).await;
            assert_eq!(failed.unwrap_err(), RegistryError::Fault);
            assert_eq!(armed.left(), 0);
        }
        // However often that was, the next one is there, and knows the lines.
        let start = harness.clock.now();
        let (_, ends) = Line::new(
            id("one"),
            CallLimits::default(),
            harness.clock.clone(),
            crate::telemetry::Metering::Off,
            None,
        );
        let taken = harness.shard.add(Harness::spec("one"), ends).await;
        assert_eq!(taken.unwrap_err(), RegistryError::AlreadyThere(id("one")));
        harness.up("two").await;
        assert!(harness.clock.now() - start < Duration::from_secs(1));
        harness.sim.script().release("health");
        call.await.unwrap().expect("a call under way notices nothing");
        assert_eq!(line.generation().number(), 1);
        harness.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_gateway_whose_addition_panics_is_not_there_and_can_be_added_again() {
    play(async {
        let harness = Harness::new();
        let armed = arm("registry.add", 1);
        let (_, ends) = Line::new(
            id("gw"),
            CallLimits::default(),
            harness.clock.clone(),
            crate::telemetry::Metering::Off,
            None,
        );
        let failed = harness.shard.add(Harness::spec("gw"), ends).await;
        assert_eq!(failed.unwrap_err(), RegistryError::Fault);
        assert_eq!(armed.left(), 0);
        harness.up("gw").await;
        harness.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_panics_while_a_line_drains_does_not_cut_the_drain_short() {
    play(async {
        let harness = Harness::new();
        let line = harness.up("gw").await;
        harness.sim.script().hold("health");
        let call = harness.call(&line, "health", Resend::Never);
        harness.wait_requests("health", 1).await;
        let shard = harness.shard.clone();
        let removal = tokio::task::spawn_local(async move { shard.remove(id("gw"), Duration::from_secs(3600)).await });
        wait_state(&line, |status| matches!(status.state, LineState::Draining { .. })).await;
        let armed = arm("registry.tell", 1);
        let failed = harness.shard.reconnect_now(id("other")).await;
        assert_eq!(failed.unwrap_err(), RegistryError::Fault);
        assert_eq!(armed.left(), 0);
        assert!(matches!(line.status().borrow().state, LineState::Draining { .. }));
        harness.sim.script().release("health");
        call.await.unwrap().expect("what drains may end by itself");
        // The removal was taken, so it is carried out, and told.
        removal.await.unwrap().unwrap();
        assert!(matches!(line.status().borrow().state, LineState::Closed));
        harness.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_registry_goes_on_after_a_panic_in_a_future_of_its_own() {
    play(async {
        let harness = Harness::new();
        harness.up("one").await;
        let other = harness.up("two").await;
        let armed = arm("registry.removed", 1);
        harness.shard.remove(id("one"), Duration::ZERO).await.unwrap();
        assert_eq!(armed.left(), 0);
        let gone = harness.shard.remove(id("one"), Duration::ZERO).await;
        assert_eq!(gone.unwrap_err(), RegistryError::NotThere(id("one")));
        assert_eq!(other.generation().number(), 1);
        harness.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_panics_over_the_shutdown_does_not_keep_its_lines_open() {
    play(async {
        let harness = Harness::new();
        let (one, two) = (harness.up("one").await, harness.up("two").await);
        let armed = arm("registry.stop", 1);
        harness.finish().await;
        assert_eq!(armed.left(), 0);
        for line in [one, two] {
            assert!(matches!(line.status().borrow().state, LineState::Closed));
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_wait_for_a_line_that_drains_for_longer() {
    play(async {
        let harness = Harness::new();
        let line = harness.up("gw").await;
        harness.sim.script().never_answer("health");
        let call = harness.call(&line, "health", Resend::Never);
        harness.wait_requests("health", 1).await;
        let shard = harness.shard.clone();
        let removal = tokio::task::spawn_local(async move { shard.remove(id("gw"), Duration::from_secs(3600)).await });
        wait_state(&line, |status| matches!(status.state, LineState::Draining { .. })).await;
        let start = harness.clock.now();
        let clock = harness.clock.clone();
        // With a second for what drains.
        harness.finish().await;
        assert!(
            clock.now() - start < Duration::from_secs(2),
            "{:?}",
            clock.now() - start
        );
        removal.await.unwrap().unwrap();
        call.await.unwrap().unwrap_err();
        assert!(matches!(line.status().borrow().state, LineState::Closed));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_panics_ends_alone() {
    play(async {
        let harness = Harness::new();
        let line = harness.up("gw").await;
        harness.shard.host(|| async { panic!("a guest") }).await.unwrap();
        let call = harness.call(&line, "health", Resend::Never);
        call.await.unwrap().expect("lines and the registry go on");
        harness.shard.inspect(id("gw")).await.unwrap();
        harness.finish().await;
    })
    .await;
}
