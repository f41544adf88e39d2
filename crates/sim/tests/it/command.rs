//! The program as a person or a script meets it.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn sim(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_windlass-sim"))
        .args(args)
        .output()
        .unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_campaign_is_continued_where_its_state_file_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.json");
    let state = path.to_str().unwrap();
    let first = sim(&["run", "--seeds", "0..120", "--jobs", "2", "--state", state, "--json"]);
    assert_eq!(first.status.code(), Some(0), "{first:?}");
    assert_eq!(
        (&json(&first)["done"], &json(&first)["playedNow"]),
        (&120.into(), &120.into())
    );
    // As a run leaves it that was stopped in its second block.
    edit(&path, |state| state["next"] = 100.into());
    let second = sim(&["run", "--seeds", "0..120", "--state", state, "--json"]);
    assert_eq!(
        (&json(&second)["done"], &json(&second)["playedNow"]),
        (&120.into(), &20.into())
    );
    let third = sim(&["run", "--seeds", "0..120", "--state", state, "--json"]);
    assert_eq!(json(&third)["playedNow"], 0);
}

fn edit(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut state = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    change(&mut state);
    std::fs::write(path, state.to_string()).unwrap();
}

#[test]
fn failing_seeds_of_before_are_told_again_and_are_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.json");
    let state = path.to_str().unwrap();
    sim(&["run", "--seeds", "0..1", "--state", state]);
    edit(&path, |state| {
        state["failing"] = serde_json::json!([{ "seed": 0, "broken": ["Alive: by way of a test"] }]);
    });
    let told = sim(&["run", "--seeds", "0..1", "--state", state]);
    let text = String::from_utf8(told.stdout).unwrap();
    assert_eq!(told.status.code(), Some(1), "{text}");
    assert!(text.contains("failing: 0: Alive: by way of a test"), "{text}");
}

#[test]
fn a_state_file_of_other_seeds_is_refused_with_a_word_on_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state.json");
    let state = state.to_str().unwrap();
    sim(&["run", "--seeds", "0..1", "--state", state]);
    let refused = sim(&["run", "--seeds", "0..2", "--state", state]);
    assert_eq!(refused.status.code(), Some(2));
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(told.contains("0..1") && told.contains("--state"), "{told}");
}

#[test]
fn one_seed_is_told_as_json_with_its_trace() {
    let told = sim(&["seed", "3", "--trace", "--json"]);
    assert_eq!(told.status.code(), Some(0), "{told:?}");
    let told = json(&told);
    assert_eq!(told["seed"], 3);
    assert!(told["trace"].as_array().is_some_and(|lines| lines.len() > 20));
}
