use super::*;
use windlass_line::routing::Topic;

const STAMP: Stamp = Stamp {
    gateway: GatewayUid::from_uuid(uuid::Uuid::nil()),
    generation: Generation::new(3),
    at: Timestamp::from_millis(7),
};

fn back(entry: NewEntry) -> RecordedEntry {
    read(Entry {
        cursor: Cursor::new(1),
        entry,
    })
}

fn event(name: &str, seq: u64) -> Event {
    Event {
        name: name.into(),
        payload: RawJson::parse(r#"{"sessionKey":"agent:a:main"}"#).unwrap(),
        seq: Some(seq),
        generation: Generation::new(4),
    }
}

#[test]
fn an_event_comes_back_as_it_was_with_its_session_beside_it() {
    let item = LineEvent::Event(Arc::new(event("chat", 9)));
    let entry = of_item(&item, STAMP);
    assert_eq!(entry.session_key.as_ref().map(SessionKey::as_str), Some("agent:a:main"));
    let recorded = back(entry);
    assert_eq!((recorded.generation, recorded.at), (Generation::new(4), STAMP.at));
    let EntryKind::Event(read) = recorded.kind else {
        panic!()
    };
    assert_eq!(*read, event("chat", 9));
}

#[test]
fn markers_come_back_those_of_later_versions_too() {
    let resynced = Marker::Resynced {
        generation: Generation::new(5),
        what: Topic::messages("agent:a:main"),
        snapshot: None,
        again: true,
    };
    for marker in [
        RecordedMarker::Line(Marker::Lagged(3)),
        RecordedMarker::Line(resynced),
        RecordedMarker::Began {
            line: "lab".into(),
            up: true,
        },
        RecordedMarker::Ended,
        RecordedMarker::Damaged {
            what: "entries.body".into(),
        },
        RecordedMarker::Unrecorded {
            events: 2,
            why: "x".into(),
        },
        RecordedMarker::Repeated {
            marker: Marker::Unreadable,
            count: 7,
        },
        RecordedMarker::Pruned {
            first: Cursor::new(5),
            entries: 6,
        },
        RecordedMarker::Other {
            name: "later".into(),
            detail: RawJson::parse("[1]").unwrap(),
        },
    ] {
        assert_eq!(back(of_marker(&marker, STAMP)).kind, EntryKind::Marker(marker));
    }
}

#[test]
fn what_no_entry_can_hold_is_a_marked_hole() {
    for name in ["", &"ä".repeat(limits::KEY_CHARS + 1)] {
        let item = LineEvent::Event(Arc::new(event(name, 1)));
        let EntryKind::Marker(RecordedMarker::Unrecorded { events: 1, .. }) = back(of_item(&item, STAMP)).kind else {
            panic!("{name:?}")
        };
    }
    assert_eq!(
        of_item(&LineEvent::Event(Arc::new(event("chat", u64::MAX))), STAMP).seq,
        None
    );
}
