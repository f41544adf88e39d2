//! Pruning: first the oldest entries that are too old, then the oldest entries of the gateways that take too much. And the tables
//! that it needs: the share of each gateway, and the steps of the clock that stamped the entries.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, SqliteConnection};
use windlass_store::backend::{Aged, CLOCK_STEPS_KEPT, Candidate, Hole, PrunePlan, Reach, Share, prune_from};
use windlass_store::{
    ClockStep, Cursor, GatewayUid, NewEntry, PRUNED_MARKER, Pruned, Retention, StoreError, Timestamp, corrected, limits,
};

use super::entries;
use crate::error;
use crate::rows::{self, Fields, Statement, TableRecord, Where};

/// One step: at most `limit` entries.
pub(crate) async fn prune(
    connection: &mut SqliteConnection,
    retention: &Retention,
    now: Timestamp,
    limit: usize,
) -> Result<Pruned, StoreError> {
    let Some(mut reach) = entries::reach(connection).await? else {
        return Ok(Pruned::default());
    };
    let mut pruned = prune_old(connection, &mut reach, retention, now, limit).await?;
    if let Some(max) = retention.max_bytes
        && !pruned.more
    {
        let left = limit.saturating_sub(usize::try_from(pruned.entries).unwrap_or(0));
        pruned.add(prune_too_much(connection, &mut reach, max, left).await?);
    }
    if pruned.entries > 0 {
        entries::put_reach(connection, &reach).await?;
        forget_clock_steps(connection, reach.pruned).await?;
    }
    Ok(pruned)
}

async fn prune_old(
    connection: &mut SqliteConnection,
    reach: &mut Reach,
    retention: &Retention,
    now: Timestamp,
    limit: usize,
) -> Result<Pruned, StoreError> {
    let by_age = Retention {
        max_bytes: None,
        ..*retention
    };
    if by_age.max_age.is_none() {
        return Ok(Pruned::default());
    }
    prune_oldest(connection, reach, by_age, now, limit).await
}

/// Prunes the oldest entries of all, of whichever gateway.
async fn prune_oldest(
    connection: &mut SqliteConnection,
    reach: &mut Reach,
    retention: Retention,
    now: Timestamp,
    limit: usize,
) -> Result<Pruned, StoreError> {
    let steps = clock_steps(connection).await?;
    let candidates = look(connection, reach.pruned, limit).await?;
    let oldest = candidates.iter().map(|candidate| Aged {
        cursor: candidate.cursor,
        size: candidate.size,
        at: corrected(candidate.at, candidate.cursor, &steps),
    });
    let (cut, pruned) = retention.cut(oldest, reach.bytes, now, limit);
    let Some(cut) = cut else {
        return Ok(Pruned::default());
    };
    let done = sqlx::query("DELETE FROM entries WHERE cursor <= ?1")
        .bind(cut.number())
        .execute(&mut *connection)
        .await;
    done.map_err(|error| error::of_call(&error))?;
    let mut known = all(connection).await?;
    let gone = candidates.iter().take_while(|candidate| candidate.cursor <= cut);
    let mut touched = BTreeMap::<GatewayUid, Share>::new();
    for candidate in gone {
        if let Some(share) = known.get_mut(&candidate.gateway) {
            share.prune(1, candidate.size);
            touched.insert(candidate.gateway, *share);
        }
    }
    for (gateway, share) in touched {
        put(connection, gateway, share).await?;
    }
    forget(connection, reach, pruned).await?;
    Ok(pruned)
}

async fn prune_too_much(
    connection: &mut SqliteConnection,
    reach: &mut Reach,
    max: u64,
    limit: usize,
) -> Result<Pruned, StoreError> {
    let excess = reach.bytes.saturating_sub(max);
    if excess == 0 || limit == 0 {
        return Ok(Pruned::default());
    }
    let known = all(connection).await?;
    let Some(from) = prune_from(&known, max) else {
        return Ok(Pruned::default());
    };
    let from = from.max(reach.pruned);
    let candidates = look(connection, from, limits::JOURNAL_SCAN).await?;
    let plan = PrunePlan::make(&known, candidates.iter().cloned(), max, excess, limit);
    let scanned = plan.scanned.unwrap_or(reach.newest);
    let is_at_limit = plan.entries == limit || (plan.bytes() < excess && scanned < reach.newest);
    if plan.entries == 0 && scanned == reach.newest {
        // The shares say more than what is there, which damaged entries can lead to.
        let oldest = Retention {
            max_age: None,
            max_bytes: Some(max),
        };
        return prune_oldest(connection, reach, oldest, Timestamp::from_millis(i64::MAX), limit).await;
    }
    let pruned = make_holes(connection, &known, &plan).await?;
    let seen: BTreeSet<_> = candidates
        .iter()
        .take_while(|candidate| candidate.cursor <= scanned)
        .map(|candidate| candidate.gateway)
        .collect();
    for (gateway, share) in known {
        // Nothing of this gateway was found up to here: the next look begins behind.
        if !seen.contains(&gateway) && (from..scanned).contains(&share.before.max(reach.pruned)) {
            let before = scanned;
            put(connection, gateway, Share { before, ..share }).await?;
        }
    }
    forget(connection, reach, pruned).await?;
    Ok(Pruned {
        more: is_at_limit && pruned.entries > 0,
        ..pruned
    })
}

