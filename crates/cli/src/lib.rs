//! The command line: one subcommand per module.
//!
//! | module | contents |
//! |---|---|
//! | `call` | one call, its payload on stdout |
//! | `watch` | events and markers as they come |
//! | `status` | the state of every line |
//! | `doctor` | one connection, step by step |
//! | `sessions`, `chat` | conversations: shown, and held |
//! | `turn` | one message, followed to its end |
//! | `serve` | Windlass as a service, with an HTTP interface |
//! | `completions` | completions for shells, and manual pages |
//! | `chaos` | a fault-injecting proxy in front of a real gateway |
//! | `demo` | simulated gateways, cut and killed under load |
//! | `gateways`, `boards`, `owner`, `tokens` | records of the store |
//! | `activities` | the past of agents, boards and records |
//! | `change` | the caller of changes, and the errors of operations |
//! | `config` | the trusted `windlass.toml` files |
//! | `agents` | agents of the store, and on their gateways |
//! | `coordinate` | messages between people and agents |
//!
//! Results go to stdout, everything else to stderr; secrets to neither.

mod activities;
mod agents;
mod args;
mod boards;
mod call;
mod change;
mod chaos;
mod chat;
mod columns;
mod completions;
mod config;
mod coordinate;
mod demo;
mod doctor;
mod exit;
#[doc(hidden)]
pub mod fuzzing;
mod gateways;
mod global;
mod input;
mod interrupts;
mod output;
mod owner;
mod serve;
mod session;
mod sessions;
mod status;
mod store;
mod text;
mod tokens;
mod turn;
pub(crate) mod units;
mod watch;

use std::process;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, FromArgMatches as _};
use tokio::runtime::Runtime;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use windlass_line::threads;
use windlass_line::transport::INSECURE_LOG_TARGET;

use crate::args::{Cli, CliCommand};
use crate::exit::{ExitCode, Failure};
use crate::output::Output;

/// Longest name of a level that is repeated in an error, in characters.
const LEVEL_LIMIT: usize = 40;

/// The end of every command's help.
const SEE_PROGRAM: &str = "Options of every command (--gateway, --url, --store, --json, ...): see windlass --help";

/// Threads of the program itself; the lines have their own.
const WORKERS: usize = 2;

/// Runs the program on the process's arguments.
pub fn main() -> process::ExitCode {
    let parsed = command().try_get_matches();
    let cli = match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => {
            let shown = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return match error.print() {
                Ok(()) if shown => ExitCode::Ok,
                Err(error) if shown => Failure::Output(error).report(&Output::new(false)),
                // There is no stderr to tell that stderr is closed.
                _ => ExitCode::Usage,
            }
            .into();
        }
    };
    let output = Output::new(cli.global.json);
    let ended = log_to_stderr(&cli.global.log, &output).and_then(|()| block_on(cli, &output));
    match ended {
        Ok(exit) => exit.into(),
        Err(failure) => failure.report(&output).into(),
    }
}

/// The program's arguments: its commands, and the flags of every command. The latter are shown in the program's own help only.
pub fn command() -> clap::Command {
    let mut command = Cli::command();
    // Only then do the commands have the flags of every command.
    command.build();
    command.mut_subcommands(without_global_flags)
}

fn without_global_flags(command: clap::Command) -> clap::Command {
    let more = match command.get_after_help() {
        Some(own) => format!("{own}\n\n{SEE_PROGRAM}"),
        None => SEE_PROGRAM.to_owned(),
    };
    command
        .mut_args(|arg| {
            let is_global = arg.is_global_set();
            arg.hide(is_global)
        })
        .mut_subcommands(without_global_flags)
        .after_help(more)
}

fn log_to_stderr(directives: &str, output: &Output) -> Result<(), Failure> {
    let filter = log_filter(directives)?;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(output.colours_the_log());
    tracing_subscriber::registry().with(lines).with(filter).init();
    Ok(())
}

