//! The store, lines and templates that commands of agents work with.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use futures_util::future::{join_all, select_all};
use tokio::sync::watch::Receiver;
use windlass::agents::{Agents, AgentsBuilder, AgentsPreview, ControlError, ControlPlane, Templates};
use windlass::store::{Agent, Gateway, GatewayUid, Store};
use windlass::{DeviceIdentity, GatewayId, LineState, LineStatus, MemoryTokens, Windlass};
use windlass_protocol::Advice;

use crate::exit::{ExitCode, Failure};
use crate::output::{Output, advice_line};
use crate::session::{self, DeviceTokens, Patience};
use crate::store::{Records, shown, shown_url};
use crate::units::parse_span;

/// The inputs of agents' files.
#[derive(Debug, Args)]
pub(crate) struct TemplateArgs {
    /// The address of your service for agents. It is written into their files and stored with their gateway for later runs; an
    /// empty value removes it [default: the stored one]
    #[arg(long, value_name = "URL", env = "WINDLASS_BASE_URL", hide_env_values = true)]
    base_url: Option<String>,
    /// A folder of templates to use instead of the built-in ones
    #[arg(long, value_name = "DIR", env = "WINDLASS_TEMPLATES", hide_env_values = true)]
    templates: Option<PathBuf>,
}

/// The inputs of agents' files, and the wait for gateways.
#[derive(Debug, Args)]
pub(crate) struct FileArgs {
    #[command(flatten)]
    templates: TemplateArgs,
    /// Wait this long for a gateway to connect before the work begins [default: 15s]
    #[arg(long, value_name = "TIME", value_parser = parse_span)]
    timeout: Option<Duration>,
}

impl TemplateArgs {
    /// The flag that was given, if one was.
    pub(crate) fn given(&self) -> Option<&'static str> {
        match (&self.base_url, &self.templates) {
            (Some(_), _) => Some("--base-url"),
            (None, Some(_)) => Some("--templates"),
            (None, None) => None,
        }
    }

    /// The settings that the flags give.
    pub(crate) fn apply(&self, mut builder: AgentsBuilder) -> Result<AgentsBuilder, Failure> {
        if let Some(base_url) = &self.base_url {
            builder = builder.base_url(base_url.trim());
        }
        if let Some(folder) = &self.templates {
            builder = builder.templates(Templates::with_folder(folder)?);
        }
        Ok(builder)
    }
}

impl FileArgs {
    /// The flag about files that was given, if one was.
    pub(crate) fn given(&self) -> Option<&'static str> {
        self.templates.given()
    }

    pub(crate) fn limit(&self) -> Duration {
        self.timeout.unwrap_or(CONNECT)
    }

    /// The provisioner's settings, for this host and store.
    pub(crate) fn builder(&self, host: &Host, records: &Records) -> Result<AgentsBuilder, Failure> {
        let store = Arc::clone(&records.store) as Arc<dyn Store>;
        let builder = host.windlass.agents(store);
        self.templates.apply(match &host.device {
            Some(device) => builder.device(Arc::clone(device)),
            None => builder,
        })
    }
}

/// The gateways that can't be worked with now.
pub(crate) type AllDown = BTreeMap<GatewayUid, Down>;

/// Ready to work.
pub(crate) struct AgentsContext {
    pub(crate) host: Host,
    pub(crate) agents: Agents,
    pub(crate) gateways: Vec<Gateway>,
    pub(crate) down: AllDown,
}

/// Ready to look.
pub(crate) struct ReadOnlyAgentsContext {
    pub(crate) host: Host,
    pub(crate) agents: AgentsPreview,
    pub(crate) down: AllDown,
}

impl AgentsContext {
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

impl ReadOnlyAgentsContext {
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

/// Connects all of them at the same time. Returns those that did not come up.
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

/// How long a gateway that does not answer is waited for, unless a flag says otherwise: a restart takes some seconds.
pub(crate) const CONNECT: Duration = Duration::from_secs(15);

/// Windlass, with this machine's device where a gateway wants to see one.
pub(crate) struct Host {
    pub(crate) windlass: Windlass,
    pub(crate) device: Option<Arc<DeviceIdentity>>,
}

/// A gateway that can't be worked with now.
#[derive(Debug, Clone)]
pub(crate) struct Down {
    pub(crate) exit: ExitCode,
    pub(crate) advice: Advice,
}

impl Host {
    /// Starts it for these gateways.
    pub(crate) fn start(gateways: &[Gateway]) -> Result<Self, Failure> {
        let (device, tokens) = if gateways.iter().any(|gateway| !gateway.disable_device_pairing) {
            let (device, tokens) = session::default_device()?;
            (Some(device), DeviceTokens::File(tokens))
        } else {
            (None, DeviceTokens::None(MemoryTokens::default()))
        };
        let windlass = Windlass::builder().device_tokens(tokens).start()?;
        Ok(Self { windlass, device })
    }

