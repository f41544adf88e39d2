//! No room.

use std::path::Path;

use windlass_store::{
    Activities as _, Agents as _, FileOverride, Run, RunId, RunKind, Runs as _, Step, StepName, StepState, Store as _,
    StoreError,
};
use windlass_store_sqlite::{OpenError, SqliteOptions, SqliteStore};

use crate::world::{at, folder, furnished, long_activity, numbers, the_agent};

fn small() -> SqliteOptions {
    SqliteOptions {
        // The empty tables and indexes take some 200 KiB of it.
        max_bytes: Some(288 * 1024),
        ..SqliteOptions::default()
    }
}

/// Writes until there is no room; how much there was room for.
async fn fill(store: &SqliteStore) -> i64 {
    for number in 1..1_000_000 {
        match store.record(&long_activity(number)).await {
            Ok(activity) => assert_eq!(activity.id, number),
            Err(error) => {
                assert!(matches!(error, StoreError::Full), "{error:?}");
                assert!(error.to_string().contains("make room"), "{error}");
                return number - 1;
            }
        }
    }
    panic!("there was no end of it");
}

#[tokio::test]
async fn a_full_database_refuses_and_keeps_what_it_has() {
    let (_folder, path) = folder();
    furnished(&path).await;
    let store = SqliteStore::open_with(&path, small()).await.unwrap();
    let last = fill(&store).await;
    assert!(last > 20, "{last}");
    assert_eq!(numbers(&store).await, (1..=last).collect::<Vec<_>>());
    assert!(
        matches!(store.record(&long_activity(0)).await, Err(StoreError::Full)),
        "and again"
    );

    // Room made is room.
    assert_eq!(store.prune_activities(at(10), 100).await.unwrap(), 9);
    assert_eq!(store.record(&long_activity(0)).await.unwrap().id, last + 1);
    store.close().await.unwrap();

    let store = SqliteStore::open(&path).await.unwrap();
    assert_eq!(numbers(&store).await, (10..=last + 1).collect::<Vec<_>>());
    store.record(&long_activity(0)).await.unwrap();
}

#[tokio::test]
async fn a_transaction_that_finds_no_room_in_the_middle_leaves_nothing() {
    let (_folder, path) = folder();
    let agent = furnished(&path).await;
    let store = SqliteStore::open_with(&path, small()).await.unwrap();
    let run = Run::new(
        RunId::from_bytes([1; 16]),
        agent.id,
        agent.gateway_id,
        RunKind::Update,
        1,
        at(0),
    );
    let begun = store.begin_run(&run, &agent).await.unwrap();
    fill(&store).await;

    // The agent's large record finds no room, after the end of the run was written.
    let mut large = begun.clone();
    large.soul_override = Some(FileOverride::Text("x".repeat(60_000)));
    let ended = run.ended(at(1), None);
    for _ in 0..3 {
        assert!(matches!(
            store.end_run(&ended, Some(&large)).await,
            Err(StoreError::Full)
        ));
        let step = Step {
            run_id: run.id,
            name: StepName::Files,
            state: StepState::Done,
            attempts: 1,
            detail: "x".repeat(60_000).into(),
            at: at(1),
        };
        assert!(matches!(store.put_step(&step).await, Err(StoreError::Full)));
    }
    assert_eq!(store.agent(the_agent()).await.unwrap().as_ref(), Some(&begun));
    assert_eq!(store.run(run.id).await.unwrap(), Some(run));
    // What fits goes on.
    store.end_run(&ended, Some(&begun)).await.unwrap();
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_database_that_cannot_be_made_for_lack_of_room_can_be_made_later() {
    let (_folder, path) = folder();
    let none = SqliteOptions {
        max_bytes: Some(1),
        ..SqliteOptions::default()
    };
    let error = SqliteStore::open_with(&path, none).await.unwrap_err();
    assert!(matches!(error, OpenError::Full { .. }), "{error:?}");
    furnished(&path).await;
}

/// The same on a disk that is really full: `WINDLASS_SMALL_DISK` names a folder on one with a few megabytes.
#[tokio::test]
#[ignore = "needs WINDLASS_SMALL_DISK"]
async fn a_full_disk_loses_nothing() {
    let disk = std::env::var_os("WINDLASS_SMALL_DISK").expect("WINDLASS_SMALL_DISK names a folder on a small disk");
    let folder = tempfile::tempdir_in(Path::new(&disk)).unwrap();
    let path = folder.path().join("store.db");
    furnished(&path).await;
    let store = SqliteStore::open(&path).await.unwrap();
    let last = fill(&store).await;
    assert_eq!(numbers(&store).await, (1..=last).collect::<Vec<_>>());
    drop(store);
    let store = SqliteStore::open(&path).await.unwrap();
    assert_eq!(numbers(&store).await, (1..=last).collect::<Vec<_>>());
    println!("{last} records of 4 KB");
}
