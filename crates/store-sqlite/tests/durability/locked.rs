//! Another process has the database locked.

use std::time::Duration;

use sqlx::{Connection as _, Executor as _};
use windlass_store::{Activities as _, Agents as _, Store as _, StoreError};
use windlass_store_sqlite::{OpenError, SqliteOptions, SqliteStore};

use crate::child::OtherProcess;
use crate::world::{folder, furnished, long_activity, numbers, past_the_store, the_agent};

fn impatient() -> SqliteOptions {
    SqliteOptions {
        busy_timeout: Duration::from_millis(50),
        ..SqliteOptions::default()
    }
}

#[tokio::test]
async fn a_locked_file_is_not_opened_and_opens_when_it_is_free() {
    let (_folder, path) = folder();
    furnished(&path).await;
    let mut other = past_the_store(&path).await;
    other
        .execute("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; DELETE FROM activities")
        .await
        .unwrap();
    let error = SqliteStore::open_with(&path, impatient()).await.unwrap_err();
    assert!(matches!(error, OpenError::Locked { .. }), "{error:?}");
    assert!(
        error.to_string().contains("store.db is locked by another process"),
        "{error}"
    );
    other.close().await.unwrap();
    let store = SqliteStore::open(&path).await.unwrap();
    assert!(store.agent(the_agent()).await.unwrap().is_some());
}

#[tokio::test]
async fn a_call_that_meets_a_lock_is_busy_and_may_be_made_again() {
    let (_folder, path) = folder();
    furnished(&path).await;
    let store = SqliteStore::open_with(&path, impatient()).await.unwrap();
    store.record(&long_activity(1)).await.unwrap();
    let mut other = past_the_store(&path).await;
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    for _ in 0..3 {
        let error = store.record(&long_activity(2)).await.unwrap_err();
        assert!(matches!(error, StoreError::Busy) && error.is_transient(), "{error:?}");
    }
    assert_eq!(numbers(&store).await, [1], "reading goes on meanwhile");
    other.execute("ROLLBACK").await.unwrap();
    store.record(&long_activity(2)).await.unwrap();
    assert_eq!(numbers(&store).await, [1, 2]);
    store.close().await.unwrap();
}

#[tokio::test]
async fn two_stores_on_one_file_share_what_they_write() {
    let (_folder, path) = folder();
    let agent = furnished(&path).await;
    let (one, two) = (
        SqliteStore::open(&path).await.unwrap(),
        SqliteStore::open(&path).await.unwrap(),
    );
    let changed = one.update_agent(&agent).await.unwrap();
    assert_eq!(two.agent(agent.id).await.unwrap().as_ref(), Some(&changed));
    assert!(matches!(
        two.update_agent(&agent).await,
        Err(StoreError::Conflict { .. })
    ));
    let (left, right) = (long_activity(1), long_activity(2));
    for _ in 0..20 {
        let (left, right) = tokio::join!(one.record(&left), two.record(&right));
        assert_ne!(left.unwrap().id, right.unwrap().id);
    }
    assert_eq!(numbers(&one).await, (1..=40).collect::<Vec<_>>());
}

#[test]
fn several_processes_make_a_file_at_once() {
    // One round in a hundred met the race when opening was not tried again.
    for _ in 0..100 {
        let (_folder, path) = folder();
        let mut children = [0; 3].map(|_| OtherProcess::start("child::opens_it", &path));
        for child in &mut children {
            assert_eq!((child.acknowledged(), child.acknowledged()), (Some(0), Some(1)));
        }
    }
}

#[tokio::test]
async fn many_open_a_new_file_at_once() {
    let (_folder, path) = folder();
    let open = |_| tokio::spawn(SqliteStore::open(path.clone()));
    let tasks: Vec<_> = (0..8).map(open).collect();
    for task in tasks {
        let store = task.await.unwrap().unwrap();
        store.record(&long_activity(1)).await.unwrap();
        store.close().await.unwrap();
    }
}
