//! A gateway is killed with 200 calls in flight: each ends once, and the line is back in time.

use serde_json::{Value, json};
use tokio::{task::JoinSet, time::timeout};
use windlass::{CallError, Gateway, GatewaySpec, RawJson, Windlass, protocol::UnknownReason};

use super::kit::{Bench, LOOK, Restart, TURN, UP};
use crate::scenario::{Ctx, Failure, Outcome, Scenario, USUAL_DEADLINE, check, check_eq};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "kill",
    what: "A kill with 200 calls in flight ends each call once; the line is back within 1.5 s",
    deadline: USUAL_DEADLINE,
    run: |ctx| Box::pin(run(ctx)),
};

/// Calls of each of three read-only methods, which no release refuses while it starts.
const READS: usize = 50;
/// Calls of each of the two methods that do something.
const WRITES: usize = 25;
const ALL: usize = 3 * READS + 2 * WRITES;
/// Stands in every text that must never reach the model.
const MARK: &str = "lost-in-the-kill";

type Ended = (&'static str, Result<RawJson, CallError>);

async fn run(ctx: &Ctx) -> Result<Outcome, Failure> {
    // By itself a line has fewer than 200 in flight: the rest would wait, and be sent again unharmed.
    let roomy = |spec: &mut GatewaySpec| spec.limits.in_flight = ALL;
    let mut bench = Bench::with(ctx.gateway().await?, Windlass::start()?, roomy).await?;
    bench.wait_up().await?;
    // A frozen gateway takes the bytes and answers none: all calls are in flight when it is killed.
    bench.real.freeze()?;
    let mut calls = start_calls(&bench.gateway);
    all_in_flight(&bench.gateway).await?;
    bench.real.kill().await?;
    let restart = Restart::of(&mut bench).await?;
    let mut ended = Vec::new();
    let all = async {
        while let Some(end) = calls.join_next().await {
            ended.push(end?);
        }
        Ok::<_, tokio::task::JoinError>(())
    };
    timeout(TURN, all).await??;
    check_eq("calls that ended", &ended.len(), &ALL)?;
    for end in &ended {
        check_end(end)?;
    }
    let counted = bench.gateway.inspect().await?.calls;
    let (reads, writes) = (3 * READS as u64, 2 * WRITES as u64);
    let sums = (counted.resent, counted.ok, counted.unknown, counted.timed_out);
    check_eq(
        "calls sent again, answered, unknown, late",
        &sums,
        &(reads, reads, writes, 0),
    )?;
    let ran = ctx.model().log().requests();
    check(!ran.iter().any(|run| run.prompt.contains(MARK)), || {
        "a message whose outcome was told as unknown ran".to_owned()
    })?;
    restart.check()?;
    bench.finish().await?;
    Ok(Outcome::passed_with(restart.tell()))
}

fn start_calls(gateway: &Gateway) -> JoinSet<Ended> {
    let mut calls = JoinSet::new();
    let mut start = |method: &'static str, params: Value| {
        let call = gateway.call(method, params).timeout(TURN);
        calls.spawn(async move { (method, call.await) });
    };
    for _ in 0..READS {
        start("health", json!({}));
        start("agents.list", json!({}));
        start("device.pair.list", json!({}));
    }
    for number in 0..WRITES {
        start("chat.abort", json!({"sessionKey": key(number), "runId": "no-such-run"}));
        start("chat.send", json!({"sessionKey": key(number), "message": MARK}));
    }
    calls
}

async fn all_in_flight(gateway: &Gateway) -> Result<(), Failure> {
    let look = async {
        while gateway.inspect().await?.in_flight < ALL {
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    };
    timeout(UP, look).await?
}

fn check_end((method, end): &Ended) -> Result<(), Failure> {
    let fits = match (*method, end) {
        ("health", Ok(answer)) => answer.decode::<Value>()?["ok"] == true,
        ("agents.list", Ok(answer)) => answer.decode::<Value>()?["agents"].is_array(),
        ("device.pair.list", Ok(answer)) => answer.decode::<Value>()?["pending"].is_array(),
        ("chat.abort", Err(CallError::OutcomeUnknown(unknown))) => unknown.why == UnknownReason::LineLost,
        ("chat.send", Err(CallError::OutcomeUnknown(unknown))) => {
            [UnknownReason::GatewayRestarted, UnknownReason::MaybeRestarted].contains(&unknown.why)
        }
        _ => false,
    };
    check(fits, || format!("{method} ended as {end:?}"))
}

fn key(number: usize) -> String {
    format!("agent:main:kill-{number}")
}
