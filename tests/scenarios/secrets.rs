//! Secrets stay where they belong.
//!
//! Whatever any scenario logs, at the level where everything is logged, goes through [`LogWatch`].

use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex};

use serde_json::json;
use windlass::{GatewaySpec, Header, Secret};
use windlass_testkit::{Generation as Protocol, RestartKind};

use crate::bench::{Bench, TOKEN, chat, device, play, sim, spec};

const WRONG: &str = "wrong-token-51d07e";
const HEADER: &str = "header-secret-88aa";
/// What is said where it must not be found.
pub(crate) const MESSAGE: &str = "message-text-c0ffee";

static SECRETS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let file = windlass::protocol::DeviceFile {
        identity: device(),
        created_at_ms: 0,
    }
    .render()
    .unwrap();
    let keys = serde_json::from_str::<serde_json::Value>(file.expose()).unwrap();
    let body = keys["privateKeyPem"]
        .as_str()
        .unwrap()
        .lines()
        .nth(1)
        .unwrap()
        .to_owned();
    vec![TOKEN.into(), WRONG.into(), HEADER.into(), MESSAGE.into(), body]
});

fn assert_clean(text: &str) {
    for secret in SECRETS.iter() {
        assert!(!text.contains(secret), "{secret} was found");
    }
}

static TRACED: AtomicUsize = AtomicUsize::new(0);
static FOUND: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Reads every line that the program logs, and keeps those that hold a secret.
pub(crate) struct LogWatch;

impl LogWatch {
    /// Watches the whole process from now on.
    pub(crate) fn start() {
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(|| Self)
            .finish();
        // Another scenario may have started it already.
        let _ = tracing::subscriber::set_global_default(subscriber);
    }

    /// Fails the test if any scenario so far has logged a secret.
    pub(crate) fn assert_clean() {
        let found = FOUND.lock().unwrap();
        assert!(found.is_empty(), "secrets were logged: {found:#?}");
    }
}

impl Write for LogWatch {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line = String::from_utf8_lossy(bytes);
        TRACED.fetch_add(usize::from(line.contains("TRACE")), Ordering::Relaxed);
        if SECRETS.iter().any(|secret| line.contains(secret)) {
            FOUND.lock().unwrap().push(line.into_owned());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn guarded(spec: &mut GatewaySpec) {
    spec.headers
        .push(Header::new("cf-access-client-secret", HEADER).unwrap());
    spec.token_in_query = true;
}

#[tokio::test(start_paused = true)]
async fn nothing_secret_is_logged_over_a_lines_whole_life() {
    play(async {
        for protocol in [Protocol::V3, Protocol::V4] {
            let bench = Bench::with(sim(protocol).start_pipe(), guarded).await;
            bench.wait_up().await;
            bench.gateway.call("chat.send", chat(MESSAGE)).await.unwrap();
            bench
                .gateway
                .call("no.such.method", json!({ "token": TOKEN }))
                .await
                .unwrap_err();
            bench.sim.restart(RestartKind::Clean);
            bench.wait_state(|status| !status.is_up()).await;
            bench.wait_up().await;
            let mut wrong = spec("gw");
            guarded(&mut wrong);
            wrong.token = Some(Secret::new(WRONG));
            bench.windlass.update(wrong).await.unwrap();
            let paused = bench.wait_state(|status| status.state.name() == "paused").await;
            assert_clean(&format!("{paused:?} {:?} {:?}", bench.windlass, bench.gateway));
            bench.finish().await;
        }
    })
    .await;
    assert!(
        TRACED.load(Ordering::Relaxed) > 0,
        "the log was watched at its finest level"
    );
}

#[test]
fn nothing_secret_is_shown_for_debugging() {
    let mut spec = spec("gw");
    guarded(&mut spec);
    spec.password = Some(Secret::new(WRONG));
    assert_clean(&format!("{spec:?} {spec:#?}"));
}
