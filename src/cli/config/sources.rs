//! Who wins: flags, then environment, then file.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use windlass_actors::Endpoint;
use windlass_protocol::Secret;

use super::ConfigError;
use super::file::{self, ConfigFile, Found, Timeouts};
use super::gateway::{GatewayConfig, Placed};
use super::secret::SecretSource;

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
    fn first(&self, names: [&'static str; 2]) -> Result<Option<(&'static str, String)>, ConfigError> {
        for name in names {
            if let Some(text) = self.text(name)? {
                return Ok(Some((name, text)));
            }
        }
        Ok(None)
    }
}

fn variable(name: &str) -> String {
    format!("environment variable {name}")
}

/// What the flags say.
#[derive(Debug, Default)]
pub(crate) struct Choice {
    pub(crate) url: Option<String>,
    pub(crate) gateways: Vec<String>,
    pub(crate) config: Option<PathBuf>,
    /// A token that was typed in.
    pub(crate) token: Option<Secret>,
}

/// The gateways to work with.
#[derive(Debug)]
pub(crate) struct Selected {
    pub(crate) gateways: Vec<GatewayConfig>,
    pub(crate) timeouts: Timeouts,
    /// What an operator should know about the choice.
    pub(crate) notes: Vec<String>,
}

const URLS: [&str; 2] = ["WINDLASS_URL", "OPENCLAW_GATEWAY_URL"];
const TOKENS: [&str; 2] = ["WINDLASS_TOKEN", "OPENCLAW_GATEWAY_TOKEN"];
const PASSWORDS: [&str; 2] = ["WINDLASS_PASSWORD", "OPENCLAW_GATEWAY_PASSWORD"];
const CONFIG: &str = "WINDLASS_CONFIG";

/// What a configuration is called.
pub(super) const FILE_NAME: &str = "windlass.toml";

/// Chooses the gateways. An address given by flag or environment stands alone; ids choose among those of the file.
pub(crate) fn select(choice: &Choice, environment: &Environment<'_>) -> Result<Selected, ConfigError> {
    let given = match &choice.url {
        Some(url) => Some(("flag --url".to_owned(), url.clone())),
        None if choice.gateways.is_empty() && choice.config.is_none() => {
            environment.first(URLS)?.map(|(name, url)| (variable(name), url))
        }
        None => None,
    };
    let mut selected = match given {
        Some((place, url)) => {
            let mut selected = alone(&place, &url)?;
            // Somebody who wrote a file may wonder where its gateways are.
            if let (None, Some((path, _))) = (&choice.url, default_file(environment)) {
                let note = format!("the gateway is the one of {place}; {} is not read", path.display());
                selected.notes.push(note);
            }
            selected
        }
        None => from_file(choice, environment)?,
    };
    credentials(choice, environment, &mut selected)?;
    Ok(selected)
}

fn alone(place: &str, url: &str) -> Result<Selected, ConfigError> {
    let endpoint = Endpoint::parse(url).map_err(|error| ConfigError::new(place, error.to_string()))?;
    Ok(Selected {
        gateways: vec![GatewayConfig::at(endpoint.gateway_id(), endpoint)],
        timeouts: Timeouts::default(),
        notes: Vec::new(),
    })
}

fn from_file(choice: &Choice, environment: &Environment<'_>) -> Result<Selected, ConfigError> {
    let file = find(choice, environment)?;
    let ConfigFile {
        path,
        gateways,
        timeouts,
    } = file;
    let shown = path.display();
    if gateways.is_empty() {
        return Err(ConfigError::new(
            shown.to_string(),
            "no gateway is configured there: add [gateways.NAME] with a url",
        ));
    }
    if choice.gateways.is_empty() {
        return Ok(Selected {
            gateways,
            timeouts,
            notes: Vec::new(),
        });
    }
    let known: Vec<_> = gateways.iter().map(|gateway| gateway.id.to_string()).collect();
    let mut chosen: Vec<GatewayConfig> = Vec::new();
    for id in &choice.gateways {
        let found = gateways
            .iter()
            .find(|gateway| gateway.id.as_str() == id)
            .ok_or_else(|| {
                ConfigError::new(
                    "flag --gateway",
                    format!("{shown} has no gateway {id}; it has {}", known.join(", ")),
                )
            })?;
        if chosen.iter().all(|gateway| gateway.id != found.id) {
            chosen.push(found.clone());
        }
    }
    Ok(Selected {
        gateways: chosen,
        timeouts,
        notes: Vec::new(),
    })
}

fn find(choice: &Choice, environment: &Environment<'_>) -> Result<ConfigFile, ConfigError> {
    let within = |path: &Path| environment.folder.join(path);
    if let Some(path) = &choice.config {
        return file::read(&within(path), Found::Named, environment).map_err(|error| ConfigError {
            place: format!("flag --config: {}", error.place),
            ..error
        });
    }
    if let Some(path) = environment.text(CONFIG)? {
        return file::read(&within(Path::new(&path)), Found::Named, environment).map_err(|error| ConfigError {
            place: format!("{}: {}", variable(CONFIG), error.place),
            ..error
        });
    }
    if let Some((path, found)) = default_file(environment) {
        return file::read(&path, found, environment);
    }
    Err(ConfigError::new(
        "no gateway",
        "give its address with --url ws://HOST:18789 or in WINDLASS_URL, or write ./windlass.toml (or \
         ~/.config/windlass/windlass.toml) with [gateways.NAME] and a url",
    ))
}

/// The file that is read when none is named, and how it was found.
fn default_file(environment: &Environment<'_>) -> Option<(PathBuf, Found)> {
    let own = environment
        .home()
        .map(|home| home.join(".config/windlass").join(FILE_NAME))
        .filter(|path| path.exists());
    let folder = Some(environment.folder.join(FILE_NAME)).filter(|path| path.exists());
    match (folder, own) {
        // In the very folder where the user's own is.
        (Some(folder), Some(own)) if is_same_file(&folder, &own) => Some((own, Found::Own)),
        (Some(folder), _) => Some((folder, Found::Folder)),
        (None, own) => own.map(|own| (own, Found::Own)),
    }
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// A token that was typed in, and token and password of the environment, for the one gateway that they can be meant for. What a
/// gateway's own configuration names comes before the environment, which may hold the token of another.
fn credentials(choice: &Choice, environment: &Environment<'_>, selected: &mut Selected) -> Result<(), ConfigError> {
    let placed = |found: Option<(&'static str, String)>| {
        found.map(|(name, _)| Placed::given(variable(name), SecretSource::Variable(name.to_owned())))
    };
    let typed = choice
        .token
        .clone()
        .map(|token| Placed::given("prompt".into(), SecretSource::Typed(token)));
    let (token, password) = (
        placed(environment.first(TOKENS)?),
        placed(environment.first(PASSWORDS)?),
    );
    match selected.gateways.as_mut_slice() {
        [gateway] => {
            if typed.is_some() {
                gateway.token = typed;
            } else if gateway.token.is_none() && gateway.password.is_none() {
                (gateway.token, gateway.password) = (token, password);
            }
        }
        several => {
            let count = several.len();
            let unused = typed.or_else(|| token.or(password));
            selected.notes.extend(unused.map(|unused| {
                format!(
                    "{} is not used: it could be meant for any of {count} gateways; name it as token_env of its gateway in the file",
                    unused.place,
                )
            }));
        }
    }
    Ok(())
}
