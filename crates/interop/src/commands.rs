//! The work of the subcommands.

mod install;
mod run;
mod start;

use std::{io, process::ExitCode};

use clap::Parser as _;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    cli::{Cli, Command, GuardArgs},
    console::Console,
    exit::Exit,
    group::{Launcher, become_guarded},
    install::{InstallError, Installer},
    record::record,
    scenario::{Failure, with_causes},
};

/// Reads the command line, executes the subcommand and returns the exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let console = Console::new();
    if let Command::Guard(args) = &cli.command {
        return guard(args, console).into();
    }
    // Two workers: the fake model answers while a scenario waits. The main thread polls the
    // command, so that programs are started by a thread that lives as long as the runner.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let exit = match runtime {
        Ok(runtime) => runtime.block_on(until_interrupted(cli, console)),
        Err(error) => complain(console, &error),
    };
    exit.into()
}

/// Does the work of the command, or stops in the middle of it at an interrupt. Started processes end
/// with the dropped work.
async fn until_interrupted(cli: Cli, console: Console) -> Exit {
    tokio::select! {
        exit = dispatch(cli, console) => exit,
        told = interrupted() => match told {
            Ok(()) => {
                console.say("interrupted");
                Exit::Interrupted
            }
            Err(error) => complain(console, &error),
        }
    }
}

async fn dispatch(cli: Cli, console: Console) -> Exit {
    let launcher = match std::env::current_exe() {
        Ok(runner) => Launcher::guarded(runner),
        Err(error) => return complain(console, &error),
    };
    let installer = Installer::new(cli.releases_dir(), launcher, console);
    let done = match cli.command {
        Command::Run(args) => run::run(&args, &installer, console).await,
        Command::Install(args) => install::install(&args, &installer, console).await,
        Command::Start(args) => start::start(args, &installer, console).await,
        Command::Record(args) => record(&args, &installer, console).await,
        // Handled before there was a runtime.
        Command::Guard(_) => Ok(Exit::Usage),
    };
    done.unwrap_or_else(|failure| {
        console.say(&format!("error: {failure}"));
        Exit::Failed
    })
}

fn guard(args: &GuardArgs, console: Console) -> Exit {
    let Some((program, rest)) = args.program.split_first() else {
        return Exit::Usage;
    };
    match become_guarded(args.parent, program, rest) {
        Ok(never) => match never {},
        Err(error) => complain(console, &error),
    }
}

async fn interrupted() -> io::Result<()> {
    let mut term = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::select! {
        told = tokio::signal::ctrl_c() => told,
        _ = term.recv() => Ok(()),
        _ = hangup.recv() => Ok(()),
    }
}

fn complain(console: Console, error: &dyn std::error::Error) -> Exit {
    console.say(&format!("error: {}", with_causes(error)));
    Exit::Failed
}

/// A missing npm is a visible skip; any other error of an installation is a failure.
pub(crate) fn skip_or_fail(error: &InstallError, console: Console) -> Result<Exit, Failure> {
    match error {
        InstallError::NpmMissing => {
            console.say("skipped: npm is not installed");
            Ok(Exit::Skipped)
        }
        other => Err(Failure::from_error(other)),
    }
}
