//! A message is sent and its answer waited for; another one's text is followed as it grows.

use std::time::Duration;

use super::kit::{Bench, TURN, Told, answered, end_of, said_in, say, slow_answer};
use crate::scenario::{Ctx, Failure, Outcome, Scenario, check_eq};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "send-and-wait",
    what: "Send-and-wait gives a run's exact text; the increments of a run of 400 pieces are its text, without doubles \
           or holes",
    // A start, and a first turn.
    deadline: Duration::from_secs(600),
    run: |ctx| Box::pin(run(ctx)),
};

const SESSION: &str = "agent:main:send-and-wait";
const PIECES: usize = 400;
/// Between two pieces, so that the run takes 4 s: gateways tell of it at most every 150 ms.
const PAUSE_MS: usize = 10;

async fn run(ctx: &Ctx) -> Result<Outcome, Failure> {
    let bench = Bench::up(ctx).await?;
    let end = say(&bench, SESSION, "how are you", TURN).await?;
    answered("the answer", end, "echo: how are you")?;
    let increments = follow_long_run(&bench).await?;
    let said = said_in(&bench, SESSION).await?;
    check_eq(
        "messages in the history",
        &said,
        &vec!["how are you".to_owned(), long_words()],
    )?;
    check_eq("questions to the model", &ctx.model().log().count(), &2)?;
    bench.finish().await?;
    Ok(Outcome::passed_with(format!("{increments} increments")))
}

fn long_words() -> String {
    format!("SLOW:{PIECES}:{PAUSE_MS}")
}

async fn follow_long_run(bench: &Bench) -> Result<usize, Failure> {
    let message = bench.gateway.message(SESSION.parse()?, long_words());
    let mut following = bench.gateway.send(message).await?;
    let mut told = Told::default();
    told.until(&mut following, TURN, |_| false).await?;
    let answer = answered("the long answer", end_of(following, TURN).await?, &slow_answer(PIECES))?;
    check_eq("the increments put together", &told.text, &answer.text)?;
    check_eq("replacements and holes", &(told.replaced, told.holes), &(0, 0))?;
    Ok(told.increments)
}
