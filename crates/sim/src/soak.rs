//! Many days of a light load over gateways that restart every day. Each midnight, counters that must not grow are read.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use windlass::journal::{JournalWriter, Retention};
use windlass::sessions::Outbox;
use windlass::store::{Journal as _, MemoryStore, Sends as _};
use windlass::{EventFilter, Gateway, SessionCache, Topic, Windlass};
use windlass_testkit::{ChatPlan, RELEASES, RestartKind, SimGateway};

use crate::clock::WorldClock;
use crate::dice::Dice;
use crate::site;

/// A day.
const DAY: Duration = Duration::from_secs(24 * 3600);
/// The time between two operations at a gateway.
const LOAD_EVERY: Duration = Duration::from_secs(600);
/// The part of a day with work. There is no work before midnight, so that all work is over when the counters are read.
const WORKING: Duration = Duration::from_secs(24 * 3600 - 900);
/// Events are kept this long. Ends of messages are, too, by the outbox.
const KEPT: Duration = DAY;
/// Days until everything that is kept for a day has been there for a day.
pub(crate) const WARM_UP: u32 = 3;
/// The longest wait for a line.
const PATIENCE: Duration = Duration::from_secs(3600);

/// The parameters of a soak.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Virtual days.
    pub days: u32,
    /// Gateways, of all releases in turn.
    pub gateways: u16,
    /// The seed of the load.
    pub seed: u64,
}

/// The counters at one midnight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DayReport {
    /// The day that is over, from 1.
    pub day: u32,
    /// Requests without an answer, and calls that wait, on all lines.
    pub pending: usize,
    /// Event streams of all lines.
    pub subscribers: usize,
    /// Topics that are kept subscribed.
    pub topics: usize,
    /// Tasks of the runtime, simulated gateways included.
    pub tasks: usize,
    /// Entries of the journal.
    pub journal_rows: u64,
    /// Messages on record, ended ones included.
    pub sends: u64,
    /// Resident memory of the process in KiB, simulated gateways included; nothing where the system does not tell.
    pub rss_kib: Option<u64>,
    /// Calls and messages of the day that ended well.
    pub ok: u64,
    /// Those that did not.
    pub not_ok: u64,
    /// Connections of the day.
    pub connections: u64,
}

/// Plays it on this thread in virtual time; `told` hears of each midnight.
///
/// # Panics
/// When the system gives no runtime.
pub fn soak(plan: Plan, mut told: impl FnMut(&DayReport)) -> Vec<DayReport> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime of one thread");
    let tasks = || runtime.metrics().num_alive_tasks();
    let played = async {
        let mut soak = Soak::begin(plan).await;
        let mut midnights = Vec::new();
        for day in 1..=plan.days {
            let midnight = soak.day(day, tasks).await;
            told(&midnight);
            midnights.push(midnight);
        }
        soak.end().await;
        midnights
    };
    runtime.block_on(LocalSet::new().run_until(played))
}

/// Counters that grew, as texts. Records that are kept for a day reach their final number only after some days.
pub fn grown(midnights: &[DayReport]) -> Vec<String> {
    let settled: Vec<_> = midnights.iter().filter(|midnight| midnight.day >= WARM_UP).collect();
    let mut grown = Vec::new();
    let mut compare = |what: &str, slack: u64, of: &dyn Fn(&DayReport) -> u64| {
        let half = settled.len().div_ceil(2);
        let most = |of_days: &[&DayReport]| of_days.iter().map(|midnight| of(midnight)).max().unwrap_or_default();
        let (before, after) = (most(&settled[..half]), most(&settled[half..]));
        // Random work differs a little from day to day.
        if after > before + before * slack / 100 {
            grown.push(format!(
                "{what}: at most {before} in the first half, {after} in the second"
            ));
        }
    };
    compare("pending calls", 0, &|midnight| midnight.pending as u64);
    compare("subscribers", 0, &|midnight| midnight.subscribers as u64);
    compare("topics", 0, &|midnight| midnight.topics as u64);
    compare("tasks", 0, &|midnight| midnight.tasks as u64);
    compare("journal rows", 10, &|midnight| midnight.journal_rows);
    compare("messages on record", 10, &|midnight| midnight.sends);
    compare("resident memory (KiB)", 10, &|midnight| {
        midnight.rss_kib.unwrap_or_default()
    });
    grown
}

