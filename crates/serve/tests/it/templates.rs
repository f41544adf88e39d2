//! The files of agents name only calls that this service has.

use std::collections::BTreeSet;

use serde_json::Value;

/// The calls that a text names: `METHOD {BASE_URL}/PATH` or `METHOD {{ base_url }}/PATH`.
fn calls(text: &str) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for base in ["{BASE_URL}", "{{ base_url }}"] {
        for (place, _) in text.match_indices(base) {
            let before = text[..place].trim_end();
            let method = before.rsplit([' ', '`', '(', '\n']).next().unwrap_or_default();
            let path = text[place + base.len()..]
                .split(['`', '\n', '"'])
                .next()
                .unwrap_or_default();
            // These stand for a part of the path.
            let parts = ["<board id>", "<agent id>", "{{ board_id }}"];
            let path = parts
                .iter()
                .fold(path.to_owned(), |path, part| path.replace(part, "ID"));
            if ["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&method) {
                found.insert((method.to_owned(), path));
            }
        }
    }
    found
}

fn fits(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    let fits = |(wanted, given): (&&str, &&str)| wanted == given || wanted.starts_with('{');
    template.len() == path.len() && template.iter().zip(&path).all(fits)
}

#[test]
fn each_call_that_a_template_names_is_in_the_document() {
    let document = serde_json::to_value(windlass_serve::openapi::document()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let is_there = |method: &str, path: &str| {
        let full = format!("/api/v1{path}");
        let found = paths.iter().filter(|(template, _)| fits(template, &full));
        found
            .map(|(_, operations): (_, &Value)| operations)
            .any(|operations| operations.get(method.to_lowercase()).is_some())
    };
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../templates/templates");
    let (mut folders, mut named) = (vec![std::path::PathBuf::from(folder)], 0);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            for (method, call) in calls(&std::fs::read_to_string(&path).unwrap()) {
                assert!(
                    is_there(&method, &call),
                    "{}: {method} {call} is not in the document",
                    path.display()
                );
                named += 1;
            }
        }
    }
    assert!(named > 8, "{named}");
}
