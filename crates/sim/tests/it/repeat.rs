//! A seed is a run.

use std::process::Command;

use windlass_sim::{Detail, World, play};

/// Some of each kind: with agents, kept messages, topics, many gateways.
const SEEDS: std::ops::Range<u64> = 0..20;

#[test]
fn a_seed_gives_the_same_trace_again() {
    for seed in SEEDS {
        let [first, second] = [(); 2].map(|()| play(&World::of(seed), Detail::Trace));
        let differ = first
            .trace
            .0
            .iter()
            .zip(&second.trace.0)
            .find(|(one, other)| one != other);
        assert_eq!(differ, None, "seed {seed}");
        assert_eq!(first.trace.0.len(), second.trace.0.len(), "seed {seed}");
        assert!(first.trace.0.len() > 20, "seed {seed} has a trace");
    }
}

#[test]
fn a_seed_gives_the_same_trace_in_another_process() {
    let trace = |seed: u64| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_windlass-sim"));
        let output = command.args(["seed", &seed.to_string(), "--trace"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    for seed in SEEDS.step_by(8) {
        let first = trace(seed);
        assert!(first.lines().count() > 20, "seed {seed} has a trace: {first}");
        assert!(first == trace(seed), "seed {seed} gives two traces");
    }
}

#[test]
fn what_is_traced_changes_nothing() {
    for seed in SEEDS {
        let told = play(&World::of(seed), Detail::Trace);
        let silent = play(&World::of(seed), Detail::Verdict);
        assert_eq!((told.broken, told.tally), (silent.broken, silent.tally), "seed {seed}");
    }
}
