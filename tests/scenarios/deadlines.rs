//! A call ends by its deadline wherever it stands: in a full table, before one, on a thread that is blocked, under a process
//! that was stopped. Durations may be as long as their type has them.

use std::io;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::task::spawn_local;
use windlass::protocol::connection::BackoffPolicy;
use windlass::sessions::{RunEnd, SessionQuery};
use windlass::{
    CallError, DeviceTokenStore, GatewayId, Generation, LineState, LineStatus, NotSent, RetryPolicy, Secret, TokenKey,
    TokenStoreError, Windlass, transport,
};
use windlass_testkit::{Generation as Protocol, SimGateway};

use crate::bench::{Bench, Ongoing, Stopwatch, end, play, sim, spec};

const SECOND: Duration = Duration::from_secs(1);

/// Every kind of duration that arithmetic may stumble over.
const EXTREMES: [Duration; 6] = [
    Duration::ZERO,
    Duration::from_nanos(1),
    Duration::from_secs(100 * 365 * 86_400),
    Duration::from_secs(i64::MAX as u64),
    Duration::from_millis(u64::MAX),
    Duration::MAX,
];

/// A line with room for one call under way and two that wait.
async fn narrow() -> Bench {
    let bench = Bench::with(sim(Protocol::V4).start_pipe(), |spec| {
        spec.limits.in_flight = 1;
        spec.limits.waiting = 2;
    })
    .await;
    bench.wait_up().await;
    bench.sim.script().hold("health");
    bench
}

