//! The journal, in its own file: its writers are killed, locked out, cancelled.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::{Connection as _, Executor as _};
use windlass_protocol::RawJson;
use windlass_store::{
    Activities as _, Cursor, Entry, EntryLabel, GatewayUid, Journal as _, JournalFilter, NewEntry, Retention,
    Sends as _, Store as _, StoreError,
};
use windlass_store_sqlite::{SqliteOptions, SqliteStore};

use crate::child::OtherProcess;
use crate::sends::send;
use crate::world::{at, folder, furnished, long_activity, numbers, past_the_store};

pub(crate) const ALL: Retention = Retention {
    max_age: None,
    max_bytes: Some(0),
};

pub(crate) fn journal_of(path: &Path) -> PathBuf {
    path.with_file_name("store.db.journal")
}

/// The entries of one batch, which tell which one it is and how many there are. Its time is 0, so that cursors count from 1.
pub(crate) fn batch(number: u64, length: u64, bytes: usize) -> Vec<NewEntry> {
    let body = RawJson::parse(format!("[{number}, {length}, \"{}\"]", "x".repeat(bytes))).unwrap();
    let entry = |seq| NewEntry {
        gateway: GatewayUid::from_bytes([2; 16]),
        generation: number,
        kind: EntryLabel::event("chat"),
        seq: Some(seq),
        session_key: None,
        body: body.clone(),
        at: at(0),
    };
    (0..length).map(entry).collect()
}

pub(crate) async fn append(store: &SqliteStore, number: u64, length: u64, bytes: usize) -> Result<Cursor, StoreError> {
    store
        .append(&batch(number, length, bytes))
        .await
        .map(|appended| appended.last)
}

/// All entries that are there, which must be one after the other, and each batch whole but the oldest, of which some may be pruned.
pub(crate) async fn whole(store: &SqliteStore) -> Vec<Entry> {
    let (mut next, mut entries) = (None, Vec::<Entry>::new());
    loop {
        let page = store
            .read_journal(next, &JournalFilter::default(), 1_000)
            .await
            .unwrap();
        assert_eq!(page.lost, None);
        next = page.next;
        entries.extend(page.entries);
        if page.is_end {
            break;
        }
    }
    for pair in entries.windows(2) {
        let (one, two) = (&pair[0], &pair[1]);
        assert_eq!(two.cursor.number(), one.cursor.number() + 1);
        let (_, length, _): (u64, u64, String) = one.entry.body.decode().unwrap();
        let is_last = one.entry.seq == Some(length - 1);
        assert_eq!(
            two.entry.seq,
            if is_last {
                Some(0)
            } else {
                one.entry.seq.map(|seq| seq + 1)
            }
        );
    }
    if let Some(last) = entries.last() {
        let (_, length, _): (u64, u64, String) = last.entry.body.decode().unwrap();
        assert_eq!(last.entry.seq, Some(length - 1), "the last batch is whole");
    }
    let extent = store.journal_extent().await.unwrap();
    assert_eq!(extent.entries, entries.len() as u64);
    assert_eq!(extent.newest, next);
    entries
}

/// How often a process is killed. Each time it goes on from where the one before it was killed.
pub(crate) const KILLS: u64 = 25;

#[tokio::test]
async fn what_was_appended_before_a_kill_is_there_after_it_and_no_cursor_is_used_twice() {
    let (_folder, path) = folder();
    furnished(&path).await;
    let mut used = Cursor::new(0);
    for round in 0..KILLS {
        let mut process = OtherProcess::start("child::appends_until_it_is_killed", &path);
        // In the first rounds it is killed while it makes the journal.
        assert_eq!(process.acknowledged(), Some(0));
        let mut last = 0;
        for _ in 0..round.saturating_sub(4) % 9 {
            last = process.acknowledged().expect("it works until it is killed");
        }
        process.kill();
        while let Some(number) = process.acknowledged() {
            last = number;
        }

        let store = SqliteStore::open(&path).await.unwrap();
        let entries = whole(&store).await;
        let newest = store.journal_extent().await.unwrap().newest.unwrap_or(Cursor::new(0));
        let last = Cursor::new(i64::try_from(last).unwrap());
        assert!(
            newest >= last,
            "round {round}: {last} was acknowledged, {newest} is the newest"
        );
        let consumer = store.acknowledged("test").await.unwrap().unwrap_or(Cursor::new(0));
        assert!((last..=newest).contains(&consumer), "round {round}");
        assert!(
            newest >= used,
            "round {round}: {used} was used before, {newest} is the newest"
        );
        let bytes: u64 = store.journal_extent().await.unwrap().bytes;
        assert!(bytes > 0 || entries.is_empty());
        used = append(&store, 1_000 + round, 3, 10).await.unwrap();
        assert_eq!(used.number(), newest.number() + 3);
    }
    // The count of bytes was never off: it ends at nothing.
    let store = SqliteStore::open(&path).await.unwrap();
    assert!(used.number() > 200, "there was something to kill");
    while store.prune_journal(&ALL, at(0), 1_000).await.unwrap().more {}
    let extent = store.journal_extent().await.unwrap();
    assert_eq!((extent.entries, extent.bytes), (0, 0));
}

