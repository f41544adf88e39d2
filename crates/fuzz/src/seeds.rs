//! The seeds of the targets: handwritten inputs, inputs that Windlass itself wrote, and recorded conversations.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;
use windlass_protocol::{DeviceFile, DeviceIdentity};

use crate::Target;

/// The longest input made of a recorded conversation, in bytes: guided runs are slow on long ones.
const LONGEST: usize = 16 * 1024;

/// The inputs of this repository for a target, by their names.
///
/// # Errors
/// When a file of seeds can't be read.
pub fn of(target: &Target) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let mut seeds = BTreeMap::new();
    let folder = folder("seeds").join(target.name);
    if folder.is_dir() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            seeds.insert(name, fs::read(path)?);
        }
    }
    match target.name {
        "device_file" => drop(seeds.insert("made".to_owned(), device_file())),
        _ if target.dictionary.is_none() => seeds.extend((1..=8).map(|seed| (format!("made-{seed}"), noise(seed)))),
        _ => {}
    }
    Ok(seeds)
}

/// The pieces that a target's texts are made of.
///
/// # Errors
/// When the dictionary can't be read.
pub fn pieces(target: &Target) -> io::Result<Vec<Vec<u8>>> {
    let Some(name) = target.dictionary else {
        return Ok(Vec::new());
    };
    let text = fs::read_to_string(folder("dictionaries").join(format!("{name}.dict")))?;
    Ok(text.lines().filter_map(piece).collect())
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// A line of a dictionary as libFuzzer has them: `"…"` with `\\`, `\"` and `\xAB`.
fn piece(line: &str) -> Option<Vec<u8>> {
    let quoted = line.strip_prefix('"')?.strip_suffix('"')?;
    let (mut piece, mut rest) = (Vec::new(), quoted.as_bytes());
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'\\' {
            piece.push(*first);
        } else if let Some(digits) = tail.strip_prefix(b"x").and_then(|tail| tail.get(..2)) {
            piece.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = &tail[3..];
        } else {
            let (second, tail) = tail.split_first()?;
            piece.push(*second);
            rest = tail;
        }
    }
    Some(piece)
}

/// The file of an identity that everybody knows.
fn device_file() -> Vec<u8> {
    let file = DeviceFile {
        identity: DeviceIdentity::from_seed([7; 32]),
        created_at_ms: 1_795_350_900_000,
    };
    let text = file.render().expect("a key is written");
    text.expose().as_bytes().to_vec()
}

/// Bytes without a pattern, the same for each seed (xorshift).
fn noise(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()[0]
    };
    (0..400).map(|_| next()).collect()
}

/// The inputs that recorded conversations have for each target, by its name. `folder` holds a folder for each release, with
/// `*.jsonl` files of `{"conn", "dir", "frame"}`.
///
/// # Errors
/// When the folder can't be read.
pub fn recorded(folder: &Path) -> io::Result<BTreeMap<&'static str, Vec<Vec<u8>>>> {
    let mut found = Recorded::default();
    for release in fs::read_dir(folder)? {
        let release = release?.path();
        if !release.is_dir() {
            continue;
        }
        for file in fs::read_dir(release)? {
            let file = file?.path();
            if file.extension().is_some_and(|extension| extension == "jsonl") {
                found.file(&fs::read_to_string(file)?);
            }
        }
    }
    Ok(found.0)
}

#[derive(Default)]
struct Recorded(BTreeMap<&'static str, Vec<Vec<u8>>>);

impl Recorded {
    fn file(&mut self, text: &str) {
        let mut connections: BTreeMap<String, String> = BTreeMap::new();
        for line in text.lines() {
            let Ok(mut line) = serde_json::from_str::<Value>(line) else {
                continue;
            };
            if line["dir"] != "in" {
                continue;
            }
            let frame = line["frame"].take();
            let connection = connections.entry(line["conn"].to_string()).or_default();
            connection.push_str(&frame.to_string());
            connection.push('\n');
            self.frame(&frame);
        }
        for connection in connections.values() {
            self.add("session", connection);
        }
    }

    fn frame(&mut self, frame: &Value) {
        self.add("frame", &frame.to_string());
        if frame["event"].is_string() {
            self.add("event", &frame["payload"].to_string());
        }
        if frame["error"].is_object() {
            self.add("error", &frame["error"].to_string());
        }
        if frame["payload"]["type"] == "hello-ok" {
            self.add("hello", &frame["payload"].to_string());
        }
    }

    fn add(&mut self, target: &'static str, text: &str) {
        if text.len() <= LONGEST {
            self.0.entry(target).or_default().push(text.as_bytes().to_vec());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_dictionary_is_a_piece_with_its_escapes_undone() {
        assert_eq!(piece(r#""a\"\\\x0ab""#), Some(b"a\"\\\nb".to_vec()));
        assert_eq!(piece("# remark"), None);
    }

    #[test]
    fn every_target_has_seeds_and_every_text_has_pieces() {
        for target in crate::TARGETS {
            assert!(!of(target).unwrap().is_empty(), "{}", target.name);
            assert_eq!(
                pieces(target).unwrap().is_empty(),
                target.dictionary.is_none(),
                "{}",
                target.name
            );
        }
    }
}
