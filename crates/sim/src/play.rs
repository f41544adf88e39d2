//! One run: a world is set up, played to its end, and judged.

mod watch;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::task::{LocalSet, spawn_local};
use windlass::sessions::Outbox;
use windlass::store::MemoryStore;
use windlass::{GatewayId, GatewaySpec, Windlass};

use self::watch::Watch;
use crate::cast::{Agents, CallRecord, MessageRecord, call_all, is_whole, meddle, register_all, speak_all};
use crate::clock::WorldClock;
use crate::oracle::{self, Broken, ExecutedWork, Promise, Verdict};
use crate::site::{AGE, Door, Site, connector};
use crate::tally::Tally;
use crate::trace::{self, Line, Trace, note};
use crate::world::{Ending, HiddenData, Plan, World};
use crate::{panics, records};

/// Longer than any pause of a line without orders, and longer than any call or message may take.
const PATIENCE: Duration = Duration::from_secs(3600);
/// All that a run may take.
const WHOLE: Duration = Duration::from_secs(24 * 3600);
/// This long after the lines are up, topics are loaded and resumed runs are over.
const SETTLES: Duration = Duration::from_secs(60);

/// Whether a trace is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Only the broken guarantees. One world in twenty is traced nevertheless, to look for secrets.
    Verdict,
    /// With the trace.
    Trace,
}

/// The result of a run.
#[derive(Debug)]
pub struct WorldResult {
    /// Promises that were not kept.
    pub broken: Vec<Broken>,
    /// The steps of the run, if the trace was requested.
    pub trace: Trace,
    /// How much happened.
    pub tally: Tally,
}

/// Plays a world on this thread, in virtual time.
///
/// # Panics
/// When the system gives no runtime.
pub fn play(world: &World, detail: Detail) -> WorldResult {
    panics::watch();
    let traced = detail == Detail::Trace || world.logged;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime of one thread");
    let mut verdict = Verdict::default();
    let mut tally = Tally::default();
    let mut lines = Vec::new();
    let run = || {
        runtime.block_on(async {
            let mut local = LocalSet::new();
            let whole = tokio::time::timeout(WHOLE, local.run_until(scenario(world, traced)));
            match whole.await {
                Ok(end) => {
                    (verdict.0, tally, lines) = end;
                }
                Err(_) => verdict.holds(Promise::Alive, false, || "the run does not end".into()),
            }
            // A set of tasks is over when each of them is.
            let over = tokio::time::timeout(PATIENCE, &mut local).await;
            verdict.holds(Promise::NothingLeft, over.is_ok(), || {
                "tasks are left on the thread".into()
            });
        });
    };
    let ended = catch_unwind(AssertUnwindSafe(run));
    let left = runtime.metrics().num_alive_tasks();
    verdict.holds(Promise::NothingLeft, left == 0, || format!("{left} tasks are left"));
    verdict.holds(Promise::Alive, ended.is_ok(), || "the run itself panicked".into());
    for told in panics::take() {
        verdict.holds(Promise::Alive, false, || {
            format!("a panic that nobody injected: {told}")
        });
    }
    lines.extend(trace::end());
    lines.sort_by_key(|line| line.at);
    if traced {
        oracle::secrets(&mut verdict, &lines);
    }
    WorldResult {
        broken: verdict.0,
        trace: Trace(lines),
        tally,
    }
}

/// All of one run.
struct Stage {
    clock: WorldClock,
    windlass: Windlass,
    sites: Vec<Site>,
    provisioner: Option<Agents>,
}

/// The results of the work at a site.
#[derive(Default)]
struct Work {
    called: Vec<CallRecord>,
    said: Vec<MessageRecord>,
}

