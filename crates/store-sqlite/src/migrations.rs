//! The schema, as the steps that led to it.

use std::borrow::Cow;

use sqlx::SqliteConnection;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};

use crate::names::{self, Renamed};

/// A kind of database, by the steps that led to its schema.
#[derive(Debug)]
pub(super) struct Schema {
    /// What the first migration writes into the file's header, so that no other file is taken for one of these.
    pub(super) application_id: i64,
    /// All migrations, oldest first. One that was released is never edited: a database remembers what it has been through, and is
    /// refused when that was something else.
    migrations: &'static [(i64, &'static str, &'static str)],
    /// The migration that made names unique, whose keys the program fills in.
    unique_names_since: Option<i64>,
    /// After how many pages of 4 KiB in the log they are put into the file: what is written again and again in between is written
    /// to the file once.
    pub(super) checkpoint_pages: u32,
}

/// The records: "WIND".
pub(super) const RECORDS: Schema = Schema {
    application_id: 0x5749_4e44,
    migrations: &[
        (1, "records", include_str!("../migrations/0001_records.sql")),
        (
            2,
            "token rotation",
            include_str!("../migrations/0002_token_rotation.sql"),
        ),
        (3, "lookups", include_str!("../migrations/0003_lookups.sql")),
        (4, "sends", include_str!("../migrations/0004_sends.sql")),
        (5, "own texts", include_str!("../migrations/0005_own_texts.sql")),
        (6, "names", include_str!("../migrations/0006_names.sql")),
        (7, "base url", include_str!("../migrations/0007_base_url.sql")),
    ],
    unique_names_since: Some(6),
    // As SQLite has it.
    checkpoint_pages: 1_000,
};

/// The journal: "WINJ".
pub(super) const JOURNAL: Schema = Schema {
    application_id: 0x5749_4e4a,
    migrations: &[
        (1, "entries", include_str!("../migrations/journal/0001_entries.sql")),
        (
            2,
            "shares and clock steps",
            include_str!("../migrations/journal/0002_shares_and_clock_steps.sql"),
        ),
    ],
    unique_names_since: None,
    // A log of 16 MiB: entries come in order, so that the last page and the inner ones are in every commit. Measured against
    // 1,000: a third less written in small batches, and larger pages write more.
    checkpoint_pages: 4_000,
};

impl Schema {
    /// The newest migration that this version knows.
    pub(super) const fn known(&self) -> i64 {
        self.migrations[self.migrations.len() - 1].0
    }

    /// The migrations up to and with `last`.
    pub(super) fn migrator(&self, last: i64) -> Migrator {
        let known = self
            .migrations
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
}

/// Brings a database up to `last`: all that is missing in one transaction, so that a kill leaves it as it was, and two processes
/// that open it at the same time don't both migrate it.
///
/// Foreign keys can't be switched off inside a transaction: a migration that rebuilds a table that others refer to has to defer
/// them (`PRAGMA defer_foreign_keys`).
pub(super) async fn migrate(
    connection: &mut SqliteConnection,
    schema: &Schema,
    last: i64,
) -> Result<Vec<Renamed>, MigrateError> {
    use sqlx::Connection as _;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    // Not `run`, whose future can't be shown to be `Send`.
    schema.migrator(last).run_direct(&mut *transaction).await?;
    let renamed = match schema.unique_names_since {
        Some(since) if since <= last => names::fill(&mut transaction).await?,
        _ => Vec::new(),
    };
    transaction.commit().await?;
    Ok(renamed)
}
