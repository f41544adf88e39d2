//! Killed at any request, a run is completed by running the same command again, and nothing happens twice.
//!
//! The gateways are simulated here; the program is a process of its own on a SQLite store, and is killed for real when its gateway meets
//! the n-th request: once before it is executed, once before it is answered.

use std::future::ready;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream;
use windlass::sqlite::SqliteStore;
use windlass::store::{
    Agent, AgentFilter, AgentStatus, AgentUid, Agents as _, Board, BoardId, Boards as _, Creator, Gateway, GatewayUid,
    Gateways as _, Organization, OrganizationId, Organizations as _, Owner, Runs as _, Timestamp,
};
use windlass_testkit::{Generation, SideEffect, SimGateway, Stop};

use crate::harness::{Finished, Harness, TOKEN, gateway};
use crate::store_fixture::writes;

/// Points tried side by side. They wait for timers most of the time.
const AT_A_TIME: usize = 6;

/// Runs in a row that are over before their kills, until the matrix ends: one run may make some requests fewer than another,
/// and the first that does is not the end.
const OVER: usize = 6;

/// More requests than any of the runs makes: the matrix ends by itself long before.
const MOST: u64 = 500;

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Provision,
    Sync,
}

/// One place to be killed at.
#[derive(Clone, Copy, Debug)]
struct Point {
    generation: Generation,
    command: Command,
    nth: u64,
    stop: Stop,
}

/// A store with a lead and a worker on a gateway of its own.
struct Site {
    sim: SimGateway,
    harness: Harness,
    agents: [AgentUid; 2],
}

impl Command {
    const fn args(self) -> &'static [&'static str] {
        match self {
            Self::Provision => &["agents", "provision", "--all"],
            Self::Sync => &[
                "agents",
                "sync",
                "--on",
                "lab",
                "--base-url",
                "https://moved.example/api",
            ],
        }
    }
}

impl Site {
    async fn new(point: Point) -> Self {
        let sim = gateway()
            .generation(point.generation)
            .restart_delay(Duration::from_millis(50))
            .start_tcp()
            .await
            .unwrap();
        let harness = Harness::new().with("T", TOKEN).with("WINDLASS_STORE", "windlass.db");
        let site = Self {
            agents: records(&harness, &sim).await,
            sim,
            harness,
        };
        if point.command == Command::Sync {
            site.harness.run(Command::Provision.args()).await.ends_with(0);
        }
        site
    }

    async fn store(&self) -> SqliteStore {
        SqliteStore::open(self.harness.path("windlass.db")).await.unwrap()
    }
}

async fn records(harness: &Harness, sim: &SimGateway) -> [AgentUid; 2] {
    let at = Timestamp::from_millis(1_795_348_800_000);
    let store = SqliteStore::open(harness.path("windlass.db")).await.unwrap();
    let organization = OrganizationId::from_bytes([1; 16]);
    let gateway = Gateway {
        id: GatewayUid::from_bytes([2; 16]),
        organization_id: organization,
        name: "lab".into(),
        url: sim.url(),
        token: Some("env:T".parse().unwrap()),
        workspace_root: Some("/srv/agents".into()),
        base_url: None,
        allow_insecure_tls: false,
        tls_fingerprint: None,
        disable_device_pairing: false,
        created_at: at,
    };
    let owner = Organization {
        id: organization,
        name: "default".into(),
        owner: Owner::default(),
    };
    store.put_organization(&owner).await.unwrap();
    store.insert_gateway(&gateway).await.unwrap();
    let board = Board::new(BoardId::from_bytes([3; 16]), organization, Some(gateway.id), "Docs", at);
    store.insert_board(&board).await.unwrap();
    let lead = Agent::new_lead(AgentUid::from_bytes([4; 16]), gateway.id, board.id, "Lead Agent", at);
    let worker = Agent::new_worker(AgentUid::from_bytes([5; 16]), gateway.id, board.id, "Scribe", at);
    for agent in [&lead, &worker] {
        store.insert_agent(agent, Creator::Operator).await.unwrap();
    }
    [lead.id, worker.id]
}

/// Runs the command with its process killed at the point; the method of the request, if it came to that.
async fn killed(site: &Site, point: Point) -> Option<String> {
    let mut frozen = site.sim.script().freeze_at(point.nth, point.stop);
    let mut child = site
        .harness
        .command(point.command.args())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let method = tokio::select! {
        method = frozen.reached() => method,
        ended = child.wait() => {
            assert_eq!(ended.unwrap().code(), Some(0), "{point:?}: the run that was not killed");
            site.sim.script().never_freeze();
            return None;
        }
    };
    child.start_kill().unwrap();
    let ended = child.wait().await.unwrap();
    assert_eq!(ended.code(), None, "{point:?}: ended by the signal");
    method
}

/// Whether a request changes nothing. Killed before such a one is executed, a run leaves what it leaves when it is killed before the
/// answer, so only the latter is gone on from.
fn is_read(method: &str) -> bool {
    matches!(method, "health" | "config.schema" | "chat.history")
        || matches!(method.rsplit('.').next(), Some("list" | "get"))
}

