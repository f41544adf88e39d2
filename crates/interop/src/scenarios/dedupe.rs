//! The answer to a message is lost. The message is sent again if the gateway proves that it knows
//! the key, and is run once in any case.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use windlass::{CallError, Generation, Windlass, protocol::UnknownReason};

use super::kit::{ANSWER, Bench, Stream, TURN, UP, Verdict, Way, tapped, turn_of, wait_status};
use crate::{
    model::ProvisionProgress,
    scenario::{Ctx, Failure, Outcome, Scenario, USUAL_DEADLINE, check, check_eq},
};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "dedupe",
    what: "A chat message whose answer is lost runs once, sent again or not",
    deadline: USUAL_DEADLINE,
    run: |ctx| Box::pin(run(ctx)),
};

const KEY: &str = "interop-dedupe-1";
const WORDS: &str = "only once";

async fn run(ctx: &Ctx) -> Result<Outcome, Failure> {
    let windlass = Windlass::builder().connector(tapped(cut_first_answer())).start()?;
    let bench = Bench::with(ctx.gateway().await?, windlass, |_| {}).await?;
    bench.wait_up().await?;
    let mut stream = Stream::of(&bench.gateway);
    let tells_boot = bench.hello()?.server.boot_id.is_some();
    let params = json!({"sessionKey": "agent:main:dedupe", "message": WORDS});
    let send = || {
        let call = bench.gateway.call("chat.send", params.clone());
        call.idempotency_key(KEY).timeout(ANSWER)
    };
    let end = send().await;
    wait_status(&bench.gateway, "the second connection", UP, |status| {
        status.is_up() && status.generation == Generation::new(2)
    })
    .await?;
    let resent = bench.gateway.inspect().await?.calls.resent;
    let note = match end {
        Ok(answer) if tells_boot => {
            check_eq("calls sent again", &resent, &1)?;
            check_eq(
                "runId of the answer",
                &answer.decode::<Value>()?["runId"].as_str(),
                &Some(KEY),
            )?;
            "sent again with the same key by Windlass"
        }
        Err(CallError::OutcomeUnknown(unknown)) if !tells_boot => {
            check_eq(
                "why the outcome is unknown",
                &unknown.why,
                &UnknownReason::MaybeRestarted,
            )?;
            // The caller's decision; the gateway does know the key.
            let again: Value = send().await?.decode()?;
            check_eq("runId of the answer", &again["runId"].as_str(), &Some(KEY))?;
            "does not prove that it was not restarted, so the caller is told and may send again"
        }
        other => return Err(Failure::new(format!("chat.send ended as {other:?}"))),
    };
    once(ctx, &bench, &mut stream).await?;
    bench.finish().await?;
    Ok(Outcome::passed_with(note))
}

/// A watch that cuts both connections when the gateway answers the first `chat.send`.
fn cut_first_answer() -> impl Fn(Way, &str) -> Verdict + Send + Sync + 'static {
    let cut = AtomicBool::new(false);
    move |way, text| {
        let Ok(frame) = serde_json::from_str::<Value>(text) else {
            return Verdict::Pass;
        };
        let answers = way == Way::ToLine && frame["type"] == "res" && frame["payload"]["runId"] == KEY;
        if answers && !cut.swap(true, Ordering::Relaxed) {
            Verdict::Cut
        } else {
            Verdict::Pass
        }
    }
}

/// Proves that the message ran once: a later message on another session is answered, and the model
/// saw the first one's words in one request only.
async fn once(ctx: &Ctx, bench: &Bench, stream: &mut Stream) -> Result<(), Failure> {
    let log = ctx.model().log();
    let answered = log
        .wait_for(TURN, |run| {
            run.words == WORDS && run.progress == ProvisionProgress::Answered
        })
        .await;
    check(answered.is_some(), || "the message never reached the model".to_owned())?;
    let params = json!({"sessionKey": "agent:main:later", "message": "later"});
    let started = bench.ask("chat.send", params).await?;
    turn_of(stream, started["runId"].as_str().unwrap_or_default(), TURN).await?;
    let runs = log.requests().iter().filter(|run| run.words == WORDS).count();
    check_eq("runs of the message", &runs, &1)
}
