//! Rights over a store that one process has at a time: to run its agents, to send its messages, to write its journal.

use std::ffi::OsString;
use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::OwnError;

/// What one process at a time may do with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Run its agents.
    Agents,
    /// Send the messages that it keeps.
    Sends,
    /// Write its journal.
    Journal,
}

impl Right {
    /// What is put behind the database's name; neither is a name that SQLite uses.
    const fn suffix(self) -> &'static str {
        match self {
            Self::Agents => ".lock",
            Self::Sends => ".sends.lock",
            Self::Journal => ".journal.lock",
        }
    }
}

impl fmt::Display for Right {
    /// What whoever has it does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Agents => "runs the agents",
            Self::Sends => "sends the messages",
            Self::Journal => "records into the journal",
        })
    }
}

/// Holds a right over a store until it is dropped, or the process ends, however it ends.
#[derive(Debug)]
#[must_use = "the right is given back when this is dropped"]
pub struct Ownership {
    held: Held,
}

#[derive(Debug)]
enum Held {
    File { lock: File },
    Flag { taken: Arc<AtomicBool> },
}

impl Drop for Ownership {
    fn drop(&mut self) {
        match &self.held {
            // Closing the file alone would not do: a child process that is about to start its program has it open as well, and
            // the lock with it. A failure leaves it to the closing.
            Held::File { lock } => drop(lock.unlock()),
            Held::Flag { taken } => taken.store(false, Ordering::Release),
        }
    }
}

impl Ownership {
    /// A lock of the operating system on `<database>.lock`, or what its right puts there. It is on a file of its own, which is never deleted: who deletes a lock
    /// file lets two processes lock two files of the same name. And never on the database itself, where SQLite has its own locks.
    pub(crate) fn of_file(database: &Path, right: Right) -> Result<Self, OwnError> {
        let lock = lock_path(database, right);
        let failed = |source| OwnError::Io {
            lock: lock.clone(),
            source,
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&lock).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OwnError::Owned {
                    right,
                    pid: pid_in(&mut file),
                    lock,
                });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        write_pid(&mut file).map_err(failed)?;
        Ok(Self {
            held: Held::File { lock: file },
        })
    }

    pub(crate) fn of_flag(taken: &Arc<AtomicBool>, right: Right) -> Result<Self, OwnError> {
        if taken.swap(true, Ordering::AcqRel) {
            return Err(OwnError::Owned {
                right,
                lock: PathBuf::new(),
                pid: Some(std::process::id()),
            });
        }
        Ok(Self {
            held: Held::Flag {
                taken: Arc::clone(taken),
            },
        })
    }
}

pub(crate) fn lock_path(database: &Path, right: Right) -> PathBuf {
    let mut path = OsString::from(database);
    path.push(right.suffix());
    PathBuf::from(path)
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

/// The number that the owner wrote; `None` while it has not done so yet.
fn pid_in(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_that_was_given_back_is_free_while_a_child_process_still_has_its_file_open() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("store.db");
        let ownership = Ownership::of_file(&database, Right::Agents).unwrap();
        let Held::File { lock } = &ownership.held else {
            unreachable!("it was made of a file");
        };
        // What a process has between its fork and its start.
        let inherited = lock.try_clone().unwrap();
        drop(ownership);
        drop(Ownership::of_file(&database, Right::Agents).unwrap());
        drop(inherited);
    }
}
