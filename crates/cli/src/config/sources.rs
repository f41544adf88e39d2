//! The order of precedence: flags, then environment, then file.

use std::path::{Path, PathBuf};

use windlass::store::{Gateway, SecretSource};
use windlass_line::Endpoint;
use windlass_protocol::Secret;

use crate::config::ConfigError;
use crate::config::file::{ConfigFile, FileOrigin, MalformedEntry, Timeouts};
use crate::config::gateway::{GatewayConfig, Placed};
use crate::config::secret::GivenSecret;
use crate::config::trust;
use crate::config::{Environment, FILE_NAME, variable};

/// The values of the flags.
#[derive(Debug, Default)]
pub(crate) struct GatewayChoice {
    pub(crate) url: Option<String>,
    pub(crate) gateways: Vec<String>,
    pub(crate) config: Option<PathBuf>,
    /// The command works with one gateway.
    pub(crate) one: bool,
    /// The command is about the gateways that are listed: an address in the environment is not one of them.
    pub(crate) listed_only: bool,
    /// A token that was typed in.
    pub(crate) token: Option<Secret>,
}

/// The gateways to work with.
#[derive(Debug)]
pub(crate) struct Selected {
    pub(crate) gateways: Vec<GatewayConfig>,
    /// Entries of the file that can't be used, where all gateways are meant.
    pub(crate) malformed: Vec<MalformedEntry>,
    pub(crate) timeouts: Timeouts,
    /// Notes on the choice for the operator.
    pub(crate) notes: Vec<String>,
}

const URLS: [&str; 2] = ["WINDLASS_URL", "OPENCLAW_GATEWAY_URL"];
const TOKENS: [&str; 2] = ["WINDLASS_TOKEN", "OPENCLAW_GATEWAY_TOKEN"];
const PASSWORDS: [&str; 2] = ["WINDLASS_PASSWORD", "OPENCLAW_GATEWAY_PASSWORD"];
const CONFIG: &str = "WINDLASS_CONFIG";
/// Names the gateway of commands that work with one.
const DEFAULT: &str = "WINDLASS_GATEWAY";

/// The gateways of the store, or in words why they can't be read.
pub(crate) type RecordedGateways = Result<Vec<Gateway>, String>;

/// Whether a flag or a variable gives an address, and nothing else chooses: then no list is read.
pub(crate) fn is_by_address(choice: &GatewayChoice, environment: &Environment<'_>) -> bool {
    matches!(address(choice, environment), Ok(Some(_)))
}

fn address(choice: &GatewayChoice, environment: &Environment<'_>) -> Result<Option<(String, String)>, ConfigError> {
    Ok(match &choice.url {
        Some(url) => Some(("flag --url".to_owned(), url.clone())),
        None if choice.gateways.is_empty() && choice.config.is_none() && !choice.listed_only => {
            environment.first(URLS)?.map(|(name, url)| (variable(name), url))
        }
        None => None,
    })
}

/// Chooses the gateways. An address given by flag or environment stands alone; names choose among those of the configuration and of
/// the store together.
pub(crate) fn select(
    choice: &GatewayChoice,
    environment: &Environment<'_>,
    records: &RecordedGateways,
) -> Result<Selected, ConfigError> {
    let mut selected = match address(choice, environment)? {
        Some((place, url)) => {
            let mut selected = alone(&place, &url)?;
            // Somebody who wrote a file may wonder where its gateways are.
            if let (None, Some((path, _))) = (&choice.url, default_file(environment)) {
                let note = format!("the gateway is the one of {place}; {} is not read", path.display());
                selected.notes.push(note);
            }
            selected
        }
        None => from_list(choice, environment, records)?,
    };
    credentials(choice, environment, &mut selected)?;
    Ok(selected)
}

fn alone(place: &str, url: &str) -> Result<Selected, ConfigError> {
    let endpoint = Endpoint::parse(url).map_err(|error| ConfigError::new(place, error.to_string()))?;
    Ok(Selected {
        gateways: vec![GatewayConfig::at(endpoint.gateway_id(), endpoint)],
        malformed: Vec::new(),
        timeouts: Timeouts::default(),
        notes: Vec::new(),
    })
}

/// The configuration alone, if there is one.
pub(crate) fn configured(
    choice: &GatewayChoice,
    environment: &Environment<'_>,
) -> Result<Option<ConfigFile>, ConfigError> {
    find(choice, environment)
}

