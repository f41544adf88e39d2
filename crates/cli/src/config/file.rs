//! `windlass.toml` as it stands on disk: known keys only, each with its line.

use std::borrow::Cow;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};
use windlass_files::OwnerPolicy;

use crate::config::Environment;
use crate::config::gateway::{self, GatewayConfig, RawGateway};
use crate::config::{ConfigError, FileText};

use crate::units::parse_span;

/// Largest file that is read as a configuration, in bytes: a gateway takes a few hundred.
const MAX_BYTES: usize = 1024 * 1024;

/// How long to wait, where no flag says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timeouts {
    /// A call, waiting for the line included.
    pub(crate) call: Duration,
    /// A gateway to come up, for `status`.
    pub(crate) connect: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            call: windlass::DEFAULT_TIMEOUT,
            connect: Duration::from_secs(10),
        }
    }
}

/// A file that was read and checked.
#[derive(Debug)]
pub(crate) struct ConfigFile {
    pub(crate) path: PathBuf,
    pub(crate) gateways: Vec<GatewayConfig>,
    /// The entries that can't be used.
    pub(crate) malformed: Vec<MalformedEntry>,
    /// The gateway of commands that work with one, with the place that names it.
    pub(crate) default: Option<(String, String)>,
    pub(crate) timeouts: Timeouts,
}

/// A `[gateways.NAME]` that can't be used. The others of its file can.
#[derive(Debug, Clone)]
pub(crate) struct MalformedEntry {
    /// The entry's key, as it stands in the file.
    pub(crate) name: String,
    pub(crate) error: ConfigError,
}

impl ConfigFile {
    /// The file, if all of its entries can be used.
    ///
    /// # Errors
    /// That of the first entry that can't.
    pub(crate) fn without_errors(mut self) -> Result<Self, ConfigError> {
        match self.malformed.pop() {
            None => Ok(self),
            Some(last) => Err(self.malformed.into_iter().next().unwrap_or(last).error),
        }
    }
}

/// The whole file, but for the settings of its gateways: those are read one by one, so that a mistake costs one gateway only.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    /// A gateway's name: of this file or of the store.
    default: Option<Spanned<String>>,
    #[serde(default, rename = "gateways")]
    _gateways: toml::Table,
    #[serde(default)]
    timeouts: RawTimeouts,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with `call` or `connect`")]
struct RawTimeouts {
    call: Option<Spanned<String>>,
    connect: Option<Spanned<String>>,
}

/// How a configuration was found, which decides whether it may say where secrets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileOrigin {
    /// A flag or a variable names it: a choice of the user's.
    Named,
    /// It is the user's own, in the home folder. No other user may be able to change it.
    Own,
    /// It lies in the working folder, which may come from others: used only after the user has trusted it.
    Folder,
}

/// The text of a configuration: of a regular file of a bounded size.
pub(crate) fn text_of(path: &Path, found: FileOrigin) -> Result<String, ConfigError> {
    let text = match found {
        FileOrigin::Own => windlass_files::read_guarded_text(path, MAX_BYTES, OwnerPolicy::Ours),
        FileOrigin::Named | FileOrigin::Folder => windlass_files::read_text(path, MAX_BYTES),
    };
    text.map_err(|error: io::Error| {
        ConfigError::new(path.display().to_string(), format!("the file can't be read: {error}"))
    })
}

/// Checks the text of a file. `path` names it in errors, and relative paths in it begin at its folder.
pub(crate) fn check_text(path: &Path, text: &str, environment: &Environment<'_>) -> Result<ConfigFile, ConfigError> {
    check(&FileText {
        path,
        text,
        environment,
    })
}

fn check(source: &FileText<'_>) -> Result<ConfigFile, ConfigError> {
    let raw: RawFile = toml::from_str(source.text).map_err(|error| source.error(&error, ""))?;
    let default = raw
        .default
        .map(|name| (source.place(name.span().start, "default"), name.into_inner()));
    let (mut gateways, mut malformed) = (Vec::new(), Vec::new());
    for (name, settings) in entries(source)? {
        match entry(source, &name, settings) {
            Ok(gateway) => gateways.push(gateway),
            Err(error) => malformed.push(MalformedEntry { name, error }),
        }
    }
    Ok(ConfigFile {
        path: source.path.to_owned(),
        gateways,
        malformed,
        default,
        timeouts: timeouts(source, raw.timeouts)?,
    })
}

/// The settings of each gateway by its name, not checked yet.
fn entries<'a>(source: &FileText<'a>) -> Result<Vec<(String, Spanned<DeValue<'a>>)>, ConfigError> {
    let file = DeTable::parse(source.text).map_err(|error| source.error(&error, ""))?;
    let tables = file
        .into_inner()
        .into_iter()
        .filter(|(key, _)| key.get_ref() == "gateways");
    let entries = tables.filter_map(|(_, value)| match value.into_inner() {
        DeValue::Table(entries) => Some(entries),
        // The reader of the whole file has refused it.
        _ => None,
    });
    let named = |(name, settings): (Spanned<Cow<'_, str>>, _)| (name.into_inner().into_owned(), settings);
    Ok(entries.flatten().map(named).collect())
}

fn entry(source: &FileText<'_>, name: &str, settings: Spanned<DeValue<'_>>) -> Result<GatewayConfig, ConfigError> {
    let start = settings.span().start;
    let raw = RawGateway::deserialize(ValueDeserializer::from(settings))
        .map_err(|error| source.error(&error, &format!("gateways.{name}")))?;
    gateway::check(source, name, start, raw)
}

fn timeouts(source: &FileText<'_>, raw: RawTimeouts) -> Result<Timeouts, ConfigError> {
    let span = |field: &str, raw: Option<Spanned<String>>, default| match raw {
        None => Ok(default),
        Some(text) => parse_span(text.get_ref())
            .map_err(|problem| ConfigError::new(source.place(text.span().start, field), problem)),
    };
    let default = Timeouts::default();
    Ok(Timeouts {
        call: span("timeouts.call", raw.call, default.call)?,
        connect: span("timeouts.connect", raw.connect, default.connect)?,
    })
}
