//! Files that are not what they should be. They are left as they are.

use std::io;
use std::path::Path;

use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
use windlass_store::{Activities as _, Agents as _, Store as _, StoreError};
use windlass_store_sqlite::{OpenError, SqliteOptions, SqliteStore};

use crate::world::{folder, furnished, long_activity, past_the_store, run_sql, the_agent};

/// A closed database of some 100 pages.
async fn written(path: &Path) -> Vec<u8> {
    furnished(path).await;
    let store = SqliteStore::open(path).await.unwrap();
    for number in 1..100 {
        store.record(&long_activity(number)).await.unwrap();
    }
    store.close().await.unwrap();
    std::fs::read(path).unwrap()
}

/// What opening a file with this content says; it must not have changed it.
async fn refused(path: &Path, content: &[u8]) -> OpenError {
    std::fs::write(path, content).unwrap();
    let error = SqliteStore::open(path).await.unwrap_err();
    assert!(std::fs::read(path).unwrap() == content, "the file was changed: {error}");
    assert!(error.to_string().contains("store.db"), "{error}");
    error
}

#[tokio::test]
async fn a_file_that_is_something_else_is_refused() {
    let (_folder, path) = folder();
    let error = refused(&path, "Dear diary,\n".repeat(1000).as_bytes()).await;
    assert!(matches!(error, OpenError::NotADatabase { .. }), "{error:?}");
}

#[tokio::test]
async fn a_damaged_file_is_refused_whatever_is_damaged() {
    let (_folder, path) = folder();
    let whole = written(&path).await;
    let pages = whole.len() / 4096;
    let mut cases = vec![("cut in half", whole[..whole.len() / 2].to_vec())];
    for (name, page) in [("second page", 1), ("middle page", pages / 2)] {
        let mut damaged = whole.clone();
        damaged[page * 4096..(page + 1) * 4096].fill(0xa5);
        cases.push((name, damaged));
    }
    let mut damaged = whole.clone();
    damaged[4096..].fill(0);
    cases.push(("all but the first page", damaged));
    for (name, content) in cases {
        let error = refused(&path, &content).await;
        assert!(matches!(error, OpenError::Damaged { .. }), "{name}: {error:?}");
        assert!(error.to_string().contains("restore it from a backup"), "{error}");
    }
    // The same way with a whole file.
    std::fs::write(&path, whole).unwrap();
    assert!(
        SqliteStore::open(&path)
            .await
            .unwrap()
            .agent(the_agent())
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn damage_that_was_not_looked_for_is_told_when_it_is_met() {
    let (_folder, path) = folder();
    let mut damaged = written(&path).await;
    // The last pages are the last activities, which nobody needs to open it.
    let (from, to) = (damaged.len() - 20 * 4096, damaged.len() - 4096);
    damaged[from..to].fill(0xa5);
    std::fs::write(&path, &damaged).unwrap();
    let unchecked = SqliteOptions {
        check: false,
        ..SqliteOptions::default()
    };
    let store = SqliteStore::open_with(&path, unchecked).await.unwrap();
    let filter = windlass_store::ActivityFilter::default();
    let error = store.activities(&filter, Some(0), 1000).await.unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
}

#[tokio::test]
async fn a_value_that_makes_no_sense_is_named_by_its_column_only() {
    for (column, value) in [
        ("status", "'hunter2'"),
        ("token_hash", "'hunter2'"),
        ("heartbeat", "'{\"every\": hunter2'"),
        ("revision", "-1"),
        ("session_key", "''"),
        ("provision_action", "'hunter2'"),
    ] {
        let (_folder, path) = folder();
        furnished(&path).await;
        run_sql(&path, &format!("UPDATE agents SET {column} = {value}")).await;
        let store = SqliteStore::open(&path).await.unwrap();
        let error = store.agent(the_agent()).await.unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(
            matches!(&error, StoreError::Damaged { what } if *what == format!("agents.{column}")),
            "{shown}"
        );
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[tokio::test]
async fn a_database_of_another_program_is_refused_and_stays_as_it_is() {
    let (_folder, path) = folder();
    run_sql(&path, "CREATE TABLE bookmarks (url TEXT)").await;
    let content = std::fs::read(&path).unwrap();
    let error = refused(&path, &content).await;
    assert!(matches!(error, OpenError::OtherProgram { .. }), "{error:?}");
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_and_stays_as_it_is() {
    let (_folder, path) = folder();
    furnished(&path).await;
    run_sql(
        &path,
        "INSERT INTO _sqlx_migrations VALUES (99, 'later', '', TRUE, x'00', 0)",
    )
    .await;
    let content = std::fs::read(&path).unwrap();
    let error = refused(&path, &content).await;
    assert!(
        matches!(error, OpenError::TooNew { found: 99, known, .. } if known < 99),
        "{error:?}"
    );
    assert!(error.to_string().contains("written by a newer version"), "{error}");
}

#[tokio::test]
async fn a_database_that_was_migrated_otherwise_is_refused() {
    let (_folder, path) = folder();
    furnished(&path).await;
    run_sql(&path, "UPDATE _sqlx_migrations SET checksum = x'00' WHERE version = 2").await;
    let error = SqliteStore::open(&path).await.unwrap_err();
    assert!(
        matches!(error, OpenError::OtherMigration { version: 2, .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_place_where_no_file_can_be_is_told() {
    let (folder, _) = folder();
    let error = SqliteStore::open(folder.path().join("nowhere").join("store.db"))
        .await
        .unwrap_err();
    let OpenError::Io { source, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(source.kind(), io::ErrorKind::NotFound);
    let error = SqliteStore::open(folder.path()).await.unwrap_err();
    assert!(matches!(error, OpenError::Backend { .. }), "{error:?}");
    assert!(std::error::Error::source(&error).is_some());
}

/// The indexes hold what the store promises, even where somebody goes past it.
#[tokio::test]
async fn the_database_itself_refuses_what_the_store_refuses() {
    let (_folder, path) = folder();
    furnished(&path).await;
    let mut connection = past_the_store(&path).await;
    let twin = "CREATE TEMP TABLE twin AS SELECT * FROM agents; UPDATE twin SET id = 'x', name_key = 'x';";
    let error = connection
        .execute(AssertSqlSafe(format!("{twin} INSERT INTO agents SELECT * FROM twin")))
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("UNIQUE constraint failed: agents.gateway_id"),
        "{error}"
    );
    let error = connection.execute("DELETE FROM gateways").await.unwrap_err();
    assert!(error.to_string().contains("FOREIGN KEY constraint failed"), "{error}");
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_file_beside_the_database_that_cannot_be_written_is_named_with_what_to_do() {
    for suffix in ["-wal", "-journal"] {
        let (_folder, path) = folder();
        furnished(&path).await;
        let beside = path.with_file_name(format!("store.db{suffix}"));
        // A folder can't be written as a file, whoever runs the test.
        std::fs::create_dir(&beside).unwrap();
        let error = SqliteStore::open(&path).await.unwrap_err();
        assert!(
            matches!(&error, OpenError::SideFile { side, .. } if *side == beside.canonicalize().unwrap()),
            "{error:?}"
        );
        assert!(error.to_string().contains("give it to this user"), "{error}");
        std::fs::remove_dir(&beside).unwrap();
        SqliteStore::open(&path).await.unwrap().close().await.unwrap();
    }
}
