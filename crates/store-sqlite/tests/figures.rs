//! What the journal and the sends cost. Measured, not judged: run with `--release -- --ignored --nocapture`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "figures are for whoever asked for them")]

use std::time::{Duration, Instant};

use tempfile::TempDir;
use windlass_protocol::{RawJson, SessionKey};
use windlass_store::{
    Activities as _, EntryLabel, GatewayUid, Journal as _, JournalFilter, NewActivity, NewEntry, NewSend, Retention,
    SendEnd, Sends as _, Store as _, Timestamp,
};
use windlass_store_sqlite::SqliteStore;

#[expect(clippy::disallowed_methods, reason = "the only clock of this program")]
fn now() -> Instant {
    Instant::now()
}

fn entry(number: u64, bytes: usize) -> NewEntry {
    NewEntry {
        gateway: GatewayUid::from_bytes([u8::try_from(number % 50).unwrap(); 16]),
        generation: 3,
        kind: EntryLabel::event(if number.is_multiple_of(100) { "rare" } else { "agent" }),
        seq: Some(number),
        session_key: Some(SessionKey::parse("agent:lead-67e55044-10b1-426f-9247-bb680e5fe0c8:main").unwrap()),
        body: RawJson::parse(format!("\"{}\"", "x".repeat(bytes))).unwrap(),
        at: Timestamp::from_millis(1_000),
    }
}

/// In the folder that `WINDLASS_FIGURES` names, to measure that disk.
fn folder() -> TempDir {
    match std::env::var_os("WINDLASS_FIGURES") {
        Some(disk) => tempfile::tempdir_in(disk).unwrap(),
        None => tempfile::tempdir().unwrap(),
    }
}

fn say(what: &str, count: usize, took: Duration) {
    let rate = f64::from(u32::try_from(count).unwrap()) / took.as_secs_f64();
    println!("{what}: {count} in {took:.1?}, {rate:.0}/s");
}

async fn append(store: &SqliteStore, batch: usize, count: usize, bytes: usize) -> Vec<Duration> {
    let entries: Vec<NewEntry> = (0..batch as u64).map(|number| entry(number, bytes)).collect();
    let mut waits = Vec::new();
    for _ in 0..count / batch {
        let begun = now();
        store.append(&entries).await.unwrap();
        waits.push(begun.elapsed());
    }
    waits.sort_unstable();
    waits
}

#[tokio::test]
#[ignore = "measures"]
async fn appends() {
    for bytes in [300, 1_500, 20_000] {
        for (batch, count) in [(1, 500), (10, 5_000), (100, 20_000), (1_000, 50_000)] {
            let folder = folder();
            let store = SqliteStore::open(folder.path().join("store.db")).await.unwrap();
            store.append(&[entry(1, 10)]).await.unwrap();
            let waits = append(&store, batch, count, bytes).await;
            let (median, slow) = (waits[waits.len() / 2], waits[waits.len() * 99 / 100]);
            say(
                &format!("append {bytes} bytes in batches of {batch} (median {median:.1?}, p99 {slow:.1?})"),
                count,
                waits.iter().sum(),
            );
            store.close().await.unwrap();
        }
    }
}

async fn read_all(store: &SqliteStore, what: &str, filter: JournalFilter, all: usize) {
    let (begun, mut next, mut found, mut reads) = (now(), None, 0, 0);
    loop {
        let page = store.read_journal(next, &filter, 1_000).await.unwrap();
        (next, found, reads) = (page.next, found + page.entries.len(), reads + 1);
        if page.is_end {
            break;
        }
    }
    say(
        &format!("read {what} (found {found} in {reads} reads)"),
        all,
        begun.elapsed(),
    );
}

