//! What the runner says and how it ends.

use std::process::{Command, Output};

/// The runner with an empty releases folder and a search path on which there is no npm.
fn without_npm(args: &[&str]) -> Output {
    let empty = tempfile::tempdir().expect("a folder");
    Command::new(env!("CARGO_BIN_EXE_windlass-interop"))
        .args(args)
        .env("WINDLASS_INTEROP_RELEASES", empty.path())
        .env("PATH", empty.path())
        .output()
        .expect("the runner starts")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_missing_npm_is_a_visible_skip_with_a_code_of_its_own() {
    for args in [&["install", "9.6"][..], &["start", "9.6"]] {
        let output = without_npm(args);
        assert_eq!(output.status.code(), Some(77), "{args:?}");
        assert_eq!(said(&output), "skipped: npm is not installed\n");
    }
}

#[test]
fn a_run_without_npm_counts_its_scenarios_as_skipped() {
    let output = without_npm(&["run", "--scenario", "health", "--json"]);
    assert_eq!(output.status.code(), Some(77));
    let text = said(&output);
    assert!(text.contains("health skipped (0.0 s): npm is not installed"), "{text}");
    assert!(text.ends_with("0 passed, 0 failed, 1 skipped\n"), "{text}");
    let first = output.stdout.split(|&byte| byte == b'\n').next().expect("a line");
    let first: serde_json::Value = serde_json::from_slice(first).expect("JSON");
    assert_eq!(first["outcome"], "skipped");
}

#[test]
fn a_run_writes_its_table() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("table.md");
    let page_name = page.to_str().expect("a plain name");
    without_npm(&["run", "--all", "--table", page_name]);
    let page = std::fs::read_to_string(page).expect("a table");
    assert!(page.contains("| | | 2026.1.30 | 2026.2.26 |"), "{page}");
    assert!(page.contains("[1] npm is not installed"), "{page}");
}

#[test]
fn a_merged_table_keeps_what_the_run_did_not_try() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("table.md");
    let page_name = page.to_str().expect("a plain name");
    let earlier = r#"{"scenario":"echo","release":"2026.9.6","verdict":"holds","note":"by hand","run":"2026-01-02"}"#;
    std::fs::write(folder.path().join("table.jsonl"), format!("{earlier}\n")).expect("a sheet");
    without_npm(&["run", "--scenario", "echo", "health", "--table", page_name, "--merge"]);
    let text = std::fs::read_to_string(&page).expect("a table");
    assert!(text.contains("yes [2]") && text.contains("[2] by hand"), "{text}");
    assert!(text.contains("\n2026-01-02: echo\n"), "{text}");
    without_npm(&["run", "--scenario", "health", "--table", page_name]);
    let text = std::fs::read_to_string(&page).expect("a table");
    assert!(!text.contains("by hand"), "{text}");
}

#[test]
fn a_wrong_command_line_is_usage() {
    assert_eq!(without_npm(&["run", "--scenario", "nope"]).status.code(), Some(2));
    assert_eq!(without_npm(&["start", "../x"]).status.code(), Some(2));
}

#[test]
fn output_to_a_pipe_carries_no_colours() {
    let output = without_npm(&["run"]);
    assert!(!output.stderr.contains(&0x1b));
}
