//! The journal: what is pruned, who is told of it, and how far readers are.

use std::sync::Arc;
use std::time::Duration;

use crate::limits::KEY_CHARS;
use crate::{
    Acknowledged, ClockStep, EntryLabel, JournalFilter, Lost, NewEntry, PRUNED_MARKER, Pruned, ReaderId, Retention,
    StoreError, Timestamp,
};

use super::journal::{event, events, place, places, read};
use super::world::{Shared, at, gateway_id};

async fn prune(store: &Shared, retention: Retention, now: Timestamp, limit: usize) -> Pruned {
    store.prune_journal(&retention, now, limit).await.unwrap()
}

/// A reader.
const ONE: ReaderId = ReaderId::new(1);

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

/// Entries of a quiet gateway (1), and behind them more of one that sends much (2).
async fn a_quiet_and_a_loud_gateway(store: &Shared, quiet: u16, loud: u16) {
    let of = |number: u16, gateway: u16| NewEntry {
        gateway: gateway_id(gateway),
        ..event(number, "chat", None)
    };
    let mut entries: Vec<_> = (1..=quiet).map(|number| of(number, 1)).collect();
    entries.extend((1..=loud).map(|number| of(quiet + number, 2)));
    for batch in entries.chunks(500) {
        store.append(batch).await.unwrap();
    }
}

fn at_most(max_bytes: u64) -> Retention {
    Retention {
        max_age: None,
        max_bytes: Some(max_bytes),
    }
}

async fn prune_all(store: &Shared, retention: Retention) -> u64 {
    let mut entries = 0;
    loop {
        let step = prune(store, retention, at(0), 100).await;
        entries += step.entries;
        if !step.more {
            return entries;
        }
    }
}

pub(crate) async fn a_gateway_that_sends_much_is_pruned_before_the_others_and_leaves_a_marker(store: &Shared) {
    a_quiet_and_a_loud_gateway(store, 20, 2_000).await;
    let all = store.journal_extent().await.unwrap().bytes;
    let max = all / 4;
    let gone = prune_all(store, at_most(max)).await;
    let extent = store.journal_extent().await.unwrap();
    assert_eq!(extent.entries, 2_020 - gone);
    assert!(extent.bytes <= max + 200, "{} of {max}", extent.bytes);
    let page = read(store, None, 21).await;
    assert_eq!(page.lost, None);
    let quiet = page.entries[..20].iter().map(|found| found.entry.gateway);
    assert!(quiet.eq([gateway_id(1); 20]), "the quiet gateway keeps all");
    let hole = &page.entries[20];
    assert_eq!(hole.entry.kind, EntryLabel::marker(PRUNED_MARKER));
    assert_eq!(hole.entry.gateway, gateway_id(2));
    let told: serde_json::Value = hole.entry.body.decode().unwrap();
    let last = hole.cursor.number() - place(0).number();
    assert_eq!(told["first"], place(21).number());
    assert_eq!(told["entries"], last - 20, "each place of the hole, its own included");
    // A reader behind the hole goes on behind it, and one within is told.
    assert_eq!(places(&read(store, Some(last), 1).await), [last + 1]);
    assert_eq!(places(&read(store, Some(30), 1).await), [last]);
}

pub(crate) async fn a_hole_grows_and_goes_with_what_is_older(store: &Shared) {
    a_quiet_and_a_loud_gateway(store, 20, 2_000).await;
    let all = store.journal_extent().await.unwrap().bytes;
    prune_all(store, at_most(all / 2)).await;
    prune_all(store, at_most(all / 4)).await;
    let holes = |page: &crate::Page| {
        let kinds = page.entries.iter().map(|found| found.entry.kind.name());
        kinds.filter(|name| *name == PRUNED_MARKER).count()
    };
    assert_eq!(
        holes(&read(store, None, 100).await),
        1,
        "one marker, however often it is pruned"
    );
    prune_all(store, at_most(0)).await;
    let extent = store.journal_extent().await.unwrap();
    assert_eq!((extent.entries, extent.bytes, extent.oldest), (0, 0, None));
}

