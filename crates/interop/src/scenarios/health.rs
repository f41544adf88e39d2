//! A gateway starts and answers `health`. Needs the raw client only: it proves the frame itself.

use std::time::Duration;

use secrecy::ExposeSecret as _;
use serde_json::Value;

use crate::{
    scenario::{Ctx, Failure, Outcome, Scenario, USUAL_DEADLINE, check},
    wire::{ConnectAs, Wire},
};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "health",
    what: "A gateway starts and answers `health`",
    deadline: USUAL_DEADLINE,
    run: |ctx| Box::pin(run(ctx)),
};

/// The first answers of a fresh gateway come while it still loads its plugins.
const ANSWER: Duration = Duration::from_secs(30);

async fn run(ctx: &Ctx) -> Result<Outcome, Failure> {
    let mut gateway = ctx.gateway().await?;
    let mut wire = Wire::open(gateway.url(), ANSWER).await?;
    let who = ConnectAs::backend().token(gateway.token().expose_secret());
    let hello = wire.connect(&who, ANSWER).await??;
    let health = wire.call("health", Value::Null, ANSWER).await??;
    check(health["ok"] == true, || format!("health answered {health}"))?;
    wire.close(ANSWER).await?;
    gateway.stop().await?;
    let server = hello["server"]["version"].as_str().unwrap_or("nothing");
    Ok(Outcome::passed_with(format!(
        "protocol {}, calls itself `{server}`",
        hello["protocol"]
    )))
}
