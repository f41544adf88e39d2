//! From flags to lines: configuration, identity, tokens, and Windlass itself.

use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use windlass::identity::{FileTokens, default_identity_path, load_or_create};
use windlass::{Endpoint, Gateway, LineErrorKind, LineState, LineStatus, Windlass};
use windlass_line::{Clock as _, DeviceTokenStore, GatewaySpec, MemoryTokens, TokenKey, TokenStoreError, TokioClock};
use windlass_protocol::{Advice, DeviceIdentity, GatewayId, Secret};

use crate::config::{
    self, ConfigError, DeviceChoice, Environment, GatewayChoice, GatewayConfig, MalformedEntry, Selected, Timeouts,
    is_by_address, select,
};
use crate::exit::{ExitCode, Failure};
use crate::global::Global;
use crate::output::{Output, advice_line};
use crate::store::random;
use crate::store::{recorded_gateways, shown};
use crate::text::{self, escaped};

/// How long a line may take to recover from a first failed attempt before it counts as down. Some gateways refuse the
/// first attempt by design: 2026.1.30 takes the older signature only, and says so by refusing the newer one.
const GRACE: Duration = Duration::from_millis(1500);

/// Longest note shown, in characters: names and paths of files, of a few gateways.
const NOTE_LIMIT: usize = 2_000;

/// How long calls under way are waited for at the end.
const DRAIN: Duration = Duration::from_millis(200);

/// A gateway to work with.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// Its name for people: the record's name, otherwise the id of its line.
    pub(crate) name: String,
    pub(crate) spec: GatewaySpec,
}

impl Deref for Target {
    type Target = GatewaySpec;

    fn deref(&self) -> &GatewaySpec {
        &self.spec
    }
}

/// Everything that flags, environment and file say.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) targets: Vec<Target>,
    pub(crate) timeouts: Timeouts,
    pub(crate) tokens: DeviceTokens,
    /// Gateways that can't be worked with as they are configured, each with its place among all that were chosen.
    pub(crate) unusable: Vec<(usize, Unusable)>,
}

/// A gateway with a malformed entry in `windlass.toml`, or with a token, device or header that can't be read.
#[derive(Debug)]
pub(crate) struct Unusable {
    pub(crate) name: String,
    /// The id of its line and its address: missing where the entry is malformed.
    pub(crate) id: Option<GatewayId>,
    pub(crate) endpoint: Option<Endpoint>,
    pub(crate) why: Advice,
}

impl Unusable {
    fn malformed(entry: &MalformedEntry) -> Self {
        Self {
            name: shown(&entry.name),
            id: None,
            endpoint: None,
            why: Advice::new(entry.error.to_string(), ""),
        }
    }
}

/// Where device tokens are kept.
#[derive(Debug)]
pub(crate) enum DeviceTokens {
    File(FileTokens),
    /// Without a device identity there are none.
    None(MemoryTokens),
    /// Those of one gateway, for a line that reaches it by another address: a proxy of this process.
    Of(TokenKey, Box<Self>),
}

impl DeviceTokens {
    /// The store that is meant, and the key in it.
    fn place_of<'a>(&'a self, key: &'a TokenKey) -> (&'a dyn DeviceTokenStore, &'a TokenKey) {
        match self {
            Self::File(tokens) => (tokens, key),
            Self::None(tokens) => (tokens, key),
            Self::Of(key, tokens) => (&**tokens, key),
        }
    }
}

impl DeviceTokenStore for DeviceTokens {
    fn load(&self, key: &TokenKey) -> Option<Secret> {
        let (store, key) = self.place_of(key);
        store.load(key)
    }

    fn store(&self, key: &TokenKey, token: &Secret) -> Result<(), TokenStoreError> {
        let (store, key) = self.place_of(key);
        store.store(key, token)
    }

    fn clear(&self, key: &TokenKey) -> Result<(), TokenStoreError> {
        let (store, key) = self.place_of(key);
        store.clear(key)
    }
}

/// Reads flags, environment, file, store, identity and tokens.
pub(crate) async fn prepare(global: &Global, output: &Output) -> Result<Setup, Failure> {
    all_usable(prepare_for(global, choice_of(global), output).await?)
}

/// As [`prepare`], for a command to which one gateway that can't be worked with is no reason to leave the others alone. At least
/// one can.
pub(crate) async fn prepare_usable(global: &Global, output: &Output) -> Result<Setup, Failure> {
    let setup = prepare_for(global, choice_of(global), output).await?;
    if setup.targets.is_empty() {
        all_usable(setup)
    } else {
        Ok(setup)
    }
}

/// As [`prepare`], for the gateways of the store and of `windlass.toml`, ignoring an address in the environment. Perhaps none of
/// them is usable.
pub(crate) async fn prepare_listed(global: &Global, output: &Output) -> Result<Setup, Failure> {
    let choice = GatewayChoice {
        listed_only: true,
        ..choice_of(global)
    };
    prepare_for(global, choice, output).await
}

