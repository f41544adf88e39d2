//! The journal: what is pruned, who is told of it, and how far readers are.

use std::sync::Arc;
use std::time::Duration;

use windlass_store::limits::KEY_CHARS;
use windlass_store::{JournalFilter, Lost, NewEntry, Pruned, Retention, StoreError, Timestamp};

use crate::journal::{event, events, place, places, read};
use crate::world::{Shared, at};

async fn prune(store: &Shared, retention: Retention, now: Timestamp, limit: usize) -> Pruned {
    store.prune_journal(&retention, now, limit).await.unwrap()
}

const EVERYTHING: Retention = Retention {
    max_age: None,
    max_bytes: Some(0),
};

fn older_than(seconds: u64) -> Retention {
    Retention {
        max_age: Some(Duration::from_secs(seconds)),
        max_bytes: None,
    }
}

pub(crate) async fn a_reader_is_told_of_a_hole(store: &Shared) {
    store.append(&events(1..=6)).await.unwrap();
    // At 103, those of 1 and 2 are older than 100 seconds.
    assert_eq!(prune(store, older_than(100), at(103), 10).await.entries, 2);
    let page = read(store, None, 2).await;
    assert_eq!(
        (places(&page), page.lost),
        (vec![3, 4], None),
        "who begins misses nothing"
    );
    let page = read(store, Some(2), 2).await;
    assert_eq!(
        (places(&page), page.lost),
        (vec![3, 4], None),
        "who has read it misses nothing"
    );
    let page = read(store, Some(1), 2).await;
    let (first, last) = (place(2), place(2));
    assert_eq!(
        (places(&page), page.lost),
        (vec![3, 4], Some(Lost::Pruned { first, last }))
    );
    let page = read(store, Some(4), 2).await;
    assert_eq!((places(&page), page.lost), (vec![5, 6], None));
    // Also when nothing is left, and when the filter takes nothing.
    prune(store, EVERYTHING, at(0), 10).await;
    let page = read(store, Some(1), 2).await;
    let hole = Lost::Pruned { first, last: place(6) };
    assert_eq!(
        (places(&page), page.lost, page.next),
        (vec![], Some(hole), Some(place(6)))
    );
    assert!(page.is_end);
    assert_eq!(read(store, page.next.map(|_| 6), 2).await.lost, None, "told once");
    // One of a journal that was here before this one, and one that is of none.
    let page = read(store, Some(-1_000_000), 2).await;
    assert_eq!(
        page.lost,
        Some(Lost::Pruned {
            first: place(-999_999),
            last: place(6)
        })
    );
    let page = read(store, Some(7), 2).await;
    assert_eq!((page.lost, page.next), (Some(Lost::OtherJournal), Some(place(6))));
}

pub(crate) async fn a_cursor_is_never_used_again(store: &Shared) {
    store.append(&events(1..=3)).await.unwrap();
    let all = prune(store, EVERYTHING, at(0), 10).await;
    assert_eq!((all.entries, all.more), (3, false));
    let extent = store.journal_extent().await.unwrap();
    assert_eq!((extent.oldest, extent.newest), (None, Some(place(3))));
    assert_eq!((extent.entries, extent.bytes), (0, 0));
    let appended = store.append(&events(4..=4)).await.unwrap();
    assert_eq!(appended.first, place(4));
    let page = read(store, Some(3), 10).await;
    assert_eq!((places(&page), page.lost), (vec![4], None));
}

pub(crate) async fn a_journal_is_pruned_by_age_in_steps(store: &Shared) {
    assert_eq!(
        prune(store, EVERYTHING, at(0), 10).await,
        Pruned::default(),
        "there is nothing"
    );
    store.append(&events(1..=10)).await.unwrap();
    let step = prune(store, older_than(100), at(108), 3).await;
    assert_eq!((step.entries, step.more), (3, true));
    let step = prune(store, older_than(100), at(108), 4).await;
    assert_eq!((step.entries, step.more), (4, true));
    let step = prune(store, older_than(100), at(108), 4).await;
    assert_eq!(step, Pruned::default(), "exactly as old as allowed stays");
    assert_eq!(prune(store, Retention::default(), at(1_000_000), 10).await.entries, 0);
    let extent = store.journal_extent().await.unwrap();
    assert_eq!((extent.oldest, extent.entries), (Some(place(8)), 3));
}

pub(crate) async fn a_journal_is_pruned_by_size_and_the_count_is_exact(store: &Shared) {
    store.append(&events(1..=9)).await.unwrap();
    let nine = store.journal_extent().await.unwrap().bytes;
    assert!(nine.is_multiple_of(9) && nine > 0);
    let half = Retention {
        max_age: None,
        max_bytes: Some(nine / 2),
    };
    let step = prune(store, half, at(0), 100).await;
    assert_eq!((step.entries, step.bytes, step.more), (5, nine / 9 * 5, false));
    let extent = store.journal_extent().await.unwrap();
    assert_eq!((extent.entries, extent.bytes), (4, nine / 9 * 4));
    assert_eq!(prune(store, half, at(0), 100).await, Pruned::default());
    // Both bounds, whichever asks for more.
    let both = Retention {
        max_age: Some(Duration::from_secs(100)),
        ..half
    };
    assert_eq!(prune(store, both, at(107), 100).await.entries, 1);
    assert_eq!(
        prune(
            store,
            Retention {
                max_bytes: Some(nine / 9),
                ..both
            },
            at(107),
            100
        )
        .await
        .entries,
        2
    );
    assert_eq!(places(&read(store, None, 10).await), [9]);
}

