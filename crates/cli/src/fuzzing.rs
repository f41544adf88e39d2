//! For the fuzz targets in `crates/fuzz`: the readers of a user's files. Not part of the stable interface.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::{self, ConfigFile, Environment};

/// The name of the text in errors.
const PATH: &str = "file.toml";

/// Reads and checks the text of a `windlass.toml`. Returns the `Debug` text of the result.
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

/// Reads and checks the text of a plan of `windlass chaos`. Returns the `Debug` text of the result.
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
