//! No secret is logged or shown over a line's whole life, at the finest level of the log.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use secrecy::ExposeSecret as _;
use serde_json::json;
use tokio::task::LocalSet;
use tracing::{Dispatch, instrument::WithSubscriber as _, subscriber::NoSubscriber};
use tracing_subscriber::fmt::MakeWriter;
use windlass::{
    DeviceIdentity, DeviceTokenStore as _, LineState, Secret, Windlass,
    protocol::{ClientId, ClientInfo, ClientMode, DeviceFile},
};

use super::kit::{Bench, SEED, SharedTokens, Stream, TURN, UP, run_turn, spec, wait_status};
use crate::scenario::{Ctx, Failure, Outcome, Scenario, USUAL_DEADLINE, check};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "secrets",
    what: "No token, device key, device token or message text is in the log at its finest level, or in any status",
    deadline: USUAL_DEADLINE,
    run: |ctx| Box::pin(run(ctx)),
};

const WRONG: &str = "wrong-token-51d07e";
const MESSAGE: &str = "message-text-c0ffee";

/// All that is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

async fn run(ctx: &Ctx) -> Result<Outcome, Failure> {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    // Where there is one subscriber only, the thread that comes first to a place of the log decides for all threads
    // whether it is logged: the lines of a scenario that is played at the same time would say no.
    let _second = Dispatch::new(NoSubscriber::default());
    // The lines run inside this future here, so that its own subscriber sees all they log.
    let tasks = LocalSet::new();
    let life = tasks.run_until(Box::pin(whole_life(ctx)));
    let (secrets, shown) = life.with_subscriber(subscriber).await?;
    let text = log.text();
    check(text.contains("line up") && text.contains("TRACE"), || {
        "the log was not caught at its finest level".to_owned()
    })?;
    for (name, secret) in &secrets {
        check(!secret.is_empty() && !text.contains(secret), || {
            format!("the log holds the {name}")
        })?;
        check(!shown.contains(secret), || format!("a status holds the {name}"))?;
    }
    let names: Vec<_> = secrets.iter().map(|(name, _)| *name).collect();
    Ok(Outcome::passed_with(format!("looked for: {}", names.join(", "))))
}

/// Connects, chats, is rejected, loses the gateway, comes back, is refused. Returns the secrets
/// that took part, and everything that was shown meanwhile.
async fn whole_life(ctx: &Ctx) -> Result<(Vec<(&'static str, String)>, String), Failure> {
    let tokens = SharedTokens::default();
    let windlass = Windlass::builder().device_tokens(tokens.clone()).start_local()?;
    // The command line's client: its local devices are paired, and given a token of their own.
    let mut bench = Bench::with(ctx.gateway().await?, windlass, |spec| {
        spec.client = ClientInfo::new(ClientId::Cli, ClientMode::Cli, "1.0.0", "linux");
    })
    .await?;
    bench.wait_up().await?;
    let mut stream = Stream::of(&bench.gateway);
    run_turn(&bench, &mut stream, "agent:main:secrets", MESSAGE, TURN).await?;
    let token = bench.real.token().expose_secret().to_owned();
    let unknown = bench.gateway.call("no.such.method", json!({"token": token})).await;
    let mut shown = vec![format!("{unknown:?}")];
    bench.real.kill().await?;
    bench.real.start_again().await?;
    let up = bench.wait_up().await?;
    shown.push(format!("{up:?} {:?} {:?}", bench.windlass, bench.gateway));
    let mut wrong = spec(&bench.real, "line")?;
    let key = wrong.token_key();
    let device_token = tokens.load(&key).map(|token| token.expose().to_owned());
    wrong.token = Some(Secret::new(WRONG));
    wrong.device = Some(Arc::new(DeviceIdentity::from_seed([43; 32])));
    shown.push(format!("{wrong:?}"));
    // Or the device token that is kept would connect in place of the wrong one.
    tokens.clear(&key)?;
    bench.windlass.update(wrong).await?;
    let is_paused = |state: &LineState| matches!(state, LineState::Paused { .. });
    let paused = wait_status(&bench.gateway, "the pause", UP, |status| is_paused(&status.state)).await?;
    shown.push(format!("{paused:?}"));
    bench.finish().await?;
    let mut secrets = vec![
        ("token", token),
        ("wrong token", WRONG.to_owned()),
        ("message text", MESSAGE.to_owned()),
        ("device key", device_key()?),
    ];
    let device_token = device_token.ok_or_else(|| Failure::new("no device token was issued"))?;
    secrets.push(("device token", device_token));
    Ok((secrets, shown.concat()))
}

/// The private key as it stands in a device file.
fn device_key() -> Result<String, Failure> {
    let identity = DeviceIdentity::from_seed(SEED);
    let file = DeviceFile {
        identity,
        created_at_ms: 0,
    };
    let file: serde_json::Value = serde_json::from_str(file.render()?.expose())?;
    let pem = file["privateKeyPem"].as_str().unwrap_or_default();
    Ok(pem.lines().nth(1).unwrap_or_default().to_owned())
}
