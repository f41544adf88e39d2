//! `windlass-sim soak`.

use std::io::Write as _;
use std::process::ExitCode;

use serde_json::json;

use super::{BROKEN, Soak};
use crate::soak::{DayReport, Plan, grown, soak as play};

pub(super) fn soak(args: &Soak) -> ExitCode {
    let plan = Plan {
        days: args.days,
        gateways: args.gateways,
        seed: args.seed,
    };
    let mut out = anstream::stdout().lock();
    if !args.json {
        let _ = writeln!(
            out,
            "{:>4} {:>8} {:>12} {:>7} {:>6} {:>13} {:>9} {:>8} {:>7} {:>7} {:>12}",
            "day",
            "pending",
            "subscribers",
            "topics",
            "tasks",
            "journal rows",
            "messages",
            "RSS KiB",
            "ok",
            "not ok",
            "connections"
        );
    }
    let midnights = play(plan, |midnight| {
        if !args.json {
            let _ = writeln!(out, "{}", row(midnight));
        }
    });
    let grown = grown(&midnights);
    let _ = if args.json {
        writeln!(out, "{}", json!({ "midnights": midnights, "grown": grown }))
    } else if grown.is_empty() {
        writeln!(out, "nothing grew")
    } else {
        writeln!(out, "grown: {}", grown.join("; "))
    };
    if grown.is_empty() {
        ExitCode::SUCCESS
    } else {
        BROKEN.into()
    }
}

fn row(midnight: &DayReport) -> String {
    format!(
        "{:>4} {:>8} {:>12} {:>7} {:>6} {:>13} {:>9} {:>8} {:>7} {:>7} {:>12}",
        midnight.day,
        midnight.pending,
        midnight.subscribers,
        midnight.topics,
        midnight.tasks,
        midnight.journal_rows,
        midnight.sends,
        midnight.rss_kib.map_or_else(|| "?".into(), |kib| kib.to_string()),
        midnight.ok,
        midnight.not_ok,
        midnight.connections
    )
}
