//! docs/configuration.md against the reader: the same keys, and an example that is taken.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Environment;
use super::file::{ConfigFile, check_text};

const PAGE: &str = include_str!("../../../../docs/configuration.md");

/// Each table of keys by its heading, with a text that has an unknown key there.
const TABLES: [(&str, &str); 4] = [
    ("### The file", "unknown = 1"),
    ("### `[gateways.NAME]`", "[gateways.a]\nunknown = 1"),
    ("### `tls`", "[gateways.a]\nurl = \"wss://a\"\ntls = { unknown = 1 }"),
    ("### `[timeouts]`", "[timeouts]\nunknown = 1"),
];

fn read(text: &str) -> Result<(), String> {
    let environment = Environment {
        variable: &|_: &str| None,
        folder: PathBuf::from("/"),
    };
    let checked = check_text(Path::new("windlass.toml"), text, &environment).and_then(ConfigFile::without_errors);
    checked.map(drop).map_err(|error| error.to_string())
}

/// The keys in the first column of the table below a heading.
fn on_page(heading: &str) -> BTreeSet<String> {
    let (_, section) = PAGE.split_once(heading).expect("the heading is on the page");
    let rows = section.lines().skip_while(|line| !line.starts_with("| `"));
    rows.take_while(|line| line.starts_with("| `"))
        .filter_map(|line| line.split('`').nth(1).map(str::to_owned))
        .collect()
}

/// The keys that the reader names when it meets one that it does not know.
fn of_reader(text: &str) -> BTreeSet<String> {
    let error = read(text).unwrap_err();
    let (_, known) = error.split_once("expected ").unwrap_or_else(|| panic!("{error}"));
    known.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_page_has_the_keys_that_the_reader_knows() {
    for (heading, text) in TABLES {
        assert_eq!(on_page(heading), of_reader(text), "{heading}");
    }
}

#[test]
fn the_example_of_the_page_is_taken_and_shows_each_key_that_is_not_refused() {
    let (_, rest) = PAGE.split_once("```toml\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    read(example).unwrap();
    for (heading, _) in TABLES {
        for key in on_page(heading) {
            let is_refused = PAGE.contains(&format!("| `{key}` | – |"));
            assert!(is_refused || example.contains(&key), "{key} is not in the example");
        }
    }
}