struct Soak {
    windlass: Windlass,
    store: Arc<MemoryStore>,
    writer: JournalWriter,
    sites: Vec<Site>,
    reading: Vec<JoinHandle<()>>,
    dice: Dice,
    /// Keys of messages, with the day on which they were said.
    keys: VecDeque<(u32, String)>,
    connections: u64,
}

struct Site {
    sim: SimGateway,
    gateway: Gateway,
    _roster: SessionCache,
    _topics: windlass::TopicSubscription,
}

impl Soak {
    async fn begin(plan: Plan) -> Self {
        let clock = WorldClock::start();
        let mut dice = Dice::new(plan.seed);
        let sims: Vec<_> = (0..plan.gateways).map(|number| sim(number, &mut dice)).collect();
        tokio::time::sleep(site::AGE).await;
        let store = Arc::new(MemoryStore::new());
        let outbox = Outbox::open(store.clone()).await.expect("nobody else has this store");
        let dialled = sims.clone();
        let connector = windlass::transport::dial_with(move |endpoint: windlass::Endpoint| {
            let sim = dialled
                .iter()
                .find(|(name, _)| *name == endpoint.host())
                .map(|(_, sim)| sim.clone());
            async move { sim.ok_or(std::io::ErrorKind::NotFound)?.dial().await }
        });
        let windlass = Windlass::builder()
            .connector(connector)
            .clock(clock)
            .seed(plan.seed)
            .outbox(outbox)
            .start_local()
            .expect("there is a seed");
        let journal = windlass.journal(store.clone());
        let retention = Retention {
            max_age: Some(KEPT),
            ..Retention::default()
        };
        let writer = journal.writer().retention(retention).start().await;
        let writer = writer.expect("nobody else records into this store");
        let mut sites = Vec::new();
        let mut reading = Vec::new();
        for (name, sim) in sims {
            let gateway = windlass.add(site::spec(&name)).await.expect("each has its name");
            gateway.wait_until_up(PATIENCE).await.expect("the line comes up");
            let mut events = gateway.events(EventFilter::all());
            reading.push(spawn_local(async move { while events.next().await.is_some() {} }));
            let roster = gateway.session_cache().await.expect("there is room for one topic");
            let topics = gateway.subscribe_topic(Topic::messages("agent:main:main"));
            sites.push(Site {
                sim,
                gateway,
                _roster: roster,
                _topics: topics.expect("there is room for two"),
            });
        }
        Self {
            windlass,
            store,
            writer,
            sites,
            reading,
            dice,
            keys: VecDeque::new(),
            connections: 0,
        }
    }

    /// One day, and the counters at its end.
    async fn day(&mut self, day: u32, tasks: impl Fn() -> usize) -> DayReport {
        let midnight = tokio::time::sleep(DAY).deadline();
        let mut working = Vec::new();
        for site in &self.sites {
            let (sim, gateway, dice) = (site.sim.clone(), site.gateway.clone(), self.dice.part());
            working.push(spawn_local(work(gateway, dice)));
            let restart = self.dice.millis(0..60_000 * 60 * 22);
            let kind = self.dice.pick(&[RestartKind::Clean, RestartKind::Crash]);
            working.push(spawn_local(async move {
                tokio::time::sleep(restart).await;
                sim.restart(kind);
                Vec::new()
            }));
        }
        let (mut ok, mut not_ok) = (0, 0);
        for worker in working {
            for done in worker.await.unwrap_or_default() {
                ok += u64::from(done.ok);
                not_ok += u64::from(!done.ok);
                self.keys.extend(done.key.map(|key| (day, key)));
            }
        }
        tokio::time::sleep_until(midnight).await;
        self.count(day, tasks(), ok, not_ok).await
    }

