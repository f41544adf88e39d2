//! The end of a line, of Windlass, and of a host that just lets go.

use std::time::Duration;

use serde_json::json;
use windlass::{CallError, EventFilter, LineState, NotSent, RegistryError, protocol::UnknownReason};
use windlass_testkit::Generation as Protocol;

use crate::bench::{Bench, Stopwatch, end, play, spec};

#[tokio::test(start_paused = true)]
async fn calls_under_way_may_end_by_themselves_and_new_ones_are_refused() {
    play(async {
        let bench = Bench::up(Protocol::V4).await;
        bench.sim.script().delay("health", Duration::from_secs(5));
        let call = bench.call("health", json!({}));
        bench.wait_requests("health", 1).await;
        let (windlass, mut status) = (bench.windlass.clone(), bench.gateway.status());
        let closing = tokio::task::spawn_local(async move { windlass.shutdown(Duration::from_secs(60)).await });
        status
            .wait_for(|status| matches!(status.state, LineState::Draining { .. }))
            .await
            .unwrap();
        let refused = bench.gateway.call("health", ()).await.unwrap_err();
        assert_eq!(refused, NotSent::Closed.into());
        end(call).await.unwrap();
        closing.await.unwrap();
        assert!(matches!(bench.gateway.status().borrow().state, LineState::Closed));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_left_at_the_drains_deadline_ends_with_a_definite_outcome() {
    play(async {
        let bench = Bench::up(Protocol::V4).await;
        bench.sim.script().never_answer("health");
        let call = bench.call("health", json!({}));
        bench.wait_requests("health", 1).await;
        let start = Stopwatch::start();
        bench.windlass.shutdown(Duration::from_secs(3)).await;
        assert_eq!(start.elapsed().as_secs(), 3);
        let Err(CallError::OutcomeUnknown(unknown)) = end(call).await else {
            panic!("another outcome")
        };
        assert_eq!(unknown.why, UnknownReason::Closed);
        bench
            .sim
            .wait_for(|journal| journal.open_connections() == 0)
            .await
            .unwrap();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_gateway_can_be_removed_and_added_again() {
    play(async {
        let bench = Bench::up(Protocol::V4).await;
        let id = bench.gateway.id().clone();
        assert_eq!(
            bench.windlass.add(spec("gw")).await.unwrap_err(),
            RegistryError::AlreadyThere(id.clone())
        );
        let mut events = bench.gateway.events(EventFilter::all());
        bench.windlass.remove(&id, Duration::ZERO).await.unwrap();
        assert!(bench.windlass.gateway(&id).is_none());
        assert_eq!(
            bench.gateway.call("health", ()).await.unwrap_err(),
            NotSent::Closed.into()
        );
        while let Some(item) = events.next().await {
            assert!(!matches!(item, windlass::LineEvent::Event(_)), "{item:?}");
        }
        assert_eq!(
            bench.windlass.remove(&id, Duration::ZERO).await.unwrap_err(),
            RegistryError::NotThere(id)
        );
        let again = bench.windlass.add(spec("gw")).await.unwrap();
        again.wait_until_up(Duration::from_secs(60)).await.unwrap();
        let bench = Bench {
            gateway: again,
            ..bench
        };
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_closes_every_socket() {
    play(async {
        let Bench { windlass, gateway, sim } = Bench::up(Protocol::V4).await;
        let status = gateway.status();
        drop(windlass);
        gateway
            .call("health", ())
            .await
            .expect("a gateway's handle keeps its line alive");
        drop(gateway);
        sim.wait_for(|journal| journal.open_connections() == 0).await.unwrap();
        assert!(matches!(status.borrow().state, LineState::Closed));
        sim.shutdown().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn shutting_down_while_nothing_is_reachable_does_not_wait() {
    play(async {
        let bench = Bench::up(Protocol::V4).await;
        bench.sim.kill().await;
        bench.wait_state(|status| !status.is_up()).await;
        let call = bench.call("health", json!({}));
        let start = Stopwatch::start();
        bench.windlass.shutdown(Duration::from_secs(60)).await;
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
        assert_eq!(end(call).await.unwrap_err(), NotSent::Closed.into());
        assert_eq!(
            bench.windlass.add(spec("late")).await.unwrap_err(),
            RegistryError::ShutDown
        );
    })
    .await;
}
