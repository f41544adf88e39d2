//! One configured gateway: checked once, then certain.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;
use toml::Spanned;
use windlass::store::{Gateway, SecretSource};
use windlass_line::{Endpoint, GatewaySpec, Header, TlsPolicy};
use windlass_protocol::{ClientInfo, CredentialOrigins, DeviceIdentity, GatewayId, Scope, SecretOrigin};

use crate::config::{ConfigError, Environment, FileText};

use crate::config::secret::GivenSecret;
use crate::store::{SHORTEST_PREFIX, SHOWN_ID};
use crate::units::parse_span;

/// Which device identity a gateway is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DeviceChoice {
    /// The one of this machine.
    Default,
    /// The one in this file.
    File(PathBuf),
    /// None: old gateways grant no scopes then.
    None,
}

/// A gateway as it was configured, with the place of each setting that can still fail.
#[derive(Debug, Clone)]
pub(crate) struct GatewayConfig {
    pub(crate) id: GatewayId,
    /// Its name for people: the record's name, otherwise the id.
    pub(crate) name: String,
    pub(crate) listed: ListedIn,
    pub(crate) endpoint: Endpoint,
    pub(crate) token: Option<Placed<GivenSecret>>,
    pub(crate) password: Option<Placed<GivenSecret>>,
    pub(crate) tls: TlsPolicy,
    pub(crate) scopes: Vec<Scope>,
    pub(crate) device: DeviceChoice,
    /// Header name, and the variable that holds its value.
    pub(crate) headers: Vec<Placed<(String, String)>>,
    pub(crate) control_ui: bool,
    pub(crate) token_in_query: bool,
    pub(crate) handshake_timeout: Option<Duration>,
}

/// Something with the place that it was configured at.
#[derive(Debug, Clone)]
pub(crate) struct Placed<T> {
    pub(crate) place: String,
    pub(crate) value: T,
    /// It stands in a file or a record, and was not given for this run.
    pub(crate) is_configured: bool,
}

impl<T> Placed<T> {
    /// Something of a file or a record.
    pub(crate) const fn configured(place: String, value: T) -> Self {
        Self {
            place,
            value,
            is_configured: true,
        }
    }

    /// Something of the environment, or typed in.
    pub(crate) const fn given(place: String, value: T) -> Self {
        Self {
            place,
            value,
            is_configured: false,
        }
    }
}

/// Where a gateway is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ListedIn {
    /// Nowhere: a flag or a variable holds its address.
    ByAddress,
    /// In this configuration.
    InFile(PathBuf),
    /// In the store, as a record with this id.
    InStore(String),
}

impl ListedIn {
    fn how_to_give_a_token(&self, id: &GatewayId) -> String {
        match self {
            Self::ByAddress => "set WINDLASS_TOKEN (or OPENCLAW_GATEWAY_TOKEN), or type it with --ask-token".to_owned(),
            Self::InFile(path) => format!(
                "name its file as token_file or its variable as token_env of gateways.{id} in {}, or type it with --ask-token",
                path.display()
            ),
            Self::InStore(_) => {
                "type it with --ask-token, or set WINDLASS_TOKEN where the record names no token".to_owned()
            }
        }
    }
}

impl GatewayConfig {
    /// A gateway of which only the address is known.
    pub(crate) fn at(id: GatewayId, endpoint: Endpoint) -> Self {
        Self {
            name: id.to_string(),
            id,
            listed: ListedIn::ByAddress,
            endpoint,
            token: None,
            password: None,
            tls: TlsPolicy::default(),
            scopes: Scope::supervisor(),
            device: DeviceChoice::Default,
            headers: Vec::new(),
            control_ui: false,
            token_in_query: false,
            handshake_timeout: None,
        }
    }

    /// A gateway of the store. Its line has the record's id, as that of the agents' commands has.
    pub(crate) fn of_record(record: &Gateway) -> Result<Self, ConfigError> {
        let place = format!("the record of gateway {}", record.name);
        let fail = |error: &dyn std::fmt::Display| ConfigError::new(&place, error.to_string());
        let id = GatewayId::new(record.id.to_string()).map_err(|error| fail(&error))?;
        let endpoint = Endpoint::parse(&record.url).map_err(|error| fail(&error))?;
        let tls = match &record.tls_fingerprint {
            Some(pin) => TlsPolicy::Pinned(pin.parse().map_err(|error| fail(&error))?),
            None if record.allow_insecure_tls => TlsPolicy::Insecure,
            None => TlsPolicy::SystemRoots,
        };
        let source = record.token.clone().map(GivenSecret::Stored);
        Ok(Self {
            name: record.name.clone(),
            listed: ListedIn::InStore(record.id.to_string()),
            token: source.map(|source| Placed::configured(place, source)),
            tls,
            device: if record.disable_device_pairing {
                DeviceChoice::None
            } else {
                DeviceChoice::Default
            },
            control_ui: record.disable_device_pairing,
            ..Self::at(id, endpoint)
        })
    }

