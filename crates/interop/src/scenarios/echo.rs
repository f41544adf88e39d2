//! A chat message reaches the fake model and its echo comes back. Needs the raw client only: it
//! proves gateway, model and configuration together.

use std::time::Duration;

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::{
    device::{Device, SignatureForm},
    model::ProvisionProgress,
    scenario::{Ctx, Failure, Outcome, Scenario, USUAL_DEADLINE, check, check_eq},
    wire::{ConnectAs, Wire},
};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "echo",
    what: "A chat message reaches the model and its answer comes back",
    deadline: USUAL_DEADLINE,
    run: |ctx| Box::pin(run(ctx)),
};

/// The first turn after a start takes 25 s on 2026.4.15, 78 s on a busy machine.
const TURN: Duration = Duration::from_secs(180);
const SEED: [u8; 32] = [1; 32];
const RUN: &str = "interop-echo-1";

async fn run(ctx: &Ctx) -> Result<Outcome, Failure> {
    let mut gateway = ctx.gateway().await?;
    let mut wire = Wire::open(gateway.url(), TURN).await?;
    let device = Device::from_seed(SEED);
    let who = ConnectAs::backend()
        .token(gateway.token().expose_secret())
        .device(&device, SignatureForm::V2);
    wire.connect(&who, TURN).await??;
    let params = json!({
        "sessionKey": "agent:main:echo", "message": "good morning", "idempotencyKey": RUN,
    });
    let started = wire.call("chat.send", params, TURN).await??;
    check_eq("runId of the answer", &started["runId"].as_str(), &Some(RUN))?;
    let last = wire.frame("the end of the turn", TURN, ends_the_run).await?;
    let text = last["payload"]["message"]["content"][0]["text"].as_str();
    check_eq("text of the final event", &text, &Some("echo: good morning"))?;
    let asked = ctx
        .model()
        .log()
        .wait_for(TURN, |r| {
            r.words == "good morning" && r.progress == ProvisionProgress::Answered
        })
        .await;
    check(asked.is_some(), || "the model was never asked".to_owned())?;
    wire.close(TURN).await?;
    gateway.stop().await?;
    Ok(Outcome::passed())
}

fn ends_the_run(frame: &Value) -> bool {
    let payload = &frame["payload"];
    let ended = ["final", "error", "aborted"]
        .map(Value::from)
        .contains(&payload["state"]);
    frame["event"] == "chat" && payload["runId"] == RUN && ended
}
