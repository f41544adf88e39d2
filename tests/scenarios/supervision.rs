//! A connection's actor that fails: the others don't notice, and it is started again.

use std::collections::BTreeSet;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use windlass::{EventFilter, Gateway, LineEvent, LineState, Windlass, transport};
use windlass_testkit::{Generation as Protocol, SimGateway};

use crate::bench::{Stopwatch, next, play, seed, sim, spec};

/// A stream that panics at the next write after it is armed: a bug in the very task that drives the connection.
struct PanicStream {
    stream: DuplexStream,
    armed: Arc<AtomicBool>,
}

impl AsyncRead for PanicStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for PanicStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        assert!(!self.armed.swap(false, Ordering::SeqCst), "the mine went off");
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// One simulated gateway that many lines are connected to, and a mine under the line to host `mined`.
struct Field {
    windlass: Windlass,
    sim: SimGateway,
    mine: Arc<AtomicBool>,
}

impl Field {
    fn new() -> Self {
        let (sim, mine) = (sim(Protocol::V4).start_pipe(), Arc::new(AtomicBool::new(false)));
        let (dialled, armed) = (sim.clone(), Arc::clone(&mine));
        let connector = transport::dial_with(move |endpoint: windlass::Endpoint| {
            let (sim, armed) = (dialled.clone(), Arc::clone(&armed));
            async move {
                let armed = if endpoint.host() == "mined" {
                    armed
                } else {
                    Arc::default()
                };
                Ok(PanicStream {
                    stream: sim.dial().await?,
                    armed,
                })
            }
        });
        let windlass = Windlass::builder()
            .connector(connector)
            .seed(seed())
            .start_local()
            .unwrap();
        Self { windlass, sim, mine }
    }

    async fn add(&self, name: &str) -> Gateway {
        let gateway = self.windlass.add(spec(name)).await.unwrap();
        gateway.wait_until_up(Duration::from_secs(60)).await.unwrap();
        gateway
    }

    /// Makes the mined line's actor panic, and waits until its supervisor has noticed.
    async fn blow_up(&self, mined: &Gateway) -> windlass::LineStatus {
        let mut status = mined.status();
        status.mark_unchanged();
        self.mine.store(true, Ordering::SeqCst);
        let call = mined.call("health", ()).timeout(Duration::from_secs(60));
        tokio::task::spawn_local(async move { call.await });
        status.wait_for(|status| !status.is_up()).await.unwrap().clone()
    }
}

