//! The threads that shards run on: all of them, or none.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;

use tokio::sync::watch;
use windlass_line::stall_detector::{self, BlockedTask, ThreadActivity};
use windlass_line::threads::{self, ResourceError, ThreadRuntime};
use windlass_line::{Backstop, Clock, Shard};

/// Why Windlass could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The system gave no thread, or no descriptors for one.
    #[error(transparent)]
    Resources(#[from] ResourceError),
    /// The system gave no randomness.
    #[error("the system's random numbers can't be read: {0}")]
    Random(String),
}

/// Threads that were started and wait to be let go on.
#[derive(Default)]
struct Started {
    threads: Vec<JoinHandle<()>>,
    /// One for each thread, which ends where this is dropped.
    go: Vec<mpsc::SyncSender<()>>,
}

impl Started {
    fn spawn(&mut self, name: String, run: impl FnOnce() + Send + 'static) -> Result<(), StartError> {
        let (go, wait) = mpsc::sync_channel(1);
        let thread = threads::spawn(name, move || {
            if wait.recv().is_ok() {
                run();
            }
        });
        self.threads.push(thread?);
        self.go.push(go);
        Ok(())
    }

    fn go_on(mut self) -> Vec<JoinHandle<()>> {
        for go in std::mem::take(&mut self.go) {
            // A thread that waits takes it.
            let _ = go.send(());
        }
        std::mem::take(&mut self.threads)
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        self.go.clear();
        for thread in std::mem::take(&mut self.threads) {
            // It ends at once, having done nothing.
            let _ = thread.join();
        }
    }
}

/// Held by each thread that has lines: the last one ends the backstop.
struct Needed(Backstop);

impl Drop for Needed {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Starts a thread for each shard (the last one works on the events of lines), one thread that keeps deadlines that are late, and
/// one thread that looks for blocked threads. Each holds `alive` until it ends.
///
/// # Errors
/// When the system has not all the threads and descriptors to give: then none goes on.
pub(super) fn start(
    unstarted: Vec<Shard>,
    clock: &Arc<dyn Clock>,
    blocked: watch::Sender<Vec<BlockedTask>>,
    backstop: Backstop,
    alive: watch::Sender<()>,
) -> Result<Vec<JoinHandle<()>>, StartError> {
    let runtimes: Result<Vec<_>, _> = unstarted.iter().map(|_| ThreadRuntime::new()).collect();
    let side = unstarted.len().saturating_sub(1);
    let (running, ended) = mpsc::sync_channel::<()>(0);
    let needed = Arc::new(Needed(backstop.clone()));
    let (mut started, mut watched) = (Started::default(), Vec::new());
    for (index, (shard, runtime)) in unstarted.into_iter().zip(runtimes?).enumerate() {
        let name = if index == side {
            "windlass-side".to_owned()
        } else {
            format!("windlass-{index}")
        };
        let turns = ThreadActivity::new(name.clone());
        watched.push(Arc::clone(&turns));
        let held = (running.clone(), Arc::clone(&needed), alive.clone());
        started.spawn(name, move || {
            turns.enter();
            runtime.block_on(shard.run());
            drop((runtime, held));
        })?;
    }
    drop((running, needed));
    let (deadlines, held) = (Arc::clone(clock), alive.clone());
    started.spawn("windlass-deadlines".to_owned(), move || {
        backstop.run(&*deadlines);
        drop(held);
    })?;
    let clock = Arc::clone(clock);
    started.spawn("windlass-watch".to_owned(), move || {
        stall_detector::watch(watched, &*clock, &blocked, &ended);
        drop(alive);
    })?;
    Ok(started.go_on())
}
