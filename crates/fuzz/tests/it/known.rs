//! Inputs that are known.

use std::path::Path;

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
fn frames_of_our_recordings_pass_their_targets() {
    check_recordings(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/tests/fixtures"));
}

#[test]
#[ignore = "needs WINDLASS_TRANSCRIPTS"]
fn frames_of_further_recordings_pass_their_targets() {
    let folder = std::env::var_os("WINDLASS_TRANSCRIPTS");
    check_recordings(Path::new(
        &folder.expect("WINDLASS_TRANSCRIPTS names a folder of recordings"),
    ));
}

/// Gives each frame of the recordings below `folder` to the targets that read such a frame.
fn check_recordings(folder: &Path) {
    let recorded = seeds::recorded(folder).expect("recordings that can be read");
    for name in ["error", "event", "frame", "hello", "session"] {
        let inputs = &recorded[name];
        assert!(!inputs.is_empty(), "no {name}");
        for (at, input) in inputs.iter().enumerate() {
            note(&format!("{name}/recorded-{at}"));
            (target(name).run)(input);
        }
    }
}

/// Names the input. The test harness shows it where a test fails.
#[expect(clippy::print_stdout, reason = "the output of a failed test")]
fn note(input: &str) {
    println!("{input}");
}
