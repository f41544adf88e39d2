//! One fault, under one load, on one generation.

use std::rc::Rc;
use std::time::Duration;

use serde_json::json;
use tokio::task::LocalSet;
use windlass::{Clock as _, EventFilter, Gateway, LineStatus, TokioClock, Windlass, transport};
use windlass_testkit::chaos::ChaosProxy;
use windlass_testkit::{Generation, SideEffect, SimGateway};

use super::case::Case;
use super::fleet::Fleet;
use super::load::{Load, Work};
use super::observer::Observer;
use super::oracle::{Verdict, words};
use crate::bench::{TOKEN, sim, spec};

/// Between two pulses, at first and later.
const PULSE: Duration = Duration::from_millis(500);
const SLOW_PULSE: Duration = Duration::from_secs(5);
/// Pulses that come fast.
const FAST: u64 = 40;
/// How long the gateway has been running.
const AGE: Duration = Duration::from_secs(600);
/// Longer than any line pauses when nobody does anything.
const PATIENCE: Duration = Duration::from_secs(3600);

pub(super) struct Cell {
    pub(super) case: Case,
    pub(super) load: Load,
    pub(super) generation: Generation,
    pub(super) seed: u64,
}

/// What came of it.
pub(super) struct Outcome {
    /// Connections that were lost.
    pub(super) breaks: u64,
    /// What callers were told.
    pub(super) words: Vec<&'static str>,
}

type Count = std::cell::Cell<u64>;

/// Everything of one cell.
struct Stage {
    windlass: Windlass,
    gateway: Gateway,
    proxy: ChaosProxy,
    sim: SimGateway,
    /// For the load that provisions.
    fleet: Option<Fleet>,
    /// Pulses so far.
    pulses: Rc<Count>,
    /// Connections that the proxy keeps for good.
    frozen: Count,
}

impl Cell {
    pub(super) fn name(&self) -> String {
        format!("{} / {} / {:?}", self.case.name, self.load.name(), self.generation)
    }

    /// Plays it on a runtime of its own, or tells which promises were broken, and how.
    pub(super) fn play(&self) -> Result<Outcome, String> {
        let clock = TokioClock::start();
        let begun = clock.now();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        let played = runtime.block_on(LocalSet::new().run_until(self.scenario()));
        let left = runtime.metrics().num_alive_tasks();
        let (outcome, mut verdict, trace) = played;
        verdict.holds(left == 0, || format!("{left} tasks are left"));
        if super::wanted().is_some_and(|wanted| wanted != "all" && !wanted.ends_with("/3")) {
            let took = clock.now().saturating_duration_since(begun);
            eprintln!(
                "{} ({took:?}): {} breaks, {:?}\n{trace}\n",
                self.name(),
                outcome.breaks,
                outcome.words
            );
        }
        if verdict.0.is_empty() {
            return Ok(outcome);
        }
        Err(format!(
            "{} (seed {}): {}\n{trace}",
            self.name(),
            self.seed,
            verdict.0.join("; ")
        ))
    }

    async fn scenario(&self) -> (Outcome, Verdict, String) {
        let stage = self.set().await;
        let observer = Observer::default();
        let events = stage.gateway.events_bounded(EventFilter::all().snapshots(), 100_000);
        let watching = tokio::task::spawn_local(observer.clone().watch(events));
        let pulse = tokio::task::spawn_local(pulse(stage.sim.clone(), Rc::clone(&stage.pulses)));
        let mut verdict = Verdict::default();
        let work = self.weather(&stage, &mut verdict).await;
        let status = stage.recover(&mut verdict).await;
        pulse.abort();
        stage.last_pulse(&observer, &mut verdict).await;
        self.judge(&stage, &work, &observer, &status, &mut verdict).await;
        let outcome = Outcome {
            breaks: stage.breaks(),
            words: words(&work).into_iter().collect(),
        };
        let trace = trace(&stage, &work, &observer);
        verdict.holds(!trace.contains(TOKEN), || "a secret is in the trace".into());
        drop(work);
        watching.abort();
        let _ = watching.await;
        stage.strike(&mut verdict).await;
        (outcome, verdict, trace)
    }

