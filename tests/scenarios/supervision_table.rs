//! docs/supervision.md names a test, or a reason, in each cell; here is whether those exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The names of all tests in the sources under these folders.
fn tests_under(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tests_under(&path, found);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let mut is_test = false;
            for line in text.lines().map(str::trim_start) {
                if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                    is_test = true;
                } else if let Some(rest) = line.strip_prefix("async fn ").or_else(|| line.strip_prefix("fn ")) {
                    if is_test {
                        found.insert(rest.split('(').next().unwrap().to_owned());
                    }
                    is_test = false;
                }
            }
        }
    }
}

/// The cells of a table's rows, without its head; the first of each is its name.
fn rows(text: &str) -> Vec<Vec<String>> {
    let lines = text.lines().filter(|line| line.starts_with('|')).skip(2);
    lines
        .map(|line| {
            let cells = line.trim_matches('|').split('|');
            cells.map(|cell| cell.trim().to_owned()).collect()
        })
        .collect()
}

#[test]
fn every_cell_of_the_supervision_table_names_a_test_that_exists_or_a_reason_that_is_given() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tests = BTreeSet::new();
    for folder in ["actors", "crates/cli", "src", "tests"] {
        tests_under(&root.join(folder), &mut tests);
    }
    let text = fs::read_to_string(root.join("docs/supervision.md")).unwrap();
    let (_, text) = text.split_once("## Tests").unwrap();
    let (table, reasons) = text.split_once("\n- **a**").unwrap();
    let reasons = format!("- **a**{reasons}");
    let rows = rows(table);
    assert!(rows.len() > 10, "the table is read: {rows:?}");
    for row in rows {
        assert_eq!(row.len(), 11, "{row:?}");
        for cell in &row[1..] {
            match cell.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')) {
                Some(name) => assert!(tests.contains(name), "{}: there is no test {name}", row[0]),
                None => assert!(
                    cell.len() == 1 && reasons.contains(&format!("- **{cell}** ")),
                    "{}: {cell:?} is neither a test nor a reason",
                    row[0]
                ),
            }
        }
    }
    let in_backticks = reasons.split('`').skip(1).step_by(2);
    for name in in_backticks.filter(|name| name.len() > 30 && !name.contains([':', '{', '/'])) {
        assert!(tests.contains(name), "there is no test {name}");
    }
}
