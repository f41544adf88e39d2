//! The chaos proxy between a client and a gateway.

use std::io::ErrorKind;
use std::time::Duration;

use serde_json::json;
use tokio::net::TcpStream;
use windlass_testkit::SimGateway;
use windlass_testkit::chaos::{ChaosProxy, Direction, Fault, FaultKind, LogEvent, RandomFaults, Schedule};

use crate::client::{Client, Connect};

pub(crate) fn before(sim: &SimGateway) -> ChaosProxy {
    let sim = sim.clone();
    ChaosProxy::pipe(move || {
        let sim = sim.clone();
        async move { sim.dial().await }
    })
}

pub(crate) async fn hello(proxy: &ChaosProxy, sim: &SimGateway) -> Client {
    let io = proxy.dial().await.expect("taken");
    let mut client = Client::over(Box::new(io), &proxy.url(), &[]).await.expect("upgraded");
    assert_eq!(client.connect(sim, Connect::default()).await["ok"], true);
    client
}

#[tokio::test(start_paused = true)]
async fn a_cut_ends_both_ends_and_new_connections_work() {
    let sim = SimGateway::builder().start_pipe();
    let proxy = before(&sim);
    let mut client = hello(&proxy, &sim).await;
    proxy.cut();
    assert_eq!(client.closed().await, None);
    sim.wait_for(|journal| journal.open_connections() == 0)
        .await
        .expect("the gateway's end is gone too");
    hello(&proxy, &sim).await.ok("health", json!({})).await;
    let log: Vec<_> = proxy.log().into_iter().map(|entry| entry.what).collect();
    let cut = LogEvent::Applied {
        fault: Fault::Cut,
        connections: 1,
    };
    assert_eq!(
        log,
        [
            LogEvent::Opened { conn: 1 },
            LogEvent::LetIn { conn: 1 },
            cut,
            LogEvent::Closed { conn: 1 },
            LogEvent::Opened { conn: 2 },
            LogEvent::LetIn { conn: 2 },
        ]
    );
    proxy.shutdown().await;
    sim.shutdown().await;
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0);
}

#[tokio::test]
async fn a_reset_over_tcp_is_an_error_to_the_reader() {
    use tokio::io::AsyncReadExt as _;
    let sim = SimGateway::builder().start_tcp().await.expect("binds");
    let proxy = ChaosProxy::tcp(sim.address().expect("TCP")).await.expect("binds");
    let mut stream = TcpStream::connect(proxy.address().expect("TCP")).await.expect("taken");
    sim.wait_for(|journal| journal.connect_attempts() == 1)
        .await
        .expect("carried through");
    proxy.reset();
    let error = stream.read_u8().await.expect_err("reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let mut stream = TcpStream::connect(proxy.address().expect("TCP")).await.expect("taken");
    sim.wait_for(|journal| journal.connect_attempts() == 2)
        .await
        .expect("carried through");
    proxy.cut();
    assert_eq!(
        stream.read_u8().await.expect_err("end").kind(),
        ErrorKind::UnexpectedEof
    );
    proxy.refusing(true).await;
    let refused = TcpStream::connect(proxy.address().expect("TCP")).await.map(drop);
    assert_eq!(refused.map_err(|error| error.kind()), Err(ErrorKind::ConnectionRefused));
    proxy.refusing(false).await;
    TcpStream::connect(proxy.address().expect("TCP"))
        .await
        .expect("taken again");
}

#[tokio::test(start_paused = true)]
async fn a_stalled_direction_waits_and_then_delivers_everything() {
    let sim = SimGateway::builder().start_pipe();
    let proxy = before(&sim);
    let mut client = hello(&proxy, &sim).await;
    proxy.stall(Direction::ToClient);
    let id = client.send("health", json!({})).await;
    assert!(client.quiet(Duration::from_secs(10)).await);
    assert_eq!(sim.journal().executions("health"), 1, "the other direction is open");
    proxy.resume(Direction::ToClient);
    client.response(&id).await;
    proxy.stall(Direction::ToGateway);
    let id = client.send("status", json!({})).await;
    assert!(client.quiet(Duration::from_secs(5)).await);
    assert_eq!(sim.journal().executions("status"), 0);
    proxy.resume(Direction::ToGateway);
    client.response(&id).await;
}

#[tokio::test(start_paused = true)]
async fn a_delay_is_added_each_way_and_keeps_the_order() {
    let sim = SimGateway::builder().start_pipe();
    let proxy = before(&sim);
    let mut client = hello(&proxy, &sim).await;
    proxy.delay(Duration::from_millis(100));
    let begin = crate::now();
    let ids = [
        client.send("health", json!({})).await,
        client.send("status", json!({})).await,
    ];
    for id in &ids {
        assert_eq!(client.frame().await["id"], json!(id));
    }
    assert_eq!(begin.elapsed(), Duration::from_millis(200));
}

#[tokio::test(start_paused = true)]
async fn half_open_connections_stay_and_say_nothing() {
    let sim = SimGateway::builder().start_pipe();
    let proxy = before(&sim);
    let mut client = hello(&proxy, &sim).await;
    proxy.half_open();
    client.send("health", json!({})).await;
    assert!(client.quiet(Duration::from_secs(60)).await);
    hello(&proxy, &sim).await.ok("health", json!({})).await;
    assert!(proxy.connections() >= 1);
}

/// A client that asks and comes back when it is cut, under every fault there is.
async fn stormy(seed: u64) -> String {
    let sim = SimGateway::builder().start_pipe();
    let proxy = before(&sim);
    // Megabytes are left out: nothing else about them depends on chance.
    let kinds = FaultKind::ALL.into_iter().filter(|kind| *kind != FaultKind::Oversize);
    let storm = RandomFaults::new(seed).every(Duration::from_millis(500)).of(kinds);
    let schedule = Schedule::by_chance(storm, Duration::from_secs(40));
    let client = async {
        loop {
            // Virtual time passes only where somebody waits for it.
            tokio::time::sleep(Duration::from_millis(100)).await;
            let Ok(io) = proxy.dial().await else { continue };
            let Ok(mut client) = Client::over(Box::new(io), &proxy.url(), &[]).await else {
                continue;
            };
            while client.try_send("health", json!({})).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    };
    tokio::select! {
        // Without it the order of what happens at the same moment is drawn anew in each run.
        biased;
        () = proxy.play(&schedule) => {}
        () = client => {}
    }
    let log: Vec<_> = proxy.log().iter().map(ToString::to_string).collect();
    proxy.shutdown().await;
    crate::leaves_nothing(sim).await;
    log.join("\n")
}

#[tokio::test(start_paused = true)]
async fn a_seed_plays_the_same_log_twice() {
    for seed in 1..=2 {
        let log = stormy(seed).await;
        let again = stormy(seed).await;
        let differs = log.lines().zip(again.lines()).find(|(one, other)| one != other);
        assert_eq!(differs, None, "seed {seed}");
        assert!(log.lines().count() > 100, "{log}");
    }
}
