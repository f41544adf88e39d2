//! Entries are appended.

use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use windlass_protocol::SessionKey;
use windlass_store::backend::Reach;
use windlass_store::{Appended, Cursor, NewEntry, StoreError};

use super::shares;
use crate::failure;
use crate::rows::{self, Fields, Statement};

pub(super) const COLUMNS: &[&str] = &[
    "cursor",
    "size",
    "at",
    "gateway",
    "generation",
    "kind",
    "name",
    "seq",
    "session_key",
    "body",
];

/// How many entries one statement inserts: a statement for each costs more than what it does, and of few lengths each is prepared
/// once. Ten arguments an entry, of which SQLite takes 32,766.
const LENGTHS: &[usize] = &[100, 10, 1];

/// How far the journal reaches; none before its first entry.
pub(super) async fn reach(connection: &mut SqliteConnection) -> Result<Option<Reach>, StoreError> {
    let row: Option<SqliteRow> = sqlx::query("SELECT newest, pruned, bytes, entries FROM extent")
        .fetch_optional(connection)
        .await
        .map_err(|error| failure::of_call(&error))?;
    let read = |row: SqliteRow| {
        let row = Fields::new(&row, "extent");
        Ok(Reach {
            newest: Cursor::new(row.get("newest")?),
            pruned: Cursor::new(row.get("pruned")?),
            bytes: row.number("bytes")?,
            entries: row.number("entries")?,
        })
    };
    row.map(read).transpose()
}

pub(super) async fn put_reach(connection: &mut SqliteConnection, reach: &Reach) -> Result<(), StoreError> {
    let sql = "INSERT INTO extent (id, newest, pruned, bytes, entries) VALUES (1, ?1, ?2, ?3, ?4)
        ON CONFLICT (id) DO UPDATE SET newest = excluded.newest, pruned = excluded.pruned, bytes = excluded.bytes,
            entries = excluded.entries";
    let statement = sqlx::query(sql)
        .bind(reach.newest.number())
        .bind(reach.pruned.number())
        .bind(rows::number("extent.bytes", reach.bytes)?)
        .bind(rows::number("extent.entries", reach.entries)?);
    let done = statement.execute(connection).await;
    done.map(drop).map_err(|error| failure::of_call(&error))
}

pub(super) async fn append(connection: &mut SqliteConnection, entries: &[NewEntry]) -> Result<Appended, StoreError> {
    let known = reach(connection).await?;
    let mut reach = known.unwrap_or_else(|| Reach::new(entries[0].at));
    let appended = reach.append(entries);
    let (mut rest, mut next) = (entries, appended.first);
    for length in LENGTHS {
        while let Some((part, others)) = rest.split_at_checked(*length) {
            insert(connection, next, part).await?;
            next = next.advanced(*length);
            rest = others;
            if rest.is_empty() {
                break;
            }
        }
    }
    shares::append(connection, appended.first, entries).await?;
    put_reach(connection, &reach).await?;
    Ok(appended)
}

pub(super) async fn insert(
    connection: &mut SqliteConnection,
    first: Cursor,
    entries: &[NewEntry],
) -> Result<(), StoreError> {
    let row = format!("({})", vec!["?"; COLUMNS.len()].join(", "));
    let sql = format!(
        "INSERT INTO entries ({}) VALUES {}",
        COLUMNS.join(", "),
        vec![row; entries.len()].join(", ")
    );
    let mut statement = sqlx::query(&sql);
    for (count, entry) in entries.iter().enumerate() {
        statement = bind(statement, first.advanced(count), entry)?;
    }
    let done = statement.execute(connection).await;
    done.map(drop).map_err(|error| failure::of_call(&error))
}

pub(super) fn bind<'q>(
    statement: Statement<'q>,
    cursor: Cursor,
    entry: &'q NewEntry,
) -> Result<Statement<'q>, StoreError> {
    let kind = entry.kind.entry_type();
    let kind = kind.ok_or_else(|| StoreError::invalid("entry.kind", "is for reading only"))?;
    let seq = entry.seq.map(|seq| rows::number("entry.seq", seq)).transpose()?;
    Ok(statement
        .bind(cursor.number())
        .bind(rows::number("entry.body", entry.size())?)
        .bind(entry.at.as_millis())
        .bind(entry.gateway.to_string())
        .bind(rows::number("entry.generation", entry.generation)?)
        .bind(kind.as_str())
        .bind(entry.kind.name())
        .bind(seq)
        .bind(entry.session_key.as_ref().map(SessionKey::as_str))
        .bind(entry.body.as_str()))
}
