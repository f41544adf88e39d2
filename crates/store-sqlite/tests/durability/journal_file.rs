//! The journal's file: full, damaged, or another's. The records go on.

use std::path::Path;

use windlass_store::{
    Activities as _, Agents as _, Cursor, EntryLabel, Journal as _, JournalFilter, Lost, ReaderId, Sends as _,
    Store as _, StoreError,
};
use windlass_store_sqlite::{OpenError, SqliteOptions, SqliteStore};

use crate::journal::{ALL, append, batch, journal_of, whole};
use crate::sends::send;
use crate::world::{at, folder, furnished, long_activity, run_sql, the_agent};

#[tokio::test]
async fn a_full_journal_refuses_and_the_records_go_on() {
    let (_folder, path) = folder();
    furnished(&path).await;
    let small = SqliteOptions {
        journal_max_bytes: Some(512 * 1024),
        ..SqliteOptions::default()
    };
    let store = SqliteStore::open_with(&path, small).await.unwrap();
    let mut last = Cursor::new(0);
    let error = loop {
        match append(&store, 1, 12, 3_000).await {
            Ok(cursor) => last = cursor,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Full), "{error:?}");
    assert!(last.number() > 60, "{last}");
    assert_eq!(whole(&store).await.len(), usize::try_from(last.number()).unwrap());
    store.record(&long_activity(1)).await.unwrap();
    store.begin_send(&send(1)).await.unwrap();

    // Room made is room.
    assert_eq!(store.prune_journal(&ALL, at(0), 30).await.unwrap().entries, 30);
    assert_eq!(append(&store, 2, 12, 3_000).await.unwrap().number(), last.number() + 12);
    store.close().await.unwrap();
    let store = SqliteStore::open(&path).await.unwrap();
    assert_eq!(
        whole(&store).await.len(),
        usize::try_from(last.number()).unwrap() - 30 + 12
    );
}

#[tokio::test]
async fn a_journal_that_cannot_be_made_for_lack_of_room_can_be_made_later() {
    let (_folder, path) = folder();
    furnished(&path).await;
    let none = SqliteOptions {
        journal_max_bytes: Some(1),
        ..SqliteOptions::default()
    };
    let store = SqliteStore::open_with(&path, none).await.unwrap();
    for _ in 0..2 {
        assert!(matches!(append(&store, 1, 1, 1).await, Err(StoreError::Full)));
    }
    store.close().await.unwrap();
    let store = SqliteStore::open(&path).await.unwrap();
    assert_eq!(append(&store, 1, 1, 1).await.unwrap(), Cursor::new(1));
}

/// What the journal's calls say; the records must be as they were, and the file too.
async fn refused(path: &Path, content: &[u8]) -> OpenError {
    let journal = journal_of(path);
    std::fs::write(&journal, content).unwrap();
    let store = SqliteStore::open(path).await.unwrap();
    let mut error = None;
    for _ in 0..2 {
        error = Some(store.journal_extent().await.unwrap_err());
        assert!(append(&store, 1, 1, 1).await.is_err());
        assert!(
            store.agent(the_agent()).await.unwrap().is_some(),
            "the records are not touched"
        );
    }
    store.close().await.unwrap();
    assert!(
        std::fs::read(&journal).unwrap() == content,
        "the file was changed: {error:?}"
    );
    let Some(StoreError::Journal(error)) = error else {
        panic!("{error:?}")
    };
    assert!(error.to_string().contains("store.db.journal"), "{error}");
    *error.downcast().unwrap()
}

#[tokio::test]
async fn a_journal_that_is_none_is_refused_and_the_records_go_on() {
    let (_folder, path) = folder();
    furnished(&path).await;
    let error = refused(&path, "Dear diary,\n".repeat(1000).as_bytes()).await;
    assert!(matches!(error, OpenError::NotADatabase { .. }), "{error:?}");
    let records = std::fs::read(&path).unwrap();
    let error = refused(&path, &records).await;
    assert!(
        matches!(error, OpenError::OtherProgram { .. }),
        "a store is no journal: {error:?}"
    );

    std::fs::remove_file(journal_of(&path)).unwrap();
    let store = SqliteStore::open(&path).await.unwrap();
    for number in 0..10 {
        append(&store, number, 10, 1_000).await.unwrap();
    }
    store.close().await.unwrap();
    let good = std::fs::read(journal_of(&path)).unwrap();
    let mut damaged = good.clone();
    let middle = good.len() / 2 / 4096 * 4096;
    damaged[middle..middle + 4096].fill(0xa5);
    for content in [damaged, good[..middle].to_vec()] {
        let error = refused(&path, &content).await;
        assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
    }
    std::fs::write(journal_of(&path), good).unwrap();
    run_sql(
        &journal_of(&path),
        "INSERT INTO _sqlx_migrations VALUES (99, 'later', '', TRUE, x'00', 0)",
    )
    .await;
    let newer = std::fs::read(journal_of(&path)).unwrap();
    let error = refused(&path, &newer).await;
    assert!(matches!(error, OpenError::TooNew { found: 99, .. }), "{error:?}");

    // And a journal is no store.
    let error = SqliteStore::open(journal_of(&path)).await.unwrap_err();
    assert!(matches!(error, OpenError::OtherProgram { .. }), "{error:?}");
}

