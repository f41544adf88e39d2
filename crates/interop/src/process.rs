//! A real gateway as a child process.
//!
//! [`RealGateway::start`] writes a configuration into a scratch folder, starts the release there
//! and returns when a WebSocket `connect` is accepted. The process and everything it started die
//! with the value, and the scratch folder goes with it.
//!
//! | call | effect on the gateway |
//! |---|---|
//! | [`kill`](RealGateway::kill) | SIGKILL of the whole process group |
//! | [`terminate`](RealGateway::terminate) | SIGTERM, an orderly stop |
//! | [`signal`](RealGateway::signal) | SIGUSR1, SIGUSR2: restart signals of different releases |
//! | [`freeze`](RealGateway::freeze), [`thaw`](RealGateway::thaw) | SIGSTOP, SIGCONT |
//! | [`start_again`](RealGateway::start_again) | a new process on the same port and state |

mod config;
mod options;
mod ready;
mod scratch;

use std::{
    fs::{self, OpenOptions},
    io,
    net::TcpListener,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rand::TryRng as _;
use rustix::process::Signal;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use thiserror::Error;

pub use self::{
    config::merge,
    options::{GatewayOptions, LogShelf, READY_DEADLINE},
};
use self::{
    config::{Plan, base_config, environment},
    ready::{Probe, probe},
    scratch::Scratch,
};
use crate::{
    group::{GroupChild, describe_exit},
    hex::hex,
    install::Installed,
    release::Release,
    wire::Refusal,
};

/// Pause between two readiness probes. Warm starts take 2 to 8 s.
const PROBE_PAUSE: Duration = Duration::from_millis(100);
/// How long [`RealGateway::stop`] leaves a gateway to end by itself before it is killed.
const STOP_DEADLINE: Duration = Duration::from_secs(10);
/// Random bytes of a gateway token; it is sent as twice as many hex digits.
const TOKEN_BYTES: usize = 16;

/// Why a gateway does not run.
#[derive(Debug, Error)]
pub enum StartError {
    /// A file, a port or the process itself could not be had.
    #[error("cannot {what}")]
    Io {
        /// The failed step, as a verb.
        what: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// The configuration file is no JSON.
    #[error("the gateway's configuration file cannot be read")]
    Config(#[from] serde_json::Error),
    /// The process ended before it was ready.
    #[error("the gateway ended before it was ready ({exit}); its last words:\n{log}")]
    Ended {
        /// How it ended.
        exit: String,
        /// The end of its log, without the token.
        log: String,
    },
    /// It was not ready in time.
    #[error("the gateway was not ready after {} s; its last words:\n{log}", within.as_secs())]
    TooLate {
        /// How long it had.
        within: Duration,
        /// The end of its log, without the token.
        log: String,
    },
    /// It refused the probe for good.
    #[error("the gateway refused the readiness probe; its last words:\n{log}")]
    Refused {
        /// The gateway's answer.
        source: Refusal,
        /// The end of its log, without the token.
        log: String,
    },
}

/// A real gateway on loopback.
#[derive(Debug)]
pub struct RealGateway {
    installed: Installed,
    url: String,
    token: SecretString,
    port: u16,
    child: Option<GroupChild>,
    ready_within: Duration,
    logs: LogShelf,
    // Last: the folder goes when the process is gone.
    scratch: Scratch,
}

impl RealGateway {
    /// Starts `installed` against the model at `model_url` and waits until it is ready.
    pub async fn start(installed: &Installed, model_url: &str, options: GatewayOptions) -> Result<Self, StartError> {
        let scratch = Scratch::new(options.state_dir.as_deref()).map_err(io_error("make the state folder"))?;
        let port = match options.port {
            Some(port) => port,
            None => free_port().map_err(io_error("find a free port"))?,
        };
        let token = match options.token {
            Some(token) => token,
            None => random_token().map_err(io_error("make a random token"))?,
        };
        let plan = Plan {
            port,
            token: token.expose_secret(),
            model_url,
            state_dir: scratch.path(),
        };
        let mut config = base_config(&plan);
        merge(&mut config, &options.config);
        let mut gateway = Self {
            installed: installed.clone(),
            url: format!("ws://127.0.0.1:{port}"),
            token,
            port,
            child: None,
            ready_within: options.ready_within,
            logs: options.logs,
            scratch,
        };
        gateway.write_config(&config)?;
        gateway.start_again().await?;
        Ok(gateway)
    }

    /// Starts a new process on the same port and state and waits until it is ready.
    ///
    /// A process that still runs is killed first.
    pub async fn start_again(&mut self) -> Result<(), StartError> {
        if self.child.is_some() {
            self.kill().await.map_err(io_error("end the old process"))?;
        }
        self.child = Some(self.spawn().map_err(io_error("start the gateway"))?);
        self.wait_ready().await
    }

    /// Waits until a `connect` is accepted, for example after a restart inside the process.
    ///
    /// Dropping the future before its end kills the gateway.
    pub async fn wait_ready(&mut self) -> Result<(), StartError> {
        let within = self.ready_within;
        let mut child = self.child.take();
        let ended = async {
            match &mut child {
                Some(child) => child.wait().await,
                None => Err(io::Error::other("the gateway does not run")),
            }
        };
        let ready = tokio::time::timeout(within, poll_ready(&self.url, self.token.expose_secret()));
        let outcome = tokio::select! {
            ready = ready => match ready {
                Ok(Ok(())) => Ok(()),
                Ok(Err(source)) => Err(StartError::Refused { source, log: self.log_tail() }),
                Err(_) => Err(StartError::TooLate { within, log: self.log_tail() }),
            },
            exit = ended => Err(match exit {
                Ok(status) => StartError::Ended { exit: describe_exit(status), log: self.log_tail() },
                Err(source) => StartError::Io { what: "wait for the gateway", source },
            }),
        };
        self.child = child;
        outcome
    }

    /// The address for a WebSocket: `ws://127.0.0.1:<port>`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The gateway token.
    pub fn token(&self) -> &SecretString {
        &self.token
    }

    /// The port on the loopback address.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process id, while a process runs or has not been waited for.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(GroupChild::pid)
    }

    /// The folder with the gateway's configuration, sessions, workspaces and log.
    pub fn state_dir(&self) -> &Path {
        self.scratch.path()
    }

    /// Which release runs.
    pub fn release(&self) -> &Release {
        self.installed.release()
    }

    /// The end of the gateway's output, without the token.
    pub fn log_tail(&self) -> String {
        self.scratch.log_tail(self.token.expose_secret())
    }

    /// Kills the whole process group and waits for the end. `None` when no process ran.
    pub async fn kill(&mut self) -> io::Result<Option<ExitStatus>> {
        match self.child.take() {
            Some(mut child) => child.kill().await.map(Some),
            None => Ok(None),
        }
    }

    /// Asks the gateway to end in order (SIGTERM), without waiting.
    pub fn terminate(&self) -> io::Result<()> {
        self.signal(Signal::TERM)
    }

    /// Waits until the process ends by itself. `None` when it still runs after `within`.
    pub async fn wait_exit(&mut self, within: Duration) -> io::Result<Option<ExitStatus>> {
        let Some(child) = &mut self.child else {
            return Ok(None);
        };
        match tokio::time::timeout(within, child.wait()).await {
            Ok(status) => {
                // Dropping kills its remaining children in its group.
                self.child = None;
                status.map(Some)
            }
            Err(_) => Ok(None),
        }
    }

    /// Sends `signal` to the gateway process. No process is no error.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        self.child.as_ref().map_or(Ok(()), |child| child.signal(signal))
    }

    /// Stops the whole process group where it stands: the socket stays open and silent.
    pub fn freeze(&self) -> io::Result<()> {
        self.signal_group(Signal::STOP)
    }

    /// Lets a frozen process group go on.
    pub fn thaw(&self) -> io::Result<()> {
        self.signal_group(Signal::CONT)
    }

    /// Ends the gateway in order, or by force after 10 s.
    pub async fn stop(&mut self) -> io::Result<()> {
        self.thaw()?;
        self.terminate()?;
        if self.wait_exit(STOP_DEADLINE).await?.is_none() {
            self.kill().await?;
        }
        Ok(())
    }

    /// The configuration file as it stands; the release may have rewritten it.
    pub fn read_config(&self) -> Result<Value, StartError> {
        let path = self.scratch.config_file();
        let text = fs::read_to_string(path).map_err(io_error("read the configuration"))?;
        Ok(windlass::protocol::json::decode(&text)?)
    }

    /// Merges `extra` into the configuration file, for the next start.
    pub fn merge_config(&self, extra: &Value) -> Result<(), StartError> {
        let mut config = self.read_config()?;
        merge(&mut config, extra);
        self.write_config(&config)
    }

    fn write_config(&self, config: &Value) -> Result<(), StartError> {
        let text = serde_json::to_vec_pretty(config)?;
        fs::write(self.scratch.config_file(), text).map_err(io_error("write the configuration"))
    }

    fn signal_group(&self, signal: Signal) -> io::Result<()> {
        self.child.as_ref().map_or(Ok(()), |child| child.signal_group(signal))
    }

    fn spawn(&self) -> io::Result<GroupChild> {
        fs::create_dir_all(self.installed.cache_dir())?;
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.scratch.log_file())?;
        let mut command = self.installed.launcher().command(self.installed.node());
        command
            .arg(self.installed.entry())
            .args(["gateway", "run", "--bind", "loopback", "--auth", "token", "--port"])
            .arg(self.port.to_string())
            .current_dir(self.scratch.path())
            .env_clear()
            .envs(environment(
                &self.installed,
                self.scratch.path(),
                &self.scratch.config_file(),
            ))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        GroupChild::spawn(&mut command)
    }
}

