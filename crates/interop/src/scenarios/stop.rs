//! A command that the gateway itself executes: `stop` ends a run, and the message with the command.

use std::time::Duration;

use serde_json::json;
use windlass::{protocol::run::CommandDone, sessions::RunEnd};

use super::kit::{Bench, Item, Stream, TURN, answered, say};
use crate::{
    clock,
    scenario::{Ctx, Failure, Outcome, Scenario, check, check_eq},
};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "stop",
    what: "A message that is a command (stop, /stop, abort) ends at once, is sent once and stops what runs; /status is answered",
    // A start, and a first turn.
    deadline: Duration::from_secs(600),
    run: |ctx| Box::pin(run(ctx)),
};

/// An idle machine answers in milliseconds, a busy one in seconds.
const AT_ONCE: Duration = Duration::from_secs(20);

async fn run(ctx: &Ctx) -> Result<Outcome, Failure> {
    let bench = Bench::up(ctx).await?;
    answered(
        "the first answer",
        say(&bench, "agent:main:first", "first", TURN).await?,
        "echo: first",
    )?;
    let began = clock::now();
    for words in ["stop", "STOP", "/stop", "abort"] {
        let nothing = CommandDone {
            aborted: Some(false),
            run_ids: Vec::new(),
        };
        let end = say(&bench, "agent:main:stop", words, AT_ONCE).await?;
        check_eq(words, &end, &RunEnd::Command(nothing))?;
    }
    let took = clock::now().duration_since(began);
    stop_another_ones_run(&bench).await?;
    let end = say(&bench, "agent:main:stop", "/status", TURN).await?;
    let RunEnd::Final(status) = end else {
        return Err(Failure::new(format!("/status ended as {end:?}")));
    };
    check(!status.text.is_empty(), || "/status has no answer".to_owned())?;
    check_eq("what reached the model", &ctx.model().log().count(), &2)?;
    bench.finish().await?;
    Ok(Outcome::passed_with(format!(
        "four commands in {:.1} s",
        took.as_secs_f64()
    )))
}

/// A run that another client began.
async fn stop_another_ones_run(bench: &Bench) -> Result<(), Failure> {
    const RUN: &str = "interop-stop-1";
    let params = json!({"sessionKey": "agent:main:long", "message": "SLOW:200:200"});
    let call = bench.gateway.call("chat.send", params).idempotency_key(RUN);
    let mut events = Stream::of(&bench.gateway);
    call.await?;
    let speaks = |item| match item {
        Item::Event(name, chat) => (name == "chat" && chat["runId"] == RUN && chat["state"] == "delta").then_some(()),
        Item::Marker(_) => None,
    };
    events.find("the first words", TURN, speaks).await?;
    drop(events);
    let end = say(bench, "agent:main:long", "stop", AT_ONCE).await?;
    let RunEnd::Command(done) = end else {
        return Err(Failure::new(format!("stop ended as {end:?}")));
    };
    check_eq("the run that was stopped", &done.run_ids, &vec![RUN.to_owned()])
}
