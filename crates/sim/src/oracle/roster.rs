//! A roster says what a fresh list says.

use std::time::Duration;

use serde_json::Value;
use windlass::{Gateway, Roster};

use super::{Promise, Verdict};

/// Longer than any roster rests between two questions.
const PATIENCE: Duration = Duration::from_secs(600);

/// Judges a roster when nothing changes any more.
pub(crate) async fn roster(verdict: &mut Verdict, site: &str, gateway: &Gateway, roster: &mut Roster) {
    let fresh = tokio::time::timeout(PATIENCE, roster.fresh()).await;
    let Ok(Ok(view)) = fresh else {
        verdict.holds(Promise::Roster, false, || format!("{site}: the roster stays stale"));
        return;
    };
    let shown: Vec<_> = view
        .sessions
        .iter()
        .map(|(_, entry)| serde_json::to_value(&entry.row).unwrap_or_default())
        .collect();
    let listed = match list(gateway).await {
        Ok(rows) => rows,
        Err(error) => {
            verdict.holds(Promise::Roster, false, || format!("{site}: no list: {error}"));
            return;
        }
    };
    verdict.holds(Promise::Roster, shown == listed, || {
        let differ = shown.iter().zip(&listed).find(|(shown, listed)| shown != listed);
        format!(
            "{site}: the roster has {} rows and the list {}; the first that differ: {differ:?}",
            shown.len(),
            listed.len()
        )
    });
}

/// All rows that the gateway has, by their keys, asked for past the roster.
async fn list(gateway: &Gateway) -> Result<Vec<Value>, windlass::ReplyError> {
    let params = serde_json::json!({ "limit": 100_000 });
    let list: Value = gateway.call("sessions.list", params).reply().await?;
    let mut rows = list["sessions"].as_array().cloned().unwrap_or_default();
    rows.sort_by(|a, b| a["key"].as_str().cmp(&b["key"].as_str()));
    Ok(rows)
}
