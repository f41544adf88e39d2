//! Secrets stay where they belong.

use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;
use windlass::{GatewaySpec, Header, Secret};
use windlass_testkit::{Generation as Protocol, RestartKind};

use crate::bench::{Bench, TOKEN, chat, device, play, sim, spec};

/// All that is logged, at the level where everything is.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

const WRONG: &str = "wrong-token-51d07e";
const HEADER: &str = "header-secret-88aa";
const MESSAGE: &str = "message-text-c0ffee";

fn secrets() -> Vec<String> {
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
}

fn assert_clean(text: &str) {
    for secret in secrets() {
        assert!(!text.contains(&secret), "{secret} was found");
    }
}

fn guarded(spec: &mut GatewaySpec) {
    spec.headers
        .push(Header::new("cf-access-client-secret", HEADER).unwrap());
    spec.token_in_query = true;
}

/// The WebSocket library logs whole frames, and the upgrade's headers, at the trace level of the `log` crate. That level
/// is compiled out, for the whole program, by a feature that this project turns on.
#[test]
fn the_level_at_which_frames_would_be_logged_is_compiled_out() {
    assert!(log::STATIC_MAX_LEVEL < log::LevelFilter::Trace);
}

#[tokio::test(start_paused = true)]
async fn nothing_secret_is_logged_over_a_lines_whole_life() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
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
    drop(guard);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        log.contains("line up") && log.contains("TRACE"),
        "the log was caught at its finest level"
    );
    assert_clean(&log);
}

#[test]
fn nothing_secret_is_shown_for_debugging() {
    let mut spec = spec("gw");
    guarded(&mut spec);
    spec.password = Some(Secret::new(WRONG));
    assert_clean(&format!("{spec:?} {spec:#?}"));
}
