//! The runs of one session.

use serde_json::{Map, Value};

/// Most runs noted for one session; a session runs one at a time, so more are strays with lost ends.
pub const RUNS_KEPT: usize = 16;

/// Adds a run. Whether that changed anything.
pub(super) fn begin(runs: &mut Vec<String>, run: &str) -> bool {
    if runs.iter().any(|known| known == run) {
        return false;
    }
    if runs.len() == RUNS_KEPT {
        runs.remove(0);
    }
    runs.push(run.to_owned());
    true
}

/// Takes a run out. Whether that changed anything.
pub(super) fn end(runs: &mut Vec<String>, run: &str) -> bool {
    let before = runs.len();
    runs.retain(|known| known != run);
    runs.len() != before
}

/// The members of a row about its runs (2026.9.6): `hasActiveRun`, and `activeRunIds`, which is `null` where it does not say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It says nothing.
    Nothing,
    /// These run, and no others.
    These(Vec<String>),
    /// Something runs.
    Something,
}

pub(super) fn said(row: &Map<String, Value>) -> Said {
    if row.get("hasActiveRun").and_then(Value::as_bool) == Some(false) {
        return Said::These(Vec::new());
    }
    if let Some(Value::Array(ids)) = row.get("activeRunIds") {
        let ids = ids.iter().filter_map(Value::as_str).map(str::to_owned);
        let ids: Vec<String> = ids.take(RUNS_KEPT).collect();
        if !ids.is_empty() {
            return Said::These(ids);
        }
    }
    match row.get("hasActiveRun") {
        Some(Value::Bool(true)) => Said::Something,
        _ => Said::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_names_its_runs_or_says_that_there_are_some_or_nothing() {
        let read = |row: Value| said(row.as_object().unwrap());
        assert_eq!(read(json!({})), Said::Nothing);
        assert_eq!(
            read(json!({"hasActiveRun": true, "activeRunIds": null})),
            Said::Something
        );
        assert_eq!(
            read(json!({"hasActiveRun": false, "activeRunIds": null})),
            Said::These(vec![])
        );
        assert_eq!(
            read(json!({"hasActiveRun": true, "activeRunIds": ["r"]})),
            Said::These(vec!["r".into()])
        );
    }

    #[test]
    fn strays_do_not_pile_up() {
        let mut runs = Vec::new();
        for run in 0..100 {
            begin(&mut runs, &run.to_string());
        }
        assert_eq!((runs.len(), runs[RUNS_KEPT - 1].as_str()), (RUNS_KEPT, "99"));
        assert!(end(&mut runs, "99") && !end(&mut runs, "99") && !begin(&mut runs, "98"));
    }
}