fn all_usable(mut setup: Setup) -> Result<Setup, Failure> {
    if setup.unusable.is_empty() {
        return Ok(setup);
    }
    let (_, Unusable { why, .. }) = setup.unusable.swap_remove(0);
    Err(Failure::Told(ExitCode::Usage, why))
}

async fn prepare_for(global: &Global, mut choice: GatewayChoice, output: &Output) -> Result<Setup, Failure> {
    if global.ask_token {
        choice.token = Some(ask_token()?);
    }
    let selected = chosen(global, &choice).await?;
    for note in &selected.notes {
        output.note(&escaped(note, NOTE_LIMIT));
    }
    Environment::of_process(|environment| {
        let mut identities = Identities::default();
        let (mut targets, mut unusable) = (Vec::new(), Vec::new());
        for (place, gateway) in selected.gateways.into_iter().enumerate() {
            let (name, id) = (shown(&gateway.name), Some(gateway.id.clone()));
            let endpoint = Some(gateway.endpoint.clone());
            let spec = identities
                .of(&gateway, environment)
                .and_then(|device| Ok(gateway.into_spec(device, environment)?));
            match spec {
                Ok(spec) => targets.push(Target { name, spec }),
                Err(Failure::Told(_, why)) => unusable.push((
                    place,
                    Unusable {
                        name,
                        id,
                        endpoint,
                        why,
                    },
                )),
                Err(failure) => return Err(failure),
            }
        }
        for entry in selected.malformed {
            let place = targets.len() + unusable.len();
            unusable.push((place, Unusable::malformed(&entry)));
        }
        let tokens = match identities.first {
            Some(path) => DeviceTokens::File(FileTokens::beside(&path)?),
            None => DeviceTokens::None(MemoryTokens::default()),
        };
        Ok(Setup {
            targets,
            timeouts: selected.timeouts,
            tokens,
            unusable,
        })
    })
}

fn choice_of(global: &Global) -> GatewayChoice {
    GatewayChoice {
        url: global.url.clone(),
        gateways: global.gateway.clone(),
        config: global.config.clone(),
        ..GatewayChoice::default()
    }
}

/// The gateways that are chosen. The store is not looked at where an address is given.
async fn chosen(global: &Global, choice: &GatewayChoice) -> Result<Selected, ConfigError> {
    let by_address = Environment::of_process(|environment| is_by_address(choice, environment));
    let records = if by_address {
        Ok(Vec::new())
    } else {
        recorded_gateways(global).await
    };
    Environment::of_process(|environment| select(choice, environment, &records))
}

/// The gateways that are there, with their names, for a command that only wants those.
pub(crate) async fn known(global: &Global) -> Vec<(GatewayId, String)> {
    let choice = GatewayChoice {
        gateways: Vec::new(),
        ..choice_of(global)
    };
    // Without a configuration there are no names, and no harm in that.
    let known = |selected: Selected| {
        selected
            .gateways
            .into_iter()
            .map(|gateway| (gateway.id, gateway.name))
            .collect()
    };
    chosen(global, &choice).await.map_or_else(|_| Vec::new(), known)
}

/// The gateways of the configuration that `--gateway` names, or all of them.
pub(crate) fn configured(global: &Global) -> Result<(Vec<GatewayConfig>, Vec<MalformedEntry>), ConfigError> {
    let Some(file) = Environment::of_process(|environment| config::configured(&choice_of(global), environment))? else {
        return Ok((Vec::new(), Vec::new()));
    };
    let names = &global.gateway;
    let wanted = |gateway: &GatewayConfig| names.is_empty() || names.iter().any(|name| gateway.is_called(name));
    let gateways = file.gateways.into_iter().filter(wanted).collect();
    let wanted = |entry: &MalformedEntry| names.is_empty() || names.contains(&entry.name);
    Ok((gateways, file.malformed.into_iter().filter(wanted).collect()))
}

/// As [`prepare`], for commands that work with one gateway: the one there is, or the default one.
pub(crate) async fn prepare_one(global: &Global, output: &Output) -> Result<(Target, Timeouts, DeviceTokens), Failure> {
    let choice = GatewayChoice {
        one: true,
        ..choice_of(global)
    };
    let setup = prepare_for(global, choice, output).await?;
    let targets = setup.targets.iter().map(|target| target.name.as_str());
    let unusable = setup.unusable.iter().map(|(_, gateway)| gateway.name.as_str());
    let names: Vec<_> = targets.chain(unusable).collect();
    if names.len() > 1 {
        return Err(Failure::Told(
            ExitCode::Usage,
            Advice::new(
                format!("This works with one gateway, and there are {}", names.len()),
                format!(
                    "Choose one: --gateway {}; or make it the default: default = \"NAME\" in windlass.toml, or WINDLASS_GATEWAY.",
                    names.join(" or --gateway ")
                ),
            ),
        ));
    }
    let mut setup = all_usable(setup)?;
    match setup.targets.pop() {
        Some(target) => Ok((target, setup.timeouts, setup.tokens)),
        // A list without gateways is an error where it is read.
        None => Err(Failure::usage("There is no gateway.", "")),
    }
}

