//! The documents of the project are true where a test can see it: links lead somewhere, named files and types exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use windlass_testkit::RELEASES;

/// Folders of build results and of other checkouts.
const SKIPPED: [&str; 4] = ["target", ".git", "node_modules", "proptest-regressions"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below the root with this extension.
fn files(extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder can be read") {
            let entry = entry.expect("the entry can be read");
            let (path, name) = (entry.path(), entry.file_name());
            if entry.file_type().expect("it has a type").is_dir() {
                if !SKIPPED
                    .iter()
                    .any(|skipped| name.to_str().is_some_and(|name| name.starts_with(skipped)))
                {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A document without its blocks of code.
fn prose(text: &str) -> String {
    let mut in_code = false;
    let mut prose = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code {
            prose.push_str(line);
            prose.push('\n');
        }
    }
    prose
}

/// The targets of `[text](target)`.
fn links(text: &str) -> Vec<String> {
    text.match_indices("](")
        .filter_map(|(at, _)| text[at + 2..].split_once(')'))
        .map(|(target, _)| target.to_owned())
        .collect()
}

/// The anchor that a heading gets on GitHub.
fn anchor(heading: &str) -> String {
    heading
        .trim_start_matches('#')
        .trim()
        .to_lowercase()
        .chars()
        .filter(|&c| c.is_alphanumeric() || c == ' ' || c == '-' || c == '_')
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[test]
fn links_between_documents_lead_to_files_and_headings() {
    let mut broken = Vec::new();
    for document in files("md") {
        for link in links(&prose(&read(&document))) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (path, heading) = link.split_once('#').unwrap_or((&link, ""));
            let target = if path.is_empty() {
                document.clone()
            } else {
                document.parent().expect("a file is in a folder").join(path)
            };
            if !target.exists() {
                broken.push(format!("{}: {link}", document.display()));
            } else if !heading.is_empty() && target.extension().is_some_and(|extension| extension == "md") {
                let anchors = prose(&read(&target));
                let mut anchors = anchors.lines().filter(|line| line.starts_with('#')).map(anchor);
                if !anchors.any(|found| found == heading) {
                    broken.push(format!("{}: {link} has no such heading", document.display()));
                }
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new());
}

/// The words in backticks of a document.
fn quoted(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn files_that_the_documents_name_exist() {
    let root = root();
    let mut missing = Vec::new();
    for name in ["ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "README.md"] {
        let text = prose(&read(&root.join(name)));
        for word in quoted(&text) {
            let is_path = ["src/", "actors/", "crates/", "tests/", "dev/", "docs/", "examples/"]
                .iter()
                .any(|folder| word.starts_with(folder));
            if is_path && !word.contains(['*', '<', '{', ' ']) && !root.join(word).exists() {
                missing.push(format!("{name}: {word}"));
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn types_of_the_glossary_exist() {
    let mut code = String::new();
    for file in files("rs") {
        code.push_str(&read(&file));
    }
    let glossary = read(&root().join("docs/glossary.md"));
    let rows = glossary
        .lines()
        .filter(|line| line.starts_with('|') && line.matches('|').count() == 4);
    let mut missing = Vec::new();
    for row in rows {
        let types = row.rsplit('|').nth(1).unwrap_or_default();
        for name in quoted(types) {
            let last = name.rsplit("::").next().unwrap_or(name);
            let declared = ["struct ", "enum ", "trait ", "type ", "fn ", "mod "]
                .iter()
                .any(|kind| code.contains(&format!("{kind}{last}")));
            // A variant, as in `Marker::Gap`.
            let variant = name.contains("::") && code.contains(&format!(" {last}"));
            if !declared && !variant && name != "Duration" {
                missing.push(name.to_owned());
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn documents_name_the_releases_that_the_test_kit_has() {
    const NUMBERS: [&str; 13] = [
        "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    ];
    let document = |name: &str| read(&root().join(name));
    let table = document("docs/compatibility.md");
    let header = table.lines().find(|line| line.starts_with("| | | "));
    let columns: Vec<&str> = header
        .expect("a table of releases")
        .split('|')
        .map(str::trim)
        .filter(|cell| !cell.is_empty())
        .collect();
    assert_eq!(columns, RELEASES, "the columns of docs/compatibility.md");
    let oldest = format!("release {} or later", RELEASES[0]);
    assert!(document("docs/getting-started.md").contains(&oldest), "{oldest}");
    let number = NUMBERS[RELEASES.len()];
    for (name, words) in [
        ("README.md", "real releases"),
        ("docs/simulation.md", "releases"),
        ("docs/guide/testing.md", "releases"),
    ] {
        // A phrase may go over the end of a line.
        let text = document(name).split_whitespace().collect::<Vec<_>>().join(" ");
        let phrase = format!("{number} {words}");
        assert!(text.contains(&phrase), "{name} does not say `{phrase}`");
    }
}
