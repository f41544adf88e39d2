//! Many seeds, on all cores, to be interrupted and continued.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::progress::Progress;
use crate::{Broken, Detail, Tally, World, play};

/// Seeds that a worker takes at once: half a second's worth, so that the books are small and the end is even.
pub(crate) const BLOCK: u64 = 100;
/// Runs that may be over and not in the books yet.
const REPORTS: usize = 256;
/// If no run ends for this long, the current runs are reported as hung. The biggest worlds take seconds.
const HUNG: Duration = Duration::from_secs(300);
/// How often the books are looked at while nothing comes.
const LOOK: Duration = Duration::from_secs(1);

/// A seed that broke a promise.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FailedSeed {
    /// Which.
    pub seed: u64,
    /// The broken guarantees, as texts.
    pub broken: Vec<String>,
}

impl FailedSeed {
    fn new(seed: u64, broken: &[Broken]) -> Self {
        Self {
            seed,
            broken: broken.iter().map(ToString::to_string).collect(),
        }
    }
}

/// How a campaign ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All seeds were played.
    Complete,
    /// It was stopped before.
    Stopped,
    /// These seeds come to no end.
    Hung(Vec<u64>),
}

/// Receives the reports of a campaign while it runs.
pub trait Books {
    /// A seed is over, and may have broken a promise.
    fn played(&mut self, failing: Option<FailedSeed>);
    /// All seeds of the block that starts with this one are over, and so much happened in them.
    fn block(&mut self, start: u64, tally: &Tally);
    /// Some time passed.
    fn tick(&mut self);
}

enum Report {
    WorldResult(Option<FailedSeed>),
    Block(u64, Tally),
}

/// Plays the rest of the range of `progress` with `jobs` workers, until the end or `stop`.
pub fn campaign(progress: &Progress, jobs: usize, stop: &Arc<AtomicBool>, books: &mut dyn Books) -> Ended {
    let blocks = Arc::new(Blocks::new(progress));
    let under_way: Arc<[AtomicU64]> = (0..jobs).map(|_| AtomicU64::new(IDLE)).collect();
    let (reports, receiver) = mpsc::sync_channel(REPORTS);
    for worker in 0..jobs {
        let (blocks, under_way) = (Arc::clone(&blocks), Arc::clone(&under_way));
        let (stop, reports) = (Arc::clone(stop), reports.clone());
        // Not joined: one that hangs must not hang the program.
        thread::spawn(move || work(&blocks, &under_way[worker], &stop, &reports));
    }
    drop(reports);
    let mut quiet = Duration::ZERO;
    loop {
        match receiver.recv_timeout(LOOK) {
            Ok(Report::WorldResult(failing)) => {
                quiet = Duration::ZERO;
                books.played(failing);
            }
            Ok(Report::Block(start, tally)) => books.block(start, &tally),
            Err(RecvTimeoutError::Timeout) => quiet += LOOK,
            Err(RecvTimeoutError::Disconnected) if stop.load(Ordering::SeqCst) => return Ended::Stopped,
            Err(RecvTimeoutError::Disconnected) => return Ended::Complete,
        }
        books.tick();
        if quiet >= HUNG {
            let seeds = under_way.iter().map(|seed| seed.load(Ordering::SeqCst));
            return Ended::Hung(seeds.filter(|seed| *seed != IDLE).collect());
        }
    }
}

/// Stands where a worker plays nothing.
const IDLE: u64 = u64::MAX;

/// The seeds that are not played yet, in blocks.
struct Blocks {
    left: std::sync::Mutex<std::vec::IntoIter<Range<u64>>>,
}

impl Blocks {
    fn new(progress: &Progress) -> Self {
        let left: Vec<_> = progress.left().collect();
        Self {
            left: std::sync::Mutex::new(left.into_iter()),
        }
    }

    fn take(&self) -> Option<Range<u64>> {
        self.left
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .next()
    }
}

fn work(blocks: &Blocks, under_way: &AtomicU64, stop: &AtomicBool, reports: &mpsc::SyncSender<Report>) {
    while let Some(block) = blocks.take() {
        let (start, mut tally) = (block.start, Tally::default());
        for seed in block {
            if stop.load(Ordering::SeqCst) {
                return;
            }
            under_way.store(seed, Ordering::SeqCst);
            let played = play(&World::of(seed), Detail::Verdict);
            under_way.store(IDLE, Ordering::SeqCst);
            tally.add(&played.tally);
            let failing = (!played.broken.is_empty()).then(|| FailedSeed::new(seed, &played.broken));
            // The receiver is gone if the program gave up on another worker.
            if reports.send(Report::WorldResult(failing)).is_err() {
                return;
            }
        }
        if reports.send(Report::Block(start, tally)).is_err() {
            return;
        }
    }
}
