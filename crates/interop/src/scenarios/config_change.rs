//! Changes of a gateway's configuration that close its connections: the line comes back by itself.

use std::time::Duration;

use serde_json::{Value, json};
use windlass::Generation;

use super::kit::{Bench, Patched, Stream, UP, patch_config, reason_of_end, wait_status};
use crate::scenario::{Ctx, Failure, Outcome, Scenario, USUAL_DEADLINE, check};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "config-change",
    what: "A configuration change that restarts the gateway or changes its policy: the line comes back by itself",
    deadline: USUAL_DEADLINE,
    run: |ctx| Box::pin(run(ctx)),
};

/// How long after a change a gateway may close: 2.05 s is the longest that was measured.
const NOTICE: Duration = Duration::from_secs(8);
/// And how long where it said that it will: 2026.9.6 waits for the requests that it has, on a busy machine for over 8 s.
const ANNOUNCED: Duration = Duration::from_secs(60);
/// A second restart for one change comes 1.5 s after the first (2026.1.30).
const QUIET: Duration = Duration::from_secs(3);

async fn run(ctx: &Ctx) -> Result<Outcome, Failure> {
    let bench = Bench::up(ctx).await?;
    let mut stream = Stream::of(&bench.gateway);
    let changes = [
        (
            "controlUi.basePath",
            json!({"gateway": {"controlUi": {"basePath": "/ui"}}}),
        ),
        ("trustedProxies", json!({"gateway": {"trustedProxies": ["192.0.2.1"]}})),
    ];
    let (mut notes, mut closed) = (Vec::new(), false);
    for (name, change) in changes {
        let how = make(&bench, &mut stream, &change).await?;
        closed |= how.is_some();
        notes.push(format!("{name}: {}", how.as_deref().unwrap_or("taken without a close")));
    }
    bench.finish().await?;
    if closed {
        Ok(Outcome::Passed { notes })
    } else {
        Ok(Outcome::not_possible("takes both changes without closing a connection"))
    }
}

/// Makes one change. Returns how the connection was closed, if it was.
async fn make(bench: &Bench, stream: &mut Stream, change: &Value) -> Result<Option<String>, Failure> {
    let before = bench.gateway.status().borrow().generation;
    let ended = reason_of_end(&bench.gateway);
    let answer = match patch_config(bench, change).await? {
        Patched::Done(answer) => answer.unwrap_or_default(),
        Patched::Refused(why) => return Err(Failure::new(format!("{change} was refused: {why}"))),
    };
    // The gateway's own word that it will restart: up to 2026.3.13, and from 2026.6.11 on.
    let announced = answer["restart"].is_object() || answer["sentinel"]["payload"]["stats"]["requiresRestart"] == true;
    let within = if announced { ANNOUNCED } else { NOTICE };
    let closed = stream.down(within).await.is_ok();
    check(closed || !announced, || {
        "a restart was announced and did not come".to_owned()
    })?;
    if !closed {
        ended.abort();
        return Ok(None);
    }
    let reason = ended.await?;
    let after = Generation::new(before.number() + 1);
    wait_status(&bench.gateway, "the line's return", UP, |status| {
        status.is_up() && status.generation >= after
    })
    .await?;
    while announced && stream.down(QUIET).await.is_ok() {
        bench.wait_up().await?;
    }
    bench.ask("agents.list", json!({})).await?;
    Ok(Some(reason))
}