    async fn count(&mut self, day: u32, tasks: usize, ok: u64, not_ok: u64) -> DayReport {
        let mut counted = DayReport {
            day,
            pending: 0,
            subscribers: 0,
            topics: 0,
            tasks,
            journal_rows: 0,
            sends: 0,
            rss_kib: rss_kib(),
            ok,
            not_ok,
            connections: 0,
        };
        let mut connections = 0;
        for site in &self.sites {
            let line = site.gateway.inspect().await.expect("the line is there");
            counted.pending += line.in_flight + line.waiting;
            counted.subscribers += line.subscribers;
            counted.topics += line.topics;
            connections += site.sim.journal().connect_attempts();
            // The memory of the simulated gateway is not part of the check.
            site.sim.journal().forget();
        }
        counted.connections = connections - self.connections;
        self.connections = connections;
        let extent = self
            .store
            .journal_extent()
            .await
            .expect("a store in memory can be read");
        counted.journal_rows = extent.entries;
        while self.keys.front().is_some_and(|(said, _)| said + WARM_UP <= day) {
            self.keys.pop_front();
        }
        for (_, key) in &self.keys {
            let on_record = self.store.chat_send(key).await.expect("a store in memory can be read");
            counted.sends += u64::from(on_record.is_some());
        }
        counted
    }

    async fn end(self) {
        for site in self.sites {
            site.sim.shutdown().await;
        }
        self.writer.stop().await;
        self.windlass.shutdown(Duration::ZERO).await;
        for reading in self.reading {
            reading.abort();
        }
    }
}

fn sim(number: u16, dice: &mut Dice) -> (String, SimGateway) {
    let release = RELEASES[usize::from(number) % RELEASES.len()];
    let sim = SimGateway::builder()
        .release(release)
        .token(site::TOKEN)
        .seed(dice.seed())
        .chat(ChatPlan::default())
        .start_pipe();
    (format!("gw{number}"), sim)
}

/// One operation.
struct Done {
    ok: bool,
    /// For a message: its key.
    key: Option<String>,
}

/// The operations at one gateway in a day.
async fn work(gateway: Gateway, mut dice: Dice) -> Vec<Done> {
    let mut done = Vec::new();
    let end = tokio::time::sleep(WORKING).deadline();
    loop {
        let next = tokio::time::sleep(dice.around(LOAD_EVERY));
        if next.deadline() >= end {
            break;
        }
        next.await;
        done.push(if dice.one_in(4) {
            say(&gateway).await
        } else {
            ask(&gateway).await
        });
    }
    // Transcripts are the gateway's memory, and would grow.
    let reset = gateway
        .call("sessions.reset", serde_json::json!({ "key": "agent:main:main" }))
        .await;
    done.push(Done {
        ok: reset.is_ok(),
        key: None,
    });
    done
}

async fn ask(gateway: &Gateway) -> Done {
    Done {
        ok: gateway.call("health", ()).await.is_ok(),
        key: None,
    }
}

async fn say(gateway: &Gateway) -> Done {
    let session = "agent:main:main".parse().expect("this is a session key");
    let Ok(following) = gateway.send(gateway.message(session, "how is it going")).await else {
        return Done { ok: false, key: None };
    };
    let key = Some(following.key().to_owned());
    let end = following.end().await;
    Done {
        ok: matches!(end, Ok(windlass::sessions::RunEnd::Final(_))),
        key,
    }
}

/// Resident memory of this process.
fn rss_kib() -> Option<u64> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    let resident: u64 = pages.split_whitespace().nth(1)?.parse().ok()?;
    let page = u64::try_from(rustix::param::page_size()).ok()?;
    Some(resident * page / 1024)
}
