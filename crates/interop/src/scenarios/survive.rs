//! A killed gateway comes back: the event stream says so in its place, and a chat run works.

use windlass::{Generation, Marker};

use super::kit::{Bench, Stream, TURN, UP, millis_between, run_turn, since_epoch, start_measured};
use crate::scenario::{Ctx, Failure, Outcome, Scenario, USUAL_DEADLINE, check, check_eq};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "survive",
    what: "An event stream outlives a kill, with markers, and a chat run works after it",
    deadline: USUAL_DEADLINE,
    run: |ctx| Box::pin(run(ctx)),
};

async fn run(ctx: &Ctx) -> Result<Outcome, Failure> {
    let mut bench = Bench::up(ctx).await?;
    let mut stream = Stream::of(&bench.gateway);
    let turn = run_turn(&bench, &mut stream, "agent:main:before", "before", TURN).await?;
    check_eq("the answer before the kill", &turn.text.trim(), &"echo: before")?;
    bench.real.kill().await?;
    let down = stream.marker("the end of the connection", UP).await?;
    let first = Generation::new(1);
    check_eq("first marker", &down, &Marker::Disconnected { generation: first })?;
    let accepted = start_measured(&mut bench.real).await?;
    let up = stream.marker("the next connection", UP).await?;
    let back = Marker::Reconnected {
        generation: Generation::new(2),
        gateway_restarted: Some(true),
    };
    check_eq("second marker", &up, &back)?;
    let lag = millis_between(accepted, since_epoch(bench.wait_up().await?.since));
    check(lag <= 1500, || {
        format!("the line was up {lag} ms after the gateway accepted")
    })?;
    let turn = run_turn(&bench, &mut stream, "agent:main:after", "after", TURN).await?;
    check_eq("the answer after the kill", &turn.text.trim(), &"echo: after")?;
    bench.finish().await?;
    Ok(Outcome::passed_with(format!(
        "up {lag} ms after a raw client was accepted"
    )))
}
