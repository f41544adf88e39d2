//! A session cache is equal to a fresh list.

use std::time::Duration;

use serde_json::Value;
use windlass::protocol::session_roster::RosterEntry;
use windlass::{Gateway, SessionCache};

use super::{Promise, Verdict};

/// Longer than any roster rests between two questions.
const PATIENCE: Duration = Duration::from_secs(600);

/// Judges a roster when nothing changes any more.
pub(crate) async fn roster(verdict: &mut Verdict, site: &str, gateway: &Gateway, cache: &mut SessionCache) {
    let fresh = tokio::time::timeout(PATIENCE, cache.fresh()).await;
    let Ok(Ok(view)) = fresh else {
        verdict.holds(Promise::Roster, false, || {
            format!("{site}: the session cache stays stale")
        });
        return;
    };
    let tells = tells_of_resets(gateway);
    let shown = view.sessions.iter().map(|(_, entry)| Seen::of_entry(entry, tells));
    let shown: Vec<_> = shown.collect();
    let listed = match list(gateway).await {
        Ok(rows) => rows.into_iter().map(Seen::of_row).collect::<Vec<_>>(),
        Err(error) => {
            verdict.holds(Promise::Roster, false, || format!("{site}: no list: {error}"));
            return;
        }
    };
    let runs = || view.sessions.active().map(|(key, entry)| (key, &entry.runs));
    verdict.holds(Promise::Roster, shown == listed, || {
        let differ = shown.iter().zip(&listed).find(|(shown, listed)| shown != listed);
        format!(
            "{site}: the session cache has {} rows and the list {}; the first that differ: {differ:?}; it says that these run: {:?}",
            shown.len(),
            listed.len(),
            runs().collect::<Vec<_>>()
        )
    });
}

/// Gateways before 2026.4 do not report a reset. If a reset ends a run before the session of the run was ever listed, the run stays
/// active in the session cache until its next list names another session. Nothing shows the end, so runs are not checked there.
fn tells_of_resets(gateway: &Gateway) -> bool {
    let status = gateway.status();
    let status = status.borrow();
    let methods = status.hello.as_ref().and_then(|hello| hello.features.methods.as_ref());
    methods.is_some_and(|methods| methods.iter().any(|method| method == "sessions.subscribe"))
}

/// A session, and its active runs. A row that came before an event does not contain the end that the event reports: 2026.9.6 sends
/// no row when a run is aborted.
#[derive(Debug, PartialEq)]
struct Seen {
    row: Value,
    active: bool,
    /// Where the gateway names its runs.
    runs: Option<Value>,
}

impl Seen {
    fn of_entry(entry: &RosterEntry, tells: bool) -> Self {
        let seen = Self::of_row(serde_json::to_value(&entry.row).unwrap_or_default());
        Self {
            active: entry.active && tells,
            runs: seen.runs.map(|_| entry.runs.clone().into()),
            row: seen.row,
        }
    }

    fn of_row(mut row: Value) -> Self {
        let mut take = |field| row.as_object_mut().and_then(|row| row.remove(field));
        let (active, runs) = (take("hasActiveRun"), take("activeRunIds"));
        Self {
            row,
            active: active == Some(Value::Bool(true)),
            runs: runs.filter(Value::is_array),
        }
    }
}

/// All rows that the gateway has, by their keys, asked for past the roster.
async fn list(gateway: &Gateway) -> Result<Vec<Value>, windlass::ReplyError> {
    let params = serde_json::json!({ "limit": 100_000 });
    let list: Value = gateway.call("sessions.list", params).reply().await?;
    let mut rows = list["sessions"].as_array().cloned().unwrap_or_default();
    rows.sort_by(|a, b| a["key"].as_str().cmp(&b["key"].as_str()));
    Ok(rows)
}
