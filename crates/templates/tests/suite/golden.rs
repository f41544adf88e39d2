//! The shipped texts, for every role and layout, as they are written. `SNAPSHOTS=overwrite` rewrites the files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use snapbox::{Assert, Data};
use windlass_templates::{Layout, Placement, TemplateRole, Templates, VARIABLE_NAMES, Variables};

use crate::samples::{CLASSIC, MERGED, bare, full, render};

/// The scratch among the golden files.
const SCRATCH: &str = "scratch.md";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn overwrites() -> bool {
    std::env::var_os("SNAPSHOTS").is_some_and(|value| value == "overwrite")
}

/// Compares with the folder's files, all of them and no more.
fn check(folder: &Path, texts: &BTreeMap<String, String>) {
    if overwrites() {
        // A file that is not written any more goes.
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder).unwrap();
    }
    let assert = Assert::new().action_env("SNAPSHOTS").normalize_paths(false);
    for (name, text) in texts {
        assert.eq(text.as_str(), Data::read_from(&folder.join(name), None));
    }
    let files = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let names: BTreeSet<String> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(names.iter().eq(texts.keys()), "{}: {names:?}", folder.display());
}

fn texts(placement: Placement) -> BTreeMap<String, String> {
    let mut texts = placement.files;
    texts.extend(placement.scratch.map(|scratch| (SCRATCH.to_owned(), scratch)));
    texts
}

fn check_layout(name: &str, layout: &Layout, variables: impl Fn(TemplateRole) -> Variables) {
    for role in TemplateRole::ALL {
        let placement = layout.place(&render(role, &variables(role)), true);
        check(&folder().join(name).join(role.as_str()), &texts(placement));
    }
}

#[test]
fn classic_gateways_get_eight_files() {
    check_layout("classic", &Layout::of(&CLASSIC, false), full);
}

#[test]
fn merged_gateways_with_scratch_get_tools_in_agents_and_the_heartbeat_in_the_scratch() {
    check_layout("merged-with-scratch", &Layout::of(&MERGED, true), full);
}

#[test]
fn merged_gateways_without_scratch_get_both_in_agents() {
    check_layout("merged-without-scratch", &Layout::of(&MERGED, false), full);
}

#[test]
fn an_agent_of_whom_little_is_known_gets_texts_without_gaps() {
    check_layout("bare", &Layout::of(&CLASSIC, false), |_| bare());
}

#[test]
fn the_messages_read_as_they_should() {
    let templates = Templates::shipped();
    let variables = full(TemplateRole::Lead);
    let wake = |bootstrap| {
        templates
            .wake_message(TemplateRole::Lead, &variables, "wake-42", bootstrap)
            .unwrap()
            + "\n"
    };
    let cleanup = templates.cleanup_message("Ada", "/srv/agents/workspace-ada").unwrap() + "\n";
    let texts = [
        ("wake.md", wake(false)),
        ("wake-first.md", wake(true)),
        ("cleanup.md", cleanup),
    ];
    check(
        &folder().join("messages"),
        &texts.map(|(name, text)| (name.to_owned(), text)).into(),
    );
}

#[test]
fn no_text_has_gaps_or_trailing_blanks() {
    for role in TemplateRole::ALL {
        for variables in [full(role), bare()] {
            for (content, text) in render(role, &variables).iter() {
                assert!(!text.contains("\n\n\n"), "{role}/{content} has a gap");
                assert!(
                    text.lines().all(|line| line.trim_end() == line),
                    "{role}/{content} has trailing blanks"
                );
                assert!(text.ends_with('\n') && text.starts_with("# "), "{role}/{content}");
                assert!(text.len() < 6000, "{role}/{content} is long: {}", text.len());
            }
        }
    }
}

#[test]
fn the_names_of_the_variables_are_those_that_templates_know() {
    let all = VARIABLE_NAMES.map(|name| format!("{{{{ {name} }}}}\n")).concat();
    crate::samples::soul(&all).expect("every name is known");
    assert!(VARIABLE_NAMES.is_sorted(), "kept in order");
}