fn calls(bench: &Bench, count: usize, timeout: Duration) -> Vec<Ongoing> {
    (0..count)
        .map(|_| {
            let call = bench.gateway.call("health", ()).timeout(timeout);
            spawn_local(async move { call.await })
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn calls_behind_a_full_table_end_by_their_deadline() {
    play(async {
        let bench = narrow().await;
        let patient = calls(&bench, 3, SECOND * 60);
        bench.wait_requests("health", 1).await;
        let watch = Stopwatch::start();
        for hasty in calls(&bench, 2_000, SECOND / 2) {
            let error = end(hasty).await.unwrap_err();
            assert_eq!(error, NotSent::NotReady { waited: SECOND / 2 }.into());
            assert!(
                watch.elapsed() < SECOND / 2 + Duration::from_millis(5),
                "{:?}",
                watch.elapsed()
            );
        }
        bench.sim.script().clear("health");
        bench.sim.script().release("health");
        for call in patient {
            end(call).await.unwrap();
        }
        // None of those that ended was sent later.
        assert_eq!(bench.sim.journal().requests("health").len(), 3);
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_behind_a_full_table_gives_its_place_to_the_next_at_once() {
    play(async {
        let bench = narrow().await;
        let under_way = calls(&bench, 1, SECOND * 60);
        bench.wait_requests("health", 1).await;
        // More than any inbox holds.
        let dropped = calls(&bench, 3_000, SECOND * 60);
        let last = calls(&bench, 2, SECOND * 60);
        tokio::task::yield_now().await;
        let watch = Stopwatch::start();
        for call in dropped {
            call.abort();
            assert!(call.await.unwrap_err().is_cancelled());
        }
        let places = async {
            while bench.gateway.inspect().await.unwrap().waiting != 2 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(SECOND, places).await.expect("the places are free");
        assert_eq!(watch.elapsed(), Duration::ZERO);
        bench.sim.script().clear("health");
        bench.sim.script().release("health");
        for call in under_way.into_iter().chain(last) {
            end(call).await.unwrap();
        }
        assert_eq!(bench.sim.journal().requests("health").len(), 3);
        bench.finish().await;
    })
    .await;
}

/// A host's connector that blocks its thread at a gateway named `blocks`, until the other end is dropped.
fn blocking(sim: &SimGateway) -> (impl windlass::Connector + use<>, Sender<()>, Receiver<()>) {
    let (go_on, wait) = channel::<()>();
    let (blocked, told) = channel();
    let (wait, blocked, sim) = (Mutex::new(wait), Mutex::new(blocked), sim.clone());
    let connector = transport::dial_with(move |endpoint: windlass::Endpoint| {
        let blocks = endpoint.host() == "blocks";
        if blocks {
            let _ = blocked.lock().unwrap().send(());
            let _ = wait.lock().unwrap().recv();
        }
        let sim = sim.clone();
        async move {
            if blocks {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            sim.dial().await
        }
    });
    (connector, go_on, told)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_end_by_their_deadline_on_a_thread_that_is_blocked_and_are_never_sent_later() {
    let sim = sim(Protocol::V4).start_pipe();
    let (connector, go_on, blocked) = blocking(&sim);
    let windlass = Windlass::builder().connector(connector).seed(1).start().unwrap();
    let gateway = windlass.add(spec("gw")).await.unwrap();
    gateway.wait_until_up(SECOND * 30).await.unwrap();
    sim.script().hold("sessions.list");
    let call = |method: &'static str, timeout| {
        let call = gateway.call(method, ()).timeout(timeout);
        tokio::spawn(async move { call.await })
    };
    let sent = call("sessions.list", SECOND * 3);
    sim.wait_for(|journal| journal.requests("sessions.list").len() == 1)
        .await
        .unwrap();
    let adding = tokio::spawn({
        let windlass = windlass.clone();
        async move { windlass.add(spec("blocks")).await }
    });
    tokio::task::spawn_blocking(move || blocked.recv())
        .await
        .unwrap()
        .unwrap();
    let watch = Stopwatch::start();
    let unsent: Vec<_> = (0..20).map(|_| call("health", SECOND / 5)).collect();
    for call in unsent {
        let error = call.await.unwrap().unwrap_err();
        assert!(
            matches!(error, CallError::NotSent(NotSent::NotReady { .. })),
            "{error:?}"
        );
    }
    assert!(watch.elapsed() < SECOND * 2, "{:?}", watch.elapsed());
    let error = sent.await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::TimedOut(_)), "{error:?}");
    assert!(watch.elapsed() < SECOND * 5, "{:?}", watch.elapsed());
    drop(go_on);
    adding.await.unwrap().unwrap();
    gateway.call("agents.list", ()).await.unwrap();
    assert_eq!(
        sim.journal().requests("health").len(),
        0,
        "a call that had ended was sent"
    );
    windlass.shutdown(SECOND * 5).await;
    sim.shutdown().await;
}

/// A store on a disk that stands still until it is told to go on.
struct SlowTokens {
    go_on: Mutex<Receiver<()>>,
    kept: Arc<Mutex<Vec<GatewayId>>>,
}

impl DeviceTokenStore for SlowTokens {
    fn load(&self, _: &TokenKey) -> Option<Secret> {
        None
    }

    fn store(&self, key: &TokenKey, _: &Secret) -> Result<(), TokenStoreError> {
        let _ = self.go_on.lock().unwrap().recv();
        self.kept.lock().unwrap().push(key.gateway.clone());
        Ok(())
    }

    fn clear(&self, _: &TokenKey) -> Result<(), TokenStoreError> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
// A release that pairs backends, and so gives them tokens.
async fn a_slow_store_of_device_tokens_holds_up_no_line_and_has_the_token_when_all_is_over() {
    let sim = sim(Protocol::V3).release("2026.2.26").start_pipe();
    let (go_on, wait) = channel();
    let kept = Arc::new(Mutex::new(Vec::new()));
    let (connector, _, _) = blocking(&sim);
    let windlass = Windlass::builder()
        .connector(connector)
        .device_tokens(SlowTokens {
            go_on: Mutex::new(wait),
            kept: Arc::clone(&kept),
        })
        .seed(1)
        .start()
        .unwrap();
    let mut ids = Vec::new();
    for name in ["one", "two"] {
        let gateway = windlass.add(spec(name)).await.unwrap();
        gateway.wait_until_up(SECOND * 30).await.unwrap();
        gateway.call("health", ()).timeout(SECOND * 30).await.unwrap();
        ids.push(gateway.id().clone());
    }
    assert!(kept.lock().unwrap().is_empty());
    drop(go_on);
    windlass.shutdown(SECOND * 5).await;
    let mut kept = kept.lock().unwrap().clone();
    kept.sort_unstable();
    assert_eq!(kept, ids);
    sim.shutdown().await;
}

/// What an operation of this duration has to come to: nothing can be said of the shortest.
fn comes_to(extreme: Duration, success: bool) {
    if extreme.is_zero() || extreme > SECOND {
        assert_eq!(success, extreme > SECOND, "{extreme:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn calls_and_waits_take_any_duration() {
    play(async {
        let bench = Bench::up(Protocol::V4).await;
        for extreme in EXTREMES {
            let call = || bench.gateway.call("health", ()).timeout(extreme);
            comes_to(extreme, call().await.is_ok());
            let policy = RetryPolicy {
                budget: extreme,
                base: extreme,
                cap: extreme,
                jitter: f64::MAX,
            };
            bench.sim.script().hold("health");
            let retried = tokio::time::timeout(SECOND, call().retry(policy).into_future()).await;
            comes_to(extreme, retried.is_err());
            bench.sim.script().clear("health");
            bench.gateway.wait_until_up(extreme).await.unwrap();
            let sessions = bench.gateway.sessions().timeout(extreme);
            let query = SessionQuery::all().active_within(extreme);
            comes_to(extreme, sessions.list(&query).await.is_ok());
            let message = bench.gateway.message("agent:main:main".parse().unwrap(), "hello");
            let message = message.give_up_after(extreme).expires_after(extreme);
            let end = bench.gateway.send_and_wait(message).await.unwrap();
            comes_to(extreme, matches!(end, RunEnd::Final(_)));
        }
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_line_takes_any_duration_in_its_settings_and_its_end() {
    play(async {
        for extreme in EXTREMES {
            let bench = Bench::with(sim(Protocol::V4).start_pipe(), |spec| {
                spec.backoff = BackoffPolicy {
                    base: extreme,
                    young_cap: extreme,
                    young_for: extreme,
                    cap: extreme,
                    healthy_after: extreme,
                    served_after: extreme,
                    let_in_cap: extreme,
                };
                spec.intensity.window = extreme;
                spec.intensity.rest = extreme;
                spec.handshake_timeout = extreme.max(SECOND);
            })
            .await;
            bench.wait_up().await;
            bench.sim.cut_all();
            bench.wait_state(|status| !status.is_up()).await;
            bench.gateway.reconnect_now().await.unwrap();
            bench.wait_up().await;
            bench.sim.script().hold("health");
            let under_way = calls(&bench, 1, SECOND * 5);
            bench.wait_requests("health", 1).await;
            let watch = Stopwatch::start();
            bench.windlass.remove(bench.gateway.id(), extreme).await.unwrap();
            for call in under_way {
                end(call).await.unwrap_err();
            }
            assert!(watch.elapsed() <= SECOND * 6, "{:?}", watch.elapsed());
            assert!(matches!(bench.gateway.status().borrow().state, LineState::Closed));
            bench.windlass.shutdown(extreme).await;
            bench.sim.shutdown().await;
        }
    })
    .await;
}

/// A stream whose reader learns of nothing while its process is stopped, as from a system whose news were not fetched yet.
struct Stoppable {
    stream: DuplexStream,
    stopped: Arc<Mutex<(bool, Option<Waker>)>>,
}

impl AsyncRead for Stoppable {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut stopped = self.stopped.lock().unwrap();
        if stopped.0 {
            stopped.1 = Some(cx.waker().clone());
            return Poll::Pending;
        }
        drop(stopped);
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stoppable {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A process that can be stopped: its time jumps, and what came in is told a moment after its timers.
#[derive(Clone, Default)]
struct Process(Arc<Mutex<(bool, Option<Waker>)>>);

impl Process {
    fn windlass(&self, sim: &SimGateway) -> Windlass {
        let (stopped, sim) = (Arc::clone(&self.0), sim.clone());
        let connector = transport::dial_with(move |_| {
            let (stopped, sim) = (Arc::clone(&stopped), sim.clone());
            async move {
                let stream = sim.dial().await?;
                Ok(Stoppable { stream, stopped })
            }
        });
        Windlass::builder().connector(connector).seed(1).start_local().unwrap()
    }

    fn stop(&self) {
        self.0.lock().unwrap().0 = true;
    }

    async fn go_on_after(&self, time: Duration) {
        tokio::time::advance(time).await;
        tokio::time::sleep(Duration::from_millis(2)).await;
        let mut stopped = self.0.lock().unwrap();
        stopped.0 = false;
        if let Some(waker) = stopped.1.take() {
            waker.wake();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_was_stopped_looks_into_its_sockets_before_silence_and_deadlines_count() {
    play(async {
        for protocol in [Protocol::V3, Protocol::V4] {
            let (process, sim) = (Process::default(), sim(protocol).start_pipe());
            let windlass = process.windlass(&sim);
            // In the middle of a handshake.
            process.stop();
            let gateway = windlass.add(spec("gw")).await.unwrap();
            tokio::time::sleep(SECOND * 2).await;
            process.go_on_after(SECOND * 40).await;
            gateway.wait_until_up(SECOND).await.unwrap();
            // Under a call, whose answer comes meanwhile.
            sim.script().hold("health");
            let call = gateway.call("health", ()).timeout(SECOND * 5);
            let call = spawn_local(async move { call.await });
            sim.wait_for(|journal| journal.requests("health").len() == 1)
                .await
                .unwrap();
            process.stop();
            sim.script().clear("health");
            sim.script().release("health");
            process.go_on_after(SECOND * 100).await;
            end(call).await.unwrap();
            tokio::time::sleep(SECOND * 300).await;
            let status = gateway.status().borrow().clone();
            assert!(status.is_up() && status.generation == Generation::new(1), "{status:?}");
            windlass.shutdown(SECOND).await;
            sim.shutdown().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_died_while_the_process_was_stopped_is_given_up_after_a_probe() {
    play(async {
        let bench = Bench::up(Protocol::V4).await;
        bench.sim.half_open();
        tokio::time::advance(SECOND * 100).await;
        let watch = Stopwatch::start();
        bench.wait_state(|status| !status.is_up()).await;
        assert!(watch.elapsed() < SECOND * 6, "{:?}", watch.elapsed());
        bench.wait_up().await;
        bench.windlass.shutdown(SECOND).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn how_long_a_handshake_may_take_can_be_set() {
    play(async {
        let (asked, far) = (SECOND * 3, SECOND * 40);
        let slow = |sim: &SimGateway| sim.script().delay("connect", far);
        let sims = [sim(Protocol::V4).start_pipe(), sim(Protocol::V4).start_pipe()];
        sims.iter().for_each(slow);
        let [hasty, patient] = sims;
        let bench = Bench::with(hasty, |spec| spec.handshake_timeout = asked).await;
        let watch = Stopwatch::start();
        let status = bench.wait_state(|status| status.last_error.is_some()).await;
        assert!(watch.elapsed() < SECOND * 5, "{:?}", watch.elapsed());
        let summary = status.last_error.unwrap().advice.summary;
        assert!(summary.contains("within 3 s"), "{summary}");
        bench.windlass.shutdown(SECOND).await;
        bench.sim.shutdown().await;
        let bench = Bench::with(patient, |spec| spec.handshake_timeout = far * 2).await;
        bench.wait_up().await;
        bench.finish().await;
    })
    .await;
}

/// What came of ten minutes in which a gateway let its line in and cut it a second later, each time.
struct Cuts {
    answered: usize,
    read: usize,
    attempts: usize,
}

async fn cut_each_second(policy: BackoffPolicy) -> Cuts {
    const MINUTES: u32 = 10;
    let bench = Bench::with(sim(Protocol::V4).start_pipe(), |spec| spec.backoff = policy).await;
    let sim = bench.sim.clone();
    let mut status = bench.gateway.status();
    let cutting = spawn_local(async move {
        loop {
            status.wait_for(LineStatus::is_up).await.unwrap();
            tokio::time::sleep(SECOND).await;
            sim.cut_all();
            status.wait_for(|status| !status.is_up()).await.unwrap();
        }
    });
    let reads: Vec<_> = (0..MINUTES * 60)
        .map(|second| {
            let gateway = bench.gateway.clone();
            spawn_local(async move {
                tokio::time::sleep(SECOND * second).await;
                gateway.call("health", ()).timeout(SECOND * 5).await.is_ok()
            })
        })
        .collect();
    let read = reads.len();
    let mut answered = 0;
    for read in reads {
        answered += usize::from(read.await.unwrap());
    }
    cutting.abort();
    let attempts = bench.sim.journal().requests("connect").len();
    bench.windlass.shutdown(SECOND).await;
    bench.sim.shutdown().await;
    Cuts {
        answered,
        read,
        attempts,
    }
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_cuts_each_second_answers_every_read_and_is_not_hammered() {
    play(async {
        // A connection counts only when it was up for ten seconds.
        let before = BackoffPolicy {
            served_after: Duration::MAX,
            let_in_cap: SECOND * 30,
            ..BackoffPolicy::default()
        };
        let before = cut_each_second(before).await;
        let now = cut_each_second(BackoffPolicy::default()).await;
        eprintln!(
            "reads answered: {} of {} before, {} now; attempts in ten minutes: {} before, {} now",
            before.answered, before.read, now.answered, before.attempts, now.attempts
        );
        assert!(
            before.answered * 10 < before.read * 6,
            "{} of {}",
            before.answered,
            before.read
        );
        assert_eq!(now.answered, now.read);
        assert!(now.attempts <= 10 * 60, "{}", now.attempts);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_close_by_policy_of_a_line_that_was_up_is_tried_at_once_and_only_a_second_one_counts_as_a_refusal() {
    play(async {
        let bench = Bench::up(Protocol::V4).await;
        for generation in [2, 4] {
            bench.sim.close_all(1008, "some policy");
            let watch = Stopwatch::start();
            let back = |status: &LineStatus| status.is_up() && status.generation == Generation::new(generation);
            bench.wait_state(back).await;
            assert!(watch.elapsed() < SECOND, "{:?}", watch.elapsed());
            bench.sim.close_all(1008, "some policy");
            bench
                .wait_state(|status| matches!(status.state, LineState::Paused { .. }))
                .await;
            bench.gateway.reconnect_now().await.unwrap();
            bench.wait_up().await;
            // A healthy stretch.
            tokio::time::sleep(SECOND * 20).await;
        }
        bench.finish().await;
    })
    .await;
}
