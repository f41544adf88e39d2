//! Many calls at once over one line, each answered to its own caller.

use futures_util::future::try_join_all;
use serde_json::{Value, json};
use windlass::{Gateway, ReplyError};

use super::kit::{Bench, TURN};
use crate::{
    clock,
    scenario::{Ctx, Failure, Outcome, Scenario, USUAL_DEADLINE, check, check_eq},
};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "pipeline",
    what: "1,000 calls from 16 tasks are answered each to its own caller",
    deadline: USUAL_DEADLINE,
    run: |ctx| Box::pin(run(ctx)),
};

const TASKS: usize = 16;
const CALLS: usize = 1000;

async fn run(ctx: &Ctx) -> Result<Outcome, Failure> {
    let bench = Bench::up(ctx).await?;
    bench.started().await?;
    let before = bench.gateway.inspect().await?.calls.ok;
    let began = clock::now();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| tokio::spawn(many(bench.gateway.clone(), task)))
        .collect();
    let mut strangers = Vec::new();
    for task in tasks {
        strangers.extend(task.await??);
    }
    let took = clock::now().duration_since(began);
    check(strangers.is_empty(), || format!("wrong answers: {strangers:?}"))?;
    let calls = bench.gateway.inspect().await?.calls;
    check_eq("calls answered", &calls.ok, &(before + CALLS as u64))?;
    check_eq("answers to nobody", &calls.stray, &0)?;
    bench.finish().await?;
    Ok(Outcome::passed_with(format!("{:.1} s", took.as_secs_f64())))
}

/// One task's share, all of it under way at once. Returns the answers that were another caller's.
async fn many(gateway: Gateway, task: usize) -> Result<Vec<String>, ReplyError> {
    let mine = (0..CALLS).filter(|call| call % TASKS == task);
    let calls = mine.map(|call| {
        let answer = gateway.call("chat.history", json!({"sessionKey": key(call), "limit": 1}));
        let answer = answer.timeout(TURN).reply::<Value>();
        async move {
            let answer = answer.await?;
            let other = answer["sessionKey"] != key(call);
            Ok::<_, ReplyError>(other.then(|| format!("{} got {}", key(call), answer["sessionKey"])))
        }
    });
    Ok(try_join_all(calls).await?.into_iter().flatten().collect())
}

fn key(call: usize) -> String {
    format!("agent:main:pipeline-{call}")
}
