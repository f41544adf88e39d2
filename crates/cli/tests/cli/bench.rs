//! Runs the program in a home of its own.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use windlass_testkit::{SimGateway, SimGatewayBuilder};

/// The token of the gateways here; no output may show it.
pub(crate) const TOKEN: &str = "t0ken-that-must-not-be-seen";

/// Longer than any run of the program takes.
const LIMIT: Duration = Duration::from_secs(60);

/// A home folder, which is also the working folder unless another is given, and the environment of the program.
pub(crate) struct Bench {
    home: TempDir,
    /// Below the home folder.
    working: PathBuf,
    variables: Vec<(String, String)>,
}

/// How a run of the program ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A simulated gateway with the right token.
pub(crate) fn gateway() -> SimGatewayBuilder {
    SimGateway::builder().token(TOKEN)
}

impl Bench {
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

    /// The program with nothing of this process's environment.
    pub(crate) fn command<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
        command
            .args(args)
            .env_clear()
            .env("HOME", self.home.path())
            .current_dir(self.path(&self.working));
        command
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    pub(crate) async fn run(&self, args: &[&str]) -> Ran {
        self.run_with(args, "").await
    }

    /// Runs the program to its end, with this on its stdin.
    pub(crate) async fn run_with(&self, args: &[&str], stdin: &str) -> Ran {
        let (mut command, stdin) = (self.command(args), stdin.to_owned());
        let running = spawn_blocking(move || {
            let mut child = command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()?;
            // A program that ends without reading has said why on its stderr.
            let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
            child.wait_with_output()
        });
        let output = timeout(LIMIT, running).await;
        let output = output
            .unwrap_or_else(|_| panic!("{args:?} did not end"))
            .unwrap()
            .unwrap();
        Ran {
            code: output.status.code().expect("ended by itself"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// A run of the program that goes on.
pub(crate) struct Running {
    /// The home lasts as long as the program.
    _bench: Bench,
    child: Option<Child>,
    stdout: Option<BufReader<ChildStdout>>,
}

impl Bench {
    /// Starts the program.
    pub(crate) fn start(self, args: &[&str]) -> Running {
        let mut child = self
            .command(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().map(BufReader::new);
        Running {
            _bench: self,
            child: Some(child),
            stdout,
        }
    }
}

impl Running {
    /// The next line of stdout.
    pub(crate) async fn text(&mut self) -> String {
        let mut stdout = self.stdout.take().unwrap();
        let reading = spawn_blocking(move || {
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            (line, stdout)
        });
        let (line, stdout) = timeout(LIMIT, reading).await.expect("a line comes").unwrap();
        self.stdout = Some(stdout);
        line
    }

    /// The next line of stdout, as JSON.
    pub(crate) async fn line(&mut self) -> Value {
        let line = self.text().await;
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    /// The most memory that it has had so far.
    #[cfg(target_os = "linux")]
    pub(crate) fn peak_memory_mb(&self) -> u64 {
        let id = self.child.as_ref().unwrap().id();
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
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
        let id = self.child.as_ref().unwrap().id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &id]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits for the program's end; stdout is what was not read yet.
    pub(crate) async fn end(mut self) -> Ran {
        let (mut child, mut stdout) = (self.child.take().unwrap(), self.stdout.take().unwrap());
        let ending = spawn_blocking(move || {
            let mut rest = String::new();
            stdout.read_to_string(&mut rest).unwrap();
            let mut errors = String::new();
            child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
            let code = child.wait().unwrap().code().expect("ended by itself");
            Ran {
                code,
                stdout: rest,
                stderr: errors,
            }
        });
        timeout(LIMIT, ending).await.expect("it ends").unwrap()
    }
}

impl Running {
    /// Waits for the program's end without reading what it wrote: its exit code.
    pub(crate) async fn end_unread(mut self) -> i32 {
        let (mut child, stdout) = (self.child.take().unwrap(), self.stdout.take());
        let ending = spawn_blocking(move || child.wait().unwrap().code().expect("ended by itself"));
        let code = timeout(LIMIT, ending).await.expect("it ends").unwrap();
        drop(stdout);
        code
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // A test that failed must not leave it behind.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Ran {
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
