//! The schema, as the steps that led to it.

use std::borrow::Cow;

use sqlx::SqliteConnection;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};

/// All migrations, oldest first. One that was released is never edited: a database remembers what it has been through, and is
/// refused when that was something else.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "records", include_str!("../../migrations/0001_records.sql")),
    (
        2,
        "token rotation",
        include_str!("../../migrations/0002_token_rotation.sql"),
    ),
    (3, "lookups", include_str!("../../migrations/0003_lookups.sql")),
];

/// What the first migration writes into the file's header: "WIND".
pub(super) const APPLICATION_ID: i64 = 0x5749_4e44;

/// The newest migration that this version knows.
pub(super) const KNOWN: i64 = MIGRATIONS[MIGRATIONS.len() - 1].0;

/// The migrations up to and with `last`.
pub(super) fn migrator(last: i64) -> Migrator {
    let known = MIGRATIONS
        .iter()
        .filter(|(version, ..)| *version <= last)
        .map(|(version, name, sql)| {
            Migration::new(
                *version,
                Cow::Borrowed(*name),
                MigrationType::Simple,
                Cow::Borrowed(*sql),
                false,
            )
        });
    Migrator {
        migrations: Cow::Owned(known.collect()),
        ..Migrator::DEFAULT
    }
}

/// Brings a database up to `last`: all that is missing in one transaction, so that a kill leaves it as it was, and two processes
/// that open it at the same time don't both migrate it.
///
/// Foreign keys can't be switched off inside a transaction: a migration that rebuilds a table that others refer to has to defer
/// them (`PRAGMA defer_foreign_keys`).
pub(super) async fn migrate(connection: &mut SqliteConnection, last: i64) -> Result<(), MigrateError> {
    use sqlx::Connection as _;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    // Not `run`, whose future can't be shown to be `Send`.
    migrator(last).run_direct(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(())
}
