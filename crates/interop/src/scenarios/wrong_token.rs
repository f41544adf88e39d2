//! A line with a wrong token says so and rests; the right one brings it up at once.

use std::time::Duration;

use serde_json::json;
use windlass::{LineState, NotSent, Secret, Windlass};

use super::kit::{Bench, UP, spec, wait_status};
use crate::scenario::{Ctx, Failure, Outcome, Scenario, USUAL_DEADLINE, check, check_eq};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "wrong-token",
    what: "A wrong token pauses the line with advice; the corrected token connects at once",
    deadline: USUAL_DEADLINE,
    run: |ctx| Box::pin(run(ctx)),
};

/// A corrected line connects without any backoff; the handshake itself takes up to a second on a
/// busy machine.
const AT_ONCE: Duration = Duration::from_secs(5);

async fn run(ctx: &Ctx) -> Result<Outcome, Failure> {
    let bench = Bench::with(ctx.gateway().await?, Windlass::start()?, |spec| {
        spec.token = Some(Secret::new("not-the-token"));
    })
    .await?;
    let is_paused = |state: &LineState| matches!(state, LineState::Paused { .. });
    let paused = wait_status(&bench.gateway, "the pause", UP, |status| is_paused(&status.state)).await?;
    let advice = paused.last_error.map(|error| error.advice);
    let advice = advice.ok_or_else(|| Failure::new("the pause has no reason"))?;
    let words = format!("{} {}", advice.summary, advice.next_step);
    check(words.to_lowercase().contains("token"), || {
        format!("the advice does not speak of the token: {words}")
    })?;
    let impatient = bench.gateway.call("agents.list", json!({})).fail_fast().await;
    check_eq(
        "a call that does not wait",
        &impatient.err(),
        &Some(NotSent::WouldWait.into()),
    )?;
    bench.windlass.update(spec(&bench.real, "line")?).await?;
    wait_status(&bench.gateway, "the line with the right token", AT_ONCE, |status| {
        status.is_up()
    })
    .await?;
    bench.ask("agents.list", json!({})).await?;
    bench.finish().await?;
    Ok(Outcome::passed())
}
