//! The events of one chat run, from its first words to its end.

use super::kit::{Bench, Stream, TURN, run_turn};
use crate::scenario::{Ctx, Failure, Outcome, Scenario, USUAL_DEADLINE, check, check_eq};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "stream",
    what: "A chat run is seen from its first words to its final text",
    deadline: USUAL_DEADLINE,
    run: |ctx| Box::pin(run(ctx)),
};

const PARTS: usize = 30;
/// Slow enough for several deltas: gateways send one at most every 150 ms.
const PAUSE_MS: usize = 60;

async fn run(ctx: &Ctx) -> Result<Outcome, Failure> {
    let bench = Bench::up(ctx).await?;
    let mut stream = Stream::of(&bench.gateway);
    let message = format!("SLOW:{PARTS}:{PAUSE_MS}");
    let turn = run_turn(&bench, &mut stream, "agent:main:stream", &message, TURN).await?;
    let parts: Vec<_> = (1..=PARTS).map(|part| format!("part {part} of {PARTS}.")).collect();
    check_eq("the final text", &turn.text.trim(), &parts.join(" ").as_str())?;
    check(turn.deltas.len() > 2, || {
        format!("only these deltas came: {:?}", turn.deltas)
    })?;
    for pair in turn.deltas.windows(2) {
        check(pair[1].starts_with(&pair[0]), || {
            format!("a delta is not cumulative: {:?} after {:?}", pair[1], pair[0])
        })?;
    }
    let last = turn.deltas.last().map(|text| text.trim()).unwrap_or_default();
    check(turn.text.starts_with(last), || {
        format!("the last delta is no part of the final text: {last:?}")
    })?;
    let note = if last == turn.text.trim() {
        "the last delta is the whole text"
    } else {
        "the last delta is shorter than the final text"
    };
    bench.finish().await?;
    Ok(Outcome::passed_with(note))
}