/// The one list of gateways: those of the configuration and those of the store.
struct Listing {
    gateways: Vec<GatewayConfig>,
    malformed: Vec<MalformedEntry>,
    timeouts: Timeouts,
    default: Option<(String, String)>,
    notes: Vec<String>,
    /// Why the records are not in it.
    unread: Option<String>,
}

impl Listing {
    fn of(
        choice: &GatewayChoice,
        environment: &Environment<'_>,
        records: &RecordedGateways,
    ) -> Result<Self, ConfigError> {
        let file = find(choice, environment)?;
        let mut listing = Self {
            gateways: Vec::new(),
            malformed: Vec::new(),
            timeouts: Timeouts::default(),
            default: None,
            notes: Vec::new(),
            unread: records.as_ref().err().cloned(),
        };
        let path = file.as_ref().map(|file| file.path.clone());
        if let Some(ConfigFile {
            gateways,
            malformed,
            default,
            timeouts,
            ..
        }) = file
        {
            (listing.gateways, listing.malformed) = (gateways, malformed);
            (listing.default, listing.timeouts) = (default, timeouts);
        }
        for record in records.iter().flatten() {
            match GatewayConfig::of_record(record) {
                Ok(gateway) => listing.gateways.push(gateway),
                // It may not be meant.
                Err(error) => listing
                    .notes
                    .push(format!("gateway {} is left out: {error}", record.name)),
            }
        }
        if let Some(name) = environment.text(DEFAULT)? {
            listing.default = Some((variable(DEFAULT), name));
        }
        if listing.gateways.is_empty() {
            let malformed = listing.malformed.into_iter().next();
            return Err(malformed.map_or_else(|| none_at_all(path, listing.unread), |entry| entry.error));
        }
        listing.notes.extend(
            listing
                .unread
                .as_ref()
                .map(|why| format!("the gateways of the store are left out: {why}")),
        );
        Ok(listing)
    }

    /// The gateway that a text names. A malformed entry of this name is its own error.
    fn named(&self, place: &str, name: &str) -> Result<&GatewayConfig, ConfigError> {
        if let Some(entry) = self.malformed.iter().find(|entry| entry.name == name) {
            return Err(entry.error.clone());
        }
        let exact: Vec<_> = self.gateways.iter().filter(|gateway| gateway.name == name).collect();
        let called: Vec<_> = self.gateways.iter().filter(|gateway| gateway.is_called(name)).collect();
        match if exact.is_empty() { called } else { exact }.as_slice() {
            [one] => Ok(one),
            [] => Err(ConfigError::new(
                place,
                format!("there is no gateway {name}; there are {}", described(&self.gateways)),
            )),
            several => {
                let problem = format!(
                    "{name} names {} gateways: {}; name a record by its id, or give one of them another name",
                    several.len(),
                    described(several.iter().copied())
                );
                Err(ConfigError::new(place, problem))
            }
        }
    }

    /// The gateways that are meant where no flag names any.
    fn unnamed(&self, choice: &GatewayChoice) -> Result<(Vec<GatewayConfig>, Vec<MalformedEntry>), ConfigError> {
        match &self.default {
            Some((place, name)) if choice.one => Ok((vec![self.named(place, name)?.clone()], Vec::new())),
            _ => Ok((self.gateways.clone(), self.malformed.clone())),
        }
    }
}

fn described<'a>(gateways: impl IntoIterator<Item = &'a GatewayConfig>) -> String {
    let all: Vec<_> = gateways.into_iter().map(GatewayConfig::described).collect();
    all.join(", ")
}

fn none_at_all(path: Option<PathBuf>, unread: Option<String>) -> ConfigError {
    match (path, unread) {
        (_, Some(why)) => ConfigError::new("no gateway", format!("those of the store can't be read: {why}")),
        (Some(path), None) => ConfigError::new(
            path.display().to_string(),
            "no gateway is configured there, nor is one in the store: add [gateways.NAME] with a url",
        ),
        (None, None) => ConfigError::new(
            "no gateway",
            "give its address with --url ws://HOST:18789 or in WINDLASS_URL, write ./windlass.toml (or \
             ~/.config/windlass/windlass.toml) with [gateways.NAME] and a url, or record one: windlass gateways add",
        ),
    }
}

