//! How far a campaign is, in memory and in a file.

use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Tally;
use crate::campaign::{BLOCK, FailedSeed};

/// The progress of a campaign: the contents of a state file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The seeds: from, and up to.
    pub seeds: Range<u64>,
    /// All blocks before this seed are done.
    next: u64,
    /// Blocks behind it that are done, by their first seed.
    beyond: BTreeSet<u64>,
    /// Seeds that broke a promise, in their order.
    pub failing: Vec<FailedSeed>,
    /// How much happened in the blocks that are done.
    pub tally: Tally,
    /// Processor time so far, in milliseconds.
    pub cpu_ms: u64,
}

/// A state file that can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// It can't be read or written.
    #[error("the state file {path}: {why}; give another place with --state")]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        #[source]
        why: io::Error,
    },
    /// It holds something else.
    #[error("{path} is no state file of this program ({why}); give another place with --state, or delete it")]
    Format {
        /// The file.
        path: PathBuf,
        /// The syntax error.
        #[source]
        why: serde_json::Error,
    },
    /// It is another campaign's.
    #[error("{path} is about the seeds {}..{}; give these, or another --state", .there.start, .there.end)]
    Other {
        /// The file.
        path: PathBuf,
        /// The seeds that it is about.
        there: Range<u64>,
    },
}

impl Progress {
    /// Nothing is done yet.
    pub fn new(seeds: Range<u64>) -> Self {
        Self {
            next: seeds.start,
            seeds,
            beyond: BTreeSet::new(),
            failing: Vec::new(),
            tally: Tally::default(),
            cpu_ms: 0,
        }
    }

    /// Reads the progress from a file. If there is no file, the progress is at the start.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn load(path: &Path, seeds: Range<u64>) -> Result<Self, StateError> {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::new(seeds)),
            Err(why) => return Err(io_error(path, why)),
        };
        let there: Self = serde_json::from_slice(&text).map_err(|why| StateError::Format {
            path: path.to_owned(),
            why,
        })?;
        if there.seeds != seeds {
            let (path, there) = (path.to_owned(), there.seeds);
            return Err(StateError::Other { path, there });
        }
        Ok(there)
    }

    /// Writes it beside the file and then in its place, so that a kill leaves the one or the other.
    ///
    /// # Errors
    /// [`StateError::Io`].
    pub fn save(&self, path: &Path) -> Result<(), StateError> {
        let beside = path.with_extension("new");
        let text = serde_json::to_vec_pretty(self).map_err(|why| StateError::Format {
            path: path.to_owned(),
            why,
        })?;
        let written = std::fs::write(&beside, text).and_then(|()| std::fs::rename(&beside, path));
        written.map_err(|why| io_error(path, why))
    }

    /// A seed is over.
    pub fn played(&mut self, failing: Option<FailedSeed>) {
        if let Some(failing) = failing {
            // One of a block that was interrupted is played, and told, again.
            self.failing.retain(|known| known.seed != failing.seed);
            self.failing.push(failing);
            self.failing.sort_unstable_by_key(|failing| failing.seed);
        }
    }

    /// A block is over.
    pub fn block(&mut self, start: u64, tally: &Tally) {
        self.tally.add(tally);
        self.beyond.insert(start);
        while self.beyond.remove(&self.next) {
            self.next = self.next.saturating_add(BLOCK).min(self.seeds.end);
        }
    }

    /// Blocks that are not done.
    pub fn left(&self) -> impl Iterator<Item = Range<u64>> {
        let blocks = std::iter::successors(Some(self.next), |start| start.checked_add(BLOCK));
        let blocks = blocks.take_while(|start| *start < self.seeds.end);
        blocks
            .filter(|start| !self.beyond.contains(start))
            .map(|start| start..start.saturating_add(BLOCK).min(self.seeds.end))
    }

    /// Seeds in blocks that are done.
    pub fn done(&self) -> u64 {
        let beyond = self.beyond.iter().map(|start| (self.seeds.end - start).min(BLOCK));
        self.next - self.seeds.start + beyond.sum::<u64>()
    }

    /// Whether all is done.
    pub fn is_complete(&self) -> bool {
        self.next >= self.seeds.end
    }
}

fn io_error(path: &Path, why: io::Error) -> StateError {
    StateError::Io {
        path: path.to_owned(),
        why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_may_be_over_in_any_order_and_none_is_left_out() {
        let mut progress = Progress::new(50..460);
        let blocks: Vec<_> = progress.left().collect();
        assert_eq!(blocks, [50..150, 150..250, 250..350, 350..450, 450..460]);
        progress.block(350, &Tally::default());
        progress.block(150, &Tally::default());
        assert_eq!((progress.done(), progress.left().next()), (200, Some(50..150)));
        progress.block(50, &Tally::default());
        assert_eq!(progress.left().collect::<Vec<_>>(), [250..350, 450..460]);
        progress.block(450, &Tally::default());
        progress.block(250, &Tally::default());
        assert!(progress.is_complete());
        assert_eq!((progress.done(), progress.left().next()), (410, None));
    }

    #[test]
    fn a_state_file_of_other_seeds_or_of_something_else_is_refused_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        Progress::new(0..10).save(&path).unwrap();
        assert_eq!(Progress::load(&path, 0..10).unwrap(), Progress::new(0..10));
        let other = Progress::load(&path, 0..20).unwrap_err();
        assert!(matches!(other, StateError::Other { .. }), "{other}");
        std::fs::write(&path, "notes").unwrap();
        let format = Progress::load(&path, 0..10).unwrap_err();
        assert!(matches!(format, StateError::Format { .. }), "{format}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "notes");
    }
}
