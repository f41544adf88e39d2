//! The environment of the process as a value, so that tests can give another.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::config::ConfigError;

/// The environment, as a value: what its variables say and where relative paths begin.
pub(crate) struct Environment<'a> {
    pub(crate) variable: &'a dyn Fn(&str) -> Option<OsString>,
    pub(crate) folder: PathBuf,
}

impl Environment<'_> {
    /// Works with the environment of this process.
    pub(crate) fn of_process<T>(work: impl FnOnce(&Environment<'_>) -> T) -> T {
        work(&Environment {
            variable: &|name: &str| std::env::var_os(name),
            folder: std::env::current_dir().unwrap_or_default(),
        })
    }

    /// A variable's text; an empty one counts as not set.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, ConfigError> {
        match (self.variable)(name) {
            None => Ok(None),
            Some(value) => match value.into_string() {
                Ok(text) => Ok(Some(text).filter(|text| !text.is_empty())),
                Err(_) => Err(ConfigError::new(variable(name), "its value is not UTF-8")),
            },
        }
    }

    pub(crate) fn home(&self) -> Option<PathBuf> {
        (self.variable)("HOME")
            .filter(|home| !home.is_empty())
            .map(PathBuf::from)
    }

    /// The first of these variables that is set, with its name.
    pub(crate) fn first(&self, names: [&'static str; 2]) -> Result<Option<(&'static str, String)>, ConfigError> {
        for name in names {
            if let Some(text) = self.text(name)? {
                return Ok(Some((name, text)));
            }
        }
        Ok(None)
    }
}

/// The place of a variable, for errors.
pub(crate) fn variable(name: &str) -> String {
    format!("environment variable {name}")
}
