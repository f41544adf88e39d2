//! The library without features takes along only what a line and its sessions need.

use std::process::Command;

/// Crates that a feature, or the program, brings.
const NOT_IN_IT: [&str; 7] = [
    "clap",
    "minijinja",
    "sqlx-core",
    "libsqlite3-sys",
    "windlass-agents",
    "windlass-journal",
    "windlass-testkit",
];

#[test]
fn without_features_the_library_needs_no_command_line_no_templates_and_no_database() {
    let tree = Command::new(env!("CARGO"))
        .args([
            "tree",
            "-p",
            "windlass",
            "--no-default-features",
            "-e",
            "normal",
            "--prefix",
            "none",
        ])
        .args(["--offline", "--locked", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .expect("cargo runs");
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).expect("names are UTF-8");
    let names: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(
        names.contains(&"windlass-line") && names.contains(&"windlass-sessions"),
        "{names:?}"
    );
    let found: Vec<&&str> = names.iter().filter(|name| NOT_IN_IT.contains(name)).collect();
    assert!(found.is_empty(), "{found:?}");
}
