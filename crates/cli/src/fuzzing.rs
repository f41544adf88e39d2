//! For the fuzz targets in `crates/fuzz`: what reads a person's files. No part of what this crate promises.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::{self, ConfigFile, Environment};

/// What errors call the text.
const PATH: &str = "file.toml";

/// Reads and checks the text of a `windlass.toml`; gives what was read as its `Debug`.
///
/// # Errors
/// As a person is told.
pub fn config_file(text: &str) -> Result<String, String> {
    let environment = Environment {
        variable: &|_| None,
        folder: PathBuf::new(),
    };
    let read = config::check_text(Path::new(PATH), text, &environment).and_then(ConfigFile::without_errors);
    read.map(|file| format!("{file:?}")).map_err(|error| error.to_string())
}

/// Reads and checks the text of a plan of `windlass chaos`; gives what was read as its `Debug`.
///
/// # Errors
/// As a person is told.
pub fn chaos_plan(text: &str) -> Result<String, String> {
    crate::chaos::check_plan(Path::new(PATH), text)
}

/// Reads a duration such as `30s`.
///
/// # Errors
/// As a person is told.
pub fn span(text: &str) -> Result<Duration, String> {
    crate::units::parse_span(text)
}