/// Deletes the entries of a plan, and inserts markers where older entries stay.
async fn make_holes(
    connection: &mut SqliteConnection,
    known: &BTreeMap<GatewayUid, Share>,
    plan: &PrunePlan,
) -> Result<Pruned, StoreError> {
    let all: Vec<i64> = plan.cursors().map(Cursor::number).collect();
    let cursors = rows::json("entries.cursor", &all)?;
    let delete = "DELETE FROM entries WHERE cursor IN (SELECT value FROM json_each(?1))";
    let done = sqlx::query(delete).bind(cursors).execute(&mut *connection).await;
    done.map_err(|error| error::of_call(&error))?;
    let oldest = oldest(connection).await?;
    let mut pruned = Pruned::default();
    for run in plan.settle(oldest) {
        if let Some((cursor, marker)) = &run.marker {
            entries::insert(connection, *cursor, std::slice::from_ref(marker)).await?;
        }
        if let Some(mut share) = known.get(&run.gateway).copied() {
            run.apply_to(&mut share);
            put(connection, run.gateway, share).await?;
        }
        pruned.add(run.gone);
    }
    Ok(pruned)
}

/// Updates the reach after entries were deleted: the oldest entry may be another one.
async fn forget(connection: &mut SqliteConnection, reach: &mut Reach, pruned: Pruned) -> Result<(), StoreError> {
    let oldest = oldest(connection).await?;
    reach.prune(pruned.entries, pruned.bytes, oldest.map(Cursor::before));
    Ok(())
}

async fn oldest(connection: &mut SqliteConnection) -> Result<Option<Cursor>, StoreError> {
    let oldest: Option<i64> = sqlx::query_scalar("SELECT min(cursor) FROM entries")
        .fetch_one(connection)
        .await
        .map_err(|error| error::of_call(&error))?;
    Ok(oldest.map(Cursor::new))
}

/// The candidates for pruning among the entries after a cursor.
async fn look(connection: &mut SqliteConnection, after: Cursor, limit: usize) -> Result<Vec<Candidate>, StoreError> {
    let sql = format!(
        "SELECT cursor, size, at, gateway, generation,
            CASE WHEN kind = 'marker' AND name = '{PRUNED_MARKER}' THEN body END AS hole
        FROM entries WHERE cursor > ?1 ORDER BY cursor LIMIT {limit}"
    );
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(after.number())
        .fetch_all(connection)
        .await
        .map_err(|error| error::of_call(&error))?;
    rows.iter().map(candidate).collect()
}

fn candidate(row: &SqliteRow) -> Result<Candidate, StoreError> {
    let row = Fields::new(row, "entries");
    // What can't be read goes like any other entry; a marker that can't be read stands for itself alone.
    let hole = row.optional_json::<Hole>("hole").unwrap_or(None);
    Ok(Candidate {
        cursor: Cursor::new(row.get("cursor")?),
        gateway: row.parsed("gateway").unwrap_or(NewEntry::NO_GATEWAY),
        size: row.number("size").unwrap_or(0),
        at: row.at("at")?,
        generation: row.number("generation").unwrap_or(0),
        stands_for: hole,
    })
}

/// A row of the table `shares`.
pub(crate) struct ShareRow {
    pub(crate) gateway: GatewayUid,
    pub(crate) share: Share,
}

impl TableRecord for ShareRow {
    const TABLE: &'static str = "shares";
    const COLUMNS: &'static [&'static str] = &["gateway", "entries", "bytes", "before"];

    fn bind(&self, statement: Statement) -> Result<Statement, StoreError> {
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
pub(crate) async fn all(connection: &mut SqliteConnection) -> Result<BTreeMap<GatewayUid, Share>, StoreError> {
    let rows: Vec<ShareRow> = rows::select(connection, Where::all()).await?;
    Ok(rows.into_iter().map(|row| (row.gateway, row.share)).collect())
}

/// Writes a share; one of no entries is no share.
pub(crate) async fn put(
    connection: &mut SqliteConnection,
    gateway: GatewayUid,
    share: Share,
) -> Result<(), StoreError> {
    if share.entries > 0 {
        return rows::put(connection, &ShareRow { gateway, share }).await;
    }
    let which = Where::all().text("gateway =", gateway);
    rows::delete(connection, ShareRow::TABLE, which).await.map(drop)
}

/// Entries were appended, the first of them here.
pub(crate) async fn append_shares(
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
        done.map_err(|error| error::of_call(&error))?;
    }
    Ok(())
}

impl TableRecord for ClockStep {
    const TABLE: &'static str = "clock_steps";
    const COLUMNS: &'static [&'static str] = &["upto", "by_ms"];

    fn bind(&self, statement: Statement) -> Result<Statement, StoreError> {
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
pub(crate) async fn clock_steps(connection: &mut SqliteConnection) -> Result<Vec<ClockStep>, StoreError> {
    rows::select(connection, Where::all().then("ORDER BY id")).await
}

pub(crate) async fn note_clock_step(connection: &mut SqliteConnection, step: &ClockStep) -> Result<(), StoreError> {
    let sql = "INSERT INTO clock_steps (upto, by_ms) VALUES (?1, ?2)";
    let done = step.bind(sqlx::query(sql))?.execute(&mut *connection).await;
    done.map_err(|error| error::of_call(&error))?;
    let surplus = format!("id <= (SELECT max(id) FROM clock_steps) - {CLOCK_STEPS_KEPT}");
    let which = Where::all().holds(&surplus);
    rows::delete(connection, ClockStep::TABLE, which).await.map(drop)
}

/// Steps before the oldest entry correct nothing any more.
pub(crate) async fn forget_clock_steps(connection: &mut SqliteConnection, before: Cursor) -> Result<(), StoreError> {
    let which = Where::all().number("upto <=", before.number());
    rows::delete(connection, ClockStep::TABLE, which).await.map(drop)
}
