//! The command line.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::allocations::Allocations;
use crate::events::Design;
use crate::gateway::{self, HelloSize};
use crate::machine::{become_pinned, pin};
use crate::peers::{self, Kind};
use crate::rpc::{self, Plan};
use crate::{events, probe, report, scale};

/// Measures Windlass against its peers and its limits.
#[derive(Debug, Parser)]
#[command(name = "windlass-bench", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compare the calls of all clients.
    Rpc(Rpc),
    /// Compare ways from one event stream to many subscribers.
    Events {
        /// Subscribers.
        #[arg(long, value_delimiter = ',', default_values_t = [100, 1000])]
        subscribers: Vec<usize>,
        /// Rounds, after a first one that fills caches.
        #[arg(long, default_value_t = 7)]
        rounds: usize,
        /// Length of a window in milliseconds.
        #[arg(long, default_value_t = 400)]
        window_ms: u64,
        /// Print JSON instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Measure many lines in one process: memory, connecting, coming back after an outage.
    Scale {
        /// Lines.
        #[arg(long, value_delimiter = ',', default_values_t = [1000, 10_000])]
        lines: Vec<usize>,
        /// How much the gateway says of itself.
        #[arg(long, value_enum, value_delimiter = ',', default_values = ["small", "full"])]
        hello: Vec<HelloSize>,
        /// Print JSON instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Run a stand-in gateway and print its port.
    #[command(hide = true)]
    Gateway {
        #[arg(long)]
        cpu: Option<usize>,
        #[arg(long, default_value_t = 0)]
        port: u16,
        #[arg(long, value_enum, default_value = "small")]
        hello: HelloSize,
    },
    /// Run jsonrpsee's server and print its port.
    #[command(hide = true)]
    JsonrpseeServer {
        #[arg(long)]
        cpu: Option<usize>,
    },
    /// Run a client that takes orders on standard input.
    #[command(hide = true)]
    Client {
        kind: Kind,
        #[arg(long)]
        port: u16,
        #[arg(long)]
        cpu: Option<usize>,
    },
    /// Run a client with subscribers that takes orders on standard input.
    #[command(hide = true)]
    EventsClient {
        design: Design,
        #[arg(long)]
        subscribers: usize,
        #[arg(long)]
        port: u16,
        #[arg(long)]
        cpu: Option<usize>,
    },
    /// Run a client with many lines that takes orders on standard input.
    #[command(hide = true)]
    Fleet {
        #[arg(long)]
        lines: usize,
        #[arg(long)]
        port: u16,
        #[arg(long)]
        cpu: Option<usize>,
    },
    /// Become another program on one CPU.
    #[command(hide = true)]
    Pinned {
        #[arg(long)]
        cpu: usize,
        #[arg(last = true)]
        program: Vec<OsString>,
    },
    /// Count the costs of calls over a pipe.
    #[command(hide = true)]
    ProbeCalls {
        #[arg(long)]
        depth: usize,
        #[arg(long)]
        requests: u64,
    },
    /// Count the costs of idle lines over pipes.
    #[command(hide = true)]
    ProbeIdle {
        #[arg(long)]
        lines: usize,
        #[arg(long, value_enum, default_value = "small")]
        hello: HelloSize,
    },
}

/// Options of a comparison.
#[derive(Debug, Args)]
struct Rpc {
    /// Rounds; the first fills caches and is left out of the medians.
    #[arg(long, default_value_t = 8)]
    rounds: usize,
    /// Length of a window in milliseconds.
    #[arg(long, default_value_t = 400)]
    window_ms: u64,
    /// Requests under way at a time.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 64, 1024])]
    depths: Vec<usize>,
    /// Only these clients.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// The client that the others are compared with.
    #[arg(long, default_value = "plain-task")]
    baseline: String,
    /// Count no system calls, instructions and allocations.
    #[arg(long)]
    no_counts: bool,
    #[command(flatten)]
    output: Output,
}

/// Where results go.
#[derive(Debug, Args)]
struct Output {
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Also draw the requests per second at depth 64 into this file.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Where clients in other languages are installed; in the build folder unless given.
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

/// Errors are reported as texts.
type Failure = Box<dyn std::error::Error>;

/// Runs the command that was asked for. Exit codes: 0 done, 1 a measurement failed, 2 usage.
pub fn main(allocations: Allocations) -> ExitCode {
    match run(Cli::parse().command, allocations) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut line = format!("windlass-bench: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                line = format!("{line}: {cause}");
                source = cause.source();
            }
            say(&line);
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command, allocations: Allocations) -> Result<(), Failure> {
    match command {
        Command::Rpc(options) => compare(options),
        Command::Events {
            subscribers,
            rounds,
            window_ms,
            json,
        } => {
            let rows = runtime()?.block_on(events::compare(&subscribers, rounds, window_ms, say))?;
            if json {
                print_json(&rows)
            } else {
                {
                    print(events::text(&rows).trim_end());
                    Ok(())
                }
            }
        }
        Command::Scale { lines, hello, json } => {
            let fleets = runtime()?.block_on(scale::measure(&lines, &hello, say))?;
            if json {
                print_json(&fleets)
            } else {
                {
                    print(scale::text(&fleets).trim_end());
                    Ok(())
                }
            }
        }
        command => serve(command, allocations),
    }
}

/// The commands that this program gives to itself.
fn serve(command: Command, allocations: Allocations) -> Result<(), Failure> {
    match command {
        Command::Rpc(_) | Command::Events { .. } | Command::Scale { .. } => Ok(()),
        Command::EventsClient {
            design,
            subscribers,
            port,
            cpu,
        } => {
            stay_on(cpu)?;
            Ok(events::run(design, port, subscribers)?)
        }
        Command::Fleet { lines, port, cpu } => {
            stay_on(cpu)?;
            Ok(runtime()?.block_on(scale::run(port, lines))?)
        }
        Command::Gateway { cpu, port, hello } => {
            stay_on(cpu)?;
            crate::machine::raise_open_files();
            runtime()?.block_on(gateway::serve(port, hello, |at| print(&at.port().to_string())))?;
            Ok(())
        }
        Command::JsonrpseeServer { cpu } => {
            stay_on(cpu)?;
            jsonrpsee_server()
        }
        Command::Client { kind, port, cpu } => {
            stay_on(cpu)?;
            Ok(peers::run(kind, port, allocations)?)
        }
        Command::Pinned { cpu, program } => Err(become_pinned(cpu, &program).into()),
        Command::ProbeCalls { depth, requests } => print_json(&probe::calls(depth, requests, allocations)?),
        Command::ProbeIdle { lines, hello } => print_json(&probe::idle(lines, hello, allocations)?),
    }
}

fn compare(options: Rpc) -> Result<(), Failure> {
    let folder = folder(options.output.folder)?;
    std::fs::create_dir_all(&folder)?;
    let plan = Plan {
        rounds: options.rounds.max(1),
        millis: options.window_ms,
        depths: options.depths,
        only: options.only,
        baseline: options.baseline,
        counts: !options.no_counts,
        folder,
    };
    let table = runtime()?.block_on(rpc::compare(&plan, say))?;
    if let Some(file) = options.output.svg {
        std::fs::write(file, report::picture(&table, 64))?;
    }
    if options.output.json {
        print_json(&table)
    } else {
        {
            print(report::text(&table).trim_end());
            Ok(())
        }
    }
}

/// The build folder's own folder for this: beside the profile's.
fn folder(given: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let own = std::env::current_exe()?;
    let beside = own.ancestors().nth(2).map(|target| target.join("bench"));
    Ok(given.or(beside).unwrap_or_else(|| PathBuf::from("bench")))
}

fn stay_on(cpu: Option<usize>) -> std::io::Result<()> {
    cpu.map_or(Ok(()), pin)
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

#[cfg(feature = "jsonrpsee")]
fn jsonrpsee_server() -> Result<(), Failure> {
    runtime()?.block_on(peers::jsonrpsee::serve(|at| print(&at.port().to_string())))?;
    Ok(())
}

#[cfg(not(feature = "jsonrpsee"))]
fn jsonrpsee_server() -> Result<(), Failure> {
    Err("built without the feature `jsonrpsee`".into())
}

fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    print(&serde_json::to_string(value)?);
    Ok(())
}

/// Writes a line of the result. If this fails, the output has no reader any more.
fn print(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Tells a person how far it is.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
