//! Callers that go away in the middle.

use std::sync::Arc;

use windlass_store::{Activities as _, Store as _};
use windlass_store_sqlite::SqliteStore;

use crate::world::{folder, furnished, long_activity, numbers};

/// How often a call is cancelled, each time a little later.
const ROUNDS: i64 = 200;

#[tokio::test]
async fn a_cancelled_call_happens_whole_or_not_at_all_and_the_store_goes_on() {
    let (_folder, path) = folder();
    furnished(&path).await;
    let store = Arc::new(SqliteStore::open(&path).await.unwrap());
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        let calling = Arc::clone(&store);
        let call = tokio::spawn(async move { calling.record(&long_activity(round)).await.unwrap().id });
        for _ in 0..round * 20 {
            tokio::task::yield_now().await;
        }
        call.abort();
        if let Ok(id) = call.await {
            acknowledged.push(id);
        }
        // The next call is not kept waiting by what the last one left behind.
        acknowledged.push(store.record(&long_activity(round)).await.unwrap().id);
    }
    let there = numbers(&store).await;
    assert!(acknowledged.iter().all(|id| there.contains(id)));
    assert!(there.len() <= 2 * usize::try_from(ROUNDS).unwrap());
    assert!(
        acknowledged.len() < 2 * usize::try_from(ROUNDS).unwrap(),
        "some were cancelled"
    );
    store.close().await.unwrap();
}
