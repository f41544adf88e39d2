//! Sessions of a gateway: listed, read, changed.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use windlass::sessions::{
    DeleteError, DeleteOutcome, EnsureSessionError, EnsuredSession, HistoryError, HistoryPage, HistoryQuery, ListError,
    PatchError, ResetOutcome, SessionKey, SessionQuery, Sessions,
};
use windlass_protocol::AgentId;
use windlass_protocol::request::{Change as PropertyChange, ChatMessage, SessionEntry, SessionRow, SessionsPatch};
use windlass_store::Timestamp;

use crate::access::{Caller, Scope};
use crate::audit::{self, AuditChange};
use crate::error::{OperationError, OperationErrorCode};
use crate::page::{ListPage, PageQuery};
use crate::service::Service;

/// A session of a gateway.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SessionView {
    /// Its key, for example `agent:main:main`.
    pub key: String,
    /// Its agent, where the gateway names it.
    pub agent_id: Option<String>,
    /// `direct`, `group`, `global` and others.
    pub kind: Option<String>,
    /// Its label, unique on the gateway.
    pub label: Option<String>,
    /// The name that the gateway shows.
    pub display_name: Option<String>,
    /// The id of its transcript.
    pub session_id: Option<String>,
    /// The time of its last change.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub updated_at: Option<Timestamp>,
    /// The provider of its model.
    pub model_provider: Option<String>,
    /// Its model.
    pub model: Option<String>,
    /// The tokens in its context.
    pub total_tokens: Option<u64>,
    /// The tokens that its context may hold.
    pub context_tokens: Option<u64>,
}

/// A row of a history.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct HistoryRow {
    /// Its id, where the release has ids.
    pub id: Option<String>,
    /// `user`, `assistant`, `toolResult` and others.
    pub role: Option<String>,
    /// Its text, all parts joined.
    pub text: Option<String>,
    /// The content as the gateway gives it: a text, or a list of parts.
    #[schema(value_type = Option<serde_json::Value>)]
    pub content: Option<Value>,
    /// The time of it.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub at: Option<Timestamp>,
    /// The run that made it.
    pub run_id: Option<String>,
    /// Why the model stopped.
    pub stop_reason: Option<String>,
    /// Why the model failed.
    pub error: Option<String>,
}

/// Rows of a session, oldest first.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct HistoryView {
    /// The rows.
    pub items: Vec<HistoryRow>,
    /// The id of the transcript; missing where there is no such session.
    pub session_id: Option<String>,
    /// The `before` of the page with older rows; missing at the beginning.
    pub older: Option<u64>,
    /// The number of all rows, where the gateway tells it.
    pub total: Option<u64>,
    /// The run that goes on now, where the gateway names it.
    pub running: Option<String>,
}

/// A selection of sessions.
#[derive(Debug, Default, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SessionListQuery {
    /// Only sessions of this agent, by its id on the gateway.
    pub agent: Option<String>,
    /// Only sessions in which the gateway finds this text.
    pub search: Option<String>,
    /// Only sessions that changed within so many minutes.
    #[param(minimum = 1)]
    pub active_minutes: Option<u32>,
    /// The cursor of the page, from the page before.
    pub cursor: Option<String>,
    /// The number of sessions on a page, 100 by default.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
}

/// A part of a history.
#[derive(Debug, Default, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct HistoryListQuery {
    /// The rows before a page, by its `older`; the last rows by default.
    pub before: Option<u64>,
    /// The number of rows, 100 by default.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
}

/// A session that shall be there.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionInput {
    /// Its key, for example `agent:main:report`.
    pub key: String,
    /// Its label, unique on the gateway.
    #[schema(min_length = 1)]
    pub label: Option<String>,
}

/// A change of a session.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionPatch {
    /// Its label; `null` removes it.
    #[serde(default, deserialize_with = "crate::gateway_records::given")]
    #[schema(value_type = Option<String>)]
    pub label: Option<Option<String>>,
}

/// A run to stop.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AbortInput {
    /// The run; all runs of the session by default.
    pub run_id: Option<String>,
}

