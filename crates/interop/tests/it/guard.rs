//! Programs that are started through the guard die with a killed runner.

use std::{
    io::{Read as _, Write as _},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

/// Far below the sleeper's ten minutes, far above what a kill takes.
const DEADLINE: Duration = Duration::from_secs(60);

const RUNNER: &str = env!("CARGO_BIN_EXE_windlass-interop");

/// A shell that plays the runner: it starts a guarded sleeper, which holds the shell's output.
fn shell_with_guarded_sleeper(parent: &str) -> Child {
    // `read` keeps the shell there until it is told to go or killed.
    let script = format!("{RUNNER} guard --parent {parent} -- sh -c 'echo up; exec sleep 600' & read line");
    Command::new("sh")
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a shell starts")
}

#[test]
fn a_guarded_program_dies_with_its_killed_parent() {
    let mut shell = shell_with_guarded_sleeper("$$");
    let mut out = shell.stdout.take().expect("a pipe");
    let mut up = [0; 3];
    out.read_exact(&mut up).expect("the sleeper is up");
    shell
        .kill()
        .expect("a SIGKILL, so that nothing of the parent runs any more");
    shell.wait().expect("the shell ends");
    let (ended, end) = mpsc::sync_channel(1);
    thread::spawn(move || {
        let mut rest = Vec::new();
        // End of file comes when the last holder of the pipe, the sleeper, is gone.
        let read = out.read_to_end(&mut rest).map(|_| rest);
        drop(ended.send(read));
    });
    let rest = end.recv_timeout(DEADLINE).expect("the sleeper is gone in time");
    assert!(rest.expect("the pipe ends").is_empty());
}

#[test]
fn a_guard_whose_parent_is_gone_already_starts_nothing() {
    // Process 1 is never the parent that the guard finds here.
    let mut shell = shell_with_guarded_sleeper("1");
    let mut err = shell.stderr.take().expect("a pipe");
    let mut first = [0; 6];
    err.read_exact(&mut first).expect("a complaint");
    assert_eq!(&first, b"error:");
    shell
        .stdin
        .take()
        .expect("a pipe")
        .write_all(b"\n")
        .expect("the shell reads");
    let output = shell.wait_with_output().expect("the shell ends");
    assert!(output.stdout.is_empty(), "nothing was started");
}