async fn scenario(world: &World, traced: bool) -> (Vec<Broken>, Tally, Vec<Line>) {
    let clock = WorldClock::start();
    if traced {
        trace::begin(clock);
    }
    let mut verdict = Verdict::default();
    let stage = Stage::set(world, clock).await;
    let watches = join_all(
        stage
            .sites
            .iter()
            .zip(&world.sites)
            .map(|(site, plan)| Watch::begin(site, plan)),
    )
    .await;
    let pulses: Vec<_> = stage
        .sites
        .iter()
        .zip(&world.sites)
        .map(|(site, plan)| spawn_local(pulse(site.clone(), plan.pulse)))
        .collect();
    let works = stage.fault_schedule(world, &mut verdict).await;
    for pulse in pulses {
        pulse.abort();
    }
    let whole = world.ending == Ending::Calm;
    if whole {
        stage.recover(&mut verdict).await;
    }
    for (number, (watch, work)) in watches.into_iter().zip(&works).enumerate() {
        let site = &stage.sites[number];
        watch.judge(site, world, number, whole, &mut verdict).await;
        let (executed, wire) = (ExecutedWork::of(site.sim()), world.wire(number));
        oracle::calls(&mut verdict, site.name(), &work.called, &executed, wire);
        oracle::messages(
            &mut verdict,
            site.name(),
            &work.said,
            &executed,
            (wire.hides, world.is_calm(number)),
        );
    }
    if whole {
        if !world.registering.is_empty() {
            is_whole(&stage.windlass, &stage.one_more(), PATIENCE, &mut verdict).await;
        }
        stage.provision_again(world, &mut verdict).await;
    }
    let tally = tally(&stage, &works);
    let sites = stage.sites.iter().map(|site| site.door.clone()).collect::<Vec<_>>();
    stage.strike(whole, &mut verdict).await;
    let lines = if traced { records::of(&sites) } else { Vec::new() };
    (verdict.0, tally, lines)
}

fn tally(stage: &Stage, works: &[Work]) -> Tally {
    let mut tally = Tally::default();
    for (site, work) in stage.sites.iter().zip(works) {
        for call in &work.called {
            tally.call(call.word());
        }
        for message in &work.said {
            tally.message(message.word());
        }
        tally.connections += site.door.proxy.traffic().let_in;
    }
    tally
}

/// Numbered events, for as long as it is let.
async fn pulse(site: Site, every: Duration) {
    loop {
        site.pulse();
        tokio::time::sleep(every).await;
    }
}

impl Stage {
    async fn set(world: &World, clock: WorldClock) -> Self {
        note(|| world.to_string());
        let doors: Vec<_> = world
            .sites
            .iter()
            .enumerate()
            .map(|(number, plan)| Door::new(number, plan))
            .collect();
        tokio::time::sleep(AGE).await;
        let mut builder = Windlass::builder()
            .connector(connector(doors.clone()))
            .clock(clock)
            .seed(world.seed);
        if world.kept {
            let outbox = Outbox::open(Arc::new(MemoryStore::new())).await;
            builder = builder.outbox(outbox.expect("nobody else has this store"));
        }
        let windlass = builder.start_local().expect("there is a seed");
        let mut sites = Vec::new();
        for door in doors {
            let gateway = windlass.add(door.spec()).await.expect("each has its name");
            sites.push(Site::new(door, gateway, windlass.clone()));
        }
        let provisioner = match &world.provisioner {
            Some(provisioner) => Some(Agents::recruit(&windlass, sites[0].name(), provisioner.agents, clock).await),
            None => None,
        };
        Self {
            clock,
            windlass,
            sites,
            provisioner,
        }
    }

    /// Work and storm, to the end of both.
    async fn fault_schedule(&self, world: &World, verdict: &mut Verdict) -> Vec<Work> {
        let works = self
            .sites
            .iter()
            .zip(&world.sites)
            .map(|(site, plan)| self.work(site, plan));
        let storms = join_all(
            self.sites
                .iter()
                .zip(&world.sites)
                .map(|(site, plan)| faults(site, plan)),
        );
        let provisioner = async {
            if let (Some(provisioner), Some(plan)) = (&self.provisioner, &world.provisioner) {
                tokio::time::sleep(plan.after).await;
                let report = provisioner.provision().await;
                note(|| {
                    format!(
                        "the agents are provisioned: {:?}",
                        report.map(|report| report.all_done())
                    )
                });
            }
        };
        let ending = async {
            if let Ending::Abrupt { after, drain } = world.ending {
                tokio::time::sleep(after).await;
                note(|| "shut down".into());
                self.windlass.shutdown(drain).await;
                note(|| "is shut down".into());
            }
        };
        let registering = register_all(self.windlass.clone(), self.one_more(), world.registering.clone());
        let all = async { tokio::join!(join_all(works), storms, provisioner, ending, registering).0 };
        // Once more than a line can pause, for each of the things that wait for one.
        if let Ok(works) = tokio::time::timeout(PATIENCE * 4, all).await {
            return works;
        }
        verdict.holds(Promise::Alive, false, || "the work does not end".into());
        self.sites.iter().map(|_| Work::default()).collect()
    }