/// The effect of a change of a session.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SessionChangeView {
    /// The key of the session.
    pub key: String,
    /// `there`, `made`, `left_to_first_message` (on 2026.6 the first message makes it), `changed`, `emptied`, `deleted` or `not_there`.
    pub outcome: String,
    /// The id of its transcript, where it is known.
    pub session_id: Option<String>,
    /// Its label, where it is known.
    pub label: Option<String>,
    /// The place of a deleted transcript on the gateway's host.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub archived: Vec<String>,
}

/// The runs that were stopped.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AbortView {
    /// Their ids; empty where nothing ran.
    pub stopped: Vec<String>,
}

/// The sessions that the query selects, by key. Each page asks the gateway; the roster is the list to look at often.
///
/// # Errors
/// Missing scope, no such gateway, an invalid query, or an outcome of the call.
pub async fn list(
    service: &Service,
    caller: &Caller,
    gateway: &str,
    query: &SessionListQuery,
) -> Result<ListPage<SessionView>, OperationError> {
    caller.require(Scope::Read)?;
    let page = PageQuery::parse(query.cursor.as_deref(), query.limit)?;
    let mut wanted = SessionQuery::all();
    if let Some(agent) = &query.agent {
        let agent = AgentId::parse(agent).map_err(|error| OperationError::invalid("agent", error.to_string()))?;
        wanted = wanted.agent(agent);
    }
    if let Some(text) = &query.search {
        wanted = wanted.search(text);
    }
    if let Some(minutes) = query.active_minutes {
        wanted = wanted.active_within(std::time::Duration::from_secs(60 * u64::from(minutes.max(1))));
    }
    let mut rows = service.line(gateway)?.sessions().list(&wanted).await?;
    rows.sort_by(|one, other| one.key.cmp(&other.key));
    Ok(page.take(rows.into_iter().map(SessionView::of), |view| view.key.clone()))
}

/// One session.
///
/// # Errors
/// Missing scope, no such gateway or session, or an outcome of the call.
pub async fn get(
    service: &Service,
    caller: &Caller,
    gateway: &str,
    session: &str,
) -> Result<SessionView, OperationError> {
    caller.require(Scope::Read)?;
    let (sessions, key) = of(service, gateway, session)?;
    match sessions.find(&key).await.map_err(OperationError::from)? {
        Some(row) => Ok(SessionView::of(row)),
        None => Err(OperationError::new(
            OperationErrorCode::NotFound,
            format!("The gateway has no session {session:?}"),
            format!("List what there is: GET /api/v1/gateways/{gateway}/sessions."),
        )),
    }
}

/// Rows of a session; none where there is no such session.
///
/// # Errors
/// Missing scope, no such gateway, an invalid query, or an outcome of the call.
pub async fn history(
    service: &Service,
    caller: &Caller,
    gateway: &str,
    session: &str,
    query: &HistoryListQuery,
) -> Result<HistoryView, OperationError> {
    caller.require(Scope::Read)?;
    let limit = PageQuery::parse(None, query.limit)?.limit();
    let (sessions, key) = of(service, gateway, session)?;
    let rows = query.before.map_or_else(HistoryQuery::last, HistoryQuery::before);
    let rows = rows.limit(u32::try_from(limit).unwrap_or(u32::MAX));
    Ok(HistoryView::of(sessions.history(&key, &rows).await?))
}

/// Sees to it that a session is there, with this label if one is given.
///
/// # Errors
/// Missing scope, no such gateway or agent, a label that is taken, or an outcome of the call.
pub async fn ensure(
    service: &Service,
    caller: &Caller,
    gateway: &str,
    input: &SessionInput,
) -> Result<SessionChangeView, OperationError> {
    caller.require(Scope::Write)?;
    let (sessions, key) = of(service, gateway, &input.key)?;
    let view = match sessions.ensure(&key, input.label.as_deref()).await? {
        EnsuredSession::There(row) => SessionChangeView {
            session_id: row.session_id,
            label: row.label,
            ..SessionChangeView::of(&key, "there")
        },
        EnsuredSession::Made(entry) => SessionChangeView::of_entry(&key, "made", *entry),
        EnsuredSession::LeftToFirstMessage => SessionChangeView::of(&key, "left_to_first_message"),
    };
    if view.outcome == "made" {
        note(service, caller, "session.created", gateway, &key).await?;
    }
    Ok(view)
}

