//! The store in SQLite keeps the contract.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use tempfile::TempDir;
use windlass_store::Store;
use windlass_store_sqlite::SqliteStore;

async fn empty() -> (Arc<dyn Store>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("store.db")).await.unwrap();
    (Arc::new(store), folder)
}

windlass_store::contract_tests!(empty);
