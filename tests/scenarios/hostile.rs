//! Gateways that mean harm, in virtual time: every wait has an end, every book stays small, every error is clear.
//!
//! What they do to the program's memory and to a terminal is in `tests/cli/hostile.rs`.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use windlass::{EventFilter, LineEvent, LineState, LineStatus, Marker, transport};
use windlass_testkit::Generation as Protocol;
use windlass_testkit::chaos::{ChaosProxy, Direction, Fault, FrameFault, Which};

use crate::bench::{Bench, Stopwatch, next, next_marker, play, seed, sim, spec};

/// A stream whose far end does this.
fn far_end<F>(serve: impl FnOnce(DuplexStream) -> F) -> DuplexStream
where
    F: Future<Output = ()> + Send + 'static,
{
    let (near, far) = tokio::io::duplex(64 * 1024);
    tokio::spawn(serve(far));
    near
}

/// The line's first state that tells an error, and how long that took.
async fn first_error<F>(serve: impl Fn(DuplexStream) -> F + Clone + Send + Sync + 'static) -> (LineStatus, Duration)
where
    F: Future<Output = ()> + Send + 'static,
{
    let connector = transport::dial_with(move |_| {
        let serve = serve.clone();
        async move { Ok(far_end(serve)) }
    });
    let windlass = windlass::Windlass::builder()
        .connector(connector)
        .seed(seed())
        .start_local()
        .unwrap();
    let (gateway, watch) = (windlass.add(spec("gw")).await.unwrap(), Stopwatch::start());
    let mut status = gateway.status();
    let told = status
        .wait_for(|status| status.last_error.is_some())
        .await
        .unwrap()
        .clone();
    let took = watch.elapsed();
    windlass.shutdown(Duration::ZERO).await;
    (told, took)
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_that_trickles_for_ever_ends_at_its_deadline() {
    play(async {
        let (status, took) = first_error(|mut far| async move {
            let _ = far.write_all(b"HTTP/1.1 101 Switching Protocols\r\n").await;
            while far.write_all(b"x: y\r\n").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        })
        .await;
        assert!(took <= Duration::from_secs(16), "{took:?}");
        assert_eq!(status.state.name(), "waiting");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_redirect_pauses_the_line_and_says_where_it_stands() {
    play(async {
        let (status, _) = first_error(|mut far| async move {
            let mut request = [0; 2048];
            let _ = far.read(&mut request).await;
            let _ = far
                .write_all(b"HTTP/1.1 307 Elsewhere\r\nlocation: ws://evil.example\r\ncontent-length: 0\r\n\r\n")
                .await;
        })
        .await;
        assert!(matches!(status.state, LineState::Paused { .. }), "{status:?}");
        let told = status.last_error.unwrap().advice.to_string();
        assert!(told.contains("307"), "{told}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_hello_without_end_is_given_up_and_the_line_tries_again() {
    play(async {
        for protocol in [Protocol::V3, Protocol::V4] {
            let sim = sim(protocol).start_pipe();
            let dialled = sim.clone();
            let proxy = ChaosProxy::pipe(move || {
                let sim = dialled.clone();
                async move { sim.dial().await }
            });
            // The challenge passes in some seconds, and hello-ok would take many minutes.
            proxy.apply(&Fault::Bandwidth(Direction::ToClient, Some(100)));
            let front = proxy.clone();
            let connector = transport::dial_with(move |_| {
                let proxy = front.clone();
                async move { proxy.dial().await }
            });
            let windlass = windlass::Windlass::builder()
                .connector(connector)
                .start_local()
                .unwrap();
            let gateway = windlass.add(spec("gw")).await.unwrap();
            let mut status = gateway.status();
            let told = status
                .wait_for(|status| status.last_error.is_some())
                .await
                .unwrap()
                .clone();
            let advice = told.last_error.unwrap().advice.to_string();
            assert!(advice.contains("was not answered within 15 s"), "{advice}");
            proxy.calm();
            gateway
                .wait_until_up(Duration::from_secs(60))
                .await
                .expect("it tries again");
            windlass.shutdown(Duration::ZERO).await;
            proxy.shutdown().await;
            sim.shutdown().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn answers_to_nobody_are_counted_and_kept_nowhere() {
    play(async {
        let bench = Bench::up(Protocol::V4).await;
        let conn = bench.sim.connections()[0];
        let before = bench.gateway.inspect().await.unwrap();
        for id in 1_000_000..1_010_000 {
            let stray = json!({"type": "res", "id": id.to_string(), "ok": true, "payload": {}});
            bench.sim.send_text(conn, &stray.to_string());
            if id % 100 == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        bench.gateway.call("health", ()).await.unwrap();
        let after = bench.gateway.inspect().await.unwrap();
        assert_eq!(after.calls.stray, 10_000);
        assert_eq!((after.in_flight, after.waiting), (before.in_flight, before.waiting));
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn frames_that_can_not_be_read_are_told_and_the_line_stays() {
    play(async {
        for protocol in [Protocol::V3, Protocol::V4] {
            let bench = Bench::up(protocol).await;
            let mut events = bench.gateway.events(EventFilter::all().name("after"));
            let conn = bench.sim.connections()[0];
            let deep = "[".repeat(300_000);
            let texts = ["", "null", "{", "\u{0}\u{1b}[2J", "{\"type\":\"event\"}", deep.as_str()];
            for text in texts {
                bench.sim.send_text(conn, text);
                assert_eq!(next_marker(&mut events).await, Marker::Unreadable, "{protocol:?}");
            }
            bench.sim.emit("after", json!({}));
            assert!(matches!(next(&mut events).await, LineEvent::Event(_)), "{protocol:?}");
            bench.gateway.call("health", ()).await.unwrap();
            assert_eq!(bench.wait_up().await.generation, windlass::Generation::new(1));
            drop(events);
            bench.finish().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_pings_and_never_reads_is_given_up_and_dialled_again() {
    play(async {
        for protocol in [Protocol::V3, Protocol::V4] {
            let sim = sim(protocol).start_pipe();
            let dialled = sim.clone();
            let proxy = ChaosProxy::pipe(move || {
                let sim = dialled.clone();
                async move { sim.dial().await }
            });
            let front = proxy.clone();
            let connector = transport::dial_with(move |_| {
                let proxy = front.clone();
                async move { proxy.dial().await }
            });
            let windlass = windlass::Windlass::builder()
                .connector(connector)
                .seed(seed())
                .start_local()
                .unwrap();
            let gateway = windlass.add(spec("gw")).await.unwrap();
            let mut status = gateway
                .wait_until_up(Duration::from_secs(60))
                .await
                .map(|_| gateway.status())
                .unwrap();
            proxy.apply(&Fault::Stall(Direction::ToGateway));
            proxy.arm(
                FrameFault::Pings(1000)
                    .next()
                    .of(Which::Named("pulse".into()))
                    .permille(1000),
            );
            let (watch, pulse) = (Stopwatch::start(), sim.clone());
            let pulses = tokio::task::spawn_local(async move {
                loop {
                    pulse.emit("pulse", json!({}));
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            });
            let down = status.wait_for(|status| !status.is_up()).await.unwrap().clone();
            let (took, told) = (watch.elapsed(), down.last_error.unwrap().advice.to_string());
            assert!(told.contains("sends, and has not read anything for 3"), "{told}");
            assert!(
                (Duration::from_secs(30)..Duration::from_secs(40)).contains(&took),
                "{took:?}"
            );
            pulses.abort();
            proxy.calm();
            gateway
                .call("health", ())
                .timeout(Duration::from_secs(60))
                .await
                .expect("it is dialled again");
            windlass.shutdown(Duration::ZERO).await;
            proxy.shutdown().await;
            sim.shutdown().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_takes_no_connect_request_is_given_up_at_the_deadline() {
    play(async {
        let (status, took) = first_error(|far| async move {
            let mut far = tokio_tungstenite::accept_async(far).await.unwrap().into_inner();
            // The pipe is full of answers to pings before it challenges, and stays so.
            for _ in 0..1000 {
                let _ = far.write_all(&[&[0x89, 125][..], &[b'p'; 125]].concat()).await;
            }
            let challenge = json!({"type": "event", "event": "connect.challenge", "payload": {"nonce": "n", "ts": 1}});
            let challenge = challenge.to_string();
            let head = [0x81, u8::try_from(challenge.len()).unwrap()];
            let _ = far.write_all(&[&head[..], challenge.as_bytes()].concat()).await;
            std::future::pending::<()>().await;
        })
        .await;
        assert!(took <= Duration::from_secs(31), "{took:?}");
        assert_eq!(status.state.name(), "waiting");
    })
    .await;
}
