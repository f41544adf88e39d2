//! Recorded and handwritten conversations: one JSON object a line, `{"conn", "dir", "ms", "frame"}`.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// One line of a recording.
pub(crate) struct Line {
    /// `file:line`, for messages.
    pub(crate) place: String,
    /// The connection, told apart from those of other files.
    pub(crate) conn: String,
    /// `in`, `out`, `close`, `note`...
    pub(crate) dir: String,
    /// The frame; `null` where the line has none.
    pub(crate) frame: Value,
}

/// The recordings of this repository.
pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// The folder of further recordings, for tests that are ignored without it.
pub(crate) fn transcripts() -> PathBuf {
    let folder = std::env::var_os("WINDLASS_TRANSCRIPTS");
    folder
        .expect("WINDLASS_TRANSCRIPTS names a folder of recordings")
        .into()
}

/// All lines of all `*.jsonl` files one level below `folder`. A folder without any is an error: it would prove nothing.
pub(crate) fn read(folder: &Path) -> Vec<Line> {
    let mut files: Vec<PathBuf> = subfolders(folder)
        .iter()
        .flat_map(|release| jsonl_files(release))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no recordings in {}", folder.display());
    files.iter().flat_map(|file| lines(file)).collect()
}

fn subfolders(folder: &Path) -> Vec<PathBuf> {
    entries(folder).into_iter().filter(|path| path.is_dir()).collect()
}

fn jsonl_files(folder: &Path) -> Vec<PathBuf> {
    entries(folder)
        .into_iter()
        .filter(|path| path.extension().is_some_and(|e| e == "jsonl"))
        .collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn lines(file: &Path) -> Vec<Line> {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let name = file
        .iter()
        .rev()
        .take(2)
        .map(|part| part.to_string_lossy())
        .collect::<Vec<_>>();
    let name = name.iter().rev().map(AsRef::as_ref).collect::<Vec<&str>>().join("/");
    let parsed = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    parsed
        .map(|(at, line)| to_line(format!("{name}:{}", at + 1), line))
        .collect()
}

fn to_line(place: String, line: &str) -> Line {
    let mut value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{place}: {error}"));
    let dir = value["dir"]
        .as_str()
        .unwrap_or_else(|| panic!("{place}: no dir"))
        .to_owned();
    let file = place.split(':').next().unwrap_or_default();
    let conn = format!("{file}#{}", value["conn"]);
    Line {
        place,
        conn,
        dir,
        frame: value["frame"].take(),
    }
}

/// Whether a recorded value stands for something longer that was cut out of the recording: `"[trimmed]"`, `"…[12 items]"`,
/// `"text…[170 chars]"`, `"[same as ...]"`.
pub(crate) fn is_placeholder(value: &Value) -> bool {
    let Some(text) = value.as_str() else { return false };
    text == "[trimmed]"
        || text.starts_with("[same as ")
        || text
            .rsplit_once('…')
            .is_some_and(|(_, cut)| cut.starts_with('[') && cut.ends_with(']'))
}

/// Takes the placeholders out of all lists in `value`, and says how many there were: a list that was cut has one element that stands
/// for the missing ones, and no type would take it.
pub(crate) fn drop_cut_items(value: &mut Value) -> usize {
    match value {
        Value::Array(items) => {
            let before = items.len();
            items.retain(|item| !is_placeholder(item));
            before - items.len() + items.iter_mut().map(drop_cut_items).sum::<usize>()
        }
        Value::Object(map) => map.values_mut().map(drop_cut_items).sum(),
        _ => 0,
    }
}
