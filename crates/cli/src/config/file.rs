//! `windlass.toml` as it stands on disk: known keys only, each with its line.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};
use windlass_files::Owner;
use windlass_protocol::{NAME_LIMIT, printable};

use crate::config::ConfigError;
use crate::config::Environment;
use crate::config::gateway::{self, GatewayConfig};
use crate::config::trust::{Trust, TrustList};
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
    _gateways: BTreeMap<String, IgnoredAny>,
    #[serde(default)]
    timeouts: RawTimeouts,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with `call` or `connect`")]
struct RawTimeouts {
    call: Option<Spanned<String>>,
    connect: Option<Spanned<String>>,
}

/// `[gateways.ID]`.
#[derive(Debug, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "the settings of a gateway (begin them with [gateways.NAME])"
)]
pub(crate) struct RawGateway {
    pub(crate) url: Option<Spanned<String>>,
    /// Refused: see [`gateway::check`].
    pub(crate) token: Option<Spanned<IgnoredAny>>,
    pub(crate) token_file: Option<Spanned<PathBuf>>,
    pub(crate) token_env: Option<Spanned<String>>,
    /// Refused too.
    pub(crate) password: Option<Spanned<IgnoredAny>>,
    pub(crate) password_file: Option<Spanned<PathBuf>>,
    pub(crate) password_env: Option<Spanned<String>>,
    pub(crate) tls: Option<Spanned<RawTls>>,
    pub(crate) scopes: Option<Vec<Spanned<String>>>,
    pub(crate) device: Option<Spanned<RawDevice>>,
    #[serde(default)]
    pub(crate) headers_env: BTreeMap<String, Spanned<String>>,
    pub(crate) control_ui: Option<bool>,
    pub(crate) token_in_query: Option<bool>,
    pub(crate) handshake_timeout: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with `pin` or `insecure`")]
pub(crate) struct RawTls {
    pub(crate) pin: Option<Spanned<String>>,
    pub(crate) insecure: Option<bool>,
}

/// A path, or `false` for none.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "the path of a device.json, or false for no device identity")]
pub(crate) enum RawDevice {
    Flag(bool),
    Path(PathBuf),
}

/// The file's text and name, to tell the place of a span in it.
pub(crate) struct Source<'a> {
    pub(crate) path: &'a Path,
    text: &'a str,
    pub(crate) environment: &'a Environment<'a>,
}

impl Source<'_> {
    /// `windlass.toml:7, gateways.a.url`.
    pub(crate) fn place(&self, offset: usize, field: &str) -> String {
        let line = 1 + self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count();
        let comma = if field.is_empty() { "" } else { ", " };
        format!("{}:{line}{comma}{}", self.path.display(), printable(field, NAME_LIMIT))
    }

    /// An error of the reader. Its own text is not used whole: it shows the line, and a line may hold a secret in the wrong place.
    fn error(&self, error: &toml::de::Error, field: &str) -> ConfigError {
        let offset = error.span().map_or(0, |span| span.start);
        ConfigError::new(self.place(offset, field), without_value(error.message()))
    }

    /// A path in the file: relative ones from the file's folder, `~/` from the home folder.
    pub(crate) fn resolve(&self, path: &Path) -> PathBuf {
        if let (Ok(rest), Some(home)) = (path.strip_prefix("~"), self.environment.home()) {
            return home.join(rest);
        }
        self.path
            .parent()
            .map_or_else(|| path.to_owned(), |folder| folder.join(path))
    }
}

/// How a configuration was found, which decides whether it may say where secrets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// A flag or a variable names it: a choice of the user's.
    Named,
    /// It is the user's own, in the home folder. Nobody else may be able to change it.
    Own,
    /// It lies in the working folder, which may be anybody's: used only after the user has vouched for it.
    Folder,
}

/// Reads and checks a file.
pub(crate) fn read(path: &Path, found: Found, environment: &Environment<'_>) -> Result<ConfigFile, ConfigError> {
    let text = text_of(path, found)?;
    if found == Found::Folder {
        vouched_for(path, TrustList::open(environment)?.of(path, &text))?;
    }
    check_text(path, &text, environment)
}

/// The text of a configuration: of a regular file of a bounded size.
pub(crate) fn text_of(path: &Path, found: Found) -> Result<String, ConfigError> {
    let text = match found {
        Found::Own => windlass_files::read_guarded_text(path, MAX_BYTES, Owner::Ours),
        Found::Named | Found::Folder => windlass_files::read_text(path, MAX_BYTES),
    };
    text.map_err(|error: io::Error| {
        ConfigError::new(path.display().to_string(), format!("the file can't be read: {error}"))
    })
}

fn vouched_for(path: &Path, trust: Trust) -> Result<(), ConfigError> {
    let why = match trust {
        Trust::Given => return Ok(()),
        Trust::Never => "it lies in the working folder and was not trusted yet",
        Trust::Changed => "it lies in the working folder and has changed since it was trusted",
    };
    let problem = format!(
        "this configuration is not used: {why}, and it decides to which addresses your tokens are sent. Read it; if it is what you \
         want, run: windlass config trust"
    );
    Err(ConfigError::new(path.display().to_string(), problem))
}

/// Checks the text of a file; `path` is what errors call it, and where relative paths in it begin.
pub(crate) fn check_text(path: &Path, text: &str, environment: &Environment<'_>) -> Result<ConfigFile, ConfigError> {
    check(&Source {
        path,
        text,
        environment,
    })
}

fn check(source: &Source<'_>) -> Result<ConfigFile, ConfigError> {
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
fn entries<'a>(source: &Source<'a>) -> Result<Vec<(String, Spanned<DeValue<'a>>)>, ConfigError> {
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

fn entry(source: &Source<'_>, name: &str, settings: Spanned<DeValue<'_>>) -> Result<GatewayConfig, ConfigError> {
    let start = settings.span().start;
    let raw = RawGateway::deserialize(ValueDeserializer::from(settings))
        .map_err(|error| source.error(&error, &format!("gateways.{name}")))?;
    gateway::check(source, name, start, raw)
}

/// The message of an error without the value that was found, which may be a token in the wrong place. Serde writes `invalid type:
/// string "…", expected a boolean`; nothing but its text tells it from other errors.
fn without_value(message: &str) -> String {
    match message.rsplit_once(", expected ") {
        Some((found, expected)) if found.starts_with("invalid ") => format!("expected {expected}"),
        _ => message.to_owned(),
    }
}

fn timeouts(source: &Source<'_>, raw: RawTimeouts) -> Result<Timeouts, ConfigError> {
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