pub(crate) async fn a_clock_that_stepped_does_not_make_entries_old(store: &Shared) {
    // Recorded by a clock that was not set yet, which is then set a year ahead.
    const YEAR: i64 = 365 * 86_400;
    store.append(&events(1..=3)).await.unwrap();
    let step = ClockStep {
        upto: place(3),
        by_ms: YEAR * 1_000,
    };
    store.note_clock_step(step).await.unwrap();
    assert_eq!(store.clock_steps().await.unwrap(), [step]);
    let later = |number: u16| NewEntry {
        at: at(YEAR + i64::from(number)),
        ..event(number, "chat", None)
    };
    store.append(&[later(4), later(5)]).await.unwrap();
    assert_eq!(
        prune(store, older_than(100), at(YEAR + 50), 10).await,
        Pruned::default()
    );
    // A hundred seconds after they came they are old, one after the other.
    assert_eq!(prune(store, older_than(100), at(YEAR + 103), 10).await.entries, 2);
    assert_eq!(places(&read(store, None, 10).await), [3, 4, 5]);
    assert_eq!(prune(store, older_than(100), at(YEAR + 1_000), 10).await.entries, 3);
    assert_eq!(store.clock_steps().await.unwrap(), [], "nothing is left to correct");
}

pub(crate) async fn of_the_steps_of_a_clock_the_latest_are_kept(store: &Shared) {
    store.append(&events(1..=1)).await.unwrap();
    for by_ms in 0..100 {
        let upto = place(1);
        store.note_clock_step(ClockStep { upto, by_ms }).await.unwrap();
    }
    let kept = store.clock_steps().await.unwrap();
    assert_eq!(kept.len(), 64);
    assert!(kept.iter().map(|step| step.by_ms).eq(36..100));
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
    let acknowledged = |before: Option<i64>, now: i64| Acknowledged {
        before: before.map(place),
        now: place(now),
        previous_reader: before.map(|_| ONE),
    };
    assert_eq!(
        store.acknowledge("board", place(3), ONE, at(1)).await.unwrap(),
        acknowledged(None, 3)
    );
    for number in [2, 3] {
        let again = store.acknowledge("board", place(number), ONE, at(2)).await.unwrap();
        assert_eq!(again, acknowledged(Some(3), 3));
    }
    let error = store.acknowledge("board", place(6), ONE, at(4)).await.unwrap_err();
    assert!(matches!(error, StoreError::Unknown { what: "cursor", .. }), "{error:?}");
    assert_eq!(store.acknowledged("board").await.unwrap(), Some(place(3)));
    // Pruning takes no notice of consumers, nor forgets them.
    prune(store, EVERYTHING, at(0), 10).await;
    assert_eq!(
        store.acknowledge("board", place(4), ONE, at(5)).await.unwrap().now,
        place(4)
    );
    assert_eq!(
        store.acknowledge("audit", place(1), ONE, at(6)).await.unwrap().now,
        place(1)
    );
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
        let error = store.acknowledge(name, place(1), ONE, at(0)).await.unwrap_err();
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

pub(crate) async fn readers_of_one_name_find_each_other(store: &Shared) {
    store.append(&events(1..=5)).await.unwrap();
    let acknowledge = async |reader: i64, number: i64| {
        let done = store.acknowledge("board", place(number), ReaderId::new(reader), at(0));
        done.await.unwrap().previous_reader.map(ReaderId::number)
    };
    assert_eq!(acknowledge(1, 1).await, None);
    assert_eq!(acknowledge(1, 2).await, Some(1));
    // The second one is behind, and moves nothing; the first is told all the same.
    assert_eq!(acknowledge(2, 1).await, Some(1));
    assert_eq!(acknowledge(1, 3).await, Some(2));
    assert_eq!(store.acknowledged("board").await.unwrap(), Some(place(3)));
}

pub(crate) async fn of_many_that_acknowledge_the_furthest_stays(store: &Shared) {
    store.append(&events(1..=30)).await.unwrap();
    let acknowledge = |number: i64| {
        let store = Arc::clone(store);
        tokio::spawn(async move { store.acknowledge("board", place(number), ONE, at(0)).await.unwrap() })
    };
    let tasks: Vec<_> = (1..=30).rev().map(|number| (number, acknowledge(number))).collect();
    for (number, task) in tasks {
        assert!(task.await.unwrap().now >= place(number));
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