#[tokio::test]
#[ignore = "measures"]
async fn reads_and_prunes() {
    const ALL: usize = 100_000;
    for bytes in [300, 1_500, 20_000] {
        let all = if bytes > 10_000 { ALL / 10 } else { ALL };
        let folder = folder();
        let path = folder.path().join("store.db");
        let store = SqliteStore::open(&path).await.unwrap();
        append(&store, 1_000, all, bytes).await;
        let any = JournalFilter::default;
        read_all(&store, &format!("{bytes} bytes, all"), any(), all).await;
        let rare = JournalFilter {
            names: vec!["rare".into()],
            ..any()
        };
        read_all(&store, &format!("{bytes} bytes, one name of 100"), rare, all).await;
        let gateway = JournalFilter {
            gateway: Some(GatewayUid::from_bytes([7; 16])),
            ..any()
        };
        read_all(&store, &format!("{bytes} bytes, one gateway of 50"), gateway, all).await;
        let extent = store.journal_extent().await.unwrap();
        store.close().await.unwrap();
        let file = std::fs::metadata(path.with_extension("db.journal")).unwrap().len();
        println!("{bytes} bytes: counted {}, file {file}", extent.bytes);

        let store = SqliteStore::open(&path).await.unwrap();
        let begun = now();
        store.journal_extent().await.unwrap();
        println!("opened and checked in {:.1?}", begun.elapsed());
        let everything = Retention {
            max_bytes: Some(0),
            ..Retention::default()
        };
        let (begun, mut longest) = (now(), Duration::ZERO);
        loop {
            let step = now();
            let pruned = store
                .prune_journal(&everything, Timestamp::from_millis(0), 1_000)
                .await
                .unwrap();
            longest = longest.max(step.elapsed());
            if !pruned.more {
                break;
            }
        }
        say(
            &format!("prune {bytes} bytes (longest step {longest:.1?})"),
            all,
            begun.elapsed(),
        );
    }
}

#[tokio::test]
#[ignore = "measures"]
async fn records_beside_a_busy_journal() {
    let folder = folder();
    let store = SqliteStore::open(folder.path().join("store.db")).await.unwrap();
    let activity = NewActivity {
        actor: None,
        source: None,
        kind: "test".into(),
        message: "x".repeat(200),
        agent_id: None,
        board_id: None,
        at: Timestamp::from_millis(0),
    };
    let records = async || {
        let mut waits = Vec::new();
        for _ in 0..200 {
            let begun = now();
            store.record(&activity).await.unwrap();
            waits.push(begun.elapsed());
        }
        waits.sort_unstable();
        waits
    };
    let alone = records().await;
    let entries: Vec<NewEntry> = (0..1_000).map(|number| entry(number, 1_500)).collect();
    let busy = async {
        loop {
            store.append(&entries).await.unwrap();
        }
    };
    let beside = tokio::select! {
        waits = records() => waits,
        () = busy => unreachable!("it is busy without end"),
    };
    for (what, waits) in [("alone", alone), ("beside a busy journal", beside)] {
        println!("a record {what}: median {:.1?}, p99 {:.1?}", waits[100], waits[198]);
    }
}

#[tokio::test]
#[ignore = "measures"]
async fn sends() {
    const ALL: usize = 300;
    let folder = folder();
    let store = SqliteStore::open(folder.path().join("store.db")).await.unwrap();
    let at = Timestamp::from_millis(0);
    let begun = now();
    for number in 0..ALL {
        let key = format!("key-{number}");
        let send = NewSend {
            key: key.clone(),
            gateway_id: GatewayUid::from_bytes([1; 16]),
            session_key: SessionKey::parse("agent:main:main").unwrap(),
            text: "x".repeat(500),
            deliver: None,
            options: serde_json::Value::Null,
            created_at: at,
            deadline: None,
        };
        store.begin_send(&send).await.unwrap();
        store
            .note_attempt(&key, at, &serde_json::json!({"bootId": "b", "generation": 1}))
            .await
            .unwrap();
        let end = SendEnd::Done { run_id: key.clone() };
        store.end_send(&key, &end, at).await.unwrap();
    }
    say("sends, begun, tried and ended", ALL, begun.elapsed());
}
