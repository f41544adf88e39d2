//! Few descriptors, few threads: the program does what it is to do, or says which limit is in the way. It never panics, hangs, or ends
//! well with half of the work done.
//!
//! Whoever runs tests as root has no limit of processes, so threads are made rare in another way that needs no rights: each is to
//! have a stack of 1 GiB (`RUST_MIN_STACK`), and the process's address space has room for so many of them (`ulimit -v`). Then the
//! system refuses a thread as it does at a limit of processes: with `EAGAIN`.

#![cfg(target_os = "linux")]

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use windlass_testkit::SimGateway;

use crate::harness::{Finished, Harness, finished, gateway};

/// The program under limits of the shell, such as `-n 24`.
async fn run_limited(harness: &Harness, limits: &str, args: &[&str]) -> Finished {
    let program = harness.command(args);
    let program = program.as_std();
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("ulimit {limits}; exec \"$0\" \"$@\"")])
        .arg(program.get_program())
        .args(program.get_args())
        .env_clear()
        .envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .current_dir(program.get_current_dir().unwrap())
        .stdin(Stdio::null());
    finished(&mut shell).await
}

/// Whether a run did its work. Where it did not, it says why, and it never panicked.
fn did_its_work(ran: &Finished, limits: &str, named: &[&str], is_done: impl Fn(&Finished) -> bool) -> bool {
    assert!(!ran.stderr.contains("panicked"), "{limits}: {ran:#?}");
    // 127: the program could not even be loaded.
    assert!([0, 2, 3, 127].contains(&ran.code), "{limits}: {ran:#?}");
    if ran.code == 0 {
        assert!(is_done(ran), "{limits}: {ran:#?}");
    } else if ran.code != 127 {
        let told = format!("{}{}", ran.stdout, ran.stderr);
        assert!(named.iter().any(|name| told.contains(name)), "{limits}: {ran:#?}");
    }
    ran.code == 0
}

/// Says it where a limit was met.
const DESCRIPTORS: [&str; 3] = ["RLIMIT_NOFILE", "open files", "unable to open"];
const THREADS: [&str; 3] = ["RLIMIT_NPROC", "no thread", "Resource temporarily unavailable"];

/// Runs the program with a limit that grows from nothing to enough: `steps` are the limits, in that order.
async fn grows(steps: &[String], args: &[&str], named: &[&str], is_done: impl Fn(&Finished) -> bool) {
    let sim = gateway().start_tcp().await.unwrap();
    let mut done = Vec::new();
    for limits in steps {
        let harness = Harness::of(&sim).with("RUST_MIN_STACK", "1073741824");
        let ran = tokio::select! {
            ran = run_limited(&harness, limits, args) => ran,
            () = emit(&sim) => unreachable!("there are always more events"),
        };
        done.push(did_its_work(&ran, limits, named, &is_done));
    }
    assert!(!done[0], "{args:?}: the least is too little");
    assert!(done.last().unwrap(), "{args:?}: the most is enough");
}

/// Something to record, again and again.
async fn emit(sim: &SimGateway) {
    let mut every = tokio::time::interval(Duration::from_millis(20));
    loop {
        every.tick().await;
        sim.emit("custom", serde_json::json!({}));
    }
}

fn descriptors() -> Vec<String> {
    (4..=44).step_by(4).map(|most| format!("-n {most}")).collect()
}

/// From the address space of the program alone to that of a dozen threads.
fn threads() -> Vec<String> {
    (0..=10)
        .map(|threads| format!("-v {}", (threads * 1024 + 600) * 1024))
        .collect()
}

#[tokio::test]
async fn a_status_with_few_descriptors_is_right_or_names_the_limit() {
    grows(&descriptors(), &["status"], &DESCRIPTORS, |ran| {
        ran.stdout.contains("up")
    })
    .await;
}

#[tokio::test]
async fn a_status_with_few_threads_is_right_or_names_the_limit() {
    grows(&threads(), &["status"], &THREADS, |ran| ran.stdout.contains("up")).await;
}

#[tokio::test]
async fn a_recording_with_few_descriptors_records_or_names_the_limit() {
    let args = ["watch", "--journal", "--limit", "1", "--json"];
    grows(&descriptors(), &args, &DESCRIPTORS, |ran| {
        ran.stdout.contains("\"cursor\"")
    })
    .await;
}

#[tokio::test]
async fn a_recording_with_few_threads_records_or_names_the_limit() {
    let args = ["watch", "--journal", "--limit", "1", "--json"];
    grows(&threads(), &args, &THREADS, |ran| ran.stdout.contains("\"cursor\"")).await;
}

#[tokio::test]
async fn words_from_stdin_with_few_threads_are_read_or_the_limit_is_named() {
    let sim = gateway().start_tcp().await.unwrap();
    let args = ["sessions", "send", "agent:main:main", "-"];
    // Nothing is on stdin, which is said where there was a thread to find out.
    let named = [&THREADS[..], &["no words"]].concat();
    for limits in threads() {
        let harness = Harness::of(&sim).with("RUST_MIN_STACK", "1073741824");
        let ran = run_limited(&harness, &limits, &args).await;
        did_its_work(&ran, &limits, &named, |_| false);
    }
}
