//! Inputs that are known.

use std::io::Write as _;
use std::path::PathBuf;

use windlass_fuzz::{TARGETS, seeds, target};

#[test]
fn every_seed_passes_its_target() {
    for target in TARGETS {
        for (name, seed) in seeds::of(target).unwrap() {
            note(&format!("{}/{name}", target.name));
            (target.run)(&seed);
        }
    }
}

#[test]
fn what_was_recorded_of_real_gateways_passes_its_targets() {
    let Some(folder) = std::env::var_os("WINDLASS_TRANSCRIPTS").map(PathBuf::from) else {
        // Written past the test harness, which keeps what a passing test prints to itself.
        std::io::stderr()
            .write_all(b"skipped: WINDLASS_TRANSCRIPTS is not set\n")
            .unwrap();
        return;
    };
    let recorded = seeds::recorded(&folder).unwrap();
    for name in ["error", "event", "frame", "hello", "session"] {
        let inputs = &recorded[name];
        assert!(!inputs.is_empty(), "no {name}");
        for (at, input) in inputs.iter().enumerate() {
            note(&format!("{name}/recorded-{at}"));
            (target(name).run)(input);
        }
    }
}

/// Kept by the test harness, and shown where a test fails: which input it was.
#[expect(clippy::print_stdout, reason = "for whoever looks at a failed test")]
fn note(input: &str) {
    println!("{input}");
}
