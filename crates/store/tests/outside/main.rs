//! The traits can be implemented outside of the crate: a backend that uses its public interface only keeps the contract.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod backend;

use std::sync::Arc;

use backend::TextStore;
use windlass_store::{BackendError, OwnError, Right, Store, StoreError};

async fn empty() -> (Arc<dyn Store>, ()) {
    (Arc::new(TextStore::new()), ())
}

windlass_store::contract_tests!(empty);

#[test]
fn a_backend_reports_its_own_failures() {
    let failure = BackendError::new("duplicate key in runs").with_code("23505");
    assert_eq!(failure.code(), Some("23505"));
    assert_eq!(failure.to_string(), "duplicate key in runs");
    let error = StoreError::Backend(failure);
    assert!(!error.is_transient());
    let journal = StoreError::Journal("the partition of today is missing".into());
    assert_eq!(journal.to_string(), "the journal can't be opened");

    let owned = OwnError::Owned {
        right: Right::Agents,
        holder: Some("node-3".into()),
        lock: None,
    };
    assert_eq!(
        owned.to_string(),
        "another process (node-3) runs the agents of this database: end that first"
    );
}

#[test]
fn a_lease_that_was_lost_is_not_held() {
    let store = TextStore::new();
    let ownership = store.own_journal_for(3).unwrap();
    assert!(ownership.is_held());
    assert_eq!(ownership.right(), Right::Journal);
    store.expire();
    assert!(!ownership.is_held());
}
