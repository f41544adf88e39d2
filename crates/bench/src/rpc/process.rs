//! The processes of a measurement: gateways and clients, each on its CPU.

use std::ffi::OsString;
use std::io;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::load::{Order, Window};

/// How long a process may take to be ready: an interpreter starts within a second.
const READY: Duration = Duration::from_secs(30);

/// How long a window may take: one under valgrind is fifty times slower than another.
pub const WINDOW: Duration = Duration::from_secs(180);

/// A process failed: with it the measurement.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It did not start.
    #[error("{what} did not start")]
    Start {
        /// Which.
        what: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It ended, or said nothing in time.
    #[error("{what} did not answer; what it said last stands above")]
    Silent {
        /// Which.
        what: String,
    },
    /// It said something else than was expected.
    #[error("{what} said `{said}`")]
    Odd {
        /// Which.
        what: String,
        /// The output of the process.
        said: String,
    },
}

/// A process that is spoken to line by line. It ends when this is dropped.
#[derive(Debug)]
pub struct Process {
    what: String,
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts a command, and waits for its first line.
    ///
    /// # Errors
    /// When it does not start or says nothing.
    pub async fn start(what: impl Into<String>, command: &[OsString]) -> Result<(Self, String), ProcessError> {
        let what = what.into();
        let failed = |source| ProcessError::Start {
            what: what.clone(),
            source,
        };
        let (program, args) = command
            .split_first()
            .ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?;
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed(io::ErrorKind::BrokenPipe.into()));
        };
        let output = BufReader::new(output).lines();
        let mut process = Self {
            what,
            child,
            input,
            output,
        };
        let first = process.line(READY).await?;
        Ok((process, first))
    }

    /// Runs one window.
    ///
    /// # Errors
    /// When the client ended, or answers nonsense.
    pub async fn window(&mut self, order: Order) -> Result<Window, ProcessError> {
        self.ask(&serde_json::to_string(&order).unwrap_or_default(), WINDOW)
            .await
    }

    /// Says a line and reads the answer, which is JSON.
    ///
    /// # Errors
    /// When the process ended, is silent for longer than `within`, or answers nonsense.
    pub async fn ask<T: serde::de::DeserializeOwned>(
        &mut self,
        say: &str,
        within: Duration,
    ) -> Result<T, ProcessError> {
        let line = format!("{say}\n");
        if self.input.write_all(line.as_bytes()).await.is_err() {
            return Err(self.silent());
        }
        let said = self.line(within).await?;
        serde_json::from_str(&said).map_err(|_| ProcessError::Odd {
            what: self.what.clone(),
            said,
        })
    }

    /// The process's id, for as long as it runs.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Ends it at once and waits until it is gone.
    pub async fn kill(mut self) {
        let _ = self.child.kill().await;
    }

    /// Closes its input, and waits until it ends by itself.
    pub async fn finish(self) {
        let Self { mut child, input, .. } = self;
        drop(input);
        if timeout(READY, child.wait()).await.is_err() {
            let _ = child.kill().await;
        }
    }

    async fn line(&mut self, within: Duration) -> Result<String, ProcessError> {
        match timeout(within, self.output.next_line()).await {
            Ok(Ok(Some(line))) => Ok(line),
            _ => Err(self.silent()),
        }
    }

    fn silent(&self) -> ProcessError {
        ProcessError::Silent {
            what: self.what.clone(),
        }
    }
}

/// A gateway, and the port that it listens on.
#[derive(Debug)]
pub struct Server {
    process: Process,
    /// The port.
    pub port: u16,
}

impl Server {
    /// Starts a server with these arguments to this program.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(what: &str, args: &[&str]) -> Result<Self, ProcessError> {
        let (process, first) = Process::start(what, &this_program(args)?).await?;
        let port = first.parse().map_err(|_| ProcessError::Odd {
            what: what.to_owned(),
            said: first,
        })?;
        Ok(Self { process, port })
    }

    /// Ends it as a crash does, by SIGKILL, and waits until it is gone.
    pub async fn kill(self) {
        self.process.kill().await;
    }

    /// The process's id.
    pub fn id(&self) -> Option<u32> {
        self.process.id()
    }
}

/// The command line of this program with other arguments.
///
/// # Errors
/// When the system does not tell where this program is.
pub fn this_program(args: &[&str]) -> Result<Vec<OsString>, ProcessError> {
    let own = std::env::current_exe().map_err(|source| ProcessError::Start {
        what: "this program".into(),
        source,
    })?;
    Ok(std::iter::once(own.into()).chain(args.iter().map(Into::into)).collect())
}

/// The program beside this one that counts allocations, where it was built.
pub fn counting_program(args: &[&str]) -> Option<Vec<OsString>> {
    let program = std::env::current_exe().ok()?.with_file_name("windlass-bench-counting");
    program.exists().then(|| {
        std::iter::once(program.into())
            .chain(args.iter().map(Into::into))
            .collect()
    })
}
