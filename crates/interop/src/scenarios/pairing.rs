//! A device from elsewhere waits to be paired, is approved by an operator, and then has a token of
//! its own.
//!
//! A connection counts as remote when a trusted proxy says so, hence the forwarded header and
//! `gateway.trustedProxies`. 2026.3.13 then takes plain loopback for remote too, so the operator's
//! own device is paired before the proxy is configured.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use windlass::{
    DeviceIdentity, DeviceTokenStore as _, Gateway, GatewaySpec, Header, LineState, LineStatus, Windlass,
    protocol::{ClientId, ClientInfo, ClientMode},
};

use super::kit::{Bench, SharedTokens, UP, ask, spec, wait_status, wait_up};
use crate::{
    process::RealGateway,
    scenario::{Ctx, Failure, Outcome, Scenario, USUAL_DEADLINE, check},
};

/// Between two looks for the device token.
const LOOK: Duration = Duration::from_millis(20);

pub(super) const SCENARIO: Scenario = Scenario {
    name: "pairing",
    what: "A remote device waits for its pairing, comes up when it is approved, and keeps a token of its own",
    deadline: USUAL_DEADLINE,
    run: |ctx| Box::pin(run(ctx)),
};

const GUEST: &str = "guest";
const GUEST_SEED: [u8; 32] = [42; 32];
/// An address of the range for documentation.
const ELSEWHERE: &str = "203.0.113.7";
/// A line that is told to reconnect does so at once.
const AT_ONCE: Duration = Duration::from_secs(10);

async fn run(ctx: &Ctx) -> Result<Outcome, Failure> {
    let tokens = SharedTokens::default();
    let windlass = Windlass::builder().device_tokens(tokens.clone()).start()?;
    // The command line's client: its local devices are paired without asking.
    let mut bench = Bench::with(ctx.gateway().await?, windlass, |spec| {
        spec.client = ClientInfo::new(ClientId::Cli, ClientMode::Cli, "1.0.0", "linux");
    })
    .await?;
    bench.wait_up().await?;
    bench.real.stop().await?;
    let proxied = json!({"gateway": {"trustedProxies": ["127.0.0.1"]}});
    bench.real.merge_config(&proxied)?;
    bench.real.start_again().await?;
    bench.wait_up().await?;

    let guest = bench.windlass.add(guest_spec(&bench.real)?).await?;
    let is_paused = |state: &LineState| matches!(state, LineState::Paused { .. });
    let paused = wait_status(&guest, "the pause", UP, |status| is_paused(&status.state)).await?;
    let advice = paused.last_error.map(|error| error.advice);
    let words = advice.map_or(String::new(), |advice| {
        format!("{} {}", advice.summary, advice.next_step)
    });
    let request = pending_request(&bench).await?;
    check(words.contains(&request), || {
        format!("the advice does not name request {request}: {words}")
    })?;
    bench.ask("device.pair.approve", json!({"requestId": request})).await?;
    guest.reconnect_now().await?;
    wait_status(&guest, "the paired line", AT_ONCE, LineStatus::is_up).await?;
    // A line goes up without waiting for its token to be kept.
    let key = guest_spec(&bench.real)?.token_key();
    let kept = async {
        while tokens.load(&key).is_none() {
            tokio::time::sleep(LOOK).await;
        }
    };
    let kept = tokio::time::timeout(AT_ONCE, kept).await;
    check(kept.is_ok(), || {
        "no device token was kept after the approval".to_owned()
    })?;
    by_device_token_alone(&bench, &guest).await?;
    bench.finish().await?;
    Ok(Outcome::passed())
}

/// A line that the gateway takes for one from elsewhere.
fn guest_spec(real: &RealGateway) -> Result<GatewaySpec, Failure> {
    let mut spec = spec(real, GUEST)?;
    spec.device = Some(Arc::new(DeviceIdentity::from_seed(GUEST_SEED)));
    spec.headers = vec![Header::new("x-forwarded-for", ELSEWHERE)?];
    Ok(spec)
}

/// The id of the guest's request, as the operator sees it.
async fn pending_request(bench: &Bench) -> Result<String, Failure> {
    let list = bench.ask("device.pair.list", json!({})).await?;
    let guest = DeviceIdentity::from_seed(GUEST_SEED);
    let rows = list["pending"].as_array();
    let row = rows.and_then(|rows| rows.iter().find(|row| row["deviceId"] == guest.device_id()));
    let id = row.and_then(|row| row["requestId"].as_str());
    id.map(str::to_owned)
        .ok_or_else(|| Failure::new(format!("the request is not listed: {list}")))
}

/// The same line without the gateway's token: only the device token is left to connect with.
async fn by_device_token_alone(bench: &Bench, guest: &Gateway) -> Result<(), Failure> {
    let mut spec = guest_spec(&bench.real)?;
    spec.token = None;
    let before = guest.status().borrow().generation;
    bench.windlass.update(spec).await?;
    wait_status(guest, "the line by its device token", UP, |status| {
        status.is_up() && status.generation > before
    })
    .await?;
    wait_up(guest).await?;
    let agents: Value = ask(guest, "agents.list", json!({})).await?;
    check(agents["agents"].is_array(), || format!("agents.list answered {agents}"))
}
