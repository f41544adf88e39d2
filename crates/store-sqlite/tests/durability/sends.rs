//! Sends: their process is killed, and there is no room.

use serde_json::json;
use windlass_protocol::SessionKey;
use windlass_store::{GatewayUid, NewSend, SendEnd, SendFilter, SendState, Sends as _, StoreError};
use windlass_store_sqlite::{SqliteOptions, SqliteStore};

use crate::child::OtherProcess;
use crate::journal::{KILLS, append};
use crate::world::{at, folder, furnished};

pub(crate) fn send(number: u64) -> NewSend {
    NewSend {
        key: format!("key-{number}"),
        gateway_id: GatewayUid::from_bytes([2; 16]),
        session_key: SessionKey::parse("agent:main:main").unwrap(),
        text: "Hello".into(),
        deliver: None,
        options: json!({}),
        created_at: at(0),
        deadline: None,
    }
}

/// What is done for each send: begin it, note an attempt, end it.
pub(crate) const OPERATIONS: u64 = 3;

pub(crate) async fn operations_done(store: &SqliteStore) -> u64 {
    let mut number = 0;
    while let Some(found) = store.chat_send(&format!("key-{number}")).await.unwrap() {
        let attempts = store.attempts(&found.send.key).await.unwrap();
        assert_eq!(attempts.len(), usize::try_from(found.attempts).unwrap());
        if found.state() == SendState::Pending {
            let pending = store.pending_sends(&SendFilter::default(), None, 10).await.unwrap();
            assert_eq!(pending, std::slice::from_ref(&found));
            return number * OPERATIONS + 1 + u64::from(found.attempts);
        }
        assert_eq!(attempts.len(), 1);
        number += 1;
    }
    number * OPERATIONS
}

#[tokio::test]
async fn a_send_that_was_noted_before_a_kill_is_there_after_it() {
    let (_folder, path) = folder();
    furnished(&path).await;
    for round in 0..KILLS {
        let mut process = OtherProcess::start("child::sends_until_it_is_killed", &path);
        let mut last = 0;
        for _ in 0..=round % 5 {
            last = process.acknowledged().expect("it works until it is killed");
        }
        process.kill();
        while let Some(number) = process.acknowledged() {
            last = number;
        }
        let store = SqliteStore::open(&path).await.unwrap();
        let done = operations_done(&store).await;
        assert!(
            (last + 1..=last + 2).contains(&done),
            "round {round}: {last} was acknowledged, {done} are there"
        );
    }
}

#[tokio::test]
async fn full_records_leave_the_sends_whole_and_the_journal_free() {
    let (_folder, path) = folder();
    furnished(&path).await;
    let small = SqliteOptions {
        max_bytes: Some(384 * 1024),
        ..SqliteOptions::default()
    };
    let store = SqliteStore::open_with(&path, small).await.unwrap();
    store.begin_send(&send(0)).await.unwrap();
    let mut large = send(1);
    large.text = "x".repeat(500_000);
    for _ in 0..3 {
        assert!(matches!(store.begin_send(&large).await, Err(StoreError::Full)));
    }
    assert_eq!(store.chat_send("key-1").await.unwrap(), None);
    let facts = json!("x".repeat(60_000));
    let mut attempts = 0;
    let error = loop {
        match store.note_attempt("key-0", at(1), &facts).await {
            Ok(number) => attempts = number,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Full), "{error:?}");
    let found = store.chat_send("key-0").await.unwrap().unwrap();
    assert_eq!(
        (found.attempts, found.state()),
        (attempts, SendState::Pending),
        "counted only where it is kept"
    );
    append(&store, 1, 100, 10_000).await.unwrap();
    // What fits goes on, and room made is room.
    store
        .end_send("key-0", &SendEnd::Failed { error: "full".into() }, at(2))
        .await
        .unwrap();
    assert_eq!(store.prune_sends(at(3), 10).await.unwrap(), 1);
    assert_eq!(store.begin_send(&send(1)).await.unwrap().position, 2);
}
