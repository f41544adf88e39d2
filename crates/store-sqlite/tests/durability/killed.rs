//! A process that is killed anywhere loses nothing that it was told is done.

use windlass_store_sqlite::SqliteStore;

use crate::child::{OtherProcess, operations_done};
use crate::world::{folder, furnished, run_sql};

/// How often the process is killed. Each time it goes on from where the one before it was killed.
const KILLS: u64 = 25;

#[tokio::test]
async fn what_was_acknowledged_before_a_kill_is_there_after_it() {
    let (_folder, path) = folder();
    furnished(&path).await;
    let mut before = 0;
    for round in 0..KILLS {
        let mut process = OtherProcess::start("child::works_until_it_is_killed", &path);
        // Another point of the four operations each time; it goes on working until the signal arrives.
        let mut last = 0;
        for _ in 0..=round % 7 {
            last = process.acknowledged().expect("it works until it is killed");
        }
        process.kill();
        // Some more may have got through.
        while let Some(number) = process.acknowledged() {
            last = number;
        }

        let store = SqliteStore::open(&path).await.unwrap();
        let done = operations_done(&store).await;
        // The one that it was at when it was killed may be done, not acknowledged.
        assert!(
            (last + 1..=last + 2).contains(&done),
            "round {round}: {last} was acknowledged, {done} are there"
        );
        assert!(done > before, "round {round}");
        before = done;
    }
}

#[tokio::test]
async fn a_kill_while_it_migrates_leaves_a_database_that_opens() {
    let (folder, _) = folder();
    let fixture = folder.path().join("old.db");
    run_sql(&fixture, include_str!("../fixtures/first_version.sql")).await;
    for round in 0..10 {
        let path = folder.path().join(format!("{round}.db"));
        std::fs::copy(&fixture, &path).unwrap();
        let mut process = OtherProcess::start("child::opens_it", &path);
        assert_eq!(process.acknowledged(), Some(0));
        if round >= 5 {
            assert_eq!(process.acknowledged(), Some(1));
        }
        process.kill();
        let store = SqliteStore::open(&path).await.unwrap();
        assert_eq!(
            operations_done(&store).await,
            2,
            "round {round}: what was there is there"
        );
    }
}