#[tokio::test]
async fn who_has_read_a_journal_that_was_lost_is_told_by_the_next_one() {
    let (_folder, path) = folder();
    furnished(&path).await;
    let lived = async |seconds: i64| {
        let store = SqliteStore::open(&path).await.unwrap();
        let mut entries = batch(1, 500, 1);
        entries[0].at = at(seconds);
        let last = store.append(&entries).await.unwrap().last;
        store.close().await.unwrap();
        last
    };
    let last = lived(1_000).await;
    std::fs::remove_file(journal_of(&path)).unwrap();
    let store = SqliteStore::open(&path).await.unwrap();
    let all = JournalFilter::default();
    let page = store.read_journal(Some(last), &all, 10).await.unwrap();
    assert_eq!(page.lost, Some(Lost::OtherJournal), "before its first entry");
    store.close().await.unwrap();
    assert!(lived(1_001).await > last);
    let store = SqliteStore::open(&path).await.unwrap();
    let page = store.read_journal(Some(last), &all, 10).await.unwrap();
    assert!(matches!(page.lost, Some(Lost::Pruned { .. })), "{:?}", page.lost);
    assert_eq!(page.entries.len(), 10);
}

#[tokio::test]
async fn damage_that_was_not_looked_for_is_told_when_it_is_met() {
    let (_folder, path) = folder();
    furnished(&path).await;
    let store = SqliteStore::open(&path).await.unwrap();
    append(&store, 1, 200, 1_000).await.unwrap();
    store.close().await.unwrap();
    let mut damaged = std::fs::read(journal_of(&path)).unwrap();
    let (from, to) = (damaged.len() - 20 * 4096, damaged.len() - 4096);
    damaged[from..to].fill(0xa5);
    std::fs::write(journal_of(&path), damaged).unwrap();
    let unchecked = SqliteOptions {
        check: false,
        ..SqliteOptions::default()
    };
    let store = SqliteStore::open_with(&path, unchecked).await.unwrap();
    let error = store
        .read_journal(None, &JournalFilter::default(), 1_000)
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
    assert!(store.agent(the_agent()).await.unwrap().is_some());
}

#[tokio::test]
async fn a_value_that_makes_no_sense_is_named_by_its_column_only() {
    for (column, value) in [
        ("body", "'{\"password\": hunter2'"),
        ("gateway", "'hunter2'"),
        ("kind", "'hunter2'"),
        ("session_key", "''"),
        ("seq", "-1"),
        ("generation", "-1"),
    ] {
        let (_folder, path) = folder();
        furnished(&path).await;
        let store = SqliteStore::open(&path).await.unwrap();
        append(&store, 1, 3, 1).await.unwrap();
        let update =
            format!("UPDATE entries SET {column} = {value} WHERE cursor = (SELECT min(cursor) + 1 FROM entries)");
        run_sql(&journal_of(&path), &update).await;
        let page = store.read_journal(None, &JournalFilter::default(), 10).await.unwrap();
        let damaged = EntryLabel::Damaged {
            what: format!("entries.{column}").into(),
        };
        let is_damaged: Vec<bool> = page.entries.iter().map(|entry| entry.entry.kind == damaged).collect();
        assert_eq!(is_damaged, [false, true, false], "{column}: it costs itself");
        assert!(!format!("{page:?}").contains("hunter2"));
        let refused = store.append(&[page.entries[1].entry.clone()]).await.unwrap_err();
        assert!(matches!(refused, StoreError::Invalid { .. }), "{refused:?}");
    }
    for (column, value) in [
        ("state", "'hunter2'"),
        ("state", "'done'"),
        ("options", "'{\"password\": hunter2'"),
        ("session_key", "''"),
        ("attempts", "-1"),
    ] {
        let (_folder, path) = folder();
        furnished(&path).await;
        let store = SqliteStore::open(&path).await.unwrap();
        store.begin_send(&send(1)).await.unwrap();
        run_sql(&path, &format!("UPDATE sends SET {column} = {value}")).await;
        let error = store.chat_send("key-1").await.unwrap_err();
        // An end without its outcome.
        let column = if value == "'done'" { "outcome" } else { column };
        assert_names(&error, &format!("sends.{column}"));
    }
}

