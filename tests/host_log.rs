//! The log of a host that takes everything at the level trace, but for the one filter that the documentation asks for.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use log::{LevelFilter, Log, Metadata, Record};
use serde_json::json;
use tokio::task::LocalSet;
use windlass::{DeviceIdentity, Endpoint, GatewayId, GatewaySpec, Secret, Windlass, transport};
use windlass_testkit::SimGateway;

const TOKEN: &str = "gateway-token-7f3a90c2";
const MESSAGE: &str = "message-text-c0ffee";

/// Takes every record, but for those of the WebSocket library at the level trace.
struct HostLog {
    filtered: AtomicUsize,
    texts: Mutex<Vec<String>>,
}

static LOG: HostLog = HostLog {
    filtered: AtomicUsize::new(0),
    texts: Mutex::new(Vec::new()),
};

impl Log for HostLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() < log::Level::Trace || !metadata.target().starts_with("tungstenite")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let text = format!("{} {}", record.target(), record.args());
            self.texts.lock().unwrap().push(text);
        } else {
            self.filtered.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn flush(&self) {}
}

#[tokio::test(start_paused = true)]
async fn one_filter_keeps_frames_and_tokens_out_of_a_hosts_trace_log() {
    log::set_logger(&LOG).unwrap();
    log::set_max_level(LevelFilter::Trace);
    assert!(!transport::log_takes_frames(), "the filter is seen");
    assert!(
        log::STATIC_MAX_LEVEL == LevelFilter::Trace,
        "the library leaves the host's trace level alone"
    );
    LocalSet::new().run_until(talk()).await;
    log::trace!("the host's own record");
    let texts = LOG.texts.lock().unwrap();
    assert!(texts.iter().any(|text| text.ends_with("the host's own record")));
    // The frames were written and read under this filter: without it they would be in the log.
    assert!(LOG.filtered.load(Ordering::Relaxed) > 0);
    let found: Vec<_> = texts.iter().filter(|text| holds_a_secret(text)).collect();
    assert!(found.is_empty(), "{found:#?}");
}

/// As text, or as the bytes that the library writes of a frame.
fn holds_a_secret(text: &str) -> bool {
    [TOKEN, MESSAGE].iter().any(|secret| {
        let hex = secret.bytes().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        text.contains(secret) || text.contains(&hex)
    })
}

async fn talk() {
    let sim = SimGateway::builder().token(TOKEN).start_pipe();
    let dialled = sim.clone();
    let connector = transport::dial_with(move |_| {
        let sim = dialled.clone();
        async move { sim.dial().await }
    });
    let windlass = Windlass::builder().connector(connector).seed(1).start_local().unwrap();
    let mut spec = GatewaySpec::new(GatewayId::new("gw").unwrap(), Endpoint::parse("ws://gw").unwrap());
    spec.token = Some(Secret::new(TOKEN));
    spec.device = Some(Arc::new(DeviceIdentity::from_seed([7; 32])));
    let gateway = windlass.add(spec).await.unwrap();
    let message = json!({"sessionKey": "agent:main:main", "message": MESSAGE, "idempotencyKey": "k"});
    gateway.call("chat.send", message).await.unwrap();
    windlass.shutdown(std::time::Duration::ZERO).await;
    sim.shutdown().await;
}
