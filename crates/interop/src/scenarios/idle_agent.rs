//! An agent that has nothing to say and answers its heartbeats is seen.

use std::time::Duration;

use serde_json::json;
use windlass::agents::RunOptions;
use windlass::store::{Agent, Timestamp};

use super::kit::{Fleet, Item, LOOK, TURN, answers_of};
use crate::scenario::{Ctx, Failure, Outcome, Scenario, check};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "idle-agent",
    what: "An agent that only answers its heartbeats, whose chat events are hidden, goes on being seen",
    // A start on a busy machine, the first turn, and four minutes of heartbeats.
    deadline: Duration::from_secs(900),
    run: |ctx| Box::pin(run(ctx)),
};

/// Between two heartbeats. The store takes down activity once a minute at most, so that every third is seen.
const EVERY: Duration = Duration::from_secs(30);
/// For two heartbeats that are taken down, on a busy machine.
const SEEN_AGAIN: Duration = Duration::from_secs(240);

async fn run(ctx: &Ctx) -> Result<Outcome, Failure> {
    let mut fleet = Fleet::up(ctx, true).await?;
    let id = fleet.team.workers[0];
    let mut agent = fleet.record(id).await?;
    let every = format!("{}s", EVERY.as_secs());
    // Without a channel, 2026.9.6 does not run a heartbeat with the target `last`.
    let heartbeat = json!({"every": every, "target": "none"});
    agent.heartbeat = heartbeat.as_object().cloned().unwrap_or_default();
    fleet.store.update_agent(&agent).await?;
    fleet.service.provision(vec![id], RunOptions::default()).await?;
    let agents = [fleet.record(id).await?];
    answers_of(&mut fleet.stream, &agents, TURN).await?;
    if ctx.release().name() == SKIPPING {
        return skipped(fleet).await;
    }
    let first = seen_after(&fleet, None, SEEN_AGAIN).await?;
    let second = seen_after(&fleet, Some(first), SEEN_AGAIN).await?;
    let third = seen_after(&fleet, Some(second), SEEN_AGAIN).await?;
    let sent = fleet.service.requests.count("chat.send");
    check(sent == 1, || format!("an idle agent was woken {sent} times"))?;
    fleet.finish().await?;
    Ok(Outcome::passed_with(format!(
        "heartbeats every {every}; seen again after {} s and {} s",
        second.saturating_duration_since(first).as_secs(),
        third.saturating_duration_since(second).as_secs()
    )))
}

/// The release whose agents have an empty HEARTBEAT.md that no method writes.
const SKIPPING: &str = "2026.1.30";

/// The gateway says that it asked no model.
async fn skipped(mut fleet: Fleet) -> Result<Outcome, Failure> {
    let is_skipped = |item: Item| match item {
        Item::Event(name, payload) if name == "heartbeat" => {
            (payload["reason"] == "empty-heartbeat-file").then_some(())
        }
        _ => None,
    };
    fleet.stream.find("a skipped heartbeat", SEEN_AGAIN, is_skipped).await?;
    fleet.finish().await?;
    Ok(Outcome::not_possible(
        "the release skips heartbeats while HEARTBEAT.md is empty, and has no method to write it; provisioning warns",
    ))
}

/// Waits until the agent was seen after this.
async fn seen_after(fleet: &Fleet, before: Option<Timestamp>, within: Duration) -> Result<Timestamp, Failure> {
    let id = fleet.team.workers[0];
    let look = async {
        loop {
            let agent: Agent = fleet.record(id).await?;
            match agent.last_seen_at {
                Some(seen) if Some(seen) > before => return Ok(seen),
                _ => tokio::time::sleep(LOOK).await,
            }
        }
    };
    let found = tokio::time::timeout(within, look).await;
    found.unwrap_or_else(|_| Err(Failure::new(format!("not seen again within {} s", within.as_secs()))))
}