/// Changes the label of a session.
///
/// # Errors
/// Missing scope, no such gateway, a label that is taken, or an outcome of the call.
pub async fn patch(
    service: &Service,
    caller: &Caller,
    gateway: &str,
    session: &str,
    input: SessionPatch,
) -> Result<SessionChangeView, OperationError> {
    caller.require(Scope::Write)?;
    let (sessions, key) = of(service, gateway, session)?;
    let Some(label) = input.label else {
        return Err(OperationError::invalid("label", "is missing"));
    };
    // The gateway would make a session that is not there.
    get(service, caller, gateway, session).await?;
    let mut request = SessionsPatch::new(key.as_str());
    request.label = Some(label.map_or(PropertyChange::REMOVE, PropertyChange::from));
    let entry = sessions.patch(&request).await?;
    note(service, caller, "session.updated", gateway, &key).await?;
    Ok(SessionChangeView::of_entry(&key, "changed", entry))
}

/// Empties a session, and ends its run.
///
/// # Errors
/// Missing scope, no such gateway, or an outcome of the call.
pub async fn reset(
    service: &Service,
    caller: &Caller,
    gateway: &str,
    session: &str,
) -> Result<SessionChangeView, OperationError> {
    caller.require(Scope::Write)?;
    let (sessions, key) = of(service, gateway, session)?;
    let view = match sessions.reset(&key).await.map_err(OperationError::from)? {
        ResetOutcome::Emptied(entry) => SessionChangeView::of_entry(&key, "emptied", *entry),
        ResetOutcome::Deleted => SessionChangeView::of(&key, "deleted"),
        ResetOutcome::NotThere => return Ok(SessionChangeView::of(&key, "not_there")),
    };
    note(service, caller, "session.reset", gateway, &key).await?;
    Ok(view)
}

/// Deletes a session, and ends its run. One that is not there is no error: a repeated request has the same effect.
///
/// # Errors
/// Missing scope, no such gateway, a session that the gateway keeps, or an outcome of the call.
pub async fn delete(
    service: &Service,
    caller: &Caller,
    gateway: &str,
    session: &str,
) -> Result<SessionChangeView, OperationError> {
    caller.require(Scope::Write)?;
    let (sessions, key) = of(service, gateway, session)?;
    let DeleteOutcome::Deleted { archived } = sessions.delete(&key).await? else {
        return Ok(SessionChangeView::of(&key, "not_there"));
    };
    note(service, caller, "session.deleted", gateway, &key).await?;
    Ok(SessionChangeView {
        archived,
        ..SessionChangeView::of(&key, "deleted")
    })
}

/// Stops one run of a session, or all of them.
///
/// # Errors
/// Missing scope, no such gateway, or an outcome of the call.
pub async fn abort(
    service: &Service,
    caller: &Caller,
    gateway: &str,
    session: &str,
    input: &AbortInput,
) -> Result<AbortView, OperationError> {
    caller.require(Scope::Write)?;
    let (sessions, key) = of(service, gateway, session)?;
    let asked = sessions.abort(&key, input.run_id.as_deref()).await;
    let stopped = asked.map_err(OperationError::from)?;
    if !stopped.is_empty() {
        note(service, caller, "session.aborted", gateway, &key).await?;
    }
    Ok(AbortView { stopped })
}

/// The session that a text names.
pub(crate) fn key_of(field: &str, text: &str) -> Result<SessionKey, OperationError> {
    SessionKey::parse(text).map_err(|error| OperationError::invalid(field, format!("is not a session key: {error}")))
}

fn of(service: &Service, gateway: &str, session: &str) -> Result<(Sessions, SessionKey), OperationError> {
    let key = key_of("session", session)?;
    Ok((service.line(gateway)?.sessions(), key))
}

async fn note(
    service: &Service,
    caller: &Caller,
    kind: &str,
    gateway: &str,
    key: &SessionKey,
) -> Result<(), OperationError> {
    let message = format!("session {key} of gateway {gateway}");
    let change = AuditChange::new(kind, &message);
    Ok(audit::record(&**service.store(), caller, change, service.now()).await?)
}