    /// Where it is listed, for a list of candidates.
    pub(crate) fn described(&self) -> String {
        let place = match &self.listed {
            ListedIn::ByAddress => return self.name.clone(),
            ListedIn::InFile(path) => path.display().to_string(),
            ListedIn::InStore(id) => format!("record {}", &id[..id.len().min(SHOWN_ID)]),
        };
        format!("{} ({place}, {})", self.name, self.endpoint)
    }

    /// Whether a text names it: by its name (ignoring case), or, for a record, by its id or the beginning of its id.
    pub(crate) fn is_called(&self, text: &str) -> bool {
        let wanted = text.trim().to_lowercase();
        let by_id = |id: &str| *id == wanted || (wanted.len() >= SHORTEST_PREFIX && id.starts_with(&wanted));
        self.name.to_lowercase() == wanted || matches!(&self.listed, ListedIn::InStore(id) if by_id(id))
    }

    /// Where its credentials come from, and how others are given.
    fn origins(&self) -> CredentialOrigins {
        let origin = |source: &Option<Placed<GivenSecret>>| {
            let source = source.as_ref()?;
            let origin = SecretOrigin::new(source.value.place());
            // What was set or typed for this run names itself.
            Some(if source.is_configured {
                origin.named_by(&source.place)
            } else {
                origin
            })
        };
        CredentialOrigins {
            token: origin(&self.token),
            password: origin(&self.password),
            how_to_give: Some(self.listed.how_to_give_a_token(&self.id)),
        }
    }

    /// The spec of its line, secrets read.
    pub(crate) fn into_spec(
        self,
        device: Option<Arc<DeviceIdentity>>,
        environment: &Environment<'_>,
    ) -> Result<GatewaySpec, ConfigError> {
        let read = |source: &Option<Placed<GivenSecret>>| {
            source
                .as_ref()
                .map(|source| source.value.read(&source.place, environment))
                .transpose()
        };
        let (token, password) = (read(&self.token)?, read(&self.password)?);
        let origins = self.origins();
        let mut spec = GatewaySpec::new(self.id, self.endpoint);
        for header in &self.headers {
            let (name, variable) = &header.value;
            let value = GivenSecret::Stored(SecretSource::Env(variable.clone())).read(&header.place, environment)?;
            spec.headers.push(header_of(&header.place, name, value.expose())?);
        }
        if self.control_ui {
            spec.client = ClientInfo::control_ui(env!("CARGO_PKG_VERSION"), std::env::consts::OS);
            spec.headers
                .push(header_of("control_ui", "Origin", &spec.endpoint.origin())?);
        }
        spec.device = device;
        (spec.token, spec.password, spec.origins) = (token, password, origins);
        if let Some(timeout) = self.handshake_timeout {
            spec.handshake_timeout = timeout;
        }
        (spec.tls, spec.scopes, spec.token_in_query) = (self.tls, self.scopes, self.token_in_query);
        Ok(spec)
    }
}

