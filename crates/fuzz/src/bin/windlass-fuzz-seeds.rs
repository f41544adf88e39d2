//! Writes the seeds of the targets into the folders of cargo-fuzz: `windlass-fuzz-seeds fuzz/corpus`.
//!
//! It adds recorded conversations if `WINDLASS_TRANSCRIPTS` names their folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

use windlass_fuzz::{TARGETS, seeds};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(folder), None) = (arguments.next(), arguments.next()) else {
        return fail("usage: windlass-fuzz-seeds FOLDER");
    };
    match write_all(&PathBuf::from(folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format!("the seeds can't be written: {error}")),
    }
}

#[expect(clippy::print_stderr, reason = "a program tells a person")]
fn fail(why: &str) -> ExitCode {
    eprintln!("{why}");
    ExitCode::from(2)
}

fn write_all(folder: &Path) -> io::Result<()> {
    let recorded = match std::env::var_os("WINDLASS_TRANSCRIPTS") {
        Some(transcripts) => seeds::recorded(Path::new(&transcripts))?,
        None => BTreeMap::new(),
    };
    for target in TARGETS {
        let folder = folder.join(target.name);
        fs::create_dir_all(&folder)?;
        for (name, seed) in seeds::of(target)? {
            fs::write(folder.join(name), seed)?;
        }
        for (at, seed) in recorded.get(target.name).into_iter().flatten().enumerate() {
            fs::write(folder.join(format!("recorded-{at}")), seed)?;
        }
    }
    Ok(())
}
