//! What SQLite says of a failure, sorted by its result code.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};

use sqlx::migrate::MigrateError;
use windlass_store::{BackendError, StoreError};

use crate::OpenError;

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
pub(super) fn of_call(error: &sqlx::Error) -> StoreError {
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
pub(super) fn of_open(error: &sqlx::Error, path: &Path) -> OpenError {
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
pub(super) fn of_migration(error: &MigrateError, path: &Path) -> OpenError {
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