fn from_list(
    choice: &GatewayChoice,
    environment: &Environment<'_>,
    records: &RecordedGateways,
) -> Result<Selected, ConfigError> {
    let listing = Listing::of(choice, environment, records)?;
    let (mut chosen, mut malformed): (Vec<GatewayConfig>, _) = (Vec::new(), Vec::new());
    for name in &choice.gateways {
        let found = listing.named("flag --gateway", name)?;
        if chosen.iter().all(|gateway| gateway.id != found.id) {
            chosen.push(found.clone());
        }
    }
    if choice.gateways.is_empty() {
        (chosen, malformed) = listing.unnamed(choice)?;
    }
    let mut notes = listing.notes;
    notes.extend(same_names(&chosen));
    Ok(Selected {
        gateways: chosen,
        malformed,
        timeouts: listing.timeouts,
        notes,
    })
}

/// Names that several gateways have: tables can't tell those apart.
fn same_names(gateways: &[GatewayConfig]) -> Vec<String> {
    let twice = |(index, gateway): (usize, &GatewayConfig)| {
        let same = |other: &&GatewayConfig| other.name.to_lowercase() == gateway.name.to_lowercase();
        let other = gateways[index + 1..].iter().find(same)?;
        Some(format!(
            "two gateways have one name: {} and {}",
            gateway.described(),
            other.described()
        ))
    };
    gateways.iter().enumerate().filter_map(twice).collect()
}

fn find(choice: &GatewayChoice, environment: &Environment<'_>) -> Result<Option<ConfigFile>, ConfigError> {
    let within = |path: &Path| environment.folder.join(path);
    let named = match &choice.config {
        Some(path) => Some(("flag --config".to_owned(), path.clone())),
        None => environment
            .text(CONFIG)?
            .map(|path| (variable(CONFIG), PathBuf::from(path))),
    };
    if let Some((who, path)) = named {
        let read = trust::read(&within(&path), FileOrigin::Named, environment);
        return read.map(Some).map_err(|error| ConfigError {
            place: format!("{who}: {}", error.place),
            ..error
        });
    }
    default_file(environment)
        .map(|(path, found)| trust::read(&path, found, environment))
        .transpose()
}

/// The file that is read when none is named, and how it was found.
fn default_file(environment: &Environment<'_>) -> Option<(PathBuf, FileOrigin)> {
    let own = environment
        .home()
        .map(|home| home.join(".config/windlass").join(FILE_NAME))
        .filter(|path| path.exists());
    let folder = Some(environment.folder.join(FILE_NAME)).filter(|path| path.exists());
    match (folder, own) {
        // In the very folder where the user's own is.
        (Some(folder), Some(own)) if is_same_file(&folder, &own) => Some((own, FileOrigin::Own)),
        (Some(folder), _) => Some((folder, FileOrigin::Folder)),
        (None, own) => own.map(|own| (own, FileOrigin::Own)),
    }
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// Assigns a token that was typed in, and token and password of the environment, to the only gateway. With several gateways they
/// are not used, because the environment may hold the token of another one. The gateway's own entry takes precedence over the
/// environment.
fn credentials(
    choice: &GatewayChoice,
    environment: &Environment<'_>,
    selected: &mut Selected,
) -> Result<(), ConfigError> {
    let placed = |found: Option<(&'static str, String)>| {
        found.map(|(name, _)| Placed::given(variable(name), GivenSecret::Stored(SecretSource::Env(name.to_owned()))))
    };
    let typed = choice
        .token
        .clone()
        .map(|token| Placed::given("prompt".into(), GivenSecret::Typed(token)));
    let (token, password) = (
        placed(environment.first(TOKENS)?),
        placed(environment.first(PASSWORDS)?),
    );
    // A malformed entry may be the one that is meant.
    let count = selected.gateways.len() + selected.malformed.len();
    match selected.gateways.as_mut_slice() {
        [gateway] if count == 1 => {
            if typed.is_some() {
                gateway.token = typed;
            } else if gateway.token.is_none() && gateway.password.is_none() {
                (gateway.token, gateway.password) = (token, password);
            }
        }
        _ => {
            let unused = typed.or_else(|| token.or(password));
            selected.notes.extend(unused.map(|unused| {
                format!(
                    "{} is not used: it could be meant for any of {count} gateways; name it as token_env of its gateway, or choose one with --gateway",
                    unused.place,
                )
            }));
        }
    }
    Ok(())
}
