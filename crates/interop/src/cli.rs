//! The command line.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::{
    release::Release,
    releases_dir::default_releases_dir,
    scenario::Scenario,
    scenarios::{self, by_name},
};

/// Scenarios at a time at most: each has a gateway of some 300 MB, and deadlines that count on getting their turn.
const MAX_JOBS: i64 = 64;

/// Runs real OpenClaw releases from npm on loopback and drives them with scenarios.
///
/// A release is an exact npm version like 2026.9.6, or 9.6 for short.
///
/// Exit codes: 0 all good; 1 something failed; 2 wrong usage; 77 nothing failed but something was
/// skipped (npm is not installed); 130 interrupted.
#[derive(Debug, Parser)]
#[command(name = "windlass-interop", version, max_term_width = 100)]
pub struct Cli {
    /// Folder of installed releases [default: interop/releases in cargo's build folder]
    #[arg(long, global = true, env = "WINDLASS_INTEROP_RELEASES", value_name = "DIR")]
    releases_dir: Option<PathBuf>,
    #[command(subcommand)]
    /// The subcommand.
    pub command: Command,
}

impl Cli {
    /// The folder of installed releases.
    pub fn releases_dir(&self) -> PathBuf {
        self.releases_dir.clone().unwrap_or_else(default_releases_dir)
    }
}

/// The subcommands of the runner.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run scenarios on releases
    Run(RunArgs),
    /// Install releases
    Install(InstallArgs),
    /// Record fixtures of the wire from releases
    Record(RecordArgs),
    /// Run one gateway in the foreground, for manual play
    Start(StartArgs),
    /// Ties a program to the runner's life (internal)
    #[command(hide = true)]
    Guard(GuardArgs),
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Releases to run on [default: the newest pinned one]
    #[arg(long = "release", value_name = "RELEASE", num_args = 1..)]
    releases: Vec<Release>,
    /// Run on all nine pinned releases
    #[arg(long, conflicts_with = "releases")]
    all: bool,
    /// Scenarios to run [default: all with --all, else all that take less than a minute]
    #[arg(long = "scenario", value_name = "SCENARIO", num_args = 1.., value_parser = parse_scenario)]
    scenarios: Vec<Scenario>,
    /// Scenarios to run at a time; a gateway that starts takes a whole core for some seconds
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=MAX_JOBS))]
    pub jobs: u16,
    /// Write one JSON object for each result to standard output
    #[arg(long)]
    pub json: bool,
    /// Write the table of results to this Markdown file, and its data beside it (.jsonl)
    #[arg(long, value_name = "FILE")]
    pub table: Option<PathBuf>,
    /// Keep the cells of earlier runs that this run does not try
    #[arg(long, requires = "table")]
    pub merge: bool,
}

impl RunArgs {
    /// The releases to run on.
    pub fn releases(&self) -> Vec<Release> {
        match (self.all, self.releases.is_empty()) {
            (true, _) => Release::pinned(),
            (false, true) => vec![Release::newest()],
            (false, false) => self.releases.clone(),
        }
    }

    /// The scenarios to run.
    pub fn scenarios(&self) -> Vec<Scenario> {
        match (self.scenarios.is_empty(), self.all) {
            (true, true) => scenarios::ALL.to_vec(),
            (true, false) => scenarios::usual(),
            (false, _) => self.scenarios.clone(),
        }
    }
}

/// Arguments of `install`.
#[derive(Debug, Args)]
pub struct InstallArgs {
    /// Releases to install
    #[arg(required = true, value_name = "RELEASE")]
    pub releases: Vec<Release>,
}

/// Arguments of `record`.
#[derive(Debug, Args)]
pub struct RecordArgs {
    /// Releases to record
    #[arg(required = true, value_name = "RELEASE")]
    pub releases: Vec<Release>,
    /// Folder of fixtures; each release has its own folder in it
    #[arg(long, value_name = "DIR", default_value = "crates/protocol/tests/fixtures")]
    pub out: PathBuf,
}

/// Arguments of `start`.
#[derive(Debug, Args)]
pub struct StartArgs {
    /// The release to run
    pub release: Release,
    /// Port of the gateway [default: a free one]
    #[arg(long)]
    pub port: Option<u16>,
    /// Use and keep this folder for the gateway's state
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// JSON object that is merged into the gateway's configuration
    #[arg(long, value_name = "JSON", value_parser = parse_object)]
    pub config: Option<serde_json::Value>,
}

/// Arguments of the hidden `guard`.
#[derive(Debug, Args)]
pub struct GuardArgs {
    /// Process id of the runner
    #[arg(long)]
    pub parent: u32,
    /// The program and its arguments
    #[arg(last = true, required = true)]
    pub program: Vec<OsString>,
}

fn parse_scenario(name: &str) -> Result<Scenario, String> {
    by_name(name).ok_or_else(|| {
        let names: Vec<_> = scenarios::ALL.iter().map(|scenario| scenario.name).collect();
        format!("expected one of {}", names.join(", "))
    })
}

fn parse_object(text: &str) -> Result<serde_json::Value, String> {
    match serde_json::from_str(text) {
        Ok(value @ serde_json::Value::Object(_)) => Ok(value),
        Ok(_) => Err("expected a JSON object".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn run_args(line: &[&str]) -> Result<RunArgs, clap::Error> {
        let line = ["windlass-interop", "run"].iter().chain(line);
        match Cli::try_parse_from(line)?.command {
            Command::Run(args) => Ok(args),
            other => panic!("not a run: {other:?}"),
        }
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn without_a_choice_the_usual_ones_run_on_the_newest_release_and_all_on_all() {
        let args = run_args(&[]).expect("it parses");
        assert_eq!(args.releases(), [Release::newest()]);
        assert_eq!(args.scenarios().len(), scenarios::usual().len());
        let all = run_args(&["--all"]).expect("it parses");
        assert_eq!(all.scenarios().len(), scenarios::ALL.len());
    }

    #[test]
    fn releases_and_scenarios_can_be_chosen() {
        let line = ["--release", "3.13", "2026.9.6", "--scenario", "health"];
        let args = run_args(&line).expect("it parses");
        let names: Vec<_> = args.releases().iter().map(ToString::to_string).collect();
        assert_eq!(names, ["2026.3.13", "2026.9.6"]);
        assert_eq!(args.scenarios()[0].name, "health");
        assert_eq!(run_args(&["--all"]).expect("it parses").releases().len(), 9);
    }

    #[test]
    fn unknown_names_and_contradictions_are_refused() {
        assert!(run_args(&["--scenario", "nope"]).is_err());
        assert!(run_args(&["--release", "../x"]).is_err());
        assert!(run_args(&["--all", "--release", "9.6"]).is_err());
        assert!(run_args(&["--merge"]).is_err(), "into what?");
        assert!(run_args(&["--jobs", "0"]).is_err(), "nothing would ever run");
    }

    #[test]
    fn a_guarded_program_keeps_its_own_options() {
        let line = ["windlass-interop", "guard", "--parent", "7", "--", "npm", "--version"];
        let cli = Cli::try_parse_from(line).expect("it parses");
        let Command::Guard(args) = cli.command else {
            panic!("not a guard");
        };
        assert_eq!((args.parent, args.program.len()), (7, 2));
    }
}
