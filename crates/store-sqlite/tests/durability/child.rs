//! The other process: this test program, started again to do one thing.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use windlass_store::{
    Agents as _, Journal as _, ReaderId, Retention, Run, RunId, RunKind, Runs as _, SendEnd, Sends as _, Step,
    StepName, StepState, Store as _,
};
use windlass_store_sqlite::SqliteStore;

use crate::journal;
use crate::sends;
use crate::world::{at, the_agent};

const MARK: &str = "acknowledged ";
const DATABASE: &str = "WINDLASS_STORE_TEST_DATABASE";

/// How long the other process may take for anything; it takes some milliseconds.
const DEADLINE: Duration = Duration::from_secs(60);

/// What is done for each run, each an operation that is acknowledged when it has returned: begin it, begin its step, do the step,
/// end it.
pub(crate) const OPERATIONS: u64 = 4;

pub(crate) struct OtherProcess {
    child: Child,
    acknowledged: Receiver<u64>,
}

impl OtherProcess {
    /// Runs one of the tests below in another process.
    pub(crate) fn start(role: &str, database: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", role, "--ignored", "--nocapture", "--test-threads=1"])
            .env(DATABASE, database)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, acknowledged) = sync_channel(1024);
        std::thread::spawn(move || {
            // What else a test program prints is left out.
            let numbers = lines
                .map_while(Result::ok)
                .filter_map(|line| line.strip_prefix(MARK)?.parse().ok());
            for number in numbers {
                if sender.send(number).is_err() {
                    break;
                }
            }
        });
        Self { child, acknowledged }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The number of the next operation that it has acknowledged; none when it is gone.
    pub(crate) fn acknowledged(&mut self) -> Option<u64> {
        match self.acknowledged.recv_timeout(DEADLINE) {
            Ok(number) => Some(number),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("the other process says nothing"),
        }
    }

    /// SIGKILL, wherever it is.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for OtherProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn acknowledge(number: u64) {
    let mut out = std::io::stdout().lock();
    // The test program has left the cursor behind the test's name.
    writeln!(out, "\n{MARK}{number}").unwrap();
    out.flush().unwrap();
}

fn run_id(number: u64) -> RunId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    RunId::from_bytes(bytes)
}

/// How many operations the database holds, which must be all up to some point and nothing of a later one.
pub(crate) async fn operations_done(store: &SqliteStore) -> u64 {
    let agent = store.agent(the_agent()).await.unwrap().unwrap();
    // The agent is written when a run begins and when it ends: revision 1, and one for each of these.
    let changes = agent.revision - 1;
    assert_eq!(
        agent.lifecycle_generation,
        changes.div_ceil(2),
        "a run and its agent are written together"
    );
    let active = store.active_runs(10).await.unwrap();
    assert_eq!(
        active.len() as u64,
        changes % 2,
        "a run and its agent are written together"
    );
    let Some(run) = active.first() else {
        return changes / 2 * OPERATIONS;
    };
    assert_eq!(run.id, run_id(changes / 2));
    let steps = store.steps(run.id).await.unwrap();
    let done = match steps.as_slice() {
        [] => 1,
        [step] if step.state == StepState::Begun => 2,
        [_] => 3,
        more => panic!("{more:?}"),
    };
    changes / 2 * OPERATIONS + done
}

async fn operate(store: &SqliteStore, number: u64) {
    let mut agent = store.agent(the_agent()).await.unwrap().unwrap();
    let (run, now) = (number / OPERATIONS, at(i64::try_from(number).unwrap()));
    let run = Run::new(run_id(run), agent.id, agent.gateway_id, RunKind::Update, run + 1, now);
    let detail = serde_json::json!({ "written": ["AGENTS.md", "SOUL.md"] });
    let step = |state| Step {
        run_id: run.id,
        name: StepName::Files,
        state,
        attempts: 1,
        detail,
        at: now,
    };
    match number % OPERATIONS {
        0 => {
            agent.lifecycle_generation += 1;
            store.begin_run(&run, &agent).await.map(drop).unwrap();
        }
        1 => store.put_step(&step(StepState::Begun)).await.unwrap(),
        2 => store.put_step(&step(StepState::Done)).await.unwrap(),
        _ => store
            .end_run(&run.ended(now, None), Some(&agent))
            .await
            .map(drop)
            .unwrap(),
    }
}

fn database() -> String {
    std::env::var(DATABASE).expect("a part of other tests: they start it, with a database to work on")
}

/// Works on until it is killed, and says after each operation that it is done.
#[tokio::test]
#[ignore = "the other process of a test"]
async fn works_until_it_is_killed() {
    let store = SqliteStore::open(database()).await.unwrap();
    for number in operations_done(&store).await.. {
        operate(&store, number).await;
        acknowledge(number);
    }
}

/// Appends batches of all lengths, acknowledges and prunes until it is killed, and says before it begins and after each batch how
/// far it is.
#[tokio::test]
#[ignore = "the other process of a test"]
async fn appends_until_it_is_killed() {
    let store = SqliteStore::open(database()).await.unwrap();
    acknowledge(0);
    let keep = Retention {
        max_age: None,
        max_bytes: Some(20_000),
    };
    for number in 1.. {
        let entries = journal::batch(number, 1 + number * 37 % 50, 100);
        let last = store.append(&entries).await.unwrap().last;
        store.acknowledge("test", last, ReaderId::new(1), at(0)).await.unwrap();
        acknowledge(u64::try_from(last.number()).unwrap());
        store.prune_journal(&keep, at(0), 100).await.unwrap();
    }
}

/// Begins, tries and ends sends until it is killed, and says after each of it that it is done.
#[tokio::test]
#[ignore = "the other process of a test"]
async fn sends_until_it_is_killed() {
    let store = SqliteStore::open(database()).await.unwrap();
    for number in sends::operations_done(&store).await.. {
        let send = sends::send(number / sends::OPERATIONS);
        match number % sends::OPERATIONS {
            0 => store.begin_send(&send).await.map(drop).unwrap(),
            1 => {
                let facts = serde_json::json!({ "bootId": "b" });
                store.note_attempt(&send.key, at(0), &facts).await.map(drop).unwrap();
            }
            _ => {
                let end = SendEnd::Done { run_id: "run".into() };
                store.end_send(&send.key, &end, at(0)).await.map(drop).unwrap();
            }
        }
        acknowledge(number);
    }
}

/// Opens the database, and with that migrates it, and says before and after that it does.
#[tokio::test]
#[ignore = "the other process of a test"]
async fn opens_it() {
    acknowledge(0);
    let store = SqliteStore::open(database()).await.unwrap();
    acknowledge(1);
    store.close().await.unwrap();
}

/// Owns the store until it is killed.
#[tokio::test]
#[ignore = "the other process of a test"]
async fn owns_it_until_it_is_killed() {
    let store = SqliteStore::open(database()).await.unwrap();
    let ownership = store.own().await.unwrap();
    acknowledge(0);
    // Ends only when its parent does.
    let _ = std::io::stdin().read_line(&mut String::new());
    drop(ownership);
}
