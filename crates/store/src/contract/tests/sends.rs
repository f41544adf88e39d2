//! Sends and their attempts.

use std::sync::Arc;

use crate::limits::{ATTEMPTS_KEPT, JSON_BYTES, KEY_CHARS, MESSAGE_CHARS, SEND_TEXT_BYTES, SENDS_PAGE_BYTES};
use crate::{ChatSend, Ended, NewSend, OwnError, Right, SendEnd, SendFilter, SendState, StoreError};
use serde_json::json;
use windlass_protocol::SessionKey;

use super::world::{Shared, at, gateway_id};

fn session(name: &str) -> SessionKey {
    SessionKey::parse(&format!("agent:main:{name}")).unwrap()
}

fn new(number: u16) -> NewSend {
    NewSend {
        key: format!("key-{number}"),
        gateway_id: gateway_id(1 + number % 2),
        session_key: session(if number.is_multiple_of(3) { "third" } else { "main" }),
        text: format!("message {number}"),
        deliver: None,
        options: json!(null),
        created_at: at(i64::from(number)),
        deadline: None,
    }
}

async fn begin(store: &Shared, numbers: std::ops::RangeInclusive<u16>) -> Vec<ChatSend> {
    let mut begun = Vec::new();
    for number in numbers {
        begun.push(store.begin_send(&new(number)).await.unwrap());
    }
    begun
}

pub(crate) async fn what_was_learned_of_an_attempt_stands_in_its_facts(store: &Shared) {
    begin(store, 1..=1).await;
    let amend = async |number, facts: &str| store.amend_attempt("key-1", number, &json!(facts)).await;
    assert!(matches!(
        amend(1, "x").await,
        Err(StoreError::Unknown { what: "attempt", .. })
    ));
    for number in 1..=2 {
        store.note_attempt("key-1", at(number), &json!(number)).await.unwrap();
    }
    amend(1, "accepted").await.unwrap();
    let attempts = store.attempts("key-1").await.unwrap();
    let known: Vec<_> = attempts
        .into_iter()
        .map(|attempt| (attempt.at, attempt.facts))
        .collect();
    assert_eq!(known, [(at(1), json!("accepted")), (at(2), json!(2))]);
    store.end_send("key-1", &done(), at(3)).await.unwrap();
    assert!(matches!(amend(1, "x").await, Err(StoreError::SendEnded { .. })));
    let unknown = store.amend_attempt("key-9", 1, &json!(null)).await;
    assert!(matches!(unknown, Err(StoreError::Unknown { what: "send", .. })));
}

