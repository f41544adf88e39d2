//! A model that has nothing to say: its message ends at once, with an empty answer or as the gateway tells it.

use std::time::Duration;

use windlass::sessions::RunEnd;

use super::kit::{Bench, TURN, answered, say};
use crate::{
    clock,
    scenario::{Ctx, Failure, Outcome, Scenario, check, check_eq},
};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "silence",
    what: "A model that says NO_REPLY ends its message at once and definitely; the session goes on",
    // A start, and a first turn.
    deadline: Duration::from_secs(600),
    run: |ctx| Box::pin(run(ctx)),
};

const SESSION: &str = "agent:main:silence";
/// Well under the 30 s for which a text that was handed on is looked for.
const SOON: Duration = Duration::from_secs(25);

async fn run(ctx: &Ctx) -> Result<Outcome, Failure> {
    let bench = Bench::up(ctx).await?;
    answered(
        "the first answer",
        say(&bench, SESSION, "first", TURN).await?,
        "echo: first",
    )?;
    let began = clock::now();
    let note = match say(&bench, SESSION, "SILENT", SOON).await? {
        RunEnd::Final(answer) => {
            // 2026.9.6 asks its model again, in words of its own, which the fake model repeats.
            check(answer.text.is_empty() || answer.text.starts_with("echo: "), || {
                format!("silence is {:?}", answer.text)
            })?;
            if answer.text.is_empty() {
                "an empty answer"
            } else {
                "answered when asked again"
            }
        }
        RunEnd::Failed(failure) => {
            check(!failure.message.is_empty(), || "a failure has no words".to_owned())?;
            "told as a failure"
        }
        end => return Err(Failure::new(format!("silence ended as {end:?}"))),
    };
    let took = clock::now().duration_since(began).as_secs_f64();
    let end = say(&bench, SESSION, "again", TURN).await?;
    let answer = answered("the answer after it", end, "echo: again")?;
    check_eq("another one's answer", &answer.joined, &false)?;
    bench.finish().await?;
    Ok(Outcome::passed_with(format!("{note} after {took:.1} s")))
}
