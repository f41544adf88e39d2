//! The journal: what is appended, and how it is read.

use crate::limits::{
    FILTER_NAMES, JOURNAL_BATCH, JOURNAL_BATCH_BYTES, JOURNAL_BODY_BYTES, JOURNAL_PAGE_BYTES, JOURNAL_SCAN, KEY_CHARS,
    PAGE_LIMIT,
};
use crate::{Appended, Cursor, EntryLabel, Extent, JournalFilter, Lost, NewEntry, Page, ReaderId, StoreError};
use windlass_protocol::{RawJson, SessionKey};

use super::world::{Shared, at, gateway_id};

fn session(name: &str) -> SessionKey {
    SessionKey::parse(&format!("agent:main:{name}")).unwrap()
}

pub(crate) fn event(number: u16, name: &str, session_key: Option<&str>) -> NewEntry {
    NewEntry {
        gateway: gateway_id(1 + number % 2),
        generation: 7,
        kind: EntryLabel::event(name),
        seq: Some(u64::from(number)),
        session_key: session_key.map(session),
        body: RawJson::parse(format!("{{\"number\":{number}}}")).unwrap(),
        at: at(i64::from(number)),
    }
}

fn marker(number: u16, name: &str, session_key: Option<&str>) -> NewEntry {
    NewEntry {
        kind: EntryLabel::marker(name),
        seq: None,
        body: RawJson::null(),
        ..event(number, name, session_key)
    }
}

pub(crate) fn events(numbers: std::ops::RangeInclusive<u16>) -> Vec<NewEntry> {
    numbers.map(|number| event(number, "chat", None)).collect()
}

/// The first place of a journal whose first entry is number 1: microseconds.
fn beginning() -> i64 {
    at(1).as_millis() * 1000
}

/// The entry that was appended as this one, counted from 1.
pub(crate) fn place(number: i64) -> Cursor {
    Cursor::new(beginning() + number)
}

pub(crate) fn places(page: &Page) -> Vec<i64> {
    page.entries
        .iter()
        .map(|entry| entry.cursor.number() - beginning())
        .collect()
}

pub(crate) async fn read(store: &Shared, after: Option<i64>, limit: usize) -> Page {
    let all = JournalFilter::default();
    store.read_journal(after.map(place), &all, limit).await.unwrap()
}

pub(crate) async fn an_empty_journal_reaches_nowhere(store: &Shared) {
    assert_eq!(store.journal_extent().await.unwrap(), Extent::default());
    let all = JournalFilter::default();
    let page = store.read_journal(None, &all, 10).await.unwrap();
    assert!(page.entries.is_empty() && page.is_end && page.next.is_none() && page.lost.is_none());
    // Whoever comes with a cursor has read another journal.
    let page = store.read_journal(Some(place(1)), &all, 10).await.unwrap();
    assert!(page.is_end && page.next.is_none());
    assert_eq!(page.lost, Some(Lost::OtherJournal));
    assert!(
        store
            .acknowledge("board", Cursor::new(1), ReaderId::new(1), at(0))
            .await
            .is_err()
    );
}

pub(crate) async fn entries_read_back_as_they_were_appended(store: &Shared) {
    let mut bare = marker(2, "disconnected", None);
    bare.generation = u64::try_from(i64::MAX).unwrap();
    let mut odd = event(3, "größer\u{7}", Some("dm:Ünal 1"));
    odd.body = RawJson::parse("[1, \"\u{1f600}\\u0000\", {\"a\":  1e999}]").unwrap();
    let entries = [event(1, "chat", Some("main")), bare, odd];
    let appended = store.append(&entries).await.unwrap();
    let (first, last) = (place(1), place(3));
    assert_eq!(appended, Appended { first, last });
    let page = read(store, None, 10).await;
    let stored: Vec<&NewEntry> = page.entries.iter().map(|found| &found.entry).collect();
    assert_eq!(stored, entries.iter().collect::<Vec<_>>());
    assert_eq!(page.entries[2].entry.body.as_str(), entries[2].body.as_str());
}

