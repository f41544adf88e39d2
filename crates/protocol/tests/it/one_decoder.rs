//! Texts of gateways are read by `json::decode` alone: serde_json refuses half a character, and every gateway sends one some day.

use std::fs;
use std::path::{Path, PathBuf};

/// Where serde_json reads by itself, and why it may.
const MAY: &[(&str, &str)] = &[
    ("crates/protocol/src/json.rs", "is the one reader"),
    (
        "crates/protocol/src/frame.rs",
        "the envelope: its texts are lenient by themselves",
    ),
    (
        "crates/protocol/src/event.rs",
        "borrows, and reads a legible copy after a failure",
    ),
    ("crates/protocol/src/connection/calls.rs", "borrows, within decode_with"),
    ("crates/protocol/src/config/schema.rs", "borrows, within decode_with"),
    ("crates/protocol/src/config.rs", "keeps halves of characters, marked"),
    ("crates/protocol/src/device.rs", "a file of this machine"),
    (
        "actors/sessions/src/session_cache/wire.rs",
        "borrows, and reads a legible copy after a failure",
    ),
    (
        "actors/line/src/line/topic_table/progress.rs",
        "borrows, within decode_with",
    ),
    ("src/identity/file_tokens.rs", "a file of this machine"),
    ("crates/cli/src/boards.rs", "what a person typed"),
    ("crates/cli/src/config/trust.rs", "a file of this machine"),
    ("crates/cli/src/serve/address_file.rs", "a file of this machine"),
    (
        "crates/cli/src/agents/remote.rs",
        "answers of the service, which writes whole characters",
    ),
];

#[test]
fn texts_of_gateways_are_read_in_one_place() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = Vec::new();
    for folder in [
        "src",
        "actors",
        "crates/cli/src",
        "crates/protocol/src",
        "crates/store/src",
        "crates/store-sqlite/src",
    ] {
        look(&root.join(folder), &mut found);
    }
    let mut found: Vec<String> = found
        .iter()
        .map(|path| {
            path.strip_prefix(&root)
                .expect("under the root")
                .to_string_lossy()
                .replace('\\', "/")
        })
        .collect();
    found.sort();
    let mut may: Vec<&str> = MAY.iter().map(|(path, _)| *path).collect();
    may.sort_unstable();
    assert_eq!(found, may, "use json::decode, or say here why not");
}

/// The files that read by themselves, tests apart.
fn look(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("it is there").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.contains("tests") {
            continue;
        }
        if path.is_dir() {
            look(&path, found);
        } else if reads_by_itself(&fs::read_to_string(&path).expect("text")) {
            found.push(path);
        }
    }
}

fn reads_by_itself(source: &str) -> bool {
    // Tests in a file of their own are declared at the top; tests in the same file stand at its end.
    let source = source.replace("#[cfg(test)]\nmod tests;", "");
    let code = source.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    ["from_str", "from_slice", "from_reader"]
        .iter()
        .any(|reader| code.contains(&format!("serde_json::{reader}")))
}