/// A time of a gateway.
fn millis(millis: u64) -> Timestamp {
    Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
}

impl SessionView {
    /// A session, from its row.
    pub fn of(row: SessionRow) -> Self {
        Self {
            key: row.key,
            agent_id: row.agent_id,
            kind: row.kind,
            label: row.label,
            display_name: row.display_name,
            session_id: row.session_id,
            updated_at: row.updated_at.map(millis),
            model_provider: row.model_provider,
            model: row.model,
            total_tokens: row.total_tokens,
            context_tokens: row.context_tokens,
        }
    }
}

impl HistoryRow {
    fn of(row: ChatMessage) -> Self {
        let text = row.text();
        let (id, run_id) = row.meta.map_or((None, None), |meta| (meta.id, meta.run_id));
        Self {
            id,
            role: row.role,
            text,
            content: row.content,
            at: row.timestamp.map(millis),
            run_id,
            stop_reason: row.stop_reason,
            error: row.error_message,
        }
    }
}

impl HistoryView {
    fn of(page: HistoryPage) -> Self {
        Self {
            items: page.rows.into_iter().map(HistoryRow::of).collect(),
            session_id: page.session_id,
            older: page.older,
            total: page.total,
            running: page.running.and_then(|run| run.run_id),
        }
    }
}

impl SessionChangeView {
    fn of(key: &SessionKey, outcome: &str) -> Self {
        Self {
            key: key.to_string(),
            outcome: outcome.to_owned(),
            session_id: None,
            label: None,
            archived: Vec::new(),
        }
    }

    fn of_entry(key: &SessionKey, outcome: &str, entry: SessionEntry) -> Self {
        Self {
            session_id: Some(entry.session_id),
            label: entry.label,
            ..Self::of(key, outcome)
        }
    }
}

impl From<windlass::sessions::AskError> for OperationError {
    fn from(error: windlass::sessions::AskError) -> Self {
        match error {
            windlass::sessions::AskError::Call(call) => call.into(),
            other @ windlass::sessions::AskError::Shape { .. } => Self::new(
                OperationErrorCode::Rejected,
                other.to_string(),
                "Update the service: its release may be older than the gateway's.",
            ),
        }
    }
}

impl From<ListError> for OperationError {
    fn from(error: ListError) -> Self {
        match error {
            ListError::Ask(ask) => ask.into(),
            other => Self::new(OperationErrorCode::TooMany, other.to_string(), ""),
        }
    }
}

impl From<HistoryError> for OperationError {
    fn from(error: HistoryError) -> Self {
        match error {
            HistoryError::Ask(ask) => ask.into(),
            other => Self::new(
                OperationErrorCode::NotFound,
                other.to_string(),
                "Ask for the last rows.",
            ),
        }
    }
}

impl From<EnsureSessionError> for OperationError {
    fn from(error: EnsureSessionError) -> Self {
        match error {
            EnsureSessionError::Ask(ask) => ask.into(),
            taken @ EnsureSessionError::LabelTaken => label_taken(&taken),
            unknown @ EnsureSessionError::UnknownAgent(_) => Self::new(
                OperationErrorCode::NotFound,
                unknown.to_string(),
                "Provision the agent first: POST /api/v1/agents/provision.",
            ),
        }
    }
}

impl From<PatchError> for OperationError {
    fn from(error: PatchError) -> Self {
        match error {
            PatchError::Ask(ask) => ask.into(),
            taken @ PatchError::LabelTaken => label_taken(&taken),
            other => Self::new(OperationErrorCode::Conflict, other.to_string(), ""),
        }
    }
}

impl From<DeleteError> for OperationError {
    fn from(error: DeleteError) -> Self {
        match error {
            DeleteError::Ask(ask) => ask.into(),
            other => Self::new(OperationErrorCode::Conflict, other.to_string(), ""),
        }
    }
}

fn label_taken(error: &dyn std::error::Error) -> OperationError {
    OperationError {
        field: Some("label".into()),
        ..OperationError::new(OperationErrorCode::Conflict, error.to_string(), "")
    }
}
