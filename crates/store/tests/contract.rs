//! The store in memory keeps the contract.

use std::sync::Arc;

use windlass_store::{MemoryStore, Store};

async fn empty() -> (Arc<dyn Store>, ()) {
    (Arc::new(MemoryStore::new()), ())
}

windlass_store::contract_tests!(empty);
