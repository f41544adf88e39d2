//! The manifests keep what the documents promise: minimum Rust version, small library, crates that can be published.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Crates that users depend on or install. The others are programs for developers.
const PUBLISHED: [&str; 15] = [
    "windlass",
    "windlass-agents",
    "windlass-cli",
    "windlass-files",
    "windlass-journal",
    "windlass-line",
    "windlass-operations",
    "windlass-protocol",
    "windlass-serve",
    "windlass-sessions",
    "windlass-store",
    "windlass-store-sqlite",
    "windlass-templates",
    "windlass-testkit",
    "windlass-tracing",
];

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--locked", "--offline", "--manifest-path"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .output()
        .expect("cargo runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {arguments:?}: {errors}");
    String::from_utf8(output.stdout).expect("cargo prints text")
}

/// This machine's platform: dependencies of others need not be there.
fn platform() -> String {
    let output = Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let text = String::from_utf8(output.stdout).expect("rustc prints text");
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.expect("rustc names its host").to_owned()
}

fn metadata() -> Value {
    let printed = cargo(&["metadata", "--format-version", "1", "--filter-platform", &platform()]);
    serde_json::from_str(&printed).expect("cargo prints JSON")
}

fn packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    metadata["packages"].as_array().into_iter().flatten()
}

fn name(package: &Value) -> &str {
    package["name"].as_str().unwrap_or_default()
}

fn is_ours(package: &Value) -> bool {
    package["source"].is_null()
}

/// `1.89` and `1.89.0` are one version.
fn version(text: &str) -> Vec<u32> {
    let mut numbers: Vec<u32> = text.split('.').filter_map(|number| number.parse().ok()).collect();
    numbers.resize(3, 0);
    numbers
}

#[test]
fn no_dependency_wants_a_newer_compiler_than_we_promise() {
    let metadata = metadata();
    let ours = packages(&metadata)
        .find(|package| name(package) == "windlass")
        .expect("it is there");
    let promised = version(ours["rust_version"].as_str().expect("the workspace states a version"));
    let newer: Vec<String> = packages(&metadata)
        .filter_map(|package| Some((name(package), package["rust_version"].as_str()?)))
        .filter(|(_, wanted)| version(wanted) > promised)
        .map(|(name, wanted)| format!("{name} wants {wanted}"))
        .collect();
    assert_eq!(newer, Vec::<String>::new());
}

#[test]
fn the_library_has_no_default_features() {
    let metadata = metadata();
    let ours = packages(&metadata)
        .find(|package| name(package) == "windlass")
        .expect("it is there");
    let default = &ours["features"]["default"];
    assert!(
        default.is_null() || default.as_array().is_some_and(Vec::is_empty),
        "{default}"
    );
}

#[test]
fn published_crates_say_what_a_registry_asks_for() {
    let metadata = metadata();
    let mut found = BTreeSet::new();
    let mut missing = Vec::new();
    for package in packages(&metadata).filter(|package| is_ours(package)) {
        if package["publish"].as_array().is_some_and(Vec::is_empty) {
            continue;
        }
        found.insert(name(package));
        for field in ["description", "license", "readme", "rust_version"] {
            if package[field].is_null() {
                missing.push(format!("{}: {field}", name(package)));
            }
        }
        for list in ["keywords", "categories"] {
            if package[list].as_array().is_none_or(Vec::is_empty) {
                missing.push(format!("{}: {list}", name(package)));
            }
        }
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        for dependency in dependencies.filter(|dependency| dependency["kind"].is_null()) {
            if dependency["req"] == "*" {
                missing.push(format!("{}: a version of {}", name(package), name(dependency)));
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
    assert_eq!(found, BTreeSet::from(PUBLISHED));
}