    async fn set(&self) -> Stage {
        let sim = sim(self.generation).seed(self.seed).start_pipe();
        let dialled = sim.clone();
        let proxy = ChaosProxy::builder().seed(self.seed).pipe(move || {
            let sim = dialled.clone();
            async move { sim.dial().await }
        });
        let front = proxy.clone();
        let connector = transport::dial_with(move |_| {
            let proxy = front.clone();
            async move { proxy.dial().await }
        });
        let windlass = Windlass::builder()
            .connector(connector)
            .seed(self.seed)
            .start_local()
            .unwrap();
        let gateway = windlass.add(spec("gw")).await.unwrap();
        gateway.wait_until_up(PATIENCE).await.unwrap();
        // A gateway that started a moment ago can't be told from one that started again (generation 3).
        tokio::time::sleep(AGE).await;
        self.load.prepare(&sim);
        let fleet = match self.load {
            Load::Provisioning => Some(Fleet::new(&windlass).await),
            _ => None,
        };
        Stage {
            windlass,
            gateway,
            proxy,
            sim,
            fleet,
            pulses: Rc::default(),
            frozen: Count::default(),
        }
    }

    /// Load, fault, and calm again.
    async fn weather(&self, stage: &Stage, verdict: &mut Verdict) -> Work {
        let fault = async {
            if !self.case.after.is_zero() {
                tokio::time::sleep(self.case.after).await;
            }
            if self.case.freezes() {
                stage.frozen.set(stage.proxy.connections() as u64);
            }
            self.case.happen(&stage.proxy, &stage.sim);
            tokio::time::sleep(self.case.lasts).await;
            stage.proxy.calm();
        };
        let load = self.load.carry(&stage.gateway, stage.fleet.as_ref());
        let both = async { tokio::join!(fault, load).1 };
        if let Ok(work) = tokio::time::timeout(PATIENCE * 2, both).await {
            return work;
        }
        verdict.holds(false, || "the load did not end within two hours".into());
        stage.proxy.calm();
        Work::default()
    }

    async fn judge(&self, stage: &Stage, work: &Work, observer: &Observer, status: &LineStatus, verdict: &mut Verdict) {
        let (journal, items) = (stage.sim.journal(), observer.items());
        verdict.calls(self, work, &journal);
        verdict.events(self, &items);
        if self.load == Load::Subscribed {
            verdict.declared(&items, status.generation.number());
        }
        if let Some(fleet) = &stage.fleet {
            stage.provisioned(fleet, verdict).await;
        }
    }
}

impl Stage {
    /// Connections that were let in, but for the first one of each line. (Agents are provisioned over a line of their own.)
    fn breaks(&self) -> u64 {
        let lines = 1 + u64::from(self.fleet.is_some());
        self.proxy.traffic().let_in.saturating_sub(lines)
    }

    /// Waits until the line is up and answers.
    async fn recover(&self, verdict: &mut Verdict) -> LineStatus {
        let health = self.gateway.call("health", ()).timeout(PATIENCE).await;
        verdict.holds(health.is_ok(), || format!("the line did not recover: {health:?}"));
        // What is declared is loaded a moment after the line is up.
        tokio::time::sleep(Duration::from_secs(60)).await;
        let status = self.gateway.status().borrow().clone();
        verdict.holds(status.is_up(), || format!("the line is {}", status.state));
        status
    }

    async fn last_pulse(&self, observer: &Observer, verdict: &mut Verdict) {
        let last = emit(&self.sim, &self.pulses);
        let seen = async {
            while !observer.has_seen(last) {
                tokio::time::sleep(PULSE).await;
            }
        };
        let seen = tokio::time::timeout(Duration::from_secs(60), seen).await.is_ok();
        verdict.holds(seen, || "events don't come any more".into());
    }

