//! A gateway that does not let us in: what the line does, how often it asks, and what it tells the operator.

use std::time::Duration;

use serde_json::json;
use windlass::{CallError, Generation, LineState, Secret};
use windlass_testkit::Generation as Protocol;

use crate::bench::{Bench, Stopwatch, TOKEN, play, sim, spec};

#[tokio::test(start_paused = true)]
async fn a_wrong_token_is_tried_seven_times_an_hour_and_a_corrected_one_at_once() {
    play(async {
        for protocol in [Protocol::V3, Protocol::V4] {
            let bench = Bench::with(sim(protocol).start_pipe(), |spec| {
                spec.token = Some(Secret::new("wrong"));
            })
            .await;
            let paused = bench
                .wait_state(|status| matches!(status.state, LineState::Paused { .. }))
                .await;
            let advice = paused.last_error.unwrap().advice;
            assert!(advice.to_string().contains("token"), "{advice}");
            tokio::time::sleep(Duration::from_secs(3600)).await;
            // The first attempt and one every ten minutes: see `PERSON_POLL`.
            let attempts = bench.sim.journal().connect_attempts();
            assert!((2..=7).contains(&attempts), "{attempts} attempts");
            let start = Stopwatch::start();
            bench.windlass.update(spec("gw")).await.unwrap();
            bench.wait_up().await;
            assert!(start.elapsed() < Duration::from_millis(100), "{:?}", start.elapsed());
            bench.finish().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_changed_on_the_gateway_closes_the_line_and_the_new_one_opens_it() {
    play(async {
        let bench = Bench::up(Protocol::V4).await;
        bench.sim.set_token("another-token");
        bench.sim.close_all(4001, "gateway auth changed");
        bench
            .wait_state(|status| matches!(status.state, LineState::Paused { .. }))
            .await;
        let mut corrected = spec("gw");
        corrected.token = Some(Secret::new("another-token"));
        bench.windlass.update(corrected).await.unwrap();
        assert_eq!(bench.wait_up().await.generation, Generation::new(2));
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_not_paired_asks_every_half_minute_and_comes_up_when_approved() {
    play(async {
        for protocol in [Protocol::V3, Protocol::V4] {
            let bench = Bench::new(sim(protocol).remote(true).trusted_proxy(true).start_pipe()).await;
            let paused = bench
                .wait_state(|status| matches!(status.state, LineState::Paused { .. }))
                .await;
            let request = bench.sim.pending_pairings()[0].request_id.clone();
            let advice = paused.last_error.unwrap().advice;
            assert!(advice.to_string().contains(&request), "{advice}");
            tokio::time::sleep(Duration::from_secs(301)).await;
            assert_eq!(bench.sim.journal().connect_attempts(), 11);
            assert!(bench.sim.approve_pairing(&request));
            let start = Stopwatch::start();
            bench.wait_up().await;
            assert!(start.elapsed() <= Duration::from_secs(31), "{:?}", start.elapsed());
            bench.finish().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_device_token_of_a_paired_device_is_kept_and_used_when_the_shared_one_changes() {
    play(async {
        let bench = Bench::new(sim(Protocol::V4).remote(true).trusted_proxy(true).start_pipe()).await;
        bench
            .wait_state(|status| matches!(status.state, LineState::Paused { .. }))
            .await;
        let request = bench.sim.pending_pairings()[0].request_id.clone();
        bench.sim.approve_pairing(&request);
        bench.wait_up().await;
        // Without a configured token the kept one is all there is.
        let mut tokenless = spec("gw");
        tokenless.token = None;
        bench.windlass.update(tokenless).await.unwrap();
        bench
            .wait_state(|status| status.is_up() && status.generation == Generation::new(2))
            .await;
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_knows_only_the_older_signature_is_answered_with_it() {
    play(async {
        let bench = Bench::new(sim(Protocol::V3).release("2026.1.30").start_pipe()).await;
        let up = bench.wait_up().await;
        assert_eq!((up.protocol(), up.server_version()), (Some(3), Some("dev")));
        assert_eq!(bench.sim.journal().connect_attempts(), 2);
        bench.sim.cut_all();
        bench
            .wait_state(|status| status.is_up() && status.generation == Generation::new(2))
            .await;
        assert_eq!(bench.sim.journal().connect_attempts(), 3, "what was learnt is kept");
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn every_release_lets_us_in_with_a_device_and_grants_the_scopes() {
    play(async {
        for release in windlass_testkit::RELEASES {
            let bench = Bench::new(
                windlass_testkit::SimGateway::builder()
                    .release(release)
                    .token(TOKEN)
                    .start_pipe(),
            )
            .await;
            let up = bench.wait_up().await;
            assert!(matches!(up.protocol(), Some(3 | 4)), "{release}");
            bench
                .gateway
                .call("agents.list", ())
                .await
                .unwrap_or_else(|error| panic!("{release}: {error}"));
            bench.finish().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_missing_scope_is_a_rejection_that_names_it() {
    play(async {
        for protocol in [Protocol::V3, Protocol::V4] {
            let read_only = |spec: &mut windlass::GatewaySpec| spec.scopes = vec![windlass::protocol::Scope::Read];
            let bench = Bench::with(sim(protocol).start_pipe(), read_only).await;
            bench.wait_up().await;
            let error = bench
                .gateway
                .call("config.patch", json!({ "raw": "{}" }))
                .await
                .unwrap_err();
            let CallError::Rejected(rejected) = error else {
                panic!("{error:?}")
            };
            assert_eq!(rejected.error.missing_scope(), Some("operator.admin"), "{protocol:?}");
            bench.finish().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn without_a_device_the_gateways_of_march_grant_nothing_and_say_so() {
    play(async {
        let bench = Bench::with(sim(Protocol::V3).start_pipe(), |spec| spec.device = None).await;
        bench.wait_up().await;
        bench.gateway.call("health", ()).await.unwrap();
        let error = bench.gateway.call("agents.list", ()).await.unwrap_err();
        let CallError::Rejected(rejected) = error else {
            panic!("{error:?}")
        };
        assert!(rejected.error.missing_scope().is_some());
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_operator_can_ask_for_another_attempt_at_once() {
    play(async {
        let bench = Bench::with(sim(Protocol::V4).start_pipe(), |spec| {
            spec.token = Some(Secret::new("wrong"));
        })
        .await;
        bench
            .wait_state(|status| matches!(status.state, LineState::Paused { .. }))
            .await;
        bench.sim.set_token("wrong");
        let start = Stopwatch::start();
        bench.gateway.reconnect_now().await.unwrap();
        bench.wait_up().await;
        assert!(start.elapsed() < Duration::from_millis(100));
        bench.finish().await;
    })
    .await;
}
