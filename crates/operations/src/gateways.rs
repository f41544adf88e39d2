//! Gateways with the state of their lines.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use windlass::{Endpoint, GatewayId, LineError, LineStatus};
use windlass_store::{Gateway, Timestamp};

use crate::access::{Caller, Scope};
use crate::directory::DirectoryGateway;
use crate::error::OperationError;
use crate::page::{ListPage, PageQuery};
use crate::service::Service;

/// A gateway, and the state of its line.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct GatewayView {
    /// The id of its record, or of its line where a configuration file names the gateway.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its address without a path, which may be a secret.
    pub url: String,
    /// Whether the store has a record of it. A gateway without a record is in a configuration file.
    pub recorded: bool,
    /// The members of the record; missing where there is no record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<GatewayRecord>,
    /// Its line; missing while there is none.
    pub line: Option<LineView>,
    /// Why it has no line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// The record of a gateway, without secrets.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct GatewayRecord {
    /// The place of its token: `env:NAME`, `file:/PATH` or `host:NAME`; never the token.
    pub token: Option<String>,
    /// The folder on the gateway's host for the workspaces of agents.
    pub workspace_root: Option<String>,
    /// The address of the service that its agents belong to.
    pub base_url: Option<String>,
    /// Whether any certificate is accepted.
    pub allow_insecure_tls: bool,
    /// The SHA-256 fingerprint of the certificate that is expected.
    pub tls_fingerprint: Option<String>,
    /// Whether the line connects as a control UI, without a device.
    pub control_ui: bool,
    /// The time at which the record was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// The state of a line.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LineView {
    /// `connecting`, `up`, `waiting`, `paused`, `degraded`, `draining` or `closed`.
    pub state: String,
    /// The time of the last change of the state.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// The number of the connection that is up, or was up last.
    pub generation: u64,
    /// The generation of the protocol: 3 or 4.
    pub protocol: Option<u32>,
    /// The release of the gateway.
    pub release: Option<String>,
    /// The way in which the gateway let the line in, for example `token`.
    pub auth_method: Option<String>,
    /// The time of the next attempt, where the line waits for one.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_attempt_at: Option<Timestamp>,
    /// The last error. It stays after the line is up again.
    pub last_error: Option<LineErrorView>,
}

/// An error of a line.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LineErrorView {
    /// When it happened.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// `unreachable`, `wrongAddress`, `untrusted`, `refused`, `busy` or `fault`.
    #[schema(value_type = String)]
    pub kind: windlass::LineErrorKind,
    /// The problem.
    pub summary: String,
    /// The next step.
    pub next_step: String,
}

/// A selection of gateways.
#[derive(Debug, Default, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct GatewayQuery {
    /// Only gateways whose line is in this state.
    pub state: Option<String>,
    /// Only gateways with this text in name or address, in any case.
    pub search: Option<String>,
    /// The cursor of the page, from the page before.
    pub cursor: Option<String>,
    /// The number of gateways on a page, 100 by default.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
}

/// The gateways that the query selects, by name.
///
/// # Errors
/// Missing scope, or an invalid cursor.
pub fn list(service: &Service, caller: &Caller, query: &GatewayQuery) -> Result<ListPage<GatewayView>, OperationError> {
    caller.require(Scope::Read)?;
    let page = PageQuery::parse(query.cursor.as_deref(), query.limit)?;
    let search = query.search.as_deref().map(str::to_lowercase);
    let mut known = service.directory().all();
    known.sort_by_cached_key(|gateway| (gateway.name().to_lowercase(), gateway.id()));
    let views = known.into_iter().map(|gateway| view(service, gateway)).filter(|view| {
        let state = view.line.as_ref().map(|line| line.state.as_str());
        query.state.as_deref().is_none_or(|wanted| state == Some(wanted))
            && search
                .as_deref()
                .is_none_or(|text| view.name.to_lowercase().contains(text) || view.url.to_lowercase().contains(text))
    });
    Ok(page.take(views, |view| format!("{}\n{}", view.name.to_lowercase(), view.id)))
}

/// One gateway, by id or name.
///
/// # Errors
/// Missing scope, or [`NotFound`](crate::OperationErrorCode::NotFound).
pub fn get(service: &Service, caller: &Caller, gateway: &str) -> Result<GatewayView, OperationError> {
    caller.require(Scope::Read)?;
    let known = service.directory().find(gateway);
    let known = known.ok_or_else(|| OperationError::not_found("gateway", gateway))?;
    Ok(view(service, known))
}

/// Tries a line that waits for its next attempt now.
///
/// # Errors
/// Missing scope, no such gateway, or no line.
pub async fn reconnect(service: &Service, caller: &Caller, gateway: &str) -> Result<GatewayView, OperationError> {
    caller.require(Scope::Write)?;
    let line = service.line(gateway)?;
    let asked = line.reconnect_now().await;
    asked.map_err(|error| OperationError::of_registry(&error, line.id()))?;
    get(service, caller, gateway)
}

fn view(service: &Service, known: DirectoryGateway) -> GatewayView {
    let line = known
        .line_id()
        .and_then(|id: GatewayId| service.windlass().gateway(&id));
    let line = line.map(|line| LineView::of(&line.status().borrow()));
    let (id, name) = (known.id(), known.name().to_owned());
    match known {
        DirectoryGateway::Recorded(record, problem) => GatewayView {
            id,
            name,
            url: shown_url(&record.url),
            recorded: true,
            record: Some(GatewayRecord::of(&record)),
            problem: problem.filter(|_| line.is_none()),
            line,
        },
        DirectoryGateway::Configured(configured) => GatewayView {
            id,
            name,
            url: configured.url,
            recorded: false,
            record: None,
            line,
            problem: None,
        },
    }
}

/// An address as it may be shown: its path may be a secret.
pub(crate) fn shown_url(url: &str) -> String {
    Endpoint::parse(url).map_or_else(|_| String::new(), |endpoint| endpoint.to_string())
}

impl GatewayRecord {
    fn of(record: &Gateway) -> Self {
        Self {
            token: record.token.as_ref().map(ToString::to_string),
            workspace_root: record.workspace_root.clone(),
            base_url: record.base_url.clone(),
            allow_insecure_tls: record.allow_insecure_tls,
            tls_fingerprint: record.tls_fingerprint.clone(),
            control_ui: record.disable_device_pairing,
            created_at: record.created_at,
        }
    }
}

impl LineView {
    /// The state of a line, from its status.
    pub fn of(status: &LineStatus) -> Self {
        Self {
            state: status.state.name().to_owned(),
            since: status.since.into(),
            generation: status.generation.number(),
            protocol: status.protocol(),
            release: status.server_version().map(str::to_owned),
            auth_method: status.auth_method().map(str::to_owned),
            next_attempt_at: status.state.next_attempt_at().map(Timestamp::from),
            last_error: status.last_error.as_ref().map(LineErrorView::of),
        }
    }
}

impl LineErrorView {
    fn of(error: &LineError) -> Self {
        Self {
            at: error.at.into(),
            kind: error.kind,
            summary: error.advice.summary.to_string(),
            next_step: error.advice.next_step.to_string(),
        }
    }
}