pub(crate) async fn a_journal_is_read_on_from_a_cursor_to_its_end(store: &Shared) {
    store.append(&events(1..=5)).await.unwrap();
    let page = read(store, None, 2).await;
    assert_eq!(
        (places(&page), page.next, page.is_end),
        (vec![1, 2], Some(place(2)), false)
    );
    let page = read(store, Some(2), 3).await;
    assert_eq!(
        (places(&page), page.next, page.is_end),
        (vec![3, 4, 5], Some(place(5)), true)
    );
    let page = read(store, Some(5), 3).await;
    assert_eq!((places(&page), page.next, page.is_end), (vec![], Some(place(5)), true));
    assert_eq!(page.lost, None);
    store.append(&events(6..=6)).await.unwrap();
    assert_eq!(places(&read(store, Some(5), 3).await), [6]);
    let newest = store.journal_extent().await.unwrap().newest;
    assert_eq!(newest, Some(place(6)));
}

pub(crate) async fn batches_of_every_length_are_whole_and_in_order(store: &Shared) {
    let mut expected = Vec::new();
    for length in [1_u16, 9, 10, 11, 99, 100, 111, 999, 1000] {
        let batch = events(1..=length);
        let appended = store.append(&batch).await.unwrap();
        let before = i64::try_from(expected.len()).unwrap();
        assert_eq!(appended.first, place(before + 1));
        expected.extend(batch);
        assert_eq!(appended.last, place(i64::try_from(expected.len()).unwrap()));
    }
    let (mut next, mut entries) = (None, Vec::new());
    loop {
        let page = store
            .read_journal(next, &JournalFilter::default(), usize::MAX)
            .await
            .unwrap();
        assert!(page.entries.len() <= PAGE_LIMIT);
        next = page.next;
        entries.extend(page.entries);
        if page.is_end {
            break;
        }
    }
    assert!(
        entries
            .iter()
            .map(|found| found.cursor.number())
            .eq((1..).take(expected.len()).map(|number| beginning() + number))
    );
    assert!(entries.into_iter().map(|found| found.entry).eq(expected));
}

pub(crate) async fn a_batch_that_is_not_acceptable_is_refused_whole(store: &Shared) {
    let refused = async |entries: &[NewEntry], field: &str| match store.append(entries).await.unwrap_err() {
        StoreError::Invalid { field: found, .. } => assert_eq!(found, field),
        other => panic!("{other:?}"),
    };
    refused(&[], "journal.entries").await;
    refused(&vec![event(1, "chat", None); JOURNAL_BATCH + 1], "journal.entries").await;
    let with = |change: fn(&mut NewEntry)| {
        let mut entries = events(1..=3);
        change(&mut entries[1]);
        entries
    };
    refused(&with(|entry| entry.kind = EntryLabel::event("")), "entry.name").await;
    refused(
        &with(|entry| entry.kind = EntryLabel::event("x".repeat(KEY_CHARS + 1))),
        "entry.name",
    )
    .await;
    refused(&with(|entry| entry.generation = u64::MAX), "entry.generation").await;
    refused(&with(|entry| entry.seq = Some(u64::MAX)), "entry.seq").await;
    let body = |bytes: usize| RawJson::parse(format!("\"{}\"", "x".repeat(bytes - 2))).unwrap();
    let mut large = event(1, "chat", None);
    large.body = body(JOURNAL_BODY_BYTES + 1);
    refused(&[large.clone()], "entry.body").await;
    // Shared, so that the proof takes no more than the body.
    large.body = body(JOURNAL_BATCH_BYTES / 4);
    refused(&vec![large; 5], "journal.entries").await;
    assert_eq!(store.journal_extent().await.unwrap(), Extent::default());
}

