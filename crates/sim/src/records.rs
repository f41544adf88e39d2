//! The records of gateways and proxies, as lines of a trace.

use windlass_testkit::{Entry, Record, SideEffect};

use crate::site::Door;
use crate::trace::Line;

/// All of it. Texts are left out.
pub(crate) fn of(doors: &[Door]) -> Vec<Line> {
    let mut lines = Vec::new();
    for door in doors {
        let name = &door.name;
        lines.extend(door.proxy.log().iter().map(|entry| Line {
            at: entry.at,
            by: "proxy",
            text: format!("{name}: {}", entry.what),
        }));
        lines.extend(door.sim.journal().records().iter().map(|record| Line {
            at: record.at,
            by: "sim",
            text: format!("{name}: {}", told(record)),
        }));
    }
    lines
}

fn told(record: &Record) -> String {
    match &record.entry {
        Entry::Request {
            conn,
            id,
            method,
            params,
        } => {
            let key = params["idempotencyKey"].as_str();
            let key = key.map_or_else(String::new, |key| format!(" key {key}"));
            format!("request {id} {method}{key} over {conn}")
        }
        Entry::Effect(SideEffect::ChatRun { key, session, .. }) => format!("runs {key} in {session}"),
        entry => format!("{entry:?}"),
    }
}
