//! A writer whose store takes nothing for a while, on a real disk and in real time.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, Executor as _, SqliteConnection};
use windlass::journal::{
    EntryKind, JournalItem, JournalReader, JournalWriterState, RecordedMarker, Retention, Stall, StartPosition,
    Timestamp,
};
use windlass::store::Store;
use windlass::{Marker, Windlass};
use windlass_store_sqlite::{SqliteOptions, SqliteStore};
use windlass_testkit::{Generation as Protocol, SimGateway};

use crate::bench::{sim, spec};
use crate::journal::{custom, item, marker, next, word};

/// A gateway, a line to it, and a store of its own on the disk, in real time.
struct Disk {
    folder: tempfile::TempDir,
    store: Arc<dyn Store>,
    sim: SimGateway,
    windlass: Windlass,
}

impl Disk {
    async fn new(options: SqliteOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open_with(folder.path().join("store.db"), options)
            .await
            .unwrap();
        let sim = sim(Protocol::V4).start_tcp().await.unwrap();
        let windlass = Windlass::start().unwrap();
        let mut spec = spec("gw");
        spec.endpoint = sim.url().parse().unwrap();
        let gateway = windlass.add(spec).await.unwrap();
        gateway.wait_until_up(Duration::from_secs(30)).await.unwrap();
        Self {
            folder,
            store: Arc::new(store),
            sim,
            windlass,
        }
    }

    /// Past the store.
    async fn journal_file(&self) -> SqliteConnection {
        let file = self.folder.path().join("store.db.journal");
        let options = SqliteConnectOptions::new().filename(file);
        SqliteConnection::connect_with(&options).await.unwrap()
    }
}

#[tokio::test]
async fn a_locked_journal_is_waited_for_and_told_and_nothing_is_lost() {
    let options = SqliteOptions {
        busy_timeout: Duration::from_millis(20),
        ..SqliteOptions::default()
    };
    let disk = Disk::new(options).await;
    let journal = disk.windlass.journal(Arc::clone(&disk.store));
    let writer = journal.writer().start().await.unwrap();
    let mut reader = journal.reader(StartPosition::Start).await.unwrap().following(&writer);
    assert!(matches!(
        marker(next(&mut reader).await),
        RecordedMarker::Began { up: true, .. }
    ));
    let mut reader = journal
        .reader_with(StartPosition::Now, custom())
        .await
        .unwrap()
        .following(&writer);
    let mut other = disk.journal_file().await;
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    for n in 0..1_000 {
        disk.sim.emit("custom", json!({ "n": n }));
    }
    assert_eq!(item(&mut reader).await, Some(JournalItem::Stalled(Stall::Busy)));
    assert!(matches!(
        writer.status().borrow().state,
        JournalWriterState::Stalled { why: Stall::Busy, .. }
    ));
    other.execute("ROLLBACK").await.unwrap();
    other.close().await.unwrap();
    assert_eq!(item(&mut reader).await, Some(JournalItem::Resumed));
    for n in 0..1_000 {
        assert_eq!(word(&next(&mut reader).await), n.to_string());
    }
    disk.windlass.shutdown(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn a_full_journal_stalls_the_writer_and_room_lets_it_go_on() {
    let options = SqliteOptions {
        journal_max_bytes: Some(200 * 1024),
        ..SqliteOptions::default()
    };
    let disk = Disk::new(options).await;
    let Disk {
        store, sim, windlass, ..
    } = &disk;
    let gateway = windlass.gateways().remove(0);
    let journal = windlass.journal(Arc::clone(store));
    let writer = journal.writer().backlog(50).start().await.unwrap();
    let mut reader = journal
        .reader_with(StartPosition::Start, custom())
        .await
        .unwrap()
        .following(&writer);
    let filler = "x".repeat(1_000);
    let mut sent = 0_u64;
    let mut next_stall = async |reader: &mut JournalReader| {
        loop {
            sim.emit("custom", json!({ "n": sent, "filler": filler }));
            sent += 1;
            let waited = tokio::time::timeout(Duration::from_millis(5), reader.next()).await;
            if let Ok(Ok(Some(JournalItem::Stalled(why)))) = waited {
                return why;
            }
        }
    };
    assert_eq!(next_stall(&mut reader).await, Stall::Full);
    // Far more than waits.
    for n in 0..500 {
        sim.emit("custom", json!({ "n": 1_000_000 + n, "filler": filler }));
    }
    gateway.call("health", ()).await.unwrap();
    // The room that is made is found by the next try.
    while store
        .prune_journal(
            &Retention {
                max_age: None,
                max_bytes: Some(0),
            },
            Timestamp::from_millis(0),
            1_000,
        )
        .await
        .unwrap()
        .more
    {}
    let mut dropped = None;
    let mut resumed = false;
    let last = loop {
        match tokio::time::timeout(Duration::from_secs(60), reader.next())
            .await
            .expect("it goes on")
            .unwrap()
        {
            Some(JournalItem::Resumed) => resumed = true,
            Some(JournalItem::Recorded(entry)) => match &entry.kind {
                EntryKind::Marker(RecordedMarker::Line(Marker::Lagged(count))) => dropped = Some(*count),
                EntryKind::Event(event) => {
                    let n = event.decode::<Value>().unwrap()["n"].as_u64().unwrap();
                    if n == 1_000_499 {
                        break n;
                    }
                }
                EntryKind::Marker(_) => {}
            },
            other => assert!(matches!(other, Some(JournalItem::Lost(_))), "{other:?}"),
        }
    };
    assert!(resumed && last == 1_000_499);
    assert!(dropped.is_some_and(|dropped| dropped >= 400), "{dropped:?}");
    assert!(writer.status().borrow().retries > 0);
    windlass.shutdown(Duration::from_secs(1)).await;
}
