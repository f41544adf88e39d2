//! What happens to calls and lines when connections break.

use std::time::Duration;

use serde_json::json;
use windlass::{CallError, Generation, LineState, protocol::UnknownReason};
use windlass_testkit::{Generation as Protocol, RestartKind};

use crate::bench::{Bench, Stopwatch, chat, end, play, sim};

fn unknown(error: &CallError) -> Option<UnknownReason> {
    match error {
        CallError::OutcomeUnknown(unknown) => Some(unknown.why),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn two_hundred_reads_in_flight_at_a_kill_are_sent_again_and_answered() {
    play(async {
        for protocol in [Protocol::V3, Protocol::V4] {
            let bench = Bench::with(sim(protocol).start_pipe(), |spec| spec.limits.in_flight = 256).await;
            bench.wait_up().await;
            bench.sim.script().hold("health");
            let calls: Vec<_> = (0..200).map(|_| bench.call("health", json!({}))).collect();
            bench.wait_requests("health", 200).await;
            bench.sim.kill().await;
            bench.sim.script().clear("health");
            bench.sim.start_again().await;
            for call in calls {
                end(call).await.unwrap();
            }
            let counted = bench.gateway.inspect().await.unwrap().calls;
            assert_eq!((counted.resent, counted.ok), (200, 200));
            assert_eq!(bench.gateway.status().borrow().generation, Generation::new(2));
            bench.finish().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_call_with_a_side_effect_is_never_sent_twice() {
    play(async {
        let bench = Bench::up(Protocol::V4).await;
        bench.sim.script().once().drop_connection_before_answer("agents.create");
        let error = bench
            .gateway
            .call("agents.create", json!({ "name": "a", "workspace": "/w" }))
            .await
            .unwrap_err();
        assert_eq!(unknown(&error), Some(UnknownReason::LineLost));
        bench.wait_up().await;
        assert_eq!(bench.sim.journal().executions("agents.create"), 1);
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_answer_was_lost_is_sent_again_and_runs_once() {
    play(async {
        let bench = Bench::up(Protocol::V4).await;
        bench.sim.script().once().drop_connection_before_answer("chat.send");
        bench.gateway.call("chat.send", chat("only once")).await.unwrap();
        let journal = bench.sim.journal();
        assert_eq!(
            (journal.requests("chat.send").len(), journal.runs_of("only once")),
            (2, 1)
        );
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_message_is_not_sent_again_to_a_gateway_that_does_not_tell_whether_it_was_restarted() {
    play(async {
        let bench = Bench::up(Protocol::V3).await;
        bench.sim.script().once().drop_connection_before_answer("chat.send");
        let error = bench.gateway.call("chat.send", chat("only once")).await.unwrap_err();
        assert_eq!(unknown(&error), Some(UnknownReason::MaybeRestarted));
        assert_eq!(bench.sim.journal().runs_of("only once"), 1);
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_never_arrived_is_sent_again_and_runs_once() {
    play(async {
        let bench = Bench::up(Protocol::V4).await;
        bench.sim.script().once().drop_connection_before_execution("chat.send");
        bench.gateway.call("chat.send", chat("only once")).await.unwrap();
        assert_eq!(bench.sim.journal().runs_of("only once"), 1);
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_message_is_not_sent_again_to_a_gateway_that_forgot_its_key() {
    play(async {
        for protocol in [Protocol::V3, Protocol::V4] {
            let bench = Bench::up(protocol).await;
            bench.sim.script().once().never_answer("chat.send");
            // No gateway is up within two seconds of its start.
            tokio::time::sleep(Duration::from_secs(2)).await;
            let call = bench.call("chat.send", chat("only once"));
            bench.wait_requests("chat.send", 1).await;
            bench.sim.kill().await;
            bench.sim.start_again().await;
            let error = end(call).await.unwrap_err();
            assert_eq!(unknown(&error), Some(UnknownReason::GatewayRestarted), "{protocol:?}");
            assert_eq!(bench.sim.journal().requests("chat.send").len(), 1);
            bench.finish().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_announced_restart_brings_the_line_back_on_a_new_generation() {
    play(async {
        for protocol in [Protocol::V3, Protocol::V4] {
            let bench = Bench::up(protocol).await;
            bench.sim.restart(RestartKind::Clean);
            let down = bench.wait_state(|status| !status.is_up()).await;
            assert!(matches!(down.state, LineState::Waiting { .. }), "{:?}", down.state);
            assert!(down.last_error.unwrap().advice.summary.contains("1012"));
            let up = bench.wait_state(windlass::LineStatus::is_up).await;
            assert_eq!(up.generation, Generation::new(2));
            bench.finish().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_starts_is_asked_again_until_it_is_ready() {
    play(async {
        let bench = Bench::up(Protocol::V4).await;
        bench.sim.go_starting(Duration::from_secs(3));
        bench.sim.cut_all();
        bench.wait_state(|status| !status.is_up()).await;
        let before = Stopwatch::start();
        bench.wait_up().await;
        assert!(
            before.elapsed() < Duration::from_millis(3000 + 1500),
            "{:?}",
            before.elapsed()
        );
        bench.sim.go_unavailable(Duration::from_secs(3));
        bench.sim.cut_all();
        bench.wait_state(|status| !status.is_up()).await;
        let before = Stopwatch::start();
        bench.wait_up().await;
        assert!(
            before.elapsed() < Duration::from_millis(3000 + 1500),
            "{:?}",
            before.elapsed()
        );
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn changed_policy_and_odd_closes_end_in_a_new_connection() {
    play(async {
        let bench = Bench::up(Protocol::V4).await;
        let closes = [
            (4001, "gateway policy changed"),
            (1008, "slow consumer"),
            (1011, ""),
            (1000, ""),
            (4999, "new"),
        ];
        for (n, (code, reason)) in (2..).zip(closes) {
            bench.sim.close_all(code, reason);
            bench
                .wait_state(|status| status.is_up() && status.generation == Generation::new(n))
                .await;
        }
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_vanished_is_noticed_within_two_ticks_and_reads_are_sent_again() {
    play(async {
        for protocol in [Protocol::V3, Protocol::V4] {
            let bench = Bench::up(protocol).await;
            bench.sim.half_open();
            let start = Stopwatch::start();
            let call = bench.call("health", json!({}));
            let down = bench.wait_state(|status| !status.is_up()).await;
            let noticed = start.elapsed();
            assert!(noticed <= Duration::from_secs(2 * 30 + 5), "noticed after {noticed:?}");
            assert!(down.last_error.unwrap().advice.summary.contains("Nothing was heard"));
            end(call).await.unwrap();
            // The vanished peer never learns that its connection is over; the new one is closed.
            bench.windlass.shutdown(Duration::from_secs(1)).await;
            bench
                .sim
                .wait_for(|journal| journal.open_connections() == 1)
                .await
                .unwrap();
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_ticks_but_has_nothing_to_say_is_not_taken_for_dead() {
    play(async {
        for protocol in [Protocol::V3, Protocol::V4] {
            let bench = Bench::up(protocol).await;
            tokio::time::sleep(Duration::from_secs(3600)).await;
            assert_eq!(bench.gateway.status().borrow().generation, Generation::new(1));
            bench.finish().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn reconnecting_now_does_not_wait_for_the_backoff() {
    play(async {
        let bench = Bench::up(Protocol::V4).await;
        bench.sim.kill().await;
        // Long enough for the delays to have grown to their cap.
        tokio::time::sleep(Duration::from_secs(600)).await;
        let waiting = |state: &LineState| state.next_attempt_at();
        let status = bench.wait_state(|status| waiting(&status.state).is_some()).await;
        assert!(!status.is_up());
        bench.sim.start_again().await;
        bench
            .wait_state(|status| waiting(&status.state).is_some() || status.is_up())
            .await;
        let start = Stopwatch::start();
        bench.gateway.reconnect_now().await.unwrap();
        bench.wait_up().await;
        assert!(start.elapsed() < Duration::from_millis(100), "{:?}", start.elapsed());
        bench.finish().await;
    })
    .await;
}
