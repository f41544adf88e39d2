//! Rights over a store, as locks of the operating system on files beside the database.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use windlass_store::{Guard, OwnError, Ownership, Right};

use crate::LockError;

/// A locked file.
#[derive(Debug)]
struct Lock(File);

impl Guard for Lock {}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file alone would not do: a child process that is about to start its program has it open as well, and
        // the lock with it. A error leaves it to the closing.
        drop(self.0.unlock());
    }
}

/// Takes a right by locking `<database>.lock`, or the file of another suffix for another right.
///
/// The lock is on a file of its own, which is never deleted: deleting it would let two processes lock two files of the same name.
/// And never on the database itself, where SQLite has its own locks.
pub(crate) fn own(database: &Path, right: Right) -> Result<Ownership, OwnError> {
    Ok(Ownership::new(right, lock(database, right)?))
}

fn lock(database: &Path, right: Right) -> Result<Lock, OwnError> {
    let lock = path(database, right);
    let failed = |source| {
        OwnError::Backend(Box::new(LockError {
            lock: lock.clone(),
            source,
        }))
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
                holder: pid_in(&mut file).map(|pid| pid.to_string()),
                lock: Some(lock.display().to_string()),
            });
        }
        Err(TryLockError::Error(source)) => return Err(failed(source)),
    }
    write_pid(&mut file).map_err(failed)?;
    Ok(Lock(file))
}

fn path(database: &Path, right: Right) -> PathBuf {
    // None of them is a name that SQLite uses.
    let suffix = match right {
        Right::Agents => ".lock",
        Right::Sends => ".sends.lock",
        Right::Journal => ".journal.lock",
    };
    let mut path = OsString::from(database);
    path.push(suffix);
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
        let held = lock(&database, Right::Agents).unwrap();
        // What a process has between its fork and its start.
        let inherited = held.0.try_clone().unwrap();
        drop(held);
        drop(own(&database, Right::Agents).unwrap());
        drop(inherited);
    }
}