fn ask_token() -> Result<Secret, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage(
            "--ask-token needs a terminal to ask on",
            "Set WINDLASS_TOKEN, or name a token_file in windlass.toml.",
        ));
    }
    let token = rpassword::prompt_password("Gateway token: ")?;
    Ok(Secret::new(token.trim()))
}

/// Device identities by file; each is read or created once.
#[derive(Default)]
struct Identities {
    known: HashMap<PathBuf, Arc<DeviceIdentity>>,
    /// The file beside which the tokens are: the first one used.
    first: Option<PathBuf>,
}

impl Identities {
    fn of(
        &mut self,
        gateway: &GatewayConfig,
        environment: &Environment<'_>,
    ) -> Result<Option<Arc<DeviceIdentity>>, Failure> {
        let path = match &gateway.device {
            DeviceChoice::None => return Ok(None),
            DeviceChoice::File(path) => path.clone(),
            DeviceChoice::Default => environment.folder.join(default_identity_path(environment.variable)?),
        };
        self.read(&path).map(Some)
    }

    fn read(&mut self, path: &Path) -> Result<Arc<DeviceIdentity>, Failure> {
        if let Some(known) = self.known.get(path) {
            return Ok(Arc::clone(known));
        }
        let identity = Arc::new(load_or_create(
            path,
            text::millis(TokioClock::start().wall()),
            random()?,
        )?);
        self.first.get_or_insert_with(|| path.to_owned());
        self.known.insert(path.to_owned(), Arc::clone(&identity));
        Ok(identity)
    }
}

/// This machine's device identity, made where there is none, and the tokens that belong to it.
pub(crate) fn default_device() -> Result<(Arc<DeviceIdentity>, FileTokens), Failure> {
    let path = default_identity_path(|name| std::env::var_os(name))?;
    let path = std::env::current_dir().unwrap_or_default().join(path);
    let device = Identities::default().read(&path)?;
    Ok((device, FileTokens::beside(&path)?))
}

/// Windlass with a line to every target, in their order.
pub(crate) async fn open(targets: &[Target], tokens: DeviceTokens) -> Result<(Windlass, Vec<Gateway>), Failure> {
    let windlass = Windlass::builder().device_tokens(tokens).start()?;
    let mut gateways = Vec::new();
    for target in targets {
        gateways.push(windlass.add(target.spec.clone()).await?);
    }
    Ok((windlass, gateways))
}

/// Closes all lines and waits for it.
pub(crate) async fn close(windlass: Windlass) {
    windlass.shutdown(DRAIN).await;
}

/// How long to wait for a line that does not come up at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Until the first attempt failed, and a moment longer.
    FirstAttempt,
    /// As long as there is time.
    All,
}

/// Waits until a line is up, until it needs an operator, until patience ends, or until `limit`.
pub(crate) async fn settle(
    gateway: &Gateway,
    name: &str,
    patience: Patience,
    limit: Duration,
    output: &Output,
) -> LineStatus {
    let mut status = gateway.status();
    let over = async {
        let _ = status.wait_for(|now| ended(now) || now.last_error.is_some()).await;
        if tokio::time::timeout(GRACE, status.wait_for(ended)).await.is_err() && patience == Patience::All {
            let now = status.borrow_and_update().clone();
            if let Some(error) = &now.last_error {
                output.note(&format!("{name}: {} Trying again.", advice_line(&error.advice)));
            }
            let _ = status.wait_for(ended).await;
        }
    };
    // In time or not: what counts is the state at the end.
    let _ = tokio::time::timeout(limit, over).await;
    gateway.status().borrow().clone()
}

fn ended(status: &LineStatus) -> bool {
    matches!(
        status.state,
        LineState::Up { .. } | LineState::Paused { .. } | LineState::Closed
    )
}

/// The exit code that a line's state stands for.
pub(crate) fn exit_of(status: &LineStatus) -> ExitCode {
    if status.is_up() {
        return ExitCode::Ok;
    }
    match status.last_error.as_ref().map(|error| error.kind) {
        Some(LineErrorKind::Refused) => ExitCode::Refused,
        _ => ExitCode::Unreachable,
    }
}

/// Why a line is not up.
pub(crate) fn why_down(target: &Target, status: &LineStatus) -> Failure {
    let (exit, advice) = exit_and_advice(target, status);
    Failure::Told(exit, advice)
}

/// The exit code and the advice for a line that is not up.
pub(crate) fn exit_and_advice(target: &Target, status: &LineStatus) -> (ExitCode, Advice) {
    let id = &target.name;
    let advice = match &status.last_error {
        Some(error) => Advice::new(
            format!("{id}: {}", error.advice.summary),
            error.advice.next_step.clone(),
        ),
        None => Advice::new(
            format!("{id}: no connection to {} in time", target.endpoint),
            "See which step takes so long: windlass doctor, with the same --url or --gateway.",
        ),
    };
    (exit_of(status), advice)
}
