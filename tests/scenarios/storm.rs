//! Connections that break at random, under load: the promises hold whatever the seed.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;
use windlass::CallError;
use windlass_testkit::{Generation as Protocol, RestartKind, SideEffect};

use crate::bench::{Bench, chat, play, seed};

/// Breaks in one storm.
const BREAKS: u32 = 150;

/// How the calls of a storm ended, by outcome.
type Ends = HashMap<&'static str, u32>;

/// One caller: reads, keyed messages and creations in turn, until told to stop.
async fn caller(gateway: windlass::Gateway, name: usize, stop: Rc<Cell<bool>>) -> Ends {
    let mut ends = Ends::new();
    for n in 0.. {
        if stop.get() {
            return ends;
        }
        let call = match n % 3 {
            0 => gateway.call("health", ()),
            1 => gateway.call("chat.send", chat(&format!("message {name}-{n}"))),
            _ => gateway.call(
                "agents.create",
                json!({ "name": format!("agent {name} {n}"), "workspace": "/w" }),
            ),
        };
        let end = call.timeout(Duration::from_secs(20)).await;
        if n % 3 == 0 {
            assert!(
                !matches!(end, Err(CallError::OutcomeUnknown(_))),
                "a read has no unknown outcome"
            );
        }
        *ends.entry(outcome(&end)).or_default() += 1;
        // Virtual time passes only where somebody waits for it.
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    ends
}

fn outcome(end: &Result<windlass::RawJson, CallError>) -> &'static str {
    match end {
        Ok(_) => "ok",
        Err(CallError::Rejected(_)) => "rejected",
        Err(CallError::NotSent(_)) => "not sent",
        Err(CallError::OutcomeUnknown(_)) => "unknown",
        Err(_) => "timed out",
    }
}

async fn break_it(bench: &Bench, rng: &mut StdRng) {
    match rng.random_range(0..8) {
        0 => bench.sim.restart(RestartKind::Clean),
        1 => {
            bench.sim.kill().await;
            tokio::time::sleep(Duration::from_millis(rng.random_range(0..3000))).await;
            bench.sim.start_again().await;
        }
        2 => bench.sim.close_all(4001, "gateway policy changed"),
        3 => bench.sim.script().once().drop_connection_before_answer("chat.send"),
        4 => bench
            .sim
            .script()
            .once()
            .drop_connection_before_execution("agents.create"),
        _ => bench.sim.cut_all(),
    }
}

async fn storm(protocol: Protocol, seed: u64) -> Ends {
    let bench = Bench::up(protocol).await;
    let mut rng = StdRng::seed_from_u64(seed);
    let stop = Rc::new(Cell::new(false));
    let callers: Vec<_> = (0..8)
        .map(|name| tokio::task::spawn_local(caller(bench.gateway.clone(), name, Rc::clone(&stop))))
        .collect();
    for _ in 0..BREAKS {
        tokio::time::sleep(Duration::from_millis(rng.random_range(1..400))).await;
        break_it(&bench, &mut rng).await;
    }
    stop.set(true);
    let mut ends = Ends::new();
    for caller in callers {
        for (outcome, count) in caller.await.expect("no caller is left without an end") {
            *ends.entry(outcome).or_default() += count;
        }
    }
    let twice = executed_twice(&bench.sim.journal().effects());
    assert_eq!(
        twice,
        Vec::<String>::new(),
        "executed twice, with seed {seed} on {protocol:?}"
    );
    bench.finish().await;
    ends
}

fn executed_twice(effects: &[SideEffect]) -> Vec<String> {
    let mut seen = HashMap::<String, u32>::new();
    for effect in effects {
        let what = match effect {
            SideEffect::ChatRun { message, .. } => format!("chat {message}"),
            SideEffect::AgentCreated { agent_id, .. } => format!("agent {agent_id}"),
            _ => continue,
        };
        *seen.entry(what).or_default() += 1;
    }
    seen.into_iter()
        .filter(|(_, count)| *count > 1)
        .map(|(what, _)| what)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_hundred_and_fifty_breaks_cost_no_end_and_double_nothing() {
    play(async {
        let first = seed();
        for seed in first..first + 2 {
            for protocol in [Protocol::V3, Protocol::V4] {
                let ends = storm(protocol, seed).await;
                assert!(ends["ok"] > 500, "seed {seed}: {ends:?}");
                eprintln!("seed {seed} {protocol:?}: {ends:?}");
            }
        }
    })
    .await;
}
