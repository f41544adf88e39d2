//! Frames of 20 MiB come through in both directions; one over the gateway's limit is never sent.

use serde_json::{Value, json};
use windlass::{CallError, NotSent, protocol::KEPT_MESSAGE_BYTES};

use super::kit::{Bench, TURN, refusal};
use crate::scenario::{Ctx, Failure, Outcome, Scenario, USUAL_DEADLINE, check, check_eq};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "big",
    what: "An answer of 20 MiB comes back whole; a frame over the gateway's limit is not sent, and the line stays",
    deadline: USUAL_DEADLINE,
    run: |ctx| Box::pin(run(ctx)),
};

const MIB: usize = 1024 * 1024;
const BIG: usize = 20 * MIB;
/// The file that is written and read.
const FILE: &str = "MEMORY.md";
/// `config.get` tells the configuration at least three times: as text, as it was read, and as it is
/// in force.
const NAME: usize = 7 * MIB;

async fn run(ctx: &Ctx) -> Result<Outcome, Failure> {
    let mut bench = Bench::up(ctx).await?;
    let limit = bench.hello()?.policy.max_payload;
    too_large(&bench, limit).await?;
    let mut notes = vec![format!("takes {} KiB", limit / 1024)];
    if limit > (BIG + MIB) as u64 {
        echoed(&bench).await?;
        notes.push("repeats 20 MiB in an error".to_owned());
    }
    match by_file(&bench, limit).await? {
        Some(size) => notes.push(format!("gives back a file of {} MiB", size / MIB)),
        None => notes.push(format!(
            "tells {} MiB of configuration",
            by_config(&mut bench).await? / MIB
        )),
    }
    bench.finish().await?;
    Ok(Outcome::Passed { notes })
}

/// Writes and reads a file of 20 MiB, where the gateway takes one. Tells the size of the answer.
async fn by_file(bench: &Bench, limit: u64) -> Result<Option<usize>, Failure> {
    if limit < (BIG + MIB) as u64 {
        return Ok(None);
    }
    let content = "m".repeat(BIG);
    let params = json!({"agentId": "main", "name": FILE, "content": content});
    let written = bench.gateway.call("agents.files.set", params).timeout(TURN).await;
    let read = match written {
        Ok(_) => {
            let params = json!({"agentId": "main", "name": FILE});
            bench.gateway.call("agents.files.get", params).timeout(TURN).await
        }
        refused => refused,
    };
    if refusal(&read).is_some() {
        return Ok(None);
    }
    let read = read?;
    let size = read.as_str().len();
    // A release may leave out a text that is too long for it, without an error.
    let whole = read.decode::<Value>()?["file"]["content"].as_str() == Some(content.as_str());
    Ok(whole.then_some(size))
}

/// Reads a configuration so long that its answer is. Tells the size of the answer.
async fn by_config(bench: &mut Bench) -> Result<usize, Failure> {
    bench.real.stop().await?;
    // The display name of a model is the part of a configuration that no release looks into.
    let model = json!({
        "id": "big", "name": "n".repeat(NAME), "reasoning": false, "input": ["text"],
        "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0},
        "contextWindow": 8192, "maxTokens": 1024,
    });
    let provider = json!({
        "baseUrl": "http://127.0.0.1:9", "apiKey": "fake-key", "api": "openai-completions", "models": [model],
    });
    bench
        .real
        .merge_config(&json!({"models": {"providers": {"big": provider}}}))?;
    bench.real.start_again().await?;
    bench.wait_up().await?;
    let before = bench.gateway.status().borrow().generation;
    let answer = bench.gateway.call("config.get", json!({})).timeout(TURN).await?;
    let size = answer.as_str().len();
    check(size >= BIG, || format!("config.get answered {size} bytes"))?;
    let after = bench.gateway.status().borrow().generation;
    check_eq("generation of the line", &after, &before)?;
    Ok(size)
}

/// A refusal that repeats a request of 20 MiB. The stored part of its text is bounded.
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
    let before = bench.gateway.status().borrow().generation;
    let bytes = usize::try_from(limit).unwrap_or(usize::MAX);
    let params = json!({"sessionKey": "agent:main:big", "message": "x".repeat(bytes)});
    let end = bench.gateway.call("chat.send", params).timeout(TURN).await;
    let refused = matches!(&end, Err(CallError::NotSent(NotSent::TooLarge { limit: told, .. })) if *told == limit);
    check(refused, || format!("a frame over the limit ended as {end:?}"))?;
    check_eq("requests sent", &bench.gateway.inspect().await?.calls.sent, &sent)?;
    let after = bench.gateway.status().borrow().generation;
    check_eq("generation of the line", &after, &before)?;
    let health: Value = bench.ask("health", json!({})).await?;
    check(health["ok"] == true, || format!("health answered {health}"))
}
