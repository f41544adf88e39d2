//! A gateway is asked to end (SIGTERM) while a run is under way.

use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;
use windlass::{
    CallError, Generation, Marker,
    protocol::{ChatEvent, ChatState, ErrorClass},
};

use super::kit::{Bench, Item, LOOK, Stream, TURN, UP, reason_of_end, wait_status};
use crate::scenario::{Ctx, Failure, Outcome, Scenario, USUAL_DEADLINE, check};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "drain",
    what: "SIGTERM during a run: what the gateway still finishes arrives, and the line is back after its start",
    deadline: USUAL_DEADLINE,
    run: |ctx| Box::pin(run(ctx)),
};

/// A run of five seconds.
const MESSAGE: &str = "SLOW:25:200";
/// How long a gateway may take to end; 2026.9.6 waits for the run.
const END: Duration = Duration::from_secs(60);

/// The items of the stream until the line was down.
#[derive(Default)]
struct Seen {
    shutdown: bool,
    last_words: Option<String>,
}

async fn run(ctx: &Ctx) -> Result<Outcome, Failure> {
    let mut bench = Bench::up(ctx).await?;
    let mut stream = Stream::of(&bench.gateway);
    let params = json!({"sessionKey": "agent:main:drain", "message": MESSAGE});
    let started = bench.ask("chat.send", params).await?;
    let run = started["runId"].as_str().unwrap_or_default().to_owned();
    let is_delta = |event: ChatEvent| (event.run_id == run && event.state == ChatState::Delta).then_some(());
    stream
        .find("the run's first words", TURN, |item| chat(item).and_then(is_delta))
        .await?;
    let ended = reason_of_end(&bench.gateway);
    bench.real.terminate()?;
    let refused = timeout(END, refused_while_ending(&bench)).await??;
    let seen = until_down(&mut stream, &run).await?;
    check(seen.shutdown, || "no shutdown event came before the close".to_owned())?;
    let why = ended.await?;
    check(why.contains("1012"), || format!("the line ended with `{why}`"))?;
    let finished = seen
        .last_words
        .as_deref()
        .is_some_and(|text| text.contains("part 25 of 25."));
    check(finished || !refused, || {
        format!("the gateway drained, but the run's end was {:?}", seen.last_words)
    })?;
    let exit = bench.real.wait_exit(END).await?;
    check(exit.is_some(), || "the gateway did not end".to_owned())?;
    bench.real.start_again().await?;
    wait_status(&bench.gateway, "the second connection", UP, |status| {
        status.is_up() && status.generation == Generation::new(2)
    })
    .await?;
    bench.ask("agents.list", json!({})).await?;
    bench.finish().await?;
    Ok(Outcome::passed_with(match (refused, finished) {
        (true, _) => "drains: new calls are refused for a while, the run's final text arrives",
        (false, true) => "the run's final text arrives",
        (false, false) => "does not drain: the run is cut off",
    }))
}

/// Calls until the ending gateway refuses one for a while (true) or the line is down (false).
async fn refused_while_ending(bench: &Bench) -> Result<bool, Failure> {
    loop {
        match bench.gateway.call("agents.list", json!({})).fail_fast().await {
            Ok(_) => tokio::time::sleep(LOOK).await,
            Err(CallError::Rejected(rejected)) if rejected.error.class() == ErrorClass::Transient => return Ok(true),
            Err(CallError::NotSent(_) | CallError::OutcomeUnknown(_)) => return Ok(false),
            Err(other) => return Err(Failure::from_error(&other)),
        }
    }
}

async fn until_down(stream: &mut Stream, run: &str) -> Result<Seen, Failure> {
    let mut seen = Seen::default();
    stream
        .find("the end of the connection", END, |item| {
            match &item {
                Item::Marker(Marker::Disconnected { .. }) => return Some(()),
                Item::Event(name, _) if name == "shutdown" => seen.shutdown = true,
                _ => {}
            }
            let event = chat(item).filter(|event| event.run_id == run && event.is_terminal())?;
            seen.last_words = Some(event.text().unwrap_or_default());
            None
        })
        .await?;
    Ok(seen)
}

fn chat(item: Item) -> Option<ChatEvent> {
    match item {
        Item::Event(name, payload) if name == "chat" => serde_json::from_value(payload).ok(),
        Item::Event(..) | Item::Marker(_) => None,
    }
}