impl Drop for RealGateway {
    fn drop(&mut self) {
        drop(self.child.take());
        self.logs.put(self.log_tail());
    }
}

async fn poll_ready(url: &str, token: &str) -> Result<(), Refusal> {
    loop {
        match probe(url, token).await {
            Probe::Ready => return Ok(()),
            Probe::Refused(refusal) => return Err(refusal),
            Probe::NotYet => tokio::time::sleep(PROBE_PAUSE).await,
        }
    }
}

/// A port that was free a moment ago. Another process can take it before the gateway does; the
/// start then fails and says so.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn random_token() -> io::Result<SecretString> {
    let mut bytes = [0; TOKEN_BYTES];
    rand::rngs::SysRng
        .try_fill_bytes(&mut bytes)
        .map_err(io::Error::other)?;
    Ok(hex(&bytes).into())
}

fn io_error(what: &'static str) -> impl Fn(io::Error) -> StartError {
    move |source| StartError::Io { what, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_and_different() {
        let (one, two) = (random_token().expect("one"), random_token().expect("two"));
        assert_eq!(one.expose_secret().len(), 2 * TOKEN_BYTES);
        assert_ne!(one.expose_secret(), two.expose_secret());
    }

    #[test]
    fn a_free_port_can_be_taken() {
        let port = free_port().expect("a port");
        assert!(TcpListener::bind(("127.0.0.1", port)).is_ok());
    }
}
