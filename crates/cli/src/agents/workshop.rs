//! Store, lines and templates, ready to work.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use futures_util::future::join_all;
use windlass::agents::{Agents, AgentsBuilder, AgentsPreview, ControlError, ControlPlane, Templates};
use windlass::store::{Gateway, GatewayUid, Store};

use crate::config::parse_span;
use crate::exit::Failure;
use crate::fleet::{CONNECT, Down, Host};
use crate::output::Output;
use crate::store::Records;

/// What agents' files are made from, and how long to wait for gateways.
#[derive(Debug, Args)]
pub(crate) struct FileArgs {
    /// Where agents reach your service: it goes into their files, and onto their gateway's record, so that later runs know it. An empty
    /// one takes it away again [default: what is on record]
    #[arg(long, value_name = "URL", env = "WINDLASS_BASE_URL", hide_env_values = true)]
    base_url: Option<String>,
    /// A folder of templates in place of those that are shipped
    #[arg(long, value_name = "DIR", env = "WINDLASS_TEMPLATES", hide_env_values = true)]
    templates: Option<PathBuf>,
    /// Wait so long for a gateway to come up before anything is begun [default: 15s]
    #[arg(long, value_name = "TIME", value_parser = parse_span)]
    timeout: Option<Duration>,
}

impl FileArgs {
    pub(crate) fn limit(&self) -> Duration {
        self.timeout.unwrap_or(CONNECT)
    }

    /// The provisioner's settings, for this host and store.
    pub(crate) fn builder(&self, host: &Host, records: &Records) -> Result<AgentsBuilder, Failure> {
        let store = Arc::clone(&records.store) as Arc<dyn Store>;
        let mut builder = host.windlass.agents(store);
        if let Some(device) = &host.device {
            builder = builder.device(Arc::clone(device));
        }
        if let Some(base_url) = &self.base_url {
            builder = builder.base_url(base_url.trim());
        }
        if let Some(folder) = &self.templates {
            builder = builder.templates(Templates::with_folder(folder)?);
        }
        Ok(builder)
    }
}

/// The gateways that can't be worked with now.
pub(crate) type AllDown = BTreeMap<GatewayUid, Down>;

/// Ready to work.
pub(crate) struct Workshop {
    pub(crate) host: Host,
    pub(crate) agents: Agents,
    pub(crate) gateways: Vec<Gateway>,
    pub(crate) down: AllDown,
}

/// Ready to look.
pub(crate) struct Lookout {
    pub(crate) host: Host,
    pub(crate) agents: AgentsPreview,
    pub(crate) down: AllDown,
}

impl Workshop {
    /// Takes the right to run the store's agents, and connects.
    pub(crate) async fn open(
        records: &Records,
        gateways: Vec<Gateway>,
        files: &FileArgs,
        output: &Output,
    ) -> Result<Self, Failure> {
        let host = Host::start(&gateways)?;
        let agents = files.builder(&host, records)?.supervise(false).start().await?;
        let down = connect(&host, &gateways, files.limit(), output, |gateway| {
            agents.control_plane(gateway)
        })
        .await;
        Ok(Self {
            host,
            agents,
            gateways,
            down,
        })
    }

    /// Gives everything back.
    pub(crate) async fn close(self) {
        drop(self.agents);
        self.host.close().await;
    }
}

impl Lookout {
    /// Connects.
    pub(crate) async fn open(
        records: &Records,
        gateways: &[Gateway],
        files: &FileArgs,
        output: &Output,
    ) -> Result<Self, Failure> {
        let host = Host::start(gateways)?;
        let agents = files.builder(&host, records)?.preview().await?;
        let down = connect(&host, gateways, files.limit(), output, |gateway| {
            agents.control_plane(gateway)
        })
        .await;
        Ok(Self { host, agents, down })
    }

    /// Gives everything back.
    pub(crate) async fn close(self) {
        drop(self.agents);
        self.host.close().await;
    }
}

/// Waits for all of them side by side; what is given back are those that did not come up.
async fn connect<'a, F>(
    host: &Host,
    gateways: &'a [Gateway],
    limit: Duration,
    output: &Output,
    open: impl Fn(&'a Gateway) -> F,
) -> AllDown
where
    F: Future<Output = Result<Arc<dyn ControlPlane>, ControlError>>,
{
    let open = &open;
    let tried = gateways.iter().map(|gateway| async move {
        let plane = open(gateway).await;
        let settled = host.settle(gateway, plane, limit, output).await;
        Some((gateway.id, settled.err()?))
    });
    join_all(tried).await.into_iter().flatten().collect()
}
