//! A message outlives a program that is killed for real: another process, SQLite, TCP, SIGKILL.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use windlass::sessions::{Outbox, RunEnd};
use windlass::store::{SendState, Sends as _};
use windlass::{Gateway, Windlass};
use windlass_store_sqlite::SqliteStore;
use windlass_testkit::{ChatPlan, Generation as Protocol, SimGateway, Stop};

use crate::bench::{sim, spec};

const STORE: &str = "WINDLASS_TEST_STORE";
const GATEWAY: &str = "WINDLASS_TEST_GATEWAY";
const KEY: &str = "the-key";
/// How long anything may take; all of it takes a second.
const DEADLINE: Duration = Duration::from_secs(120);

/// The program that is killed.
struct OtherProcess(Child);

impl OtherProcess {
    fn start(store: &Path, sim: &SimGateway) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "kept_sends_killed::says_one_thing",
                "--ignored",
                "--test-threads=1",
            ])
            .env(STORE, store)
            .env(GATEWAY, sim.url())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(child.unwrap())
    }

    /// SIGKILL, wherever it is.
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for OtherProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn open(store: &Path, url: &str) -> (Windlass, Gateway) {
    let store = Arc::new(SqliteStore::open(store).await.unwrap());
    let outbox = Outbox::open(store).await.unwrap();
    let windlass = Windlass::builder().outbox(outbox).start().unwrap();
    let mut spec = spec("gw");
    spec.endpoint = url.parse().unwrap();
    let gateway = windlass.add(spec).await.unwrap();
    (windlass, gateway)
}

#[tokio::test]
#[ignore = "the other process of a test"]
async fn says_one_thing() {
    let part = "a part of other tests: they start it, with a store and a gateway";
    let (store, url) = (std::env::var(STORE).expect(part), std::env::var(GATEWAY).expect(part));
    let (_windlass, gateway) = open(Path::new(&store), &url).await;
    let message = gateway.message("agent:main:main".parse().unwrap(), "once").key(KEY);
    let following = gateway.send(message).await.unwrap();
    let _ = following.end().await;
    // Ends only when its parent does.
    let _ = std::io::stdin().read_line(&mut String::new());
}

/// Where it is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// At its n-th request.
    Request(u64, Stop),
    /// When the gateway has begun to answer.
    Answering,
    /// When its end is on record.
    Over,
}

async fn reach(moment: Moment, sim: &SimGateway, store: &Path) -> OtherProcess {
    let frozen = match moment {
        Moment::Request(nth, stop) => Some(sim.script().freeze_at(nth, stop)),
        Moment::Answering | Moment::Over => None,
    };
    let process = OtherProcess::start(store, sim);
    match (moment, frozen) {
        (_, Some(mut frozen)) => {
            let reached = tokio::time::timeout(DEADLINE, frozen.reached()).await;
            reached.expect("it asks so often").expect("the gateway is there");
        }
        (Moment::Over, _) => over(store).await,
        _ => {
            let begun = sim.wait_for_within(DEADLINE, |journal| journal.executions("chat.send") == 1);
            begun.await.unwrap();
        }
    }
    process
}

async fn over(store: &Path) {
    let ended = async {
        let store = SqliteStore::open(store).await.unwrap();
        while store
            .chat_send(KEY)
            .await
            .unwrap()
            .is_none_or(|send| send.ended.is_none())
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, ended).await.expect("it ends");
}

async fn killed_at(generation: Protocol, moment: Moment) {
    let plan = ChatPlan {
        increments: 5,
        pace: Duration::from_millis(100),
        ..ChatPlan::default()
    };
    let sim = sim(generation).chat(plan).start_tcp().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("windlass.db");
    let mut process = reach(moment, &sim, &store).await;
    process.kill();
    let (windlass, gateway) = open(&store, &sim.url()).await;
    let sessions = gateway.sessions();
    if let Some(following) = sessions.follow(KEY).await.unwrap() {
        let end = tokio::time::timeout(DEADLINE, following.end())
            .await
            .expect("it ends")
            .unwrap();
        assert!(matches!(end, RunEnd::Final(_)), "{generation:?} {moment:?}: {end:?}");
    }
    over(&store).await;
    let send = sessions.on_record(KEY).await.unwrap().unwrap();
    assert_eq!(send.state(), SendState::Done, "{generation:?} {moment:?}: {send:?}");
    assert_eq!(sim.journal().runs_of("once"), 1, "{generation:?} {moment:?}");
    windlass.shutdown(Duration::from_secs(1)).await;
    sim.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_of_a_program_that_was_killed_is_executed_once_and_has_its_end() {
    let requests =
        (1..=2).flat_map(|nth| [Stop::BeforeExecution, Stop::BeforeAnswer].map(|stop| Moment::Request(nth, stop)));
    for moment in requests.chain([Moment::Answering, Moment::Over]) {
        for generation in [Protocol::V3, Protocol::V4] {
            killed_at(generation, moment).await;
        }
    }
}
