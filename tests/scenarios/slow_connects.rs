//! Gateways that hang while they are connected to, beside one that does not.

use std::time::Duration;

use tokio::io::{DuplexStream, duplex};
use windlass::{Endpoint, Windlass, transport};
use windlass_testkit::Generation;

use crate::bench::{Stopwatch, play, seed, sim, spec};

/// Gateways that hang: four times as many as attempts may be at work at a time.
const HUNG: usize = 256;

/// How a gateway hangs.
#[derive(Debug, Clone, Copy)]
enum Hangs {
    /// Nothing answers to the TCP connection.
    InDial,
    /// The connection is taken, and nothing is said.
    InHandshake,
}

async fn open(hangs: Hangs, kept: &std::sync::Mutex<Vec<DuplexStream>>) -> DuplexStream {
    match hangs {
        Hangs::InDial => std::future::pending().await,
        Hangs::InHandshake => {
            let (ours, theirs) = duplex(1024);
            kept.lock().unwrap().push(theirs);
            ours
        }
    }
}

/// How long the good line takes to come up beside them at first, and how long after a cut.
async fn good_line_beside(hangs: Hangs) -> (Duration, Duration) {
    let good = sim(Generation::V4).start_pipe();
    let dialled = good.clone();
    let connector = transport::dial_with(move |endpoint: Endpoint| {
        let good = dialled.clone();
        async move {
            let kept = std::sync::Mutex::default();
            if endpoint.host() == "good" {
                good.dial().await
            } else {
                let stream = open(hangs, &kept).await;
                // The other end stays open for ever.
                std::mem::forget(kept);
                Ok(stream)
            }
        }
    });
    let windlass = Windlass::builder()
        .connector(connector)
        .seed(seed())
        .start_local()
        .unwrap();
    for n in 0..HUNG {
        windlass.add(spec(&format!("hung-{n}"))).await.unwrap();
    }
    let start = Stopwatch::start();
    let gateway = windlass.add(spec("good")).await.unwrap();
    gateway.wait_until_up(Duration::from_secs(600)).await.unwrap();
    let first = start.elapsed();
    // All of them are at it, some at each moment.
    tokio::time::sleep(Duration::from_secs(300)).await;
    let mut worst = Duration::ZERO;
    for _ in 0..10 {
        let mut status = gateway.status();
        let before = status.borrow().generation;
        let start = Stopwatch::start();
        good.cut_all();
        status
            .wait_for(|now| now.is_up() && now.generation > before)
            .await
            .unwrap();
        worst = worst.max(start.elapsed());
        tokio::time::sleep(Duration::from_secs(31)).await;
    }
    windlass.shutdown(Duration::from_secs(1)).await;
    good.shutdown().await;
    (first, worst)
}

#[tokio::test(start_paused = true)]
async fn gateways_that_hang_cost_a_line_nothing_when_it_comes_back() {
    play(async {
        for hangs in [Hangs::InDial, Hangs::InHandshake] {
            let (first, worst) = good_line_beside(hangs).await;
            eprintln!("{hangs:?}: first up after {first:?}, back within {worst:?}");
            // The attempts of all hung gateways begin together, once: four rounds of 100 ms.
            assert!(first < Duration::from_secs(1), "{hangs:?}: first up after {first:?}");
            // Its own backoff: up to 100 ms after a cut.
            assert!(worst < Duration::from_millis(300), "{hangs:?}: back after {worst:?}");
        }
    })
    .await;
}
