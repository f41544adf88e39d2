//! What people see on a terminal: `script` of util-linux gives the program one.

use std::io::Write as _;
use std::process::{Command, Stdio};

use tokio::task::spawn_blocking;
use windlass_testkit::SideEffect;

use crate::bench::{Bench, gateway};
use crate::shop::Shop;

/// Runs the program on a terminal of its own, with these lines typed in: its exit code and all that was shown.
async fn on_a_terminal(bench: &Bench, args: &str, typed: &'static str) -> (i32, String) {
    let program = bench.command([""; 0]);
    let mut command = Command::new("script");
    command
        .args([
            "-qec",
            &format!("{} {args}", program.get_program().display()),
            "/dev/null",
        ])
        .env_clear()
        .envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .env("TERM", "xterm")
        .env("PATH", "/usr/bin:/bin")
        .current_dir(bench.path(""))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let ran = spawn_blocking(move || {
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    });
    let ran = ran.await.unwrap();
    (ran.status.code().unwrap(), String::from_utf8(ran.stdout).unwrap())
}

#[tokio::test]
async fn a_fleet_has_a_bar_and_a_line_for_each_agent_that_are_gone_at_the_end() {
    let sim = gateway().start_tcp().await.unwrap();
    let shop = Shop::with_agents(&sim).await;
    let (code, shown) = on_a_terminal(&shop.bench, "agents provision --all", "").await;
    assert_eq!(code, 0, "{shown}");
    for text in ["/2 agents", "Scribe: ", "Lead Agent: ", "\u{1b}["] {
        assert!(shown.contains(text), "{text:?} is not in {shown:?}");
    }
    let report = shown.rsplit("RESULT").next().unwrap();
    assert!(report.contains("2 agents: 2 changed, 0 failed"), "{shown:?}");
    assert!(!report.contains("/2 agents "), "the bar stays: {shown:?}");
}

#[tokio::test]
async fn a_deletion_asks_and_does_what_it_is_told() {
    let sim = gateway().start_tcp().await.unwrap();
    let shop = Shop::with_agents(&sim).await;
    shop.run(&["agents", "provision", "Scribe"]).await;
    let deleted = || {
        sim.journal()
            .count(|effect| matches!(effect, SideEffect::AgentDeleted { .. }))
    };
    let (code, shown) = on_a_terminal(&shop.bench, "agents delete Scribe", "n\n").await;
    assert_eq!((code, deleted()), (0, 0), "{shown}");
    assert!(
        shown.contains("Delete Scribe of Docs? [y/N]") && shown.contains("nothing was deleted"),
        "{shown:?}"
    );
    let (code, shown) = on_a_terminal(&shop.bench, "agents delete Scribe", "yes\n").await;
    assert_eq!((code, deleted()), (0, 1), "{shown}");
}
