//! Errors of opening and locking the files of a store, and the result codes of SQLite as errors.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};

use sqlx::migrate::MigrateError;
use windlass_store::{BackendError, StoreError};

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
        /// The finding of the check.
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
        /// The error of the system.
        source: io::Error,
    },
    /// Any other failure of the database.
    #[error("can't open {}", path.display())]
    Backend {
        /// The file.
        path: PathBuf,
        /// Its message.
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

const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const CORRUPT: i32 = 11;
const PERMISSION: i32 = 3;
const READ_ONLY: i32 = 8;
const INPUT_OUTPUT: i32 = 10;
const FULL: i32 = 13;
const CANT_OPEN: i32 = 14;
const NOT_A_DATABASE: i32 = 26;

/// The extended result code, and the primary one that is its low byte.
fn codes(error: &sqlx::Error) -> Option<(i32, i32)> {
    let code: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some((code, code & 0xff))
}

fn backend(error: &sqlx::Error) -> BackendError {
    // SQLite's texts name tables and columns; bound values are in none of them.
    let message = error
        .as_database_error()
        .map_or_else(|| error.to_string(), |database| database.message().to_owned());
    let failure = BackendError::new(message);
    match codes(error) {
        Some((code, _)) => failure.with_code(code.to_string()),
        None => failure,
    }
}

/// A failure of a call.
pub(crate) fn of_call(error: &sqlx::Error) -> StoreError {
    match codes(error).map(|(_, primary)| primary) {
        Some(BUSY | LOCKED) => StoreError::Busy,
        Some(FULL) => StoreError::Full,
        Some(CORRUPT | NOT_A_DATABASE) => StoreError::Damaged {
            what: "SQLite can't read its file".into(),
        },
        _ => StoreError::Backend(backend(error)),
    }
}

/// A failure to open.
pub(crate) fn of_open(error: &sqlx::Error, path: &Path) -> OpenError {
    let path = path.to_owned();
    match codes(error).map(|(_, primary)| primary) {
        Some(BUSY | LOCKED) => OpenError::Locked { path },
        Some(FULL) => OpenError::Full { path },
        Some(NOT_A_DATABASE) => OpenError::NotADatabase { path },
        Some(CORRUPT) => OpenError::Damaged {
            path,
            what: "SQLite can't read it".into(),
        },
        Some(PERMISSION | READ_ONLY | INPUT_OUTPUT | CANT_OPEN) => match unwritable_beside(&path) {
            Some(side) => OpenError::SideFile { path, side },
            None => OpenError::Backend {
                path,
                source: backend(error),
            },
        },
        _ => OpenError::Backend {
            path,
            source: backend(error),
        },
    }
}

/// The file beside a database, or its folder, that this process can't write. SQLite's own error does not tell which it is.
fn unwritable_beside(database: &Path) -> Option<PathBuf> {
    let beside = ["-wal", "-shm", "-journal"].map(|suffix| {
        let mut name = OsString::from(database);
        name.push(suffix);
        PathBuf::from(name)
    });
    let is_in_the_way = |path: &PathBuf| {
        let opened = OpenOptions::new().append(true).open(path);
        // A process without descriptors, for example, can't open it either: that is not the file's fault.
        opened.is_err_and(|error| {
            use io::ErrorKind::{IsADirectory, PermissionDenied, ReadOnlyFilesystem};
            matches!(error.kind(), IsADirectory | PermissionDenied | ReadOnlyFilesystem)
        })
    };
    let folder = database.parent().filter(|folder| !folder.as_os_str().is_empty());
    let read_only = |folder: &&Path| folder.metadata().is_ok_and(|found| found.permissions().readonly());
    beside
        .into_iter()
        .find(is_in_the_way)
        .or_else(|| folder.filter(read_only).map(Path::to_owned))
}

/// A failure to migrate.
pub(crate) fn of_migration(error: &MigrateError, path: &Path) -> OpenError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => of_open(error, path),
        MigrateError::VersionMissing(version) | MigrateError::VersionMismatch(version) => OpenError::OtherMigration {
            path: path.to_owned(),
            version: *version,
        },
        other => OpenError::Backend {
            path: path.to_owned(),
            source: BackendError::new(other.to_string()),
        },
    }
}
