//! From flags to lines: configuration, identity, tokens, and Windlass itself.

use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rand::TryRng as _;
use rand::rngs::SysRng;
use windlass_actors::{Clock as _, DeviceTokenStore, GatewaySpec, MemoryTokens, TokenKey, TokenStoreError, TokioClock};
use windlass_protocol::{Advice, DeviceIdentity, GatewayId, Secret};

use super::args::Global;
use super::config::{Choice, DeviceChoice, Environment, GatewayConfig, Timeouts, select};
use super::exit::{Exit, Failure};
use super::output::Output;
use super::text;
use crate::identity::{FileTokens, default_identity_path, load_or_create};
use crate::{Gateway, LineErrorKind, LineState, LineStatus, Windlass};

/// How long a line may take to recover from a first failed attempt before it counts as down. Some gateways refuse the
/// first attempt by design: 2026.1.30 takes the older signature only, and says so by refusing the newer one.
const GRACE: Duration = Duration::from_millis(1500);

/// How long calls under way are waited for at the end.
const DRAIN: Duration = Duration::from_millis(200);

/// Everything that flags, environment and file say.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) targets: Vec<GatewaySpec>,
    pub(super) timeouts: Timeouts,
    pub(super) tokens: Tokens,
}

/// Where device tokens are kept.
#[derive(Debug)]
pub(super) enum Tokens {
    File(FileTokens),
    /// Without a device identity there are none.
    None(MemoryTokens),
    /// Those of one gateway, for a line that reaches it by another address: a proxy of this process.
    Of(TokenKey, Box<Self>),
}

impl Tokens {
    /// The store that is meant, and the key in it.
    fn place_of<'a>(&'a self, key: &'a TokenKey) -> (&'a dyn DeviceTokenStore, &'a TokenKey) {
        match self {
            Self::File(tokens) => (tokens, key),
            Self::None(tokens) => (tokens, key),
            Self::Of(key, tokens) => (&**tokens, key),
        }
    }
}

impl DeviceTokenStore for Tokens {
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

/// Reads flags, environment, file, identity and tokens.
pub(super) fn prepare(global: &Global, output: &Output) -> Result<Setup, Failure> {
    let variable = |name: &str| std::env::var_os(name);
    let folder = std::env::current_dir().unwrap_or_default();
    let environment = Environment {
        variable: &variable,
        folder,
    };
    let choice = Choice {
        url: global.url.clone(),
        gateways: global.gateway.clone(),
        config: global.config.clone(),
        token: if global.ask_token { Some(ask_token()?) } else { None },
    };
    let selected = select(&choice, &environment)?;
    for note in &selected.notes {
        output.note(note);
    }
    let mut identities = Identities::default();
    let mut targets = Vec::new();
    for gateway in selected.gateways {
        let device = identities.of(&gateway, &environment)?;
        targets.push(gateway.into_spec(device, &environment)?);
    }
    let tokens = match identities.first {
        Some(path) => Tokens::File(FileTokens::beside(&path)?),
        None => Tokens::None(MemoryTokens::default()),
    };
    Ok(Setup {
        targets,
        timeouts: selected.timeouts,
        tokens,
    })
}

/// The ids of the gateways that are configured, where they are: for those who only want names.
pub(super) fn known_ids(global: &Global) -> Vec<GatewayId> {
    let variable = |name: &str| std::env::var_os(name);
    let folder = std::env::current_dir().unwrap_or_default();
    let environment = Environment {
        variable: &variable,
        folder,
    };
    let choice = Choice {
        url: global.url.clone(),
        gateways: Vec::new(),
        config: global.config.clone(),
        token: None,
    };
    // Without a configuration there are no names, and no harm in that.
    let selected = select(&choice, &environment);
    selected.map_or_else(
        |_| Vec::new(),
        |selected| selected.gateways.into_iter().map(|gateway| gateway.id).collect(),
    )
}

/// As [`prepare`], for commands that work with one gateway.
pub(super) fn prepare_one(global: &Global, output: &Output) -> Result<(GatewaySpec, Timeouts, Tokens), Failure> {
    let Setup {
        mut targets,
        timeouts,
        tokens,
    } = prepare(global, output)?;
    match (targets.pop(), targets.is_empty()) {
        (Some(target), true) => Ok((target, timeouts, tokens)),
        (last, _) => {
            let ids: Vec<_> = targets.iter().chain(&last).map(|target| target.id.as_str()).collect();
            Err(Failure::Told(
                Exit::Usage,
                Advice::new(
                    format!("This works with one gateway, and {} are configured", ids.len()),
                    format!("Choose one: --gateway {}", ids.join(" or --gateway ")),
                ),
            ))
        }
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
pub(super) fn default_device() -> Result<(Arc<DeviceIdentity>, FileTokens), Failure> {
    let path = default_identity_path(|name| std::env::var_os(name))?;
    let path = std::env::current_dir().unwrap_or_default().join(path);
    let device = Identities::default().read(&path)?;
    Ok((device, FileTokens::beside(&path)?))
}

/// Bytes of the system's randomness.
pub(super) fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    SysRng.try_fill_bytes(&mut bytes).map_err(|error| {
        Failure::usage(
            format!("The system's random numbers can't be read: {error}"),
            "Check /dev/urandom.",
        )
    })?;
    Ok(bytes)
}

/// Windlass with a line to every target, in their order.
pub(super) async fn open(targets: &[GatewaySpec], tokens: Tokens) -> Result<(Windlass, Vec<Gateway>), Failure> {
    let windlass = Windlass::builder().device_tokens(tokens).start()?;
    let mut gateways = Vec::new();
    for target in targets {
        gateways.push(windlass.add(target.clone()).await?);
    }
    Ok((windlass, gateways))
}

/// Closes all lines and waits for it.
pub(super) async fn close(windlass: Windlass) {
    windlass.shutdown(DRAIN).await;
}

/// How long to wait for a line that does not come up at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// Until the first attempt failed, and a moment longer.
    FirstAttempt,
    /// As long as there is time.
    All,
}

/// Waits until a line is up, until somebody has to act, until patience ends, or until `limit`.
pub(super) async fn settle(
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
                output.note(&format!("{name}: {} Trying again.", super::advice_line(&error.advice)));
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
pub(super) fn exit_of(status: &LineStatus) -> Exit {
    if status.is_up() {
        return Exit::Ok;
    }
    match status.last_error.as_ref().map(|error| error.kind) {
        Some(LineErrorKind::Refused) => Exit::Refused,
        _ => Exit::Unreachable,
    }
}

/// Why a line is not up.
pub(super) fn why_down(target: &GatewaySpec, status: &LineStatus) -> Failure {
    let exit = exit_of(status);
    let id = &status.id;
    let advice = match &status.last_error {
        Some(error) => Advice::new(
            format!("{id}: {}", error.advice.summary),
            error.advice.next_step.clone(),
        ),
        None => Advice::new(
            format!("{id}: no connection to {} in time", target.endpoint),
            format!("Look what takes so long: windlass doctor --url {}", target.endpoint),
        ),
    };
    Failure::Told(exit, advice)
}