fn assert_names(error: &StoreError, column: &str) {
    let shown = format!("{error} {error:?}");
    assert!(
        matches!(error, StoreError::Damaged { what } if what == column),
        "{shown}"
    );
    assert!(!shown.contains("hunter2"), "{shown}");
}

/// All entries from the first one on, whatever they are.
async fn read_all(store: &SqliteStore) -> Vec<windlass_store::Entry> {
    let page = store
        .read_journal(None, &JournalFilter::default(), 1_000)
        .await
        .unwrap();
    assert!(page.is_end);
    page.entries
}

#[tokio::test]
async fn a_damaged_entry_is_a_marked_entry_and_not_the_end_of_the_reading() {
    let (_folder, path) = folder();
    furnished(&path).await;
    let store = SqliteStore::open(&path).await.unwrap();
    append(&store, 1, 9, 10).await.unwrap();
    store.close().await.unwrap();
    for damage in [
        "UPDATE entries SET body = '{\"password\": hunter2' WHERE cursor = 2",
        "UPDATE entries SET body = CAST(x'ff80' AS TEXT) WHERE cursor = 3",
        "UPDATE entries SET gateway = 'hunter2' WHERE cursor = 4",
        "UPDATE entries SET kind = 'hunter2' WHERE cursor = 5",
        "UPDATE entries SET seq = -1 WHERE cursor = 6",
        "UPDATE entries SET session_key = '' WHERE cursor = 7",
    ] {
        run_sql(&journal_of(&path), damage).await;
    }
    let store = SqliteStore::open(&path).await.unwrap();
    let entries = read_all(&store).await;
    assert!(
        entries.iter().map(|entry| entry.cursor.number()).eq(1..=9),
        "{entries:?}"
    );
    for entry in &entries {
        let is_damaged = (2..=7).contains(&entry.cursor.number());
        assert_eq!(
            matches!(entry.entry.kind, EntryLabel::Damaged { .. }),
            is_damaged,
            "{entry:?}"
        );
    }
    // They are pruned like any other.
    while store.prune_journal(&ALL, at(0), 100).await.unwrap().more {}
    assert_eq!(store.journal_extent().await.unwrap().entries, 0);
}

#[tokio::test]
async fn a_consumer_that_is_ahead_of_a_restored_journal_is_told_and_goes_on() {
    let (_folder, path) = folder();
    furnished(&path).await;
    let store = SqliteStore::open(&path).await.unwrap();
    append(&store, 1, 5, 10).await.unwrap();
    store.close().await.unwrap();
    let backup = std::fs::read(journal_of(&path)).unwrap();
    let store = SqliteStore::open(&path).await.unwrap();
    append(&store, 2, 5, 10).await.unwrap();
    let far = Cursor::new(10);
    store.acknowledge("audit", far, ReaderId::new(1), at(0)).await.unwrap();
    store.close().await.unwrap();
    // The consumers stand in the same file: one that another store keeps has its place from elsewhere.
    std::fs::write(journal_of(&path), backup).unwrap();
    run_sql(
        &journal_of(&path),
        "INSERT INTO consumers (name, cursor, at) VALUES ('audit', 10, 0)",
    )
    .await;

    let store = SqliteStore::open(&path).await.unwrap();
    let after = store.acknowledged("audit").await.unwrap();
    let page = store.read_journal(after, &JournalFilter::default(), 100).await.unwrap();
    assert_eq!(page.lost, Some(Lost::OtherJournal));
    assert_eq!(page.entries.len(), 5);
    let done = store
        .acknowledge("audit", Cursor::new(2), ReaderId::new(1), at(1))
        .await
        .unwrap();
    assert_eq!((done.before, done.now), (Some(far), Cursor::new(2)));
    assert_eq!(store.acknowledged("audit").await.unwrap(), Some(Cursor::new(2)));
}

#[tokio::test]
async fn a_journal_of_the_first_version_is_counted_by_gateway_when_it_is_opened() {
    let (_folder, path) = folder();
    furnished(&path).await;
    let journal = journal_of(&path);
    run_sql(&journal, include_str!("../fixtures/journal_first_version.sql")).await;
    let store = SqliteStore::open(&path).await.unwrap();
    let extent = store.journal_extent().await.unwrap();
    assert_eq!((extent.entries, extent.bytes), (3, 300));
    assert_eq!(read_all(&store).await.len(), 3);
    while store.prune_journal(&ALL, at(0), 100).await.unwrap().more {}
    assert_eq!(store.journal_extent().await.unwrap().entries, 0);
    assert_eq!(append(&store, 1, 1, 1).await.unwrap(), Cursor::new(8));
}
