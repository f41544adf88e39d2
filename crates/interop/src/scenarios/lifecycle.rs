//! A gateway is killed, started again, frozen, thawed and stopped. This scenario needs the raw
//! client only. It proves that the runner controls the process as the other scenarios assume.

use std::time::Duration;

use secrecy::ExposeSecret as _;
use serde_json::Value;

use crate::{
    process::RealGateway,
    scenario::{Ctx, Failure, Outcome, Scenario, USUAL_DEADLINE, check, check_eq},
    wire::{ConnectAs, Wire, WireError},
};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "lifecycle",
    what: "A gateway can be killed, started again, frozen, thawed and stopped",
    deadline: USUAL_DEADLINE,
    run: |ctx| Box::pin(run(ctx)),
};

const ANSWER: Duration = Duration::from_secs(30);
/// How long a frozen gateway must stay silent; a thawed one answers `health` in milliseconds.
const SILENCE: Duration = Duration::from_secs(2);

async fn run(ctx: &Ctx) -> Result<Outcome, Failure> {
    let mut gateway = ctx.gateway().await?;
    let first_pid = gateway.pid();
    let mut wire = connect(&gateway).await?;
    gateway.kill().await?;
    check_eq("close of a killed gateway", &wire.closed(ANSWER).await?.code, &1006)?;
    check_eq("process of a killed gateway", &gateway.pid(), &None)?;

    gateway.start_again().await?;
    check(gateway.pid() != first_pid, || "it kept its pid".to_owned())?;
    let mut wire = connect(&gateway).await?;
    gateway.freeze()?;
    let id = wire.request("health", Value::Null).await?;
    match wire.response(&id, SILENCE).await {
        Err(WireError::TimedOut { .. }) => {}
        other => return Err(Failure::new(format!("a frozen gateway gave {other:?}"))),
    }
    gateway.thaw()?;
    wire.response(&id, ANSWER).await??;

    stop_early(&mut gateway, &mut wire).await
}

/// Sends SIGTERM moments after the start.
///
/// 2026.4.15 and 2026.5.12 accept connections before they are wired up for an orderly stop: a
/// SIGTERM in these seconds ends them with exit 0, but without a `shutdown` event and without a
/// close frame. The others of the nine always said good-bye.
async fn stop_early(gateway: &mut RealGateway, wire: &mut Wire) -> Result<Outcome, Failure> {
    gateway.terminate()?;
    let said = wire.event("shutdown", ANSWER).await;
    let close = wire.closed(ANSWER).await?;
    let exit = gateway.wait_exit(ANSWER).await?;
    let ended = exit.is_some_and(|status| status.success());
    check(ended, || format!("after SIGTERM it ended with {exit:?}"))?;
    match (said, close.code) {
        (Ok(_), 1012) => Ok(Outcome::passed()),
        (Err(WireError::Closed { .. }), 1006) => Ok(Outcome::passed_with(
            "SIGTERM seconds after the start: exit 0, but no `shutdown` event and close 1006",
        )),
        (said, code) => Err(Failure::new(format!("it said {said:?} and closed with {code}"))),
    }
}

async fn connect(gateway: &RealGateway) -> Result<Wire, Failure> {
    let mut wire = Wire::open(gateway.url(), ANSWER).await?;
    let who = ConnectAs::backend().token(gateway.token().expose_secret());
    wire.connect(&who, ANSWER).await??;
    Ok(wire)
}
