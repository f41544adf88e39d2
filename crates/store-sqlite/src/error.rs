//! Errors of opening and locking the files of a store.

use std::io;
use std::path::PathBuf;

use windlass_store::BackendError;

/// The reason why a database can't be opened. The file is left as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file is something else.
    #[error("{} is not a SQLite database: name another file, or move this one away", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The file is a database, but not one of ours.
    #[error("{} is the database of another program: name another file", path.display())]
    OtherProgram {
        /// The file.
        path: PathBuf,
    },
    /// The file is a database that is not whole.
    #[error("{} is damaged ({what}): restore it from a backup", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the check found.
        what: String,
    },
    /// A file or folder that SQLite writes beside the database can't be written.
    #[error(
        "{} can't be written, and SQLite needs it beside {}: give it to this user, or name a store in a folder of yours",
        side.display(), path.display()
    )]
    SideFile {
        /// The database.
        path: PathBuf,
        /// The file or folder that is in the way.
        side: PathBuf,
    },
    /// Another process keeps the file locked.
    #[error("{} is locked by another process: end that, or wait for it", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// No room to create or to migrate it.
    #[error("no room to open {}: make room on the disk, or allow the database more", path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// A newer version of the program has written it.
    #[error(
        "{} was written by a newer version (its schema is {found}, this version knows up to {known}): use that version",
        path.display()
    )]
    TooNew {
        /// The file.
        path: PathBuf,
        /// The newest migration that it has been through.
        found: i64,
        /// The newest migration that this version knows.
        known: i64,
    },
    /// A migration that the file has been through is not the one that this version knows.
    #[error("{} has been through another migration {version} than the one this version knows: use the version that wrote it", path.display())]
    OtherMigration {
        /// The file.
        path: PathBuf,
        /// The migration.
        version: i64,
    },
    /// The file can't be created, read or written.
    #[error("can't open {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Anything else that the database says.
    #[error("can't open {}", path.display())]
    Backend {
        /// The file.
        path: PathBuf,
        /// What it says.
        source: BackendError,
    },
}

/// A file that locks a right over the store can't be used.
#[derive(Debug, thiserror::Error)]
#[error("can't lock {}: give the file and its folder to this user, or name a store in a folder of yours", lock.display())]
pub struct LockError {
    /// The file.
    pub lock: PathBuf,
    /// The error of the system.
    pub source: io::Error,
}