pub(crate) async fn a_filter_takes_what_it_names_and_all_markers(store: &Shared) {
    let entries = [
        event(2, "chat", Some("main")),           // 1, gateway 1
        event(3, "chat", Some("main")),           // 2, gateway 2
        event(4, "presence", None),               // 3, gateway 1
        marker(4, "gap", None),                   // 4, gateway 1
        marker(6, "resync", Some("other")),       // 5, gateway 1
        marker(8, "resync", Some("main")),        // 6, gateway 1
        event(10, "session.tool", Some("other")), // 7, gateway 1
        event(12, "gap", None),                   // 8, gateway 1: an event that is called like a marker
    ];
    let before = store.append(&entries).await.unwrap().first.number() - 1;
    let filter = |gateway: Option<u16>, names: &[&str], session_key: Option<&str>, events_only| JournalFilter {
        gateway: gateway.map(gateway_id),
        names: names.iter().map(ToString::to_string).collect(),
        session_key: session_key.map(session),
        events_only,
    };
    let cases: [(JournalFilter, &[i64]); 7] = [
        (filter(None, &[], None, false), &[1, 2, 3, 4, 5, 6, 7, 8]),
        (filter(Some(2), &[], None, false), &[2]),
        (
            filter(None, &["chat", "session.tool"], None, false),
            &[1, 2, 4, 5, 6, 7],
        ),
        (filter(None, &["a\"b", "chat"], None, true), &[1, 2]),
        (filter(None, &[], Some("main"), false), &[1, 2, 4, 6]),
        (filter(None, &[], Some("main"), true), &[1, 2]),
        (filter(Some(1), &["chat"], Some("main"), false), &[1, 4, 6]),
    ];
    for (filter, expected) in cases {
        let page = store.read_journal(None, &filter, 10).await.unwrap();
        let found = page.entries.iter().map(|found| found.cursor.number() - before);
        assert!(found.eq(expected.iter().copied()), "{filter:?}: {page:?}");
        let by_rule = (1..).zip(&entries).filter(|(_, entry)| filter.takes(entry));
        assert!(
            by_rule.map(|(number, _)| number).eq(expected.iter().copied()),
            "{filter:?}"
        );
        // What was left out is passed over.
        assert_eq!((page.next, page.is_end), (Some(Cursor::new(before + 8)), true));
    }
    let too_many = filter(None, &["x"; FILTER_NAMES + 1], None, false);
    let error = store.read_journal(None, &too_many, 1).await.unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Invalid {
                field: "filter.names",
                ..
            }
        ),
        "{error:?}"
    );
}

pub(crate) async fn a_read_looks_at_so_many_entries_and_no_more(store: &Shared) {
    let batch = events(1..=1000);
    for _ in 0..JOURNAL_SCAN / 1000 {
        store.append(&batch).await.unwrap();
    }
    store.append(&[event(1, "rare", None)]).await.unwrap();
    let rare = JournalFilter {
        names: vec!["rare".into()],
        ..JournalFilter::default()
    };
    let page = store.read_journal(None, &rare, 10).await.unwrap();
    let end = i64::try_from(JOURNAL_SCAN).unwrap();
    assert_eq!(
        (places(&page), page.next, page.is_end),
        (vec![], Some(place(end)), false)
    );
    let page = store.read_journal(page.next, &rare, 10).await.unwrap();
    assert_eq!(
        (places(&page), page.next, page.is_end),
        (vec![end + 1], Some(place(end + 1)), true)
    );
}

pub(crate) async fn a_page_holds_so_many_bytes_and_at_least_one_entry(store: &Shared) {
    let sized = |number: u16, bytes: usize| NewEntry {
        body: RawJson::parse(format!("\"{}\"", "x".repeat(bytes))).unwrap(),
        ..event(number, "chat", None)
    };
    let third = JOURNAL_PAGE_BYTES / 3;
    let lengths = [third, third, third, JOURNAL_PAGE_BYTES * 2, 10];
    for (number, bytes) in (1..).zip(lengths) {
        store.append(&[sized(number, bytes)]).await.unwrap();
    }
    let (mut next, mut pages) = (None, Vec::new());
    while next != Some(place(5)) {
        let page = store.read_journal(next, &JournalFilter::default(), 100).await.unwrap();
        next = page.next;
        pages.push(places(&page));
    }
    assert_eq!(pages, [vec![1, 2], vec![3], vec![4], vec![5]]);
}
