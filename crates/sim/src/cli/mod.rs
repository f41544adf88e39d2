//! The command line.

mod run;
mod seed;
mod signals;
mod soak;

use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// Plays worlds made from seeds against the whole of Windlass, in virtual time, and checks its guarantees.
///
/// Exit codes: 0 all guarantees were kept, 1 some were not, 2 wrong usage or an unusable state file, 130 stopped by Ctrl-C.
#[derive(Debug, Parser)]
#[command(name = "windlass-sim", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Play many seeds, and list those that break a promise.
    Run(Run),
    /// Play one seed, the same way each time.
    Seed(Seed),
    /// Play many days of a light load, and see that nothing grows.
    Soak(Soak),
}

#[derive(Debug, Args)]
struct Run {
    /// Seeds to play: from, and up to (which is not played).
    #[arg(long, value_name = "FROM..TO", value_parser = seeds, default_value = "0..10000")]
    seeds: Range<u64>,
    /// Threads; as many as the machine has cores unless given.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// Record the progress in this file, and continue from the recorded progress.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Print JSON instead of words.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Seed {
    /// The seed.
    #[arg(value_name = "SEED")]
    number: u64,
    /// Print all that happened.
    #[arg(long)]
    trace: bool,
    /// Print JSON instead of words.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Soak {
    /// Virtual days.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(3..=3650))]
    days: u32,
    /// Gateways.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    gateways: u16,
    /// The seed of the load.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print JSON instead of words.
    #[arg(long)]
    json: bool,
}

/// Exit codes besides 0.
const BROKEN: u8 = 1;
const USAGE: u8 = 2;
const INTERRUPTED: u8 = 130;

/// Runs the program on the process's arguments.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Seed(args) => seed::seed(&args),
        Command::Soak(args) => soak::soak(&args),
    }
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let said = || "give two numbers, as in 0..10000";
    let (from, to) = text.split_once("..").ok_or_else(said)?;
    let number = |text: &str| text.trim().replace('_', "").parse::<u64>().map_err(|_| said());
    let seeds = number(from)?..number(to)?;
    if seeds.is_empty() {
        return Err("the second number has to be larger than the first".into());
    }
    Ok(seeds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_two_numbers_in_their_order() {
        assert_eq!(seeds("0..1_000_000"), Ok(0..1_000_000));
        for wrong in ["7", "7..7", "9..7", "a..b", "..", "0..-1"] {
            assert!(seeds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }
}