pub(crate) async fn the_messages_are_owned_apart_from_the_agents(store: &Shared) {
    let (sends, agents) = (store.own_sends().await.unwrap(), store.own().await.unwrap());
    let error = store.own_sends().await.unwrap_err();
    assert!(
        matches!(
            error,
            OwnError::Owned {
                right: Right::Sends,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(
        error.to_string().contains("sends the messages of this database"),
        "{error}"
    );
    drop(agents);
    assert!(store.own_sends().await.is_err());
    drop(sends);
    drop(store.own_sends().await.unwrap());
}

const NONE: [i64; 0] = [];

fn done() -> SendEnd {
    SendEnd::Done { run_id: "run-1".into() }
}

fn positions(sends: &[ChatSend]) -> Vec<i64> {
    sends.iter().map(|found| found.position).collect()
}

async fn pending(store: &Shared, after: Option<i64>, limit: usize) -> Vec<i64> {
    positions(&store.pending_sends(&SendFilter::default(), after, limit).await.unwrap())
}

pub(crate) async fn a_send_reads_back_as_it_was_begun(store: &Shared) {
    assert_eq!(store.chat_send("key-1").await.unwrap(), None);
    for (number, deliver) in [(1, None), (2, Some(true)), (3, Some(false))] {
        let mut new = new(number);
        new.text = "Grüße\n\u{0}\u{1f600}".into();
        new.deliver = deliver;
        new.options = json!({"thinking": "low", "timeoutMs": 1.5});
        new.deadline = deliver.map(|_| at(99));
        let begun = store.begin_send(&new).await.unwrap();
        assert_eq!(
            (begun.position, begun.attempts, begun.state()),
            (i64::from(number), 0, SendState::Pending)
        );
        assert_eq!((&begun.send, &begun.ended), (&new, &None));
        assert_eq!(store.chat_send(&new.key).await.unwrap(), Some(begun));
    }
}

pub(crate) async fn a_key_is_begun_once(store: &Shared) {
    begin(store, 1..=1).await;
    let again = async || store.begin_send(&new(1)).await.unwrap_err();
    let error = again().await;
    assert!(
        matches!(&error, StoreError::Exists { what: "send", id } if id == "key-1"),
        "{error:?}"
    );
    store.end_send("key-1", &done(), at(2)).await.unwrap();
    assert!(
        matches!(again().await, StoreError::Exists { .. }),
        "nor when it has ended"
    );
    assert_eq!(
        begin(store, 2..=2).await[0].position,
        2,
        "what was refused has no position"
    );
}

pub(crate) async fn of_many_that_begin_one_key_one_does(store: &Shared) {
    let begin = |_| {
        let store = Arc::clone(store);
        tokio::spawn(async move { store.begin_send(&new(1)).await })
    };
    let tasks: Vec<_> = (0..16).map(begin).collect();
    let mut winners = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => winners += 1,
            Err(error) => assert!(matches!(error, StoreError::Exists { .. }), "{error:?}"),
        }
    }
    assert_eq!(winners, 1);
    assert_eq!(pending(store, None, 10).await, [1]);
}

pub(crate) async fn attempts_are_counted_and_the_latest_kept(store: &Shared) {
    begin(store, 1..=2).await;
    for number in 1..=ATTEMPTS_KEPT + 3 {
        let facts = json!({"bootId": "b", "generation": number});
        assert_eq!(
            store
                .note_attempt("key-1", at(i64::from(number)), &facts)
                .await
                .unwrap(),
            number
        );
    }
    store.note_attempt("key-2", at(1), &json!(null)).await.unwrap();
    let attempts = store.attempts("key-1").await.unwrap();
    assert!(attempts.iter().map(|known| known.number).eq(4..=ATTEMPTS_KEPT + 3));
    assert_eq!((attempts[0].at, &attempts[0].facts["generation"]), (at(4), &json!(4)));
    assert_eq!(
        store.chat_send("key-1").await.unwrap().unwrap().attempts,
        ATTEMPTS_KEPT + 3
    );
    assert_eq!(store.attempts("key-2").await.unwrap().len(), 1);
    assert_eq!(store.attempts("key-3").await.unwrap(), []);
    let error = store.note_attempt("key-3", at(1), &json!(null)).await.unwrap_err();
    assert!(matches!(error, StoreError::Unknown { what: "send", .. }), "{error:?}");
    let error = store
        .note_attempt("key-1", at(1), &json!("x".repeat(JSON_BYTES)))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Invalid {
                field: "attempt.facts",
                ..
            }
        ),
        "{error:?}"
    );
}

pub(crate) async fn a_send_ends_once(store: &Shared) {
    begin(store, 1..=3).await;
    let ends = [
        (1, done(), SendState::Done),
        (2, SendEnd::Failed { error: "no".into() }, SendState::Failed),
        (
            3,
            SendEnd::Lost {
                why: "restarted".into(),
            },
            SendState::Lost,
        ),
    ];
    for (number, end, state) in ends {
        let key = format!("key-{number}");
        store.note_attempt(&key, at(5), &json!({})).await.unwrap();
        let ended = store.end_send(&key, &end, at(9)).await.unwrap();
        assert_eq!((ended.state(), ended.attempts), (state, 1));
        assert_eq!(ended.ended, Some(Ended { end, at: at(9) }));
        assert_eq!(store.chat_send(&key).await.unwrap(), Some(ended.clone()));
        for error in [
            store.end_send(&key, &done(), at(10)).await.map(drop).unwrap_err(),
            store
                .note_attempt(&key, at(10), &json!({}))
                .await
                .map(drop)
                .unwrap_err(),
        ] {
            assert!(
                matches!(&error, StoreError::SendEnded { key: found } if *found == key),
                "{error:?}"
            );
        }
        assert_eq!(store.chat_send(&key).await.unwrap(), Some(ended));
        assert_eq!(store.attempts(&key).await.unwrap().len(), 1);
    }
    let error = store.end_send("key-9", &done(), at(1)).await.unwrap_err();
    assert!(matches!(error, StoreError::Unknown { what: "send", .. }), "{error:?}");
    assert_eq!(pending(store, None, 10).await, NONE);
}