    async fn work(&self, site: &Site, plan: &Plan) -> Work {
        let calling: Vec<_> = plan
            .callers
            .iter()
            .map(|planned_calls| spawn_local(call_all(site.clone(), planned_calls.clone(), self.clock)))
            .collect();
        let speaking: Vec<_> = plan
            .senders
            .iter()
            .map(|speeches| spawn_local(speak_all(site.clone(), speeches.clone())))
            .collect();
        let operator_steps = spawn_local(meddle(site.clone(), plan.operator_steps.clone()));
        let mut work = Work::default();
        for caller in calling {
            work.called.extend(caller.await.unwrap_or_default());
        }
        for sender in speaking {
            work.said.extend(sender.await.unwrap_or_default());
        }
        let _ = operator_steps.await;
        work
    }

    /// Calm, and every line is up again and answers.
    async fn recover(&self, verdict: &mut Verdict) {
        for site in &self.sites {
            site.calm().await;
        }
        for site in &self.sites {
            let health = site.gateway.call("health", ()).timeout(PATIENCE).await;
            verdict.holds(Promise::ComesBack, health.is_ok(), || {
                format!("{}: the line did not recover: {health:?}", site.name())
            });
        }
        tokio::time::sleep(SETTLES).await;
        for site in &self.sites {
            let status = site.gateway.status();
            let status = status.borrow();
            verdict.holds(Promise::ComesBack, status.is_up(), || {
                format!("{}: the line is {}", site.name(), status.state)
            });
        }
    }

    /// One more line to the first gateway, under a name of its own.
    fn one_more(&self) -> GatewaySpec {
        let mut spec = self.sites[0].door.spec();
        spec.id = GatewayId::new("one-more").expect("it is a name");
        spec
    }

    /// A second run completes the work of the first. A third run finds no difference. A fourth run provisions one more agent, and
    /// nothing else.
    async fn provision_again(&self, world: &World, verdict: &mut Verdict) {
        let Some(provisioner) = &self.provisioner else { return };
        let sim = self.sites[0].sim();
        let Some(second) = provisioner.provision().await else {
            return;
        };
        verdict.holds(Promise::Agents, second.all_done(), || {
            format!("the agents are not done: {second:?}")
        });
        let before = sim.journal().effects().len();
        let Some(third) = provisioner.provision().await else {
            return;
        };
        oracle::nothing_to_do(verdict, &third, sim.journal().effects().len() - before);
        let Some((new, fourth)) = provisioner.provision_with_another().await else {
            return;
        };
        oracle::only_the_new_one(verdict, &fourth, new);
        if world.wire(0).hides != HiddenData::Contents {
            oracle::made_once(verdict, &ExecutedWork::of(sim), provisioner.count() + 1, |agent| {
                !agent.starts_with("hand-")
            });
        }
    }

    /// Everything ends, and nothing is left.
    async fn strike(self, whole: bool, verdict: &mut Verdict) {
        // Feeds and subscriptions hear of their last user in a turn of their own.
        tokio::time::sleep(Duration::from_millis(1)).await;
        if whole {
            for site in &self.sites {
                let left = site.gateway.inspect().await;
                let counts = left.map(|left| (left.in_flight, left.waiting, left.subscribers, left.topics));
                verdict.holds(Promise::NothingLeft, counts == Ok((0, 0, 0, 0)), || {
                    format!("{}: calls, subscribers or topics are left: {counts:?}", site.name())
                });
            }
        }
        drop(self.provisioner);
        self.windlass.shutdown(Duration::from_secs(1)).await;
        drop(self.windlass);
        for site in self.sites {
            let (door, frozen) = (site.door.clone(), site.frozen());
            drop(site);
            struck(&door, frozen, verdict).await;
        }
    }
}

/// Every connection is gone, and so are proxy and gateway.
async fn struck(door: &Door, frozen: usize, verdict: &mut Verdict) {
    let closed = async {
        let mut logged = door.proxy.logged();
        // Connections that were frozen end with the proxy only.
        while door.proxy.connections() > frozen {
            let _ = logged.changed().await;
        }
    };
    let closed = tokio::time::timeout(SETTLES, closed).await;
    verdict.holds(Promise::NothingLeft, closed.is_ok(), || {
        format!("{}: a connection is left", door.name)
    });
    door.proxy.shutdown().await;
    let closed = door.sim.wait_for(|journal| journal.open_connections() == 0).await;
    verdict.holds(Promise::NothingLeft, closed.is_ok(), || {
        format!("{}: the gateway has a connection left", door.name)
    });
    door.sim.shutdown().await;
}

async fn faults(site: &Site, plan: &Plan) {
    let start = tokio::time::sleep(Duration::ZERO).deadline();
    for scheduled in &plan.fault_schedule {
        tokio::time::sleep_until(start + scheduled.at).await;
        site.inject(scheduled).await;
    }
}
