//! `windlass-sim seed`.

use std::io::Write as _;
use std::process::ExitCode;

use serde_json::json;

use super::{BROKEN, Seed};
use crate::{Detail, World, play};

pub(super) fn seed(args: &Seed) -> ExitCode {
    let world = World::of(args.number);
    let played = play(&world, Detail::Trace);
    let mut out = anstream::stdout().lock();
    // An error of the output cannot be reported: the output is gone.
    let _ = if args.json {
        let trace: Option<Vec<_>> = args
            .trace
            .then(|| played.trace.0.iter().map(ToString::to_string).collect());
        let told = json!({ "seed": args.number, "broken": played.broken, "tally": played.tally, "trace": trace });
        writeln!(out, "{told}")
    } else {
        let trace = if args.trace {
            played.trace.to_string()
        } else {
            String::new()
        };
        let verdict = match played.broken.as_slice() {
            [] => "all promises were kept".to_owned(),
            broken => broken
                .iter()
                .map(|broken| format!("broken: {broken}"))
                .collect::<Vec<_>>()
                .join("\n"),
        };
        writeln!(out, "{trace}{world}{}{verdict}", played.tally)
    };
    if played.broken.is_empty() {
        ExitCode::SUCCESS
    } else {
        BROKEN.into()
    }
}
