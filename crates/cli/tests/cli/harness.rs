//! Runs the program in a home of its own.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;
use windlass_testkit::{SimGateway, SimGatewayBuilder};

/// The token of the gateways here; no output may show it.
pub(crate) const TOKEN: &str = "t0ken-that-must-not-be-seen";

/// Longer than any run of the program takes.
const LIMIT: Duration = Duration::from_mins(1);

/// A home folder, which is also the working folder unless another is given, and the environment of the program.
pub(crate) struct Harness {
    home: TempDir,
    /// Below the home folder.
    working: PathBuf,
    variables: Vec<(String, String)>,
}

/// The end of a run of the program.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A simulated gateway with the right token.
pub(crate) fn gateway() -> SimGatewayBuilder {
    SimGateway::builder().token(TOKEN)
}

/// Runs a program to its end. It is killed when the test fails meanwhile.
pub(crate) async fn finished(command: &mut Command) -> Finished {
    let shown = format!("{:?}", command.as_std());
    let child = command
        .kill_on_drop(true)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let output = timeout(LIMIT, child.wait_with_output()).await;
    let output = output.unwrap_or_else(|_| panic!("{shown} did not end")).unwrap();
    Finished {
        code: output
            .status
            .code()
            .unwrap_or_else(|| panic!("{shown} was ended: {output:?}")),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Harness {
    /// Without gateways.
    pub(crate) fn new() -> Self {
        Self {
            home: tempfile::tempdir().unwrap(),
            working: PathBuf::new(),
            variables: Vec::new(),
        }
    }

    /// For one gateway, by the environment.
    pub(crate) fn of(sim: &SimGateway) -> Self {
        Self::new()
            .with("WINDLASS_URL", &sim.url())
            .with("WINDLASS_TOKEN", TOKEN)
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes a file into the home folder.
    pub(crate) fn file(self, name: &str, text: &str) -> Self {
        fs::write(self.path(name), text).unwrap();
        self
    }

    /// Makes a folder below the home folder and works there.
    pub(crate) fn working_in(mut self, name: &str) -> Self {
        fs::create_dir_all(self.path(name)).unwrap();
        self.working = PathBuf::from(name);
        self
    }

    /// Writes a `windlass.toml` into the home folder and names it as the configuration.
    pub(crate) fn configured(self, text: &str) -> Self {
        self.file("windlass.toml", text)
            .with("WINDLASS_CONFIG", "windlass.toml")
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.home.path().join(name)
    }

    /// The program with nothing of this process's environment. It is killed when its handle is dropped.
    pub(crate) fn command<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
        command
            .args(args)
            .env_clear()
            .env("HOME", self.home.path())
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(self.path(&self.working))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs the program to its end.
    pub(crate) async fn run(&self, args: &[&str]) -> Finished {
        finished(&mut self.command(args)).await
    }

    /// Runs the program to its end, with this on its stdin.
    pub(crate) async fn run_with(&self, args: &[&str], stdin: &str) -> Finished {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pipe = child.stdin.take().unwrap();
        let running = async {
            let write = async {
                // A program that ends without reading has said why on its stderr.
                let _ = pipe.write_all(stdin.as_bytes()).await;
                drop(pipe);
            };
            tokio::join!(child.wait_with_output(), write).0
        };
        let output = timeout(LIMIT, running).await;
        let output = output.unwrap_or_else(|_| panic!("{args:?} did not end")).unwrap();
        Finished {
            code: output.status.code().expect("ended by itself"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Starts the program.
    pub(crate) fn start(self, args: &[&str]) -> Running {
        let mut child = self
            .command(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Running {
            stdout: BufReader::new(child.stdout.take().unwrap()),
            child,
            _harness: self,
        }
    }
}

/// A run of the program that goes on. It is killed when this is dropped.
pub(crate) struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// The home lasts as long as the program.
    _harness: Harness,
}

impl Running {
    /// The next line of stdout.
    pub(crate) async fn text(&mut self) -> String {
        let mut line = String::new();
        let read = timeout(LIMIT, self.stdout.read_line(&mut line)).await;
        read.expect("a line comes").unwrap();
        line
    }

    /// The next line of stdout, as JSON.
    pub(crate) async fn line(&mut self) -> Value {
        let line = self.text().await;
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    fn id(&self) -> u32 {
        self.child.id().expect("not waited for yet")
    }

    /// The most memory that it has had so far.
    #[cfg(target_os = "linux")]
    pub(crate) fn peak_memory_mb(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let kib: u64 = peak.trim().trim_end_matches("kB").trim().parse().unwrap();
        kib / 1024
    }

    /// Sends the signal of Ctrl-C.
    pub(crate) fn interrupt(&self) {
        self.signal("INT");
    }

    /// Sends a signal, by its name without SIG.
    pub(crate) fn signal(&self, name: &str) {
        signal(self.id(), name);
    }

    /// Kills the program, whatever it does, and waits until it is gone.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Waits for the program's end; stdout is the part that was not read yet.
    pub(crate) async fn end(mut self) -> Finished {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        let mut errors = self.child.stderr.take().unwrap();
        let ending = async {
            let read = (
                self.stdout.read_to_string(&mut stdout),
                errors.read_to_string(&mut stderr),
            );
            let (out, err, ended) = tokio::join!(read.0, read.1, self.child.wait());
            out.and(err).unwrap();
            ended.unwrap().code().expect("ended by itself")
        };
        let code = timeout(LIMIT, ending).await.expect("it ends");
        Finished { code, stdout, stderr }
    }

    /// Waits for the program's end without reading its output: its exit code.
    pub(crate) async fn end_unread(mut self) -> i32 {
        let ended = timeout(LIMIT, self.child.wait()).await.expect("it ends");
        ended.unwrap().code().expect("ended by itself")
    }
}

/// Sends a signal to a process that the test started.
pub(crate) fn signal(id: u32, name: &str) {
    let sent = std::process::Command::new("kill")
        .args([&format!("-{name}"), &id.to_string()])
        .status();
    assert!(sent.unwrap().success());
}

impl Finished {
    /// Asserts the exit code.
    #[track_caller]
    pub(crate) fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// Asserts that stderr holds all of these.
    #[track_caller]
    pub(crate) fn tells(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.stderr.contains(text), "{text:?} is not in {self:#?}");
        }
        self
    }

    /// The only line of stdout, as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let lines = self.json_lines();
        assert_eq!(lines.len(), 1, "{self:#?}");
        lines[0].clone()
    }

    /// Every line of stdout, as JSON.
    #[track_caller]
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?} in {self:#?}"));
        self.stdout.lines().map(parse).collect()
    }
}
