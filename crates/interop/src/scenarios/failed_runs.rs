//! The model refuses: the message ends with one typed failure, in bounded time, and the session goes on.

use std::time::Duration;

use windlass::sessions::RunEnd;

use super::kit::{Bench, TURN, answered, say};
use crate::{
    clock,
    scenario::{Ctx, Failure, Outcome, Scenario, check, check_eq},
};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "failed-runs",
    what: "A run whose model answers HTTP 400 or 500 ends as one failure, never as an answer and never in silence",
    // Two failures, each within its bound, a start, and a first turn.
    deadline: Duration::from_secs(900),
    run: |ctx| Box::pin(run(ctx)),
};

/// How long a failure may take: releases try a model that answers 500 again for more than a minute.
const FAILS_WITHIN: Duration = Duration::from_secs(240);

async fn run(ctx: &Ctx) -> Result<Outcome, Failure> {
    let bench = Bench::up(ctx).await?;
    // The first turn after a start is slow for reasons of its own.
    answered(
        "the first answer",
        say(&bench, "agent:main:first", "first", TURN).await?,
        "echo: first",
    )?;
    let mut notes = Vec::new();
    for status in [400, 500] {
        let session = format!("agent:main:http-{status}");
        let began = clock::now();
        let end = say(&bench, &session, &format!("HTTP:{status}"), FAILS_WITHIN).await?;
        let took = clock::now().duration_since(began).as_secs_f64();
        let RunEnd::Failed(failure) = end else {
            return Err(Failure::new(format!("a run with HTTP {status} ended as {end:?}")));
        };
        check(!failure.message.trim().is_empty(), || {
            "a failure has no words".to_owned()
        })?;
        check_eq("what would repair it", &failure.repair, &None)?;
        notes.push(format!("HTTP {status}: known by {:?} after {took:.0} s", failure.sign));
        let end = say(&bench, &session, "again", TURN).await?;
        answered(&format!("the answer after HTTP {status}"), end, "echo: again")?;
    }
    bench.finish().await?;
    Ok(Outcome::Passed { notes })
}
