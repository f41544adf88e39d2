//! The schemas, as the migrations that lead to them.
//!
//! One migration makes names unique, for which the program fills in keys and may rename a record.

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row as _, SqlSafeStr as _, SqliteConnection};
use windlass_store::{backend, limits};

/// A kind of database, by the steps that led to its schema.
#[derive(Debug)]
pub(crate) struct Schema {
    /// The number that the first migration writes into the file's header. It tells these files from others.
    pub(crate) application_id: i64,
    /// All migrations, oldest first. A released migration is never edited: a database records its migrations, and is refused if they
    /// are different ones.
    migrations: &'static [(i64, &'static str, &'static str)],
    /// The migration that made names unique. The program fills in the keys of names.
    unique_names_since: Option<i64>,
    /// The number of pages of 4 KiB in the log after which they are put into the file. A page that changes several times in between is
    /// written to the file once.
    pub(crate) checkpoint_pages: u32,
}

/// The records: "WIND".
pub(crate) const RECORDS: Schema = Schema {
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
        (8, "service", include_str!("../migrations/0008_service.sql")),
    ],
    unique_names_since: Some(6),
    // As SQLite has it.
    checkpoint_pages: 1_000,
};

/// The journal: "WINJ".
pub(crate) const JOURNAL: Schema = Schema {
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
    pub(crate) const fn known(&self) -> i64 {
        self.migrations[self.migrations.len() - 1].0
    }

    /// The migrations up to and with `last`.
    pub(crate) fn migrator(&self, last: i64) -> Migrator {
        let known = self.migrations.iter().filter(|(version, ..)| *version <= last);
        let known = known.map(|&(version, name, sql)| {
            Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
        });
        Migrator::with_migrations(known.collect())
    }
}

/// Brings a database up to `last`: all that is missing in one transaction, so that a kill leaves it as it was, and two processes
/// that open it at the same time don't both migrate it.
///
/// Foreign keys can't be switched off inside a transaction: a migration that rebuilds a table that others refer to has to defer
/// them (`PRAGMA defer_foreign_keys`).
pub(crate) async fn migrate(
    connection: &mut SqliteConnection,
    schema: &Schema,
    last: i64,
) -> Result<Vec<Renamed>, MigrateError> {
    use sqlx::Connection as _;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    // Not `run`, whose future can't be shown to be `Send`.
    schema.migrator(last).run_direct(None, &mut *transaction, false).await?;
    let renamed = match schema.unique_names_since {
        Some(since) if since <= last => fill(&mut transaction).await?,
        _ => Vec::new(),
    };
    transaction.commit().await?;
    Ok(renamed)
}

/// How much of an id is put behind a name that another record has; the whole id where that is not enough.
const ID_CHARS: usize = 8;

/// A gateway or a board that was given another name when its store was opened, because an older one in its organization has
/// the same: names were not unique in stores of earlier versions. The old name is the beginning of the new one, and the
/// change is on record as an activity (`gateway.renamed`, `board.renamed`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// "gateway" or "board".
    pub what: &'static str,
    /// The record's id.
    pub id: String,
    /// Its name until now, which the older record keeps.
    pub from: String,
    /// Its name from now on.
    pub to: String,
}

/// The tables with such names, and the singular of each.
const TABLES: [(&str, &str); 2] = [("gateways", "gateway"), ("boards", "board")];

/// Fills in the keys of names where a row has none. The oldest record keeps its name; a later one of the same name gets a part
/// of its id behind it, after all others have theirs.
pub(crate) async fn fill(connection: &mut SqliteConnection) -> Result<Vec<Renamed>, sqlx::Error> {
    let mut renamed = Vec::new();
    for (table, what) in TABLES {
        for row in without_key(connection, table).await? {
            if is_free(connection, table, &row.organization, &row.name).await? {
                set_name(connection, table, &row.id, &row.name).await?;
            }
        }
        for row in without_key(connection, table).await? {
            let short: String = row.id.chars().take(ID_CHARS).collect();
            let mut to = with_id(&row.name, &short);
            if !is_free(connection, table, &row.organization, &to).await? {
                to = with_id(&row.name, &row.id);
            }
            set_name(connection, table, &row.id, &to).await?;
            let change = Renamed {
                what,
                id: row.id,
                from: row.name,
                to,
            };
            record(connection, &change).await?;
            renamed.push(change);
        }
    }
    Ok(renamed)
}

/// A row with a name that has no key.
struct Keyless {
    id: String,
    organization: String,
    name: String,
}

async fn without_key(connection: &mut SqliteConnection, table: &str) -> Result<Vec<Keyless>, sqlx::Error> {
    let sql = format!("SELECT id, organization_id, name FROM {table} WHERE name_key IS NULL ORDER BY created_at, id");
    let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(connection).await?;
    let read = |row: &SqliteRow| {
        Ok(Keyless {
            id: row.try_get(0)?,
            organization: row.try_get(1)?,
            name: row.try_get(2)?,
        })
    };
    rows.iter().map(read).collect()
}

async fn is_free(
    connection: &mut SqliteConnection,
    table: &str,
    organization: &str,
    name: &str,
) -> Result<bool, sqlx::Error> {
    let sql = format!("SELECT count(*) FROM {table} WHERE organization_id = ?1 AND name_key = ?2");
    let others: i64 = sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(organization.to_owned())
        .bind(backend::name_key(name))
        .fetch_one(connection)
        .await?;
    Ok(others == 0)
}

async fn set_name(connection: &mut SqliteConnection, table: &str, id: &str, name: &str) -> Result<(), sqlx::Error> {
    let sql = format!("UPDATE {table} SET name = ?1, name_key = ?2 WHERE id = ?3");
    sqlx::query(AssertSqlSafe(sql))
        .bind(name.to_owned())
        .bind(backend::name_key(name))
        .bind(id.to_owned())
        .execute(connection)
        .await?;
    Ok(())
}

/// The name followed by a part of the id, within the limit of a name.
fn with_id(name: &str, id: &str) -> String {
    let room = limits::NAME_CHARS.saturating_sub(id.chars().count() + 1);
    let kept: String = name.trim().chars().take(room).collect();
    format!("{} {id}", kept.trim_end())
}

/// Puts the change on record. The time is the database's: opening a store is given none.
async fn record(connection: &mut SqliteConnection, change: &Renamed) -> Result<(), sqlx::Error> {
    let Renamed { what, id, from, to } = change;
    let message = format!("{what} {id} is called {to:?} from now on: an older one is called {from:?} too");
    sqlx::query(
        "INSERT INTO activities (kind, message, board_id, at) VALUES (?1, ?2, ?3, CAST(unixepoch('subsec') * 1000 AS INTEGER))",
    )
    .bind(format!("{what}.renamed"))
    .bind(backend::cut(&message))
    .bind((*what == "board").then(|| id.clone()))
    .execute(connection)
    .await?;
    Ok(())
}