/// Tries a point, and asserts that the run is completed and nothing happened twice. Whether the point was met.
async fn tried(point: Point) -> Option<String> {
    let site = Site::new(point).await;
    let method = killed(&site, point).await;
    if point.stop == Stop::BeforeExecution && method.as_deref().is_some_and(is_read) {
        return method;
    }
    let what = format!("{point:?} {method:?}");
    let again = site.harness.run(point.command.args()).await;
    assert_eq!(again.code, 0, "{what}: {again:#?}");
    assert_whole(&site, &what, &again).await;
    let before = writes(&site.sim);
    let third = site.harness.run(point.command.args()).await;
    assert_eq!(third.code, 0, "{what}: {third:#?}");
    assert_eq!(
        writes(&site.sim),
        before,
        "{what}: a third run finds nothing to do: {third:#?}"
    );
    method
}

async fn assert_whole(site: &Site, what: &str, ran: &Finished) {
    let store = site.store().await;
    let agents = store.agents(&AgentFilter::default()).await.unwrap();
    assert_eq!(agents.len(), site.agents.len(), "{what}");
    assert_eq!(store.active_runs(10).await.unwrap(), [], "{what}: {ran:#?}");
    let effects = site.sim.journal().effects();
    for agent in agents {
        assert_eq!(agent.status, AgentStatus::Online, "{what}: {ran:#?}");
        assert_eq!(agent.next_token_hash, None, "{what}");
        let (id, session) = (agent.agent_id().to_string(), agent.session_key.to_string());
        let count = |wanted: &dyn Fn(&SideEffect) -> bool| effects.iter().filter(|effect| wanted(effect)).count();
        let created = count(&|effect| matches!(effect, SideEffect::AgentCreated { agent_id } if *agent_id == id));
        let woken = count(&|effect| matches!(effect, SideEffect::ChatRun { session: key, .. } if *key == session));
        assert_eq!(
            (created, woken),
            (1, 1),
            "{what}: created and woken, {id}: {effects:#?}"
        );
    }
}

/// Tries every point of a command on a generation until [`OVER`] runs are over before their kills. The methods at which it
/// was killed.
#[expect(
    clippy::print_stderr,
    reason = "how many points were tried is a figure that people ask for"
)]
async fn matrix(generation: Generation, command: Command) -> Vec<String> {
    let begun = now();
    let over = AtomicUsize::new(0);
    let points = (1..MOST).flat_map(|nth| {
        [Stop::BeforeExecution, Stop::BeforeAnswer].map(|stop| Point {
            generation,
            command,
            nth,
            stop,
        })
    });
    let tries = stream::iter(points)
        .take_while(|_| ready(over.load(Ordering::Relaxed) < OVER))
        .map(|point| {
            let over = &over;
            async move {
                let method = tried(point).await;
                match method {
                    Some(_) => over.store(0, Ordering::Relaxed),
                    None => drop(over.fetch_add(1, Ordering::Relaxed)),
                }
                method
            }
        })
        .buffered(AT_A_TIME);
    let met: Vec<String> = tries.filter_map(ready).collect().await;
    let seconds = now().duration_since(begun).as_secs_f64();
    let reads = met.iter().filter(|method| is_read(method)).count();
    let writes = met.len() - reads;
    eprintln!(
        "{generation:?} {command:?}: killed at {writes} points in writes and {reads} in reads, in {seconds:.1} s"
    );
    met
}

/// Asserts that the run was killed at each of these methods.
#[track_caller]
fn killed_at(met: &[String], methods: &[&str]) {
    for method in methods {
        assert!(met.iter().any(|known| known == method), "{method} is not among {met:?}");
    }
}

#[tokio::test]
async fn a_provision_killed_at_any_request_of_2026_9_6_is_completed_and_nothing_happens_twice() {
    let met = matrix(Generation::V4, Command::Provision).await;
    killed_at(
        &met,
        &[
            "agents.create",
            "config.patch",
            "agents.files.set",
            "cron.scratch.set",
            "chat.send",
        ],
    );
}

#[tokio::test]
async fn a_provision_killed_at_any_request_of_2026_3_13_is_completed_and_nothing_happens_twice() {
    let met = matrix(Generation::V3, Command::Provision).await;
    killed_at(
        &met,
        &["agents.create", "config.patch", "agents.files.set", "chat.send"],
    );
}

#[tokio::test]
async fn a_sync_killed_at_any_request_of_2026_9_6_is_completed_and_wakes_nobody() {
    let met = matrix(Generation::V4, Command::Sync).await;
    killed_at(&met, &["agents.files.get", "agents.files.set"]);
}

#[tokio::test]
async fn a_sync_killed_at_any_request_of_2026_3_13_is_completed_and_wakes_nobody() {
    let met = matrix(Generation::V3, Command::Sync).await;
    killed_at(&met, &["agents.files.get", "agents.files.set"]);
}

#[expect(clippy::disallowed_methods, reason = "measures real time, and decides nothing by it")]
fn now() -> Instant {
    Instant::now()
}
