//! Child processes that never outlive the runner.
//!
//! Every program is started as the leader of its own process group. Dropping the handle kills
//! the whole group, after a failed scenario, a panic and an interrupt alike. After a SIGKILL of the
//! runner itself, no code of the runner can do this. So a [`Launcher`] starts the program through
//! the hidden `guard` subcommand, which asks the kernel to kill it together with its parent and
//! then becomes the program.

use std::{
    convert::Infallible,
    ffi::OsStr,
    io,
    os::unix::process::{CommandExt, ExitStatusExt},
    path::{Path, PathBuf},
    process::ExitStatus,
};

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, getppid, kill_process, kill_process_group, set_parent_process_death_signal,
    waitid,
};
use tokio::process::{Child, Command};

/// Name of the hidden subcommand that ties a program's life to the runner's.
pub const GUARD_COMMAND: &str = "guard";

/// How programs are started.
#[derive(Clone, Debug, Default)]
pub struct Launcher {
    guard: Option<PathBuf>,
}

impl Launcher {
    /// Starts programs through `runner guard`, so that they die even with a killed runner.
    pub fn guarded(runner: PathBuf) -> Self {
        Self { guard: Some(runner) }
    }

    /// Starts programs directly; they die by [`GroupChild`]'s drop alone.
    pub fn direct() -> Self {
        Self::default()
    }

    /// A command for `program`, with nothing but the launch decided yet.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let Some(guard) = &self.guard else {
            return Command::new(program);
        };
        let mut command = Command::new(guard);
        command
            .args([GUARD_COMMAND, "--parent"])
            .arg(std::process::id().to_string())
            .arg("--")
            .arg(program.as_ref());
        command
    }
}

/// Ties this process to its parent and becomes `program`.
///
/// Returns only on failure, among others when the parent was gone before the kernel was asked
/// (`parent` is the pid that the runner told).
pub fn become_guarded(parent: u32, program: &OsStr, args: &[std::ffi::OsString]) -> io::Result<Infallible> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let now = getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs());
    if now != Some(parent) {
        return Err(io::Error::other("the runner is gone already"));
    }
    Err(std::process::Command::new(program).args(args).exec())
}

/// A running program and everything it started in its process group.
#[derive(Debug)]
pub struct GroupChild {
    child: Child,
    leader: Pid,
}

impl GroupChild {
    /// Starts `command` as the leader of a new process group.
    pub fn spawn(command: &mut Command) -> io::Result<Self> {
        let child = command.process_group(0).spawn()?;
        let leader = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw)
            .ok_or_else(|| io::Error::other("the child has no process id"))?;
        Ok(Self { child, leader })
    }

    /// The leader's process id.
    pub fn pid(&self) -> u32 {
        self.leader.as_raw_nonzero().get().unsigned_abs()
    }

    /// Sends `signal` to the leader only. A program that is gone already is no error.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        gone_is_fine(kill_process(self.leader, signal))
    }

    /// Sends `signal` to the whole group. A group that is gone already is no error.
    pub fn signal_group(&self, signal: Signal) -> io::Result<()> {
        gone_is_fine(kill_process_group(self.leader, signal))
    }

    /// How the leader ended, if it did.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Waits for the leader's end. Dropping the future loses nothing.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Kills the whole group and waits for the leader's end.
    pub async fn kill(&mut self) -> io::Result<ExitStatus> {
        self.signal_group(Signal::KILL)?;
        self.child.wait().await
    }

    /// The child itself, for its pipes.
    pub fn child_mut(&mut self) -> &mut Child {
        &mut self.child
    }
}

impl Drop for GroupChild {
    fn drop(&mut self) {
        let leader_runs = matches!(self.child.try_wait(), Ok(None));
        // Also when the leader is gone: its remaining children are in the same group.
        drop(self.signal_group(Signal::KILL));
        if leader_runs {
            // Until the end is certain, it may still write into a folder that is removed next.
            // NOWAIT leaves the reaping to the runtime; SIGKILL makes this a matter of
            // milliseconds.
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            let _ = waitid(WaitId::Pid(self.leader), options);
        }
    }
}

/// `exit 1`, `signal 9`: how a program ended, for a message.
pub fn describe_exit(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "unknown end".to_owned(),
    }
}

/// True when `program` is a file in a folder of the search path.
pub fn is_on_path(program: &str) -> bool {
    let Some(path) = std::env::var_os("PATH") else {
        return false;
    };
    std::env::split_paths(&path).any(|dir: PathBuf| is_file(&dir.join(program)))
}

fn is_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|meta| meta.is_file())
}

fn gone_is_fine(result: rustix::io::Result<()>) -> io::Result<()> {
    match result {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use tokio::io::AsyncReadExt;

    use super::*;

    /// Starts a shell that starts a sleeper; both hold the write end of the returned pipe.
    fn shell_with_sleeper() -> (GroupChild, tokio::process::ChildStdout) {
        let mut command = Launcher::direct().command("sh");
        command.args(["-c", "sleep 600 & echo up; wait"]).stdout(Stdio::piped());
        let mut group = GroupChild::spawn(&mut command).expect("a shell starts");
        let out = group.child_mut().stdout.take().expect("a pipe was asked for");
        (group, out)
    }

    /// Reads to the end of the pipe: until shell and sleeper are both gone.
    async fn read_end(mut out: tokio::process::ChildStdout) -> Vec<u8> {
        let mut rest = Vec::new();
        // Far below the sleeper's ten minutes, far above the duration of a kill.
        let deadline = std::time::Duration::from_secs(60);
        tokio::time::timeout(deadline, out.read_to_end(&mut rest))
            .await
            .expect("shell and sleeper are gone in time")
            .expect("the pipe ends");
        rest
    }

    async fn read_up(out: &mut tokio::process::ChildStdout) {
        let mut line = [0; 3];
        out.read_exact(&mut line).await.expect("the shell answers");
        assert_eq!(&line, b"up\n");
    }

    #[tokio::test]
    async fn dropping_the_handle_ends_the_leader_and_what_it_started() {
        let (group, mut out) = shell_with_sleeper();
        read_up(&mut out).await;
        drop(group);
        assert!(read_end(out).await.is_empty());
    }

    #[tokio::test]
    async fn dropping_the_handle_of_an_ended_leader_ends_what_it_left_behind() {
        let mut command = Launcher::direct().command("sh");
        command.args(["-c", "sleep 600 & echo up"]).stdout(Stdio::piped());
        let mut group = GroupChild::spawn(&mut command).expect("a shell starts");
        let mut out = group.child_mut().stdout.take().expect("a pipe was asked for");
        read_up(&mut out).await;
        assert!(group.wait().await.expect("the shell ends").success());
        drop(group);
        assert!(read_end(out).await.is_empty());
    }

    #[tokio::test]
    async fn a_killed_group_tells_its_signal() {
        let (mut group, mut out) = shell_with_sleeper();
        read_up(&mut out).await;
        let status = group.kill().await.expect("the shell ends");
        assert_eq!(describe_exit(status), "signal 9");
        assert!(group.signal(Signal::TERM).is_ok(), "gone is no error");
    }

    #[test]
    fn a_program_that_is_nowhere_is_not_on_the_path() {
        assert!(is_on_path("sh"));
        assert!(!is_on_path("no-such-program-of-windlass"));
    }
}
