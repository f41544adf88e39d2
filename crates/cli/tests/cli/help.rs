//! The help of the program and of every command, as a person reads it, against the files in `help/`. `SNAPSHOTS=overwrite` rewrites
//! those that differ.

use std::collections::BTreeSet;
use std::path::PathBuf;

use snapbox::{Assert, Data};

use crate::harness::Harness;

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/help"))
}

/// The words of every command, each after those of the command that it belongs to; none for the program itself.
fn commands() -> Vec<Vec<String>> {
    let (mut all, mut index) = (vec![(Vec::new(), windlass_cli::command())], 0);
    while let Some((words, command)) = all.get(index).cloned() {
        for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
            let words = [words.as_slice(), &[below.get_name().to_owned()]].concat();
            all.push((words, below.clone()));
        }
        index += 1;
    }
    all.into_iter().map(|(words, _)| words).collect()
}

fn file_of(words: &[String]) -> String {
    match words {
        [] => "windlass.txt".to_owned(),
        words => format!("{}.txt", words.join("-")),
    }
}

#[tokio::test]
async fn the_help_of_every_command_is_as_written() {
    let (harness, assert) = (
        Harness::new(),
        Assert::new().action_env("SNAPSHOTS").normalize_paths(false),
    );
    let commands = commands();
    assert!(commands.len() > 40, "{commands:?}");
    for words in commands {
        let mut args: Vec<&str> = words.iter().map(String::as_str).collect();
        args.push("--help");
        let shown = harness.run(&args).await.ends_with(0).stdout;
        assert.eq(shown, Data::read_from(&folder().join(file_of(&words)), None));
    }
}

#[test]
fn every_help_file_belongs_to_a_command() {
    let commands: BTreeSet<String> = commands().iter().map(|words| file_of(words)).collect();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(commands.contains(&name), "{name} is the help of no command: delete it");
    }
}

#[tokio::test]
async fn flags_of_every_command_are_explained_once() {
    let harness = Harness::new();
    let program = harness.run(&["--help"]).await.ends_with(0).stdout;
    let command = harness.run(&["status", "--help"]).await.ends_with(0).stdout;
    for flag in [
        "--url",
        "--gateway",
        "--config",
        "--ask-token",
        "--store",
        "--json",
        "--log",
    ] {
        assert!(
            program.contains(&format!("{flag} ")) || program.contains(&format!("{flag}\n")),
            "{flag}: {program}"
        );
        assert!(!command.contains(&format!("{flag} ")), "{flag}: {command}");
    }
    assert!(command.contains("windlass --help"), "{command}");
}

#[tokio::test]
async fn wrong_usage_ends_with_2_and_names_the_flag() {
    let harness = Harness::new();
    for (args, named) in [
        (&["call"][..], &["METHOD"][..]),
        (&["status", "--tokn", "x"], &["--tokn"]),
        (&["call", "health", "--timeout", "30"], &["--timeout", "30s"]),
        (
            &["status", "--url", "ws://h", "--gateway", "a"],
            &["--url", "--gateway"],
        ),
        (&["status", "--log", "a=b=c"], &["--log"]),
    ] {
        harness.run(args).await.ends_with(2).tells(named);
    }
}

#[tokio::test]
async fn a_token_is_never_taken_as_a_flag() {
    Harness::new()
        .run(&["call", "health", "--token", "s3cret"])
        .await
        .ends_with(2);
}
