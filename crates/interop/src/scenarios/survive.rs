//! A killed gateway comes back: the event stream says so in its place, and a chat run works.

use windlass::Generation;

use super::kit::{Bench, Restart, Stream, TURN, UP, run_turn};
use crate::scenario::{Ctx, Failure, Outcome, Scenario, USUAL_DEADLINE, check_eq};

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
    check_eq(
        "the connection that ended",
        &stream.down(UP).await?,
        &Generation::new(1),
    )?;
    let restart = Restart::of(&mut bench).await?;
    let back = (Generation::new(2), Some(true));
    check_eq("the next connection", &stream.back(UP).await?, &back)?;
    restart.check()?;
    let turn = run_turn(&bench, &mut stream, "agent:main:after", "after", TURN).await?;
    check_eq("the answer after the kill", &turn.text.trim(), &"echo: after")?;
    bench.finish().await?;
    Ok(Outcome::passed_with(restart.tell()))
}
