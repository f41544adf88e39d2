//! Entries are appended and pruned.

use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use windlass_protocol::SessionKey;

use super::super::failure;
use super::super::rows::{self, Fields, Statement};
use crate::error::StoreError;
use crate::record::{Aged, Appended, Cursor, NewEntry, Pruned, Reach, Retention};
use crate::time::Timestamp;

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
    let row: Option<SqliteRow> = sqlx::query("SELECT newest, pruned, bytes FROM extent")
        .fetch_optional(connection)
        .await
        .map_err(|error| failure::of_call(&error))?;
    let read = |row: SqliteRow| {
        let row = Fields::new(&row, "extent");
        Ok(Reach {
            newest: Cursor::new(row.get("newest")?),
            pruned: Cursor::new(row.get("pruned")?),
            bytes: row.number("bytes")?,
        })
    };
    row.map(read).transpose()
}

async fn put_reach(connection: &mut SqliteConnection, reach: &Reach) -> Result<(), StoreError> {
    let sql = "INSERT INTO extent (id, newest, pruned, bytes) VALUES (1, ?1, ?2, ?3)
        ON CONFLICT (id) DO UPDATE SET newest = excluded.newest, pruned = excluded.pruned, bytes = excluded.bytes";
    let statement = sqlx::query(sql)
        .bind(reach.newest.number())
        .bind(reach.pruned.number())
        .bind(rows::number("extent.bytes", reach.bytes)?);
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
    put_reach(connection, &reach).await?;
    Ok(appended)
}

async fn insert(connection: &mut SqliteConnection, first: Cursor, entries: &[NewEntry]) -> Result<(), StoreError> {
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

pub(super) async fn prune(
    connection: &mut SqliteConnection,
    retention: &Retention,
    now: Timestamp,
    limit: usize,
) -> Result<Pruned, StoreError> {
    let Some(mut reach) = reach(connection).await? else {
        return Ok(Pruned::default());
    };
    let oldest = oldest(connection, limit).await?;
    let (cut, pruned) = retention.cut(oldest.into_iter(), reach.bytes, now, limit);
    if let Some(cut) = cut {
        sqlx::query("DELETE FROM entries WHERE cursor <= ?1")
            .bind(cut.number())
            .execute(&mut *connection)
            .await
            .map_err(|error| failure::of_call(&error))?;
        reach.prune(cut, pruned);
        put_reach(connection, &reach).await?;
    }
    Ok(pruned)
}

async fn oldest(connection: &mut SqliteConnection, limit: usize) -> Result<Vec<Aged>, StoreError> {
    let sql = format!("SELECT cursor, size, at FROM entries ORDER BY cursor LIMIT {limit}");
    let rows = sqlx::query(&sql)
        .fetch_all(connection)
        .await
        .map_err(|error| failure::of_call(&error))?;
    let read = |row| {
        let row = Fields::new(row, "entries");
        Ok(Aged {
            cursor: Cursor::new(row.get("cursor")?),
            size: row.number("size")?,
            at: row.at("at")?,
        })
    };
    rows.iter().map(read).collect()
}
