//! The help of every subcommand, word by word. `WINDLASS_BLESS=1 cargo test --test cli help` writes it anew.

use std::path::Path;

use crate::harness::Harness;

async fn is_as_written(name: &str, args: &[&str]) {
    let shown = Harness::new().run(args).await.ends_with(0).stdout;
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cli/help")
        .join(format!("{name}.txt"));
    if std::env::var_os("WINDLASS_BLESS").is_some() {
        std::fs::write(&path, &shown).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(shown, written, "if this is meant, write it anew with WINDLASS_BLESS=1");
}

#[tokio::test]
async fn the_help_of_the_program_is_as_written() {
    is_as_written("windlass", &["--help"]).await;
}

#[tokio::test]
async fn the_help_of_every_subcommand_is_as_written() {
    for name in ["call", "watch", "chat", "status", "doctor", "chaos", "demo"] {
        is_as_written(name, &[name, "--help"]).await;
    }
    for (name, commands) in [
        ("gateways", &["add", "list", "remove", "forget"][..]),
        ("boards", &["add", "list"]),
        ("owner", &["show", "set"]),
        ("config", &["trust", "distrust"]),
        ("sessions", &["list", "show", "history", "send", "abort"]),
        ("coordinate", &["nudge", "soul", "ask", "onboard", "lead", "broadcast"]),
        (
            "agents",
            &[
                "add",
                "list",
                "plan",
                "provision",
                "sync",
                "drift",
                "checkin",
                "rotate-token",
                "delete",
                "forget",
                "run",
            ],
        ),
    ] {
        is_as_written(name, &[name, "--help"]).await;
        for command in commands {
            is_as_written(&format!("{name}-{command}"), &[name, command, "--help"]).await;
        }
    }
}

#[tokio::test]
async fn wrong_usage_ends_with_2_and_names_the_flag() {
    let harness = Harness::new();
    harness.run(&["call"]).await.ends_with(2).tells(&["METHOD"]);
    harness
        .run(&["status", "--tokn", "x"])
        .await
        .ends_with(2)
        .tells(&["--tokn"]);
    harness
        .run(&["call", "health", "--timeout", "30"])
        .await
        .ends_with(2)
        .tells(&["--timeout", "30s"]);
    harness
        .run(&["status", "--url", "ws://h", "--gateway", "a"])
        .await
        .ends_with(2)
        .tells(&["--url", "--gateway"]);
    harness
        .run(&["status", "--log", "a=b=c"])
        .await
        .ends_with(2)
        .tells(&["--log"]);
}

#[tokio::test]
async fn a_token_is_never_taken_as_a_flag() {
    Harness::new()
        .run(&["call", "health", "--token", "s3cret"])
        .await
        .ends_with(2);
}