fn log_filter(directives: &str) -> Result<Targets, Failure> {
    let wrong = |problem: String| {
        Failure::usage(
            format!("--log (or WINDLASS_LOG): {problem}"),
            "Give off, error, warn, info, debug or trace, or directives like windlass=debug.",
        )
    };
    // A word that is no level would be taken for the name of a target, and everything but that be silenced.
    let is_level = |word: &str| word.is_empty() || word.parse::<LevelFilter>().is_ok();
    let mut words = directives.split(',').map(str::trim);
    if let Some(word) = words.find(|word| !word.contains('=') && !is_level(word)) {
        return Err(wrong(format!("{:?} is not a level", text::escaped(word, LEVEL_LIMIT))));
    }
    let filter: Targets = directives.parse().map_err(|error| wrong(format!("{error}")))?;
    Ok(match filter.default_level() {
        Some(LevelFilter::OFF) | None => filter,
        // That anyone in between can read along is shown wherever anything is.
        Some(_) => filter.with_target(INSECURE_LOG_TARGET, LevelFilter::WARN),
    })
}

fn block_on(cli: Cli, output: &Output) -> Result<ExitCode, Failure> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime: Runtime = threads::build(builder.worker_threads(WORKERS).enable_all(), WORKERS)?;
    // A service ends in its own way, and so does who waits for an answer, records, or has something to tell at its end.
    let ends_itself = match &cli.command {
        CliCommand::Agents(agents) => agents.ends_itself(),
        CliCommand::Sessions(sessions) => sessions.ends_itself(),
        CliCommand::Watch(watch) => watch.ends_itself(),
        CliCommand::Chat(_) | CliCommand::Chaos(_) | CliCommand::Serve(_) => true,
        _ => false,
    };
    let ended = runtime.block_on(async {
        if ends_itself {
            return run(cli, output).await;
        }
        tokio::select! {
            ended = run(cli, output) => ended,
            () = interrupts::stop_signal()? => Ok(ExitCode::Interrupted),
        }
    });
    // A read from a terminal can't be interrupted, so it is not waited for.
    runtime.shutdown_background();
    ended
}

async fn run(cli: Cli, output: &Output) -> Result<ExitCode, Failure> {
    match cli.command {
        CliCommand::Call(call) => call::run(&cli.global, call, output).await,
        CliCommand::Watch(watch) => watch::run(&cli.global, watch, output).await,
        CliCommand::Status(status) => status::run(&cli.global, status, output).await,
        CliCommand::Doctor(doctor) => doctor::run(&cli.global, doctor, output).await,
        CliCommand::Sessions(sessions) => sessions::run(&cli.global, sessions, output).await,
        CliCommand::Chat(chat) => chat::run(&cli.global, chat, output).await,
        CliCommand::Chaos(chaos) => chaos::run(&cli.global, chaos, output).await,
        CliCommand::Demo(demo) => demo::run(&cli.global, demo, output).await,
        CliCommand::Completions(args) => completions::write_completions(&args, output),
        CliCommand::Man(args) => completions::write_pages(&args, output),
        CliCommand::Gateways(gateways) => gateways::run(&cli.global, gateways, output).await,
        CliCommand::Boards(boards) => boards::run(&cli.global, boards, output).await,
        CliCommand::Agents(agents) => agents::run(&cli.global, agents, output).await,
        CliCommand::Activities(activities) => activities::run(&cli.global, &activities, output).await,
        CliCommand::Tokens(tokens) => tokens::run(&cli.global, tokens, output).await,
        CliCommand::Coordinate(coordinate) => coordinate::run(&cli.global, coordinate, output).await,
        CliCommand::Owner(owner) => owner::run(&cli.global, owner, output).await,
        CliCommand::Serve(serve) => serve::run(&cli.global, &serve, output).await,
        CliCommand::Config(config) => config::trust::run(&cli.global, &config, output),
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn the_warning_of_an_unchecked_certificate_is_shown_at_every_level_but_off() {
        for (directives, shown) in [
            ("error", true),
            ("warn", true),
            ("debug", true),
            ("windlass=debug", true),
            ("off", false),
        ] {
            let filter = log_filter(directives).ok().unwrap();
            assert_eq!(
                filter.would_enable(INSECURE_LOG_TARGET, &Level::WARN),
                shown,
                "{directives}"
            );
        }
    }
}
