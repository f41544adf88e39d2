//! Going down, coming back, and breaking connections.

use std::io::ErrorKind;
use std::time::Duration;

use serde_json::json;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Error;
use windlass_testkit::{Generation, RELEASES, RestartKind, SimGateway};

use crate::client::{Client, Connect, Seen};
use crate::leaves_nothing;

#[tokio::test(start_paused = true)]
async fn a_restart_is_announced_closed_with_1012_and_changes_the_boot_id() {
    for release in RELEASES {
        let sim = SimGateway::builder().release(release).start_pipe();
        let mut client = Client::hello(&sim).await;
        let boot = sim.boot_id();
        sim.restart(RestartKind::Clean);
        let shutdown = client.event("shutdown").await;
        assert_eq!(
            shutdown["payload"],
            json!({"reason": "gateway restarting", "restartExpectedMs": 1500})
        );
        assert_eq!(
            client.closed().await,
            Some((1012, "service restart".into())),
            "{release}"
        );
        assert_ne!(sim.boot_id(), boot);
        Client::hello(&sim).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_final_stop_says_null_up_to_7_1_and_nothing_from_8_2_on() {
    for release in RELEASES {
        let sim = SimGateway::builder().release(release).start_pipe();
        let mut client = Client::hello(&sim).await;
        sim.stop().await;
        let shutdown = client.event("shutdown").await;
        let null = shutdown["payload"].get("restartExpectedMs").is_some();
        assert_eq!(null, sim.profile().index < 7, "{release}: {shutdown}");
        assert_eq!(client.closed().await.map(|(code, _)| code), Some(1012));
        let refused = sim.dial().await.map(drop).map_err(|error| error.kind());
        assert_eq!(refused, Err(ErrorKind::ConnectionRefused));
        sim.start_again().await;
        Client::hello(&sim).await;
    }
}

#[tokio::test]
async fn a_killed_tcp_gateway_resets_refuses_and_comes_back_on_its_port() {
    let sim = SimGateway::builder().start_tcp().await.expect("binds");
    let address = sim.address().expect("TCP");
    for round in 0..3 {
        let mut client = Client::hello(&sim).await;
        sim.kill().await;
        assert_eq!(client.closed().await, None, "round {round}: no close frame");
        let refused = TcpStream::connect(address).await.map_err(|error| error.kind());
        assert_eq!(refused.map(drop), Err(ErrorKind::ConnectionRefused), "round {round}");
        sim.start_again().await;
        assert_eq!(sim.address(), Some(address));
    }
    Client::hello(&sim).await;
    leaves_nothing(sim).await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_ends_the_stream_without_a_frame() {
    let sim = SimGateway::builder().start_pipe();
    let mut client = Client::hello(&sim).await;
    sim.restart(RestartKind::Crash);
    assert_eq!(client.next().await, Seen::Gone);
    Client::hello(&sim).await;
}

#[tokio::test(start_paused = true)]
async fn a_starting_gateway_answers_unavailable_and_1013_for_a_while() {
    let sim = SimGateway::builder().start_pipe();
    sim.go_starting(Duration::from_secs(2));
    let mut client = Client::dial(&sim).await;
    let answer = client.connect(&sim, Connect::default()).await;
    assert_eq!(answer["error"]["details"]["reason"], "startup-sidecars");
    assert_eq!(
        (&answer["error"]["retryAfterMs"], &answer["error"]["retryable"]),
        (&json!(500), &json!(true))
    );
    assert_eq!(client.closed().await, Some((1013, "gateway starting".into())));
    tokio::time::sleep(Duration::from_secs(2)).await;
    Client::hello(&sim).await;
}

#[tokio::test(start_paused = true)]
async fn an_unavailable_gateway_answers_the_upgrade_503_for_a_while() {
    let sim = SimGateway::builder().start_pipe();
    sim.go_unavailable(Duration::from_secs(2));
    match Client::try_dial(&sim, &[]).await.err() {
        Some(Error::Http(response)) => assert_eq!(response.status(), 503),
        other => panic!("{other:?}"),
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    Client::hello(&sim).await;
}

#[tokio::test(start_paused = true)]
async fn a_draining_gateway_refuses_every_request_as_retryable() {
    let sim = SimGateway::builder().generation(Generation::V4).start_pipe();
    let mut client = Client::hello(&sim).await;
    sim.drain(true);
    let error = client.error("agents.list", json!({})).await;
    assert_eq!(
        error["details"],
        json!({"method": "agents.list", "reason": "gateway-restarting", "phase": "accepting"})
    );
    assert_eq!(error["retryAfterMs"], 1000);
    sim.drain(false);
    client.ok("agents.list", json!({})).await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_gateway_sends_nothing_at_all_until_it_speaks_again() {
    let sim = SimGateway::builder().tick_interval(Duration::from_secs(1)).start_pipe();
    let mut client = Client::hello(&sim).await;
    sim.silent(true);
    client.send("health", json!({})).await;
    assert!(client.quiet(Duration::from_secs(60)).await);
    assert_eq!(
        sim.journal().executions("health"),
        0,
        "what a silent gateway reads it forgets"
    );
    sim.silent(false);
    client.ok("health", json!({})).await;
}

#[tokio::test(start_paused = true)]
async fn a_deaf_gateway_leaves_upgrades_and_requests_unread() {
    let sim = SimGateway::builder().generation(Generation::V3).start_pipe();
    let mut client = Client::hello(&sim).await;
    sim.deaf(true);
    client.send("health", json!({})).await;
    client.send("health", json!({})).await;
    client.event("tick").await;
    let upgrade = tokio::time::timeout(Duration::from_secs(5), Client::try_dial(&sim, &[])).await;
    assert!(upgrade.is_err(), "the upgrade is not answered");
    assert!(
        sim.journal().executions("health") <= 1,
        "one chunk may have been under way"
    );
    sim.deaf(false);
    sim.wait_for(|journal| journal.executions("health") == 2)
        .await
        .expect("read at last");
}

#[tokio::test(start_paused = true)]
async fn half_open_connections_freeze_and_new_ones_work() {
    let sim = SimGateway::builder().tick_interval(Duration::from_secs(1)).start_pipe();
    let mut frozen = Client::hello(&sim).await;
    sim.half_open();
    frozen.send("health", json!({})).await;
    assert!(
        frozen.quiet(Duration::from_secs(200)).await,
        "neither an answer nor the end"
    );
    let mut fresh = Client::hello(&sim).await;
    fresh.ok("health", json!({})).await;
    leaves_nothing(sim).await;
}

#[tokio::test(start_paused = true)]
async fn slow_writes_take_their_time() {
    let sim = SimGateway::builder().generation(Generation::V3).start_pipe();
    let mut client = Client::hello(&sim).await;
    sim.slow_writes(Some(10_000));
    sim.script().once().big_answer("health", 50_000);
    let begin = crate::now();
    client.ok("health", json!({})).await;
    let took = begin.elapsed().as_secs_f64();
    assert!((4.5..6.0).contains(&took), "50 kB at 10 kB/s took {took} s");
    sim.slow_writes(None);
}

#[tokio::test(start_paused = true)]
async fn a_new_token_locks_out_the_old_one_and_leaves_connections_open() {
    let sim = SimGateway::builder().token("old").start_pipe();
    let mut inside = Client::hello(&sim).await;
    sim.set_token("new");
    let mut late = Client::dial(&sim).await;
    let old = Connect {
        auth: Some(json!({"token": "old"})),
        ..Connect::default()
    };
    assert_eq!(
        late.connect(&sim, old).await["error"]["details"]["code"],
        "AUTH_TOKEN_MISMATCH"
    );
    inside.ok("health", json!({})).await;
    Client::hello(&sim).await;
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_ends_everything() {
    let sim = SimGateway::builder().start_pipe();
    let mut client = Client::hello(&sim).await;
    let journal = sim.journal();
    let other = sim.clone();
    drop(sim);
    client.ok("health", json!({})).await;
    drop(other);
    assert_eq!(client.closed().await, None);
    tokio::task::yield_now().await;
    assert_eq!(journal.open_connections(), 0);
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_what_never_happens_fails_with_the_end_of_the_journal() {
    let sim = SimGateway::builder().start_pipe();
    Client::hello(&sim).await;
    let limit = Duration::from_secs(7);
    let error = sim
        .wait_for_within(limit, |journal| journal.hellos() == 2)
        .await
        .expect_err("one hello");
    assert!(error.to_string().contains("Hello"), "{error}");
}