    /// A second run makes whole what the first one left, a third one finds nothing to do.
    async fn provisioned(&self, fleet: &Fleet, verdict: &mut Verdict) {
        let second = fleet.provision().await;
        verdict.holds(second.all_done(), || format!("the agents are not done: {second:#?}"));
        let before = self.sim.journal().effects().len();
        let third = fleet.provision().await;
        verdict.holds(third.all_done() && third.changed().count() == 0, || {
            format!("there was something left to do: {third:#?}")
        });
        let effects = self.sim.journal().effects();
        verdict.holds(effects.len() == before, || {
            "a run with nothing to do did something".into()
        });
        let mut created: Vec<_> = effects
            .iter()
            .filter_map(|effect| match effect {
                SideEffect::AgentCreated { agent_id } => Some(agent_id),
                _ => None,
            })
            .collect();
        created.sort_unstable();
        let all = created.len();
        created.dedup();
        verdict.holds(created.len() == all && all == 3, || {
            format!("agents were made: {created:?}")
        });
    }

    /// 6: everything ends, and nothing is left.
    async fn strike(self, verdict: &mut Verdict) {
        let left = self.gateway.inspect().await.unwrap();
        let counts = (left.in_flight, left.waiting, left.subscribers, left.topics);
        verdict.holds(counts == (0, 0, 0, 0), || {
            format!("calls, subscribers or topics are left: {counts:?}")
        });
        drop(self.fleet);
        self.windlass.shutdown(Duration::from_secs(1)).await;
        drop((self.windlass, self.gateway));
        // Connections that were frozen end with the proxy only.
        let open = async {
            let mut logged = self.proxy.logged();
            let frozen = usize::try_from(self.frozen.get()).unwrap();
            while self.proxy.connections() > frozen {
                let _ = logged.changed().await;
            }
        };
        let closed = tokio::time::timeout(Duration::from_secs(60), open).await;
        verdict.holds(closed.is_ok(), || "a connection is left".into());
        self.proxy.shutdown().await;
        let closed = self.sim.wait_for(|journal| journal.open_connections() == 0).await;
        verdict.holds(closed.is_ok(), || "the gateway has a connection left".into());
        self.sim.shutdown().await;
    }
}

/// Numbered events, fast at first.
async fn pulse(sim: SimGateway, pulses: Rc<Count>) {
    loop {
        let n = emit(&sim, &pulses);
        tokio::time::sleep(if n < FAST { PULSE } else { SLOW_PULSE }).await;
    }
}

fn emit(sim: &SimGateway, pulses: &Count) -> u64 {
    let n = pulses.get() + 1;
    pulses.set(n);
    sim.emit("pulse", json!({ "n": n }));
    n
}

/// What happened, for people.
fn trace(stage: &Stage, work: &Work, observer: &Observer) -> String {
    let log: Vec<_> = stage.proxy.log().iter().map(ToString::to_string).collect();
    let status = stage.gateway.status().borrow().clone();
    let calls: Vec<_> = work
        .calls
        .iter()
        .take(8)
        .map(|call| format!("{:?} {} after {:?}", call.what, call.word(), call.took))
        .collect();
    format!(
        "{}\nline: {:?}\ncalls: {calls:?}\nrun: {:?}\nstream: {:?}",
        log.join("\n"),
        status.last_error,
        work.run,
        compact(&observer.items())
    )
}

/// The stream without pulses that follow each other.
fn compact(items: &[super::observer::Item]) -> Vec<String> {
    use super::observer::Item;
    let mut shown = Vec::new();
    let mut last = None;
    for item in items {
        if let Item::Pulse(Some(n)) = item {
            let follows = last.replace(*n).is_some_and(|last| *n == last + 1);
            if follows {
                continue;
            }
        }
        shown.push(format!("{item:?}"));
    }
    shown
}
