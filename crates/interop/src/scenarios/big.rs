//! Frames of 20 MiB come through in both directions; one over the gateway's limit is never sent.

use std::time::Duration;

use serde_json::{Value, json};
use windlass::{CallError, NotSent, Windlass, protocol::KEPT_MESSAGE_BYTES};

use super::kit::{Bench, TURN, refusal};
use crate::{
    process::GatewayOptions,
    scenario::{Ctx, Failure, Outcome, Scenario, USUAL_DEADLINE, check, check_eq},
};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "big",
    what: "An answer of 20 MiB comes back whole; a frame over the gateway's limit is not sent, and the line stays",
    deadline: USUAL_DEADLINE,
    run: |ctx| Box::pin(run(ctx)),
};

const MIB: usize = 1024 * 1024;
const BIG: usize = 20 * MIB;
/// `config.get` tells the configuration at least three times: as text, as it was read, and as it is
/// in force.
const NAME: usize = 7 * MIB;
/// A gateway with a configuration of this size starts slowly.
const READY: Duration = Duration::from_secs(240);

async fn run(ctx: &Ctx) -> Result<Outcome, Failure> {
    // The display name of a model is the part of a configuration that no release looks into.
    let model = json!({
        "id": "big", "name": "n".repeat(NAME), "reasoning": false, "input": ["text"],
        "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0},
        "contextWindow": 8192, "maxTokens": 1024,
    });
    let provider = json!({
        "baseUrl": ctx.model().base_url(), "apiKey": "fake-key", "api": "openai-completions", "models": [model],
    });
    let options = GatewayOptions {
        config: json!({"models": {"providers": {"big": provider}}}),
        ready_within: READY,
        ..GatewayOptions::default()
    };
    let bench = Bench::with(ctx.gateway_with(options).await?, Windlass::start()?, |_| {}).await?;
    let before = bench.wait_up().await?.generation;
    let answer = bench.gateway.call("config.get", json!({})).timeout(TURN).await?;
    let size = answer.as_str().len();
    check(size >= BIG, || format!("config.get answered {size} bytes"))?;
    let limit = bench.hello()?.policy.max_payload;
    let mut notes = vec![format!("answer of {} MiB, limit {} KiB", size / MIB, limit / 1024)];
    if limit > BIG as u64 + MIB as u64 {
        echoed(&bench).await?;
        notes.push("20 MiB are echoed in an error".to_owned());
    }
    too_large(&bench, limit).await?;
    let after = bench.gateway.status().borrow().generation;
    check_eq("generation of the line", &after, &before)?;
    bench.finish().await?;
    Ok(Outcome::Passed { notes })
}

/// A refusal that repeats a request of 20 MiB; what is kept of its text is bounded.
async fn echoed(bench: &Bench) -> Result<(), Failure> {
    let params = json!({"agentId": "main", "name": "x".repeat(BIG)});
    let end = bench.gateway.call("agents.files.get", params).timeout(TURN).await;
    let message = refusal(&end).map(|rejected| rejected.error.message.as_str());
    let message = message.ok_or_else(|| Failure::new("a file name of 20 MiB was taken"))?;
    check_eq("kept part of the message", &message.len(), &KEPT_MESSAGE_BYTES)?;
    check(message.ends_with("xxxx"), || "the message is no echo".to_owned())
}

/// A frame over the limit ends here, before the wire.
async fn too_large(bench: &Bench, limit: u64) -> Result<(), Failure> {
    let sent = bench.gateway.inspect().await?.calls.sent;
    let bytes = usize::try_from(limit).unwrap_or(usize::MAX);
    let params = json!({"sessionKey": "agent:main:big", "message": "x".repeat(bytes)});
    let end = bench.gateway.call("chat.send", params).timeout(TURN).await;
    let refused = matches!(&end, Err(CallError::NotSent(NotSent::TooLarge { limit: told, .. })) if *told == limit);
    check(refused, || format!("a frame over the limit ended as {end:?}"))?;
    check_eq("requests sent", &bench.gateway.inspect().await?.calls.sent, &sent)?;
    let health: Value = bench.ask("health", json!({})).await?;
    check(health["ok"] == true, || format!("health answered {health}"))
}
