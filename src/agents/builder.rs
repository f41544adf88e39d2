//! Starting the provisioner.

use std::fmt;
use std::sync::Arc;

use windlass_agents::coordinator::Coordinator;
use windlass_agents::provisioner::{Fleet, Keep, Provisioner, ProvisionerParts, ProvisionerSettings};
use windlass_line::RegistryError;
use windlass_protocol::{DeviceIdentity, Secret};
use windlass_store::{OwnError, Ownership, Store};
use windlass_templates::Templates;

use super::fleet::{HostSecrets, LineFleet};
use super::{Agents, AgentsPreview};
use crate::Windlass;

/// Settings of [`Agents`].
///
/// ```no_run
/// # async fn example(windlass: windlass::Windlass) -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
///
/// use windlass::sqlite::SqliteStore;
///
/// let store = Arc::new(SqliteStore::open("windlass.db").await?);
/// let agents = windlass
///     .agents(store)
///     .base_url("https://board.example/api")
///     .secrets(|name| std::env::var(name).ok().map(windlass::Secret::new))
///     .start()
///     .await?;
/// # drop(agents);
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing runs before it is started"]
pub struct AgentsBuilder {
    windlass: Windlass,
    store: Arc<dyn Store>,
    templates: Templates,
    settings: ProvisionerSettings,
    secrets: Arc<HostSecrets>,
    device: Option<Arc<DeviceIdentity>>,
    fleet: Option<Arc<dyn Fleet>>,
}

/// Why agents can't be worked with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentsError {
    /// Another process runs the agents of this store.
    #[error(transparent)]
    Own(#[from] OwnError),
    /// Windlass was shut down.
    #[error(transparent)]
    Windlass(#[from] RegistryError),
}

impl Windlass {
    /// Works with the agents of a store, over the lines of this Windlass.
    pub fn agents(&self, store: Arc<dyn Store>) -> AgentsBuilder {
        AgentsBuilder::new(self.clone(), store)
    }
}

impl AgentsBuilder {
    fn new(windlass: Windlass, store: Arc<dyn Store>) -> Self {
        Self {
            windlass,
            store,
            templates: Templates::shipped(),
            settings: ProvisionerSettings {
                base_url: None,
                supervise: true,
                keep: Keep::default(),
            },
            secrets: Arc::new(|_| None),
            device: None,
            fleet: None,
        }
    }

    /// Where agents reach the service that they belong to; it goes into their files, and onto the records of the gateways that are
    /// worked with. Without it the URL on record counts; an empty one removes it.
    pub fn base_url(mut self, base_url: impl Into<String>) -> Self {
        self.settings.base_url = Some(base_url.into());
        self
    }

    /// Other templates than those that are shipped.
    pub fn templates(mut self, templates: Templates) -> Self {
        self.templates = templates;
        self
    }

    /// Whether to take up runs that were cut off, wake agents that did not check in, and watch gateways' events. On unless
    /// said otherwise; off for a command that ends when its work is done.
    pub fn supervise(mut self, supervise: bool) -> Self {
        self.settings.supervise = supervise;
        self
    }

    /// How long ended runs and activities are kept, where agents are [supervised](Self::supervise); unless said otherwise,
    /// 30 days and a year.
    pub fn keep(mut self, keep: Keep) -> Self {
        self.settings.keep = keep;
        self
    }

    /// Resolves secrets that records name as `host:NAME`.
    pub fn secrets(mut self, secrets: impl Fn(&str) -> Option<Secret> + Send + Sync + 'static) -> Self {
        self.secrets = Arc::new(secrets);
        self
    }

    /// The device that gateways are shown; the one of this machine unless given.
    pub fn device(mut self, device: Arc<DeviceIdentity>) -> Self {
        self.device = Some(device);
        self
    }

    /// Reaches gateways in another way than over Windlass's own lines: for tests.
    pub fn fleet(mut self, fleet: impl Fleet) -> Self {
        self.fleet = Some(Arc::new(fleet));
        self
    }

    /// Takes the right to run the store's agents, and starts.
    ///
    /// # Errors
    /// [`AgentsError`].
    pub async fn start(self) -> Result<Agents, AgentsError> {
        let ownership = self.store.own().await?;
        self.run(Some(ownership)).await
    }

    /// Starts without that right, only to look.
    ///
    /// # Errors
    /// [`AgentsError::Windlass`].
    pub async fn preview(mut self) -> Result<AgentsPreview, AgentsError> {
        self.settings.supervise = false;
        self.run(None).await.map(AgentsPreview)
    }

    async fn run(self, ownership: Option<Ownership>) -> Result<Agents, AgentsError> {
        let inner = self.windlass.inner();
        let fleet = self
            .fleet
            .unwrap_or_else(|| Arc::new(LineFleet::new(self.windlass.clone(), self.secrets, self.device)));
        let parts = ProvisionerParts {
            store: Arc::clone(&self.store),
            templates: self.templates,
            fleet: Arc::clone(&fleet),
            clock: inner.clock(),
            seed: inner.with_rng(rand::RngExt::random),
            settings: self.settings,
        };
        let coordinator_parts = ProvisionerParts {
            seed: inner.with_rng(rand::RngExt::random),
            ..parts.clone()
        };
        let (provisioner, handle) = Provisioner::prepare(parts, ownership);
        let (coordinator, coordination) = Coordinator::prepare(coordinator_parts, handle.clone());
        inner.side().host(|| provisioner.run()).await?;
        inner.side().host(|| coordinator.run()).await?;
        Ok(Agents {
            handle,
            coordination,
            fleet,
            store: self.store,
        })
    }
}

impl fmt::Debug for AgentsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentsBuilder")
            .field("store", &self.store)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