pub(crate) async fn pending_sends_come_in_the_order_of_their_beginning(store: &Shared) {
    begin(store, 1..=7).await;
    store.end_send("key-2", &done(), at(9)).await.unwrap();
    assert_eq!(pending(store, None, 3).await, [1, 3, 4]);
    assert_eq!(pending(store, Some(4), 10).await, [5, 6, 7]);
    assert_eq!(pending(store, Some(7), 10).await, NONE);
    assert_eq!(pending(store, Some(i64::MAX), 10).await, NONE);
    let of = async |gateway: Option<u16>, key: Option<&str>| {
        let filter = SendFilter {
            gateway: gateway.map(gateway_id),
            session_key: key.map(session),
        };
        positions(&store.pending_sends(&filter, None, 10).await.unwrap())
    };
    assert_eq!(of(Some(2), None).await, [1, 3, 5, 7]);
    assert_eq!(of(None, Some("third")).await, [3, 6]);
    assert_eq!(of(Some(1), Some("third")).await, [6]);
    assert_eq!(of(Some(3), None).await, NONE);
}

pub(crate) async fn a_list_of_sends_holds_so_many_bytes(store: &Shared) {
    let fit = SENDS_PAGE_BYTES / SEND_TEXT_BYTES;
    for number in 1..=u16::try_from(fit).unwrap() + 2 {
        let mut new = new(number);
        new.text = "x".repeat(SEND_TEXT_BYTES);
        store.begin_send(&new).await.unwrap();
    }
    // The options count too, so that one less fits.
    let first = pending(store, None, 1000).await;
    assert_eq!(first.len(), fit - 1);
    assert_eq!(pending(store, first.last().copied(), 1000).await.len(), 3);
}

pub(crate) async fn old_sends_are_pruned_and_pending_ones_stay(store: &Shared) {
    begin(store, 1..=5).await;
    for (number, end) in [(2, 20), (3, 10), (5, 30)] {
        let key = format!("key-{number}");
        store.note_attempt(&key, at(1), &json!({})).await.unwrap();
        store.end_send(&key, &done(), at(end)).await.unwrap();
    }
    assert_eq!(store.prune_sends(at(10), 10).await.unwrap(), 0);
    assert_eq!(
        store.prune_sends(at(1_000), 1).await.unwrap(),
        1,
        "the earliest end first"
    );
    assert_eq!(store.chat_send("key-3").await.unwrap(), None);
    assert_eq!(store.attempts("key-3").await.unwrap(), []);
    assert_eq!(store.attempts("key-2").await.unwrap().len(), 1);
    assert_eq!(store.prune_sends(at(1_000), 10).await.unwrap(), 2);
    assert_eq!(pending(store, None, 10).await, [1, 4]);
    // A position is not used again.
    assert_eq!(begin(store, 6..=6).await[0].position, 6);
}

pub(crate) async fn a_send_that_makes_no_sense_is_refused(store: &Shared) {
    type Change = fn(&mut NewSend);
    let changes: [(&str, Change); 5] = [
        ("send.key", |send| send.key = " ".into()),
        ("send.key", |send| send.key = "a\nb".into()),
        ("send.key", |send| send.key = "x".repeat(KEY_CHARS + 1)),
        ("send.text", |send| send.text = "x".repeat(SEND_TEXT_BYTES + 1)),
        ("send.options", |send| send.options = json!("x".repeat(JSON_BYTES))),
    ];
    for (name, change) in changes {
        let mut new = new(1);
        change(&mut new);
        let error = store.begin_send(&new).await.unwrap_err();
        assert!(
            matches!(error, StoreError::Invalid { field, .. } if field == name),
            "{error:?}"
        );
    }
    assert_eq!(pending(store, None, 10).await, NONE, "nothing was written");
    begin(store, 1..=2).await;
    let end = SendEnd::Done { run_id: String::new() };
    let error = store.end_send("key-1", &end, at(1)).await.unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Invalid {
                field: "send.run_id",
                ..
            }
        ),
        "{error:?}"
    );
    // What is said of a failure is cut.
    let long = SendEnd::Failed {
        error: "é".repeat(MESSAGE_CHARS + 1),
    };
    let ended = store.end_send("key-1", &long, at(1)).await.unwrap();
    let cut = format!("{}…", "é".repeat(MESSAGE_CHARS));
    assert_eq!(ended.ended.map(|ended| ended.end), Some(SendEnd::Failed { error: cut }));
}