    /// The line of a gateway, if it was opened.
    pub(crate) fn line(&self, gateway: &Gateway) -> Option<windlass::Gateway> {
        self.windlass.gateway(&GatewayId::new(gateway.id.to_string()).ok()?)
    }

    /// Waits until the line of a gateway is up. `plane` is the result of opening it.
    pub(crate) async fn settle(
        &self,
        gateway: &Gateway,
        plane: Result<Arc<dyn ControlPlane>, ControlError>,
        limit: Duration,
        output: &Output,
    ) -> Result<Arc<dyn ControlPlane>, Down> {
        let name = shown(&gateway.name);
        let plane = plane.map_err(|error| Down {
            exit: ExitCode::Usage,
            advice: Advice::new(
                error.to_string(),
                "Correct the gateway's record: remove it and add it again.",
            ),
        })?;
        let Some(line) = self.line(gateway) else {
            return Ok(plane);
        };
        let status = session::settle(&line, &name, Patience::All, limit, output).await;
        if status.is_up() {
            return Ok(plane);
        }
        let advice = match &status.last_error {
            Some(error) => Advice::new(
                format!("{name}: {}", error.advice.summary),
                error.advice.next_step.clone(),
            ),
            None => Advice::new(
                format!("{name}: no connection to {} in time", shown_url(&gateway.url)),
                format!("See which step takes so long: windlass doctor --gateway {name}"),
            ),
        };
        let exit = session::exit_of(&status);
        Err(Down { exit, advice })
    }

    /// The lines of these gateways, to be watched.
    pub(crate) fn watch(&self, gateways: &[Gateway]) -> WatchedLines {
        let lines = gateways.iter().filter_map(|gateway| {
            let line = self.line(gateway)?;
            Some((shown(&gateway.name), line.status()))
        });
        WatchedLines(lines.collect())
    }

    /// Closes all lines and waits for it.
    pub(crate) async fn close(self) {
        session::close(self.windlass).await;
    }
}

/// Lines that are watched for changes, with their gateways' names.
pub(crate) struct WatchedLines(Vec<(String, Receiver<LineStatus>)>);

impl WatchedLines {
    /// The next change of a line; for ever none when there are no lines. May be dropped and asked again.
    pub(crate) async fn next(&mut self) -> (String, LineStatus) {
        if self.0.is_empty() {
            return std::future::pending().await;
        }
        let changes = self.0.iter_mut().enumerate().map(|(index, (_, line))| {
            Box::pin(async move {
                // A line that is closed for good changes no more.
                if line.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
                index
            })
        });
        let (index, ..) = select_all(changes).await;
        let (name, line) = &mut self.0[index];
        (name.clone(), line.borrow_and_update().clone())
    }

    /// The next trouble of a line, in words; each reason once in a row.
    pub(crate) async fn next_trouble(&mut self, told: &mut Option<String>) -> String {
        loop {
            let (name, status) = self.next().await;
            let why = match (&status.state, &status.last_error) {
                (LineState::Up { .. }, _) => {
                    *told = None;
                    continue;
                }
                (_, Some(error)) => format!("{name}: {}", advice_line(&error.advice)),
                (_, None) => continue,
            };
            if told.as_ref() != Some(&why) {
                *told = Some(why.clone());
                return why;
            }
        }
    }
}

/// Agents by name, or all.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Which {
    /// The agents, by name, id or a unique beginning of the id
    #[arg(value_name = "AGENT")]
    agents: Vec<String>,
    /// All agents of the store
    #[arg(long)]
    all: bool,
}

impl Which {
    pub(crate) fn of<'a>(&self, records: &'a Records) -> Result<Vec<&'a Agent>, Failure> {
        records.chosen(&self.agents, self.all)
    }
}
