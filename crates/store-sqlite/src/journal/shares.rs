//! What each gateway takes of the journal, and the steps of the clock that stamped its entries.

use std::collections::BTreeMap;

use sqlx::SqliteConnection;
use windlass_store::backend::{CLOCK_STEPS_KEPT, Share};
use windlass_store::{ClockStep, Cursor, GatewayUid, NewEntry, StoreError};

use crate::failure;
use crate::rows::{self, Fields, Record, Statement, Which};

/// A row of the table `shares`.
pub(super) struct ShareRow {
    pub(super) gateway: GatewayUid,
    pub(super) share: Share,
}

impl Record for ShareRow {
    const TABLE: &'static str = "shares";
    const COLUMNS: &'static [&'static str] = &["gateway", "entries", "bytes", "before"];

    fn bind<'q>(&'q self, statement: Statement<'q>) -> Result<Statement<'q>, StoreError> {
        Ok(statement
            .bind(self.gateway.to_string())
            .bind(rows::number("shares.entries", self.share.entries)?)
            .bind(rows::number("shares.bytes", self.share.bytes)?)
            .bind(self.share.before.number()))
    }

    fn read(row: &Fields<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            gateway: row.parsed("gateway")?,
            share: Share {
                entries: row.number("entries")?,
                bytes: row.number("bytes")?,
                before: Cursor::new(row.get("before")?),
            },
        })
    }
}

/// All shares.
pub(super) async fn all(connection: &mut SqliteConnection) -> Result<BTreeMap<GatewayUid, Share>, StoreError> {
    let rows: Vec<ShareRow> = rows::select(connection, Which::all()).await?;
    Ok(rows.into_iter().map(|row| (row.gateway, row.share)).collect())
}

/// Writes a share; one of no entries is no share.
pub(super) async fn put(
    connection: &mut SqliteConnection,
    gateway: GatewayUid,
    share: Share,
) -> Result<(), StoreError> {
    if share.entries > 0 {
        return rows::put(connection, &ShareRow { gateway, share }).await;
    }
    let which = Which::all().text("gateway =", gateway);
    rows::delete(connection, ShareRow::TABLE, which).await.map(drop)
}

/// Entries were appended, the first of them here.
pub(super) async fn append(
    connection: &mut SqliteConnection,
    first: Cursor,
    entries: &[NewEntry],
) -> Result<(), StoreError> {
    let mut added = BTreeMap::<GatewayUid, Share>::new();
    for (count, entry) in entries.iter().enumerate() {
        let share = added.entry(entry.gateway);
        share
            .or_insert_with(|| Share::new(first.advanced(count).before()))
            .append(entry);
    }
    let sql = "INSERT INTO shares (gateway, entries, bytes, before) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (gateway) DO UPDATE SET entries = entries + excluded.entries, bytes = bytes + excluded.bytes";
    for (gateway, share) in added {
        let row = ShareRow { gateway, share };
        let done = row.bind(sqlx::query(sql))?.execute(&mut *connection).await;
        done.map_err(|error| failure::of_call(&error))?;
    }
    Ok(())
}

impl Record for ClockStep {
    const TABLE: &'static str = "clock_steps";
    const COLUMNS: &'static [&'static str] = &["upto", "by_ms"];

    fn bind<'q>(&'q self, statement: Statement<'q>) -> Result<Statement<'q>, StoreError> {
        Ok(statement.bind(self.upto.number()).bind(self.by_ms))
    }

    fn read(row: &Fields<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            upto: Cursor::new(row.get("upto")?),
            by_ms: row.get("by_ms")?,
        })
    }
}

/// The steps that are known, oldest first.
pub(super) async fn clock_steps(connection: &mut SqliteConnection) -> Result<Vec<ClockStep>, StoreError> {
    rows::select(connection, Which::all().then("ORDER BY id")).await
}

pub(super) async fn note_clock_step(connection: &mut SqliteConnection, step: &ClockStep) -> Result<(), StoreError> {
    let sql = "INSERT INTO clock_steps (upto, by_ms) VALUES (?1, ?2)";
    let done = step.bind(sqlx::query(sql))?.execute(&mut *connection).await;
    done.map_err(|error| failure::of_call(&error))?;
    let surplus = format!("id <= (SELECT max(id) FROM clock_steps) - {CLOCK_STEPS_KEPT}");
    let which = Which::all().holds(&surplus);
    rows::delete(connection, ClockStep::TABLE, which).await.map(drop)
}

/// Steps before the oldest entry correct nothing any more.
pub(super) async fn forget_clock_steps(connection: &mut SqliteConnection, before: Cursor) -> Result<(), StoreError> {
    let which = Which::all().number("upto <=", before.number());
    rows::delete(connection, ClockStep::TABLE, which).await.map(drop)
}
