//! One process at a time runs a store's agents.

use std::path::PathBuf;

use windlass_store::{Journal as _, OwnError, Right, Store as _};
use windlass_store_sqlite::SqliteStore;

use crate::child::OtherProcess;
use crate::journal::batch;
use crate::world::{folder, furnished};

#[tokio::test]
async fn a_store_that_another_process_owns_is_not_given_until_that_is_gone() {
    let (folder, path) = folder();
    furnished(&path).await;
    let mut process = OtherProcess::start("child::owns_it_until_it_is_killed", &path);
    assert_eq!(process.acknowledged(), Some(0));

    let store = SqliteStore::open(&path).await.unwrap();
    let error = store.own().await.unwrap_err();
    let shown = error.to_string();
    let OwnError::Owned { lock, holder, right } = error else {
        panic!("{error:?}")
    };
    assert_eq!((holder, right), (Some(process.id().to_string()), Right::Agents));
    let lock = PathBuf::from(lock.unwrap());
    assert_eq!(lock, folder.path().canonicalize().unwrap().join("store.db.lock"));
    assert!(
        shown.contains(&process.id().to_string()) && shown.contains("store.db.lock"),
        "{shown}"
    );

    // The lock goes with the process, though the file stays.
    process.kill();
    let ownership = store.own().await.unwrap();
    assert!(lock.exists());
    assert_eq!(
        std::fs::read_to_string(&lock).unwrap().trim(),
        std::process::id().to_string()
    );
    drop(ownership);
}

#[tokio::test]
async fn a_second_handle_and_another_way_to_the_file_meet_the_same_lock() {
    let (folder, path) = folder();
    furnished(&path).await;
    let store = SqliteStore::open(&path).await.unwrap();
    let ownership = store.own().await.unwrap();
    let other = folder.path().join(".").join("store.db");
    let again = SqliteStore::open(&other).await.unwrap();
    assert!(matches!(again.own().await, Err(OwnError::Owned { .. })));
    // It is the right that counts, not the store.
    drop(store);
    assert!(matches!(again.own().await, Err(OwnError::Owned { .. })));
    drop(ownership);
    drop(again.own().await.unwrap());
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_to_the_file_meets_the_same_lock_and_only_the_owner_reads_the_files() {
    use std::os::unix::fs::PermissionsExt as _;

    let (folder, path) = folder();
    furnished(&path).await;
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let (store, linked) = (
        SqliteStore::open(&path).await.unwrap(),
        SqliteStore::open(&link).await.unwrap(),
    );
    let ownership = store.own().await.unwrap();
    assert!(matches!(linked.own().await, Err(OwnError::Owned { .. })));
    drop(ownership);

    store.append(&batch(1, 1, 1)).await.unwrap();
    let mut seen = 0;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let (path, mode) = entry
            .map(|entry| (entry.path(), entry.metadata().unwrap().permissions().mode()))
            .unwrap();
        if path != link {
            assert_eq!(mode & 0o777, 0o600, "{}", path.display());
            seen += 1;
        }
    }
    assert_eq!(
        seen, 7,
        "the database, its log, the log's index, the lock; the journal, its log, that one's index"
    );
}