/// How long after the time that its status announced a line came back.
async fn late(mined: &Gateway, down: &windlass::LineStatus) -> Duration {
    let due = down
        .state
        .next_attempt_at()
        .expect("a line that is down says when it tries again");
    let mut status = mined.status();
    let up = status.wait_for(windlass::LineStatus::is_up).await.unwrap().since;
    up.duration_since(due).unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn fifty_panics_of_one_line_cost_ninety_nine_others_no_call_and_no_event() {
    play(async {
        let field = Field::new();
        let mined = field.add("mined").await;
        let mut others = Vec::new();
        for n in 0..99 {
            let gateway = field.add(&format!("other-{n}")).await;
            let events = gateway.events_bounded(EventFilter::all().name("custom"), 64);
            others.push((gateway, events));
        }
        let (mut worst, mut degraded) = (Duration::ZERO, 0);
        for round in 0..50 {
            let calls: Vec<_> = others
                .iter()
                .map(|(other, _)| other.call("agents.list", ()).into_future())
                .collect();
            let calls: Vec<_> = calls.into_iter().map(tokio::task::spawn_local).collect();
            let down = field.blow_up(&mined).await;
            let reason = down.last_error.clone().unwrap().advice;
            assert!(reason.to_string().contains("the mine went off"), "{reason}");
            degraded += usize::from(matches!(down.state, LineState::Degraded { .. }));
            field.sim.emit("custom", json!({ "round": round }));
            for call in calls {
                call.await.unwrap().expect("another line's call");
            }
            worst = worst.max(late(&mined, &down).await);
        }
        assert!(
            worst <= Duration::from_millis(100),
            "up {worst:?} after the announced attempt"
        );
        assert!(degraded > 0, "fifty panics within the window must be called degraded");
        for (other, events) in &mut others {
            for round in 0..50 {
                let LineEvent::Event(event) = next(events).await else {
                    panic!("{other:?} lost something")
                };
                assert_eq!(event.payload.decode::<serde_json::Value>().unwrap()["round"], round);
            }
            assert_eq!(other.status().borrow().generation.number(), 1);
        }
        drop(others);
        field.windlass.shutdown(Duration::from_secs(1)).await;
        field
            .sim
            .wait_for(|journal| journal.open_connections() == 0)
            .await
            .unwrap();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_line_that_rests_as_degraded_is_woken_by_an_operator() {
    play(async {
        let field = Field::new();
        let mined = field.add("mined").await;
        let down = loop {
            let down = field.blow_up(&mined).await;
            if matches!(down.state, LineState::Degraded { .. }) {
                break down;
            }
            late(&mined, &down).await;
        };
        let rest = down
            .state
            .next_attempt_at()
            .unwrap()
            .duration_since(down.since)
            .unwrap_or(Duration::ZERO);
        assert_eq!(rest.as_secs(), 30);
        let start = Stopwatch::start();
        mined.reconnect_now().await.unwrap();
        mined.wait_until_up(Duration::from_secs(60)).await.unwrap();
        assert!(start.elapsed() < Duration::from_millis(100));
        field.windlass.shutdown(Duration::from_secs(1)).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_while_dialling_is_a_failure_like_any_other() {
    play(async {
        let panics = Arc::new(AtomicBool::new(true));
        let (sim, first) = (sim(Protocol::V4).start_pipe(), Arc::clone(&panics));
        let dialled = sim.clone();
        let connector = transport::dial_with(move |_| {
            let (sim, first) = (dialled.clone(), Arc::clone(&first));
            async move {
                assert!(!first.swap(false, Ordering::SeqCst), "a bug in the connector");
                sim.dial().await
            }
        });
        let windlass = Windlass::builder()
            .connector(connector)
            .seed(seed())
            .start_local()
            .unwrap();
        let gateway = windlass.add(spec("gw")).await.unwrap();
        let up = gateway.wait_until_up(Duration::from_secs(60)).await.unwrap();
        assert!(
            up.last_error
                .unwrap()
                .advice
                .to_string()
                .contains("a bug in the connector")
        );
        windlass.shutdown(Duration::from_secs(1)).await;
        sim.shutdown().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_fleet_connects_a_few_at_a_time_and_not_in_step() {
    play(async {
        let (sim, opening) = (sim(Protocol::V4).start_pipe(), Arc::new(AtomicUsize::new(0)));
        let (most, dialled) = (Arc::new(AtomicUsize::new(0)), sim.clone());
        let (open, peak) = (Arc::clone(&opening), Arc::clone(&most));
        let connector = transport::dial_with(move |_| {
            let (sim, open, peak) = (dialled.clone(), Arc::clone(&open), Arc::clone(&peak));
            async move {
                peak.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                // A network that takes its time, and less than that for which an attempt holds its place among all.
                tokio::time::sleep(Duration::from_millis(80)).await;
                open.fetch_sub(1, Ordering::SeqCst);
                sim.dial().await
            }
        });
        let builder = Windlass::builder()
            .connector(connector)
            .connect_concurrency(8)
            .seed(seed());
        let windlass = builder.start_local().unwrap();
        for n in 0..100 {
            windlass.add(spec(&format!("gw-{n}"))).await.unwrap();
        }
        let gateways = windlass.gateways();
        for gateway in &gateways {
            gateway.wait_until_up(Duration::from_secs(60)).await.unwrap();
        }
        assert_eq!(most.load(Ordering::SeqCst), 8);
        let starts: BTreeSet<_> = gateways.iter().map(|gateway| gateway.status().borrow().since).collect();
        assert!(
            starts.len() > 10,
            "all {} came up at {} moments",
            gateways.len(),
            starts.len()
        );
        drop(gateways);
        windlass.shutdown(Duration::from_secs(1)).await;
        sim.wait_for(|journal| journal.open_connections() == 0).await.unwrap();
    })
    .await;
}
