//! A host whose own code panics within Windlass: its subscriber of `tracing`, its store of device tokens, its clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use serde_json::json;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber, subscriber};
use windlass::{
    Clock, DeviceTokenStore, LineErrorKind, Secret, TokenKey, TokenStoreError, TokioClock, Windlass, transport,
};
use windlass_testkit::Generation;

use crate::bench::{TOKEN, play, seed, sim, spec};

/// A subscriber that panics over each record and span of a level.
struct Panics {
    at: Level,
    panics: Arc<AtomicUsize>,
}

impl Panics {
    fn pass(&self, level: Level) {
        if level == self.at {
            self.panics.fetch_add(1, Ordering::Relaxed);
            panic!("the host's subscriber panics");
        }
    }
}

impl Subscriber for Panics {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("windlass")
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        self.pass(*attributes.metadata().level());
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {
        self.pass(Level::DEBUG);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.pass(*event.metadata().level());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}

    fn try_close(&self, _: Id) -> bool {
        self.pass(Level::DEBUG);
        true
    }
}

/// What a line goes through in its life, with records of each level but the gravest.
async fn whole_life() {
    let gate = sim(Generation::V4).start_pipe();
    let dialled = gate.clone();
    let connector = transport::dial_with(move |_| {
        let gate = dialled.clone();
        async move { gate.dial().await }
    });
    let windlass = Windlass::builder()
        .connector(connector)
        .seed(seed())
        .start_local()
        .unwrap();
    let gateway = windlass.add(spec("gw")).await.unwrap();
    gateway.wait_until_up(Duration::from_secs(60)).await.unwrap();
    gateway.call("health", ()).await.unwrap();
    gateway.call("no.such.method", ()).await.unwrap_err();
    // A caller that goes away, and a frame that can't be read.
    gate.script().never_answer("health");
    let dropped = tokio::time::timeout(Duration::from_secs(1), gateway.call("health", ()).into_future()).await;
    assert!(dropped.is_err());
    gate.script().release("health");
    gate.emit("custom", json!({}));
    for _ in 0..3 {
        let mut status = gateway.status();
        let before = status.borrow().generation;
        gate.cut_all();
        let up = status.wait_for(|now| now.is_up() && now.generation > before);
        let up = tokio::time::timeout(Duration::from_secs(600), up)
            .await
            .unwrap()
            .unwrap()
            .clone();
        let error = up.last_error.clone().unwrap();
        assert_ne!(error.kind, LineErrorKind::Fault, "{}", error.advice);
    }
    gate.kill().await;
    let mut status = gateway.status();
    status.wait_for(|now| !now.is_up()).await.unwrap();
    let call = gateway.call("chat.send", json!({})).timeout(Duration::from_secs(5));
    call.await.unwrap_err();
    windlass.update(spec("gw")).await.unwrap();
    windlass.remove(gateway.id(), Duration::ZERO).await.unwrap();
    windlass.shutdown(Duration::from_secs(1)).await;
    gate.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_that_panics_costs_its_records_and_nothing_else() {
    play(async {
        for at in [Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE] {
            let panics = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&panics);
            let _watched = subscriber::set_default(Panics { at, panics: counted });
            whole_life().await;
            let told = panics.load(Ordering::Relaxed);
            assert!(told > 0, "{at}: {told} records");
        }
    })
    .await;
}

/// A store that panics whatever it is asked.
struct BadStore(Arc<AtomicUsize>);

impl BadStore {
    fn panics(&self) -> ! {
        self.0.fetch_add(1, Ordering::Relaxed);
        panic!("the host's store panics");
    }
}

impl DeviceTokenStore for BadStore {
    fn load(&self, _: &TokenKey) -> Option<Secret> {
        self.panics()
    }

    fn store(&self, _: &TokenKey, _: &Secret) -> Result<(), TokenStoreError> {
        self.panics()
    }

    fn clear(&self, _: &TokenKey) -> Result<(), TokenStoreError> {
        self.panics()
    }
}

/// A clock that panics at each third look, once it is told to.
struct BadClock {
    clock: TokioClock,
    armed: Arc<AtomicBool>,
    looks: AtomicUsize,
}

impl BadClock {
    fn look(&self) {
        if self.armed.load(Ordering::Relaxed) {
            let look = self.looks.fetch_add(1, Ordering::Relaxed);
            assert!(!look.is_multiple_of(3), "the host's clock panics");
        }
    }
}

impl Clock for BadClock {
    fn now(&self) -> Instant {
        self.look();
        self.clock.now()
    }

    fn wall(&self) -> SystemTime {
        self.look();
        self.clock.wall()
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_of_tokens_and_a_clock_that_panic_cost_a_line_nothing() {
    play(async {
        let (gate, asked, armed) = (
            sim(Generation::V4).start_pipe(),
            Arc::new(AtomicUsize::new(0)),
            Arc::new(AtomicBool::new(true)),
        );
        let dialled = gate.clone();
        let connector = transport::dial_with(move |_| {
            let gate = dialled.clone();
            async move { gate.dial().await }
        });
        let windlass = Windlass::builder()
            .connector(connector)
            .device_tokens(BadStore(Arc::clone(&asked)))
            .clock(BadClock {
                clock: TokioClock::start(),
                armed: Arc::clone(&armed),
                looks: AtomicUsize::new(0),
            })
            .seed(seed())
            .start_local()
            .unwrap();
        let gateway = windlass.add(spec("gw")).await.unwrap();
        for _ in 0..5 {
            let up = gateway.wait_until_up(Duration::from_secs(60)).await.unwrap();
            if let Some(error) = up.last_error {
                assert_ne!(error.kind, LineErrorKind::Fault, "{}", error.advice);
            }
            gateway.call("health", ()).await.unwrap();
            let mut other = spec("gw");
            other.token = Some(Secret::new(TOKEN));
            windlass.update(other).await.unwrap();
            let mut status = gateway.status();
            status.wait_for(|now| !now.is_up()).await.unwrap();
        }
        // At each of the five connections.
        assert!(asked.load(Ordering::Relaxed) >= 5);
        windlass.shutdown(Duration::from_secs(1)).await;
        gate.shutdown().await;
    })
    .await;
}