#[tokio::test]
async fn an_append_that_meets_a_lock_is_busy_and_reading_goes_on() {
    let (_folder, path) = folder();
    furnished(&path).await;
    let impatient = SqliteOptions {
        busy_timeout: Duration::from_millis(50),
        ..SqliteOptions::default()
    };
    let store = SqliteStore::open_with(&path, impatient).await.unwrap();
    append(&store, 1, 3, 1).await.unwrap();
    let mut other = past_the_store(&journal_of(&path)).await;
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    for _ in 0..3 {
        let error = append(&store, 2, 3, 1).await.unwrap_err();
        assert!(matches!(error, StoreError::Busy) && error.is_transient(), "{error:?}");
    }
    assert_eq!(whole(&store).await.len(), 3);
    store.record(&long_activity(1)).await.unwrap();
    other.execute("ROLLBACK").await.unwrap();
    other.close().await.unwrap();
    assert_eq!(append(&store, 2, 3, 1).await.unwrap(), Cursor::new(6));
}

#[tokio::test]
async fn many_stores_make_a_journal_at_once_and_share_it() {
    let (_folder, path) = folder();
    furnished(&path).await;
    let work = |number| {
        let path = path.clone();
        tokio::spawn(async move {
            let store = SqliteStore::open(&path).await.unwrap();
            let mut places = Vec::new();
            for _ in 0..10 {
                places.push(append(&store, number, 3, 10).await.unwrap());
            }
            assert!(places.is_sorted());
            store.close().await.unwrap();
            places
        })
    };
    let tasks: Vec<_> = (0..8).map(work).collect();
    let mut places = BTreeSet::new();
    for task in tasks {
        places.extend(task.await.unwrap());
    }
    assert_eq!(places.len(), 80, "no place is given twice");
    let store = SqliteStore::open(&path).await.unwrap();
    assert_eq!(whole(&store).await.len(), 240);
    assert!(numbers(&store).await.is_empty());
}

#[tokio::test]
async fn a_cancelled_append_happens_whole_or_not_at_all_and_a_cancelled_read_leaves_nothing_open() {
    const ROUNDS: u64 = 200;
    let (_folder, path) = folder();
    furnished(&path).await;
    let store = Arc::new(SqliteStore::open(&path).await.unwrap());
    let mut cancelled = 0;
    for round in 0..ROUNDS {
        let appending = Arc::clone(&store);
        let call = tokio::spawn(async move { append(&appending, round, 13, 300).await.unwrap() });
        let reading = Arc::clone(&store);
        let read = tokio::spawn(async move { whole(&reading).await.len() });
        for _ in 0..round * 20 {
            tokio::task::yield_now().await;
        }
        call.abort();
        read.abort();
        if let Ok(cursor) = call.await {
            assert!(store.journal_extent().await.unwrap().newest >= Some(cursor));
        } else {
            cancelled += 1;
        }
        drop(read.await);
        append(&store, round, 3, 1).await.unwrap();
    }
    assert!(cancelled > 0, "some were cancelled");
    whole(&store).await;
    // A transaction left open would keep the log from being emptied.
    let mut other = past_the_store(&journal_of(&path)).await;
    let (busy, _, _): (i64, i64, i64) = sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)")
        .fetch_one(&mut other)
        .await
        .unwrap();
    assert_eq!(busy, 0);
    other.close().await.unwrap();
    store.close().await.unwrap();
}

#[tokio::test]
async fn who_keeps_no_journal_has_no_file_for_it_and_a_closed_store_makes_none() {
    let (_folder, path) = folder();
    furnished(&path).await;
    let store = SqliteStore::open(&path).await.unwrap();
    store.begin_send(&send(1)).await.unwrap();
    store.close().await.unwrap();
    assert!(matches!(append(&store, 1, 1, 1).await, Err(StoreError::Closed)));
    assert!(!journal_of(&path).exists());
    let store = SqliteStore::open(&path).await.unwrap();
    append(&store, 1, 1, 1).await.unwrap();
    store.close().await.unwrap();
    assert!(matches!(append(&store, 1, 1, 1).await, Err(StoreError::Closed)));
    assert!(matches!(store.journal_extent().await, Err(StoreError::Closed)));
    assert!(
        !path.with_file_name("store.db.journal-wal").exists(),
        "the log is in the file"
    );
}
