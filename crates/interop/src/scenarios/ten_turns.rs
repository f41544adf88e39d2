//! Ten messages to one session at once: each has its own answer, in order.

use std::time::Duration;

use super::kit::{Bench, TURN, answered, end_of, said_in};
use crate::{
    model::ModelRequest,
    scenario::{Ctx, Failure, Outcome, Scenario, check_eq},
};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "ten-turns",
    what: "Ten messages to one session in quick succession are answered each once, by its own answer, in order",
    // A start, and a first turn.
    deadline: Duration::from_secs(600),
    run: |ctx| Box::pin(run(ctx)),
};

const SESSION: &str = "agent:main:ten-turns";
const TURNS: usize = 10;

async fn run(ctx: &Ctx) -> Result<Outcome, Failure> {
    let bench = Bench::up(ctx).await?;
    let words: Vec<_> = (1..=TURNS).map(|turn| format!("turn {turn} of {TURNS}")).collect();
    let mut sent = Vec::new();
    for words in &words {
        let message = bench.gateway.message(SESSION.parse()?, words);
        sent.push(bench.gateway.send(message).await?);
    }
    let mut handed_on = 0;
    for (words, following) in words.iter().zip(sent) {
        let key = following.key().to_owned();
        let end = end_of(following, TURN).await?;
        let answer = answered(&format!("the answer to {words:?}"), end, &format!("echo: {words}"))?;
        handed_on += usize::from(answer.run_id != key);
    }
    check_eq("messages in the history", &said_in(&bench, SESSION).await?, &words)?;
    let asked: Vec<_> = ctx.model().log().requests().into_iter().map(words_of).collect();
    check_eq("questions to the model", &asked, &words)?;
    bench.finish().await?;
    Ok(match handed_on {
        0 => Outcome::passed(),
        count => Outcome::passed_with(format!("{count} answered by another run than the one that was started")),
    })
}

fn words_of(request: ModelRequest) -> String {
    request.words
}