fn header_of(place: &str, name: &str, value: &str) -> Result<Header, ConfigError> {
    Header::new(name, value).map_err(|error| ConfigError::new(place, error.to_string()))
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

/// Checks one `[gateways.ID]`, which begins at `start` in the file.
pub(crate) fn check(
    source: &FileText<'_>,
    id: &str,
    start: usize,
    raw: RawGateway,
) -> Result<GatewayConfig, ConfigError> {
    let at = |offset: usize, field: &str| source.place(offset, &format!("gateways.{id}{field}"));
    refuse_literals(&at, &raw)?;
    let id = GatewayId::new(id).map_err(|error| ConfigError::new(at(start, ""), error.to_string()))?;
    let url = raw.url.as_ref().ok_or_else(|| {
        ConfigError::new(
            at(start, ".url"),
            "a gateway needs a url, for example \"ws://127.0.0.1:18789\"",
        )
    })?;
    let endpoint = Endpoint::parse(url.get_ref())
        .map_err(|error| ConfigError::new(at(url.span().start, ".url"), error.to_string()))?;
    let token = secret(source, &at, "token", raw.token_file, raw.token_env)?;
    let password = secret(source, &at, "password", raw.password_file, raw.password_env)?;
    let handshake_timeout = raw.handshake_timeout.map(|text| {
        let place = || at(text.span().start, ".handshake_timeout");
        parse_span(text.get_ref()).map_err(|problem| ConfigError::new(place(), problem))
    });
    let control_ui = raw.control_ui.unwrap_or(false);
    let headers = raw.headers_env.into_iter().map(|(name, variable)| {
        let place = at(variable.span().start, &format!(".headers_env.{name}"));
        Placed::configured(place, (name, variable.into_inner()))
    });
    Ok(GatewayConfig {
        tls: raw
            .tls
            .map_or(Ok(TlsPolicy::default()), |tls| check_tls(&at, &endpoint, &tls))?,
        scopes: raw
            .scopes
            .map_or_else(|| Ok(Scope::supervisor()), |scopes| check_scopes(&at, scopes))?,
        device: check_device(source, &at, raw.device.as_ref(), control_ui)?,
        headers: headers.collect(),
        token_in_query: raw.token_in_query.unwrap_or(false),
        handshake_timeout: handshake_timeout.transpose()?,
        name: id.to_string(),
        id,
        listed: ListedIn::InFile(source.path.to_owned()),
        endpoint,
        token,
        password,
        control_ui,
    })
}

fn refuse_literals(at: &At<'_>, raw: &RawGateway) -> Result<(), ConfigError> {
    for (key, literal) in [("token", &raw.token), ("password", &raw.password)] {
        if let Some(literal) = literal {
            let problem = format!(
                "a {key} does not belong into this file, which is copied and committed; put it into a private file and name \
                 that as {key}_file, or into an environment variable and name that as {key}_env"
            );
            return Err(ConfigError::new(at(literal.span().start, &format!(".{key}")), problem));
        }
    }
    Ok(())
}

fn check_device(
    source: &FileText<'_>,
    at: &At<'_>,
    device: Option<&Spanned<RawDevice>>,
    control_ui: bool,
) -> Result<DeviceChoice, ConfigError> {
    let Some(device) = device else {
        return Ok(if control_ui {
            DeviceChoice::None
        } else {
            DeviceChoice::Default
        });
    };
    let fail = |problem| Err(ConfigError::new(at(device.span().start, ".device"), problem));
    match device.get_ref() {
        RawDevice::Flag(false) => Ok(DeviceChoice::None),
        RawDevice::Flag(true) => fail("true is the default: name a file, write false, or drop this"),
        RawDevice::Path(_) if control_ui => fail("a control UI shows no device identity: drop this or control_ui"),
        RawDevice::Path(path) => Ok(DeviceChoice::File(source.resolve(path))),
    }
}

/// Tells the place of a field of the gateway at hand.
type At<'a> = dyn Fn(usize, &str) -> String + 'a;

fn secret(
    source: &FileText<'_>,
    at: &At<'_>,
    kind: &str,
    file: Option<Spanned<PathBuf>>,
    variable: Option<Spanned<String>>,
) -> Result<Option<Placed<GivenSecret>>, ConfigError> {
    match (file, variable) {
        (Some(_), Some(variable)) => Err(ConfigError::new(
            at(variable.span().start, &format!(".{kind}_env")),
            format!("{kind}_file and {kind}_env are both there: keep one of them"),
        )),
        (Some(file), None) => Ok(Some(Placed::configured(
            at(file.span().start, &format!(".{kind}_file")),
            GivenSecret::Stored(SecretSource::File(source.resolve(file.get_ref()))),
        ))),
        (None, Some(variable)) => Ok(Some(Placed::configured(
            at(variable.span().start, &format!(".{kind}_env")),
            GivenSecret::Stored(SecretSource::Env(variable.into_inner())),
        ))),
        (None, None) => Ok(None),
    }
}

fn check_tls(at: &At<'_>, endpoint: &Endpoint, tls: &Spanned<RawTls>) -> Result<TlsPolicy, ConfigError> {
    let place = at(tls.span().start, ".tls");
    let fail = |problem: &str| Err(ConfigError::new(place.as_str(), problem));
    if !endpoint.is_secure() {
        return fail("the url begins with ws://, so nothing is encrypted: use wss:// or drop this");
    }
    match (tls.get_ref().pin.as_ref(), tls.get_ref().insecure) {
        (Some(_), Some(true)) => fail("pin and insecure contradict each other: keep the pin"),
        (Some(pin), _) => pin
            .get_ref()
            .parse()
            .map(TlsPolicy::Pinned)
            .map_err(|error| ConfigError::new(at(pin.span().start, ".tls.pin"), error.to_string())),
        (None, Some(true)) => Ok(TlsPolicy::Insecure),
        (None, _) => {
            fail("write { pin = \"AA:BB:...\" } or { insecure = true }, or drop this to trust the system's roots")
        }
    }
}

fn check_scopes(at: &At<'_>, scopes: Vec<Spanned<String>>) -> Result<Vec<Scope>, ConfigError> {
    let check = |scope: Spanned<String>| match Scope::from(scope.get_ref().as_str()) {
        // Gateways accept any name without a word, and the calls fail later: a typo has to be found here.
        Scope::Other(_) => {
            let known: Vec<_> = Scope::KNOWN.iter().map(Scope::as_str).collect();
            let problem = format!("unknown scope; known are {}", known.join(", "));
            Err(ConfigError::new(at(scope.span().start, ".scopes"), problem))
        }
        known => Ok(known),
    };
    scopes.into_iter().map(check).collect()
}