pub(crate) async fn a_clock_that_was_wrong_neither_keeps_all_nor_loses_what_is_young(store: &Shared) {
    let timed = |seconds: i64| NewEntry {
        at: at(seconds),
        ..event(1, "chat", None)
    };
    // Two from the future, two old ones, a young one, one of a clock that had not been set yet, a young one.
    let entries = [1, 9_000, 9_000, 2, 150, -1_000_000, 151].map(timed);
    store.append(&entries).await.unwrap();
    assert_eq!(prune(store, older_than(100), at(200), 10).await.entries, 4);
    assert_eq!(
        places(&read(store, None, 10).await),
        [5, 6, 7],
        "the young one keeps the one behind it"
    );
    assert_eq!(prune(store, older_than(100), at(251), 10).await.entries, 2);
    // Only ones from the future: nobody knows how old they are.
    store.append(&[timed(9_000)]).await.unwrap();
    assert_eq!(prune(store, older_than(100), at(260), 10).await.entries, 1);
    assert_eq!(prune(store, older_than(100), at(260), 10).await, Pruned::default());
}

pub(crate) async fn an_acknowledged_cursor_never_goes_back(store: &Shared) {
    store.append(&events(1..=5)).await.unwrap();
    assert_eq!(store.acknowledged("board").await.unwrap(), None);
    assert_eq!(store.acknowledge("board", place(3), at(1)).await.unwrap(), place(3));
    assert_eq!(store.acknowledge("board", place(2), at(2)).await.unwrap(), place(3));
    assert_eq!(store.acknowledge("board", place(3), at(3)).await.unwrap(), place(3));
    let error = store.acknowledge("board", place(6), at(4)).await.unwrap_err();
    assert!(matches!(error, StoreError::Unknown { what: "cursor", .. }), "{error:?}");
    assert_eq!(store.acknowledged("board").await.unwrap(), Some(place(3)));
    // Pruning takes no notice of consumers, nor forgets them.
    prune(store, EVERYTHING, at(0), 10).await;
    assert_eq!(store.acknowledge("board", place(4), at(5)).await.unwrap(), place(4));
    assert_eq!(store.acknowledge("audit", place(1), at(6)).await.unwrap(), place(1));
    let known = store.consumers().await.unwrap();
    let known: Vec<_> = known
        .iter()
        .map(|one| (one.name.as_str(), one.cursor, one.at))
        .collect();
    assert_eq!(known, [("audit", place(1), at(6)), ("board", place(4), at(5))]);
    assert!(store.delete_consumer("board").await.unwrap());
    assert!(!store.delete_consumer("board").await.unwrap());
    assert_eq!(store.acknowledged("board").await.unwrap(), None);
    for name in ["", " ", "a\nb", &"x".repeat(KEY_CHARS + 1)] {
        let error = store.acknowledge(name, place(1), at(0)).await.unwrap_err();
        assert!(
            matches!(
                error,
                StoreError::Invalid {
                    field: "consumer.name",
                    ..
                }
            ),
            "{error:?}"
        );
    }
}

pub(crate) async fn of_many_that_acknowledge_the_furthest_stays(store: &Shared) {
    store.append(&events(1..=30)).await.unwrap();
    let acknowledge = |number: i64| {
        let store = Arc::clone(store);
        tokio::spawn(async move { store.acknowledge("board", place(number), at(0)).await.unwrap() })
    };
    let tasks: Vec<_> = (1..=30).rev().map(|number| (number, acknowledge(number))).collect();
    for (number, task) in tasks {
        assert!(task.await.unwrap() >= place(number));
    }
    assert_eq!(store.acknowledged("board").await.unwrap(), Some(place(30)));
}

pub(crate) async fn many_appenders_readers_and_a_pruner_lose_nothing(store: &Shared) {
    const APPENDERS: u16 = 8;
    const BATCHES: u64 = 20;
    let append = |appender: u16| {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            for batch in 0..BATCHES {
                let mut entries = vec![event(appender, "chat", None); 3];
                for (count, entry) in (0..).zip(&mut entries) {
                    entry.seq = Some(batch * 3 + count);
                    entry.at = at(1);
                }
                store.append(&entries).await.unwrap();
            }
        })
    };
    let tasks: Vec<_> = (0..APPENDERS).map(append).collect();
    let all = u64::from(APPENDERS) * BATCHES * 3;
    let (mut next, mut seen, mut last) = (None, 0, [None; APPENDERS as usize]);
    while seen < all {
        let page = store.read_journal(next, &JournalFilter::default(), 50).await.unwrap();
        assert_eq!(page.lost, None, "only what was read is pruned");
        for found in &page.entries {
            // Each appender's entries are in its order, without a hole.
            let number: serde_json::Value = found.entry.body.decode().unwrap();
            let last = &mut last[usize::try_from(number["number"].as_u64().unwrap()).unwrap()];
            assert_eq!(found.entry.seq, Some(last.map_or(0, |last: u64| last + 1)));
            *last = found.entry.seq;
            seen += 1;
        }
        next = page.next;
        let left = store.journal_extent().await.unwrap();
        let read = next
            .zip(left.oldest)
            .map_or(0, |(next, oldest)| next.number() - oldest.number() + 1);
        if let Ok(read @ 1..) = usize::try_from(read) {
            prune(store, EVERYTHING, at(0), read).await;
        }
        tokio::task::yield_now().await;
    }
    for task in tasks {
        task.await.unwrap();
    }
    let extent = store.journal_extent().await.unwrap();
    assert_eq!((extent.entries, extent.bytes, extent.newest), (0, 0, next));
}
