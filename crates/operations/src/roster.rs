//! The live sessions of a gateway, from one feed for all callers: no caller asks the gateway for its list again and again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use windlass::{GatewayId, SessionCache, SessionCacheError};
use windlass_protocol::session_roster::{RosterEntry, Stale};
use windlass_store::Timestamp;

use crate::access::{Caller, Scope};
use crate::error::{OperationError, OperationErrorCode};
use crate::page::{ListPage, PageQuery};
use crate::service::Service;
use crate::sessions::SessionView;

/// How long the first look waits for the first list; later looks wait for nothing. A gateway answers within a second.
const FIRST_LIST: Duration = Duration::from_secs(3);
/// How long a feed goes on after the last look. Beyond it the gateway sends the events of its sessions to no use.
const IDLE: Duration = Duration::from_secs(600);

/// A session and its runs.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RosterSession {
    /// The session.
    #[serde(flatten)]
    pub session: SessionView,
    /// Whether a run goes on in it.
    pub active: bool,
    /// The runs that go on, the latest last.
    pub runs: Vec<String>,
}

/// The sessions of a gateway at one moment.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RosterView {
    /// Whether a fresh list of the gateway would say the same.
    pub fresh: bool,
    /// Why a fresh list may differ: `empty`, `line_down`, `gap`, `unnamed` or `paging`. A list is on its way then.
    pub stale: Option<String>,
    /// Why the gateway does not give its sessions, in its own words.
    pub refused: Option<String>,
    /// Whether the gateway has more sessions than are kept.
    pub cut: bool,
    /// The number of sessions.
    pub total: usize,
    /// The number of sessions in which a run goes on.
    pub active: usize,
    /// A page of the sessions, by key.
    #[serde(flatten)]
    pub page: ListPage<RosterSession>,
}

/// A selection of live sessions.
#[derive(Debug, Default, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RosterQuery {
    /// Only sessions in which a run goes on.
    #[serde(default)]
    pub active: bool,
    /// The cursor of the page, from the page before.
    pub cursor: Option<String>,
    /// The number of sessions on a page, 100 by default.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
}

/// The feeds that were looked at lately.
#[derive(Default)]
pub(crate) struct Rosters(Mutex<HashMap<GatewayId, (SessionCache, Timestamp)>>);

impl Rosters {
    fn get(&self, gateway: &GatewayId, now: Timestamp) -> Option<SessionCache> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|_, (_, looked)| now.saturating_duration_since(*looked) < IDLE);
        let (cache, looked) = held.get_mut(gateway)?;
        *looked = now;
        Some(cache.clone())
    }

    fn put(&self, gateway: GatewayId, cache: SessionCache, now: Timestamp) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.insert(gateway, (cache, now));
    }

    fn forget(&self, gateway: &GatewayId) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.remove(gateway);
    }
}

/// The live sessions of a gateway.
///
/// # Errors
/// Missing scope, no such gateway, an invalid query, or no feed.
pub async fn roster(
    service: &Service,
    caller: &Caller,
    gateway: &str,
    query: &RosterQuery,
) -> Result<RosterView, OperationError> {
    caller.require(Scope::Read)?;
    let page = PageQuery::parse(query.cursor.as_deref(), query.limit)?;
    let line = service.line(gateway)?;
    let now = service.now();
    let mut cache = match service.rosters().get(line.id(), now) {
        Some(cache) => cache,
        None => opened(service, &line, now).await?,
    };
    // A list that does not come in time is told by `stale`; a feed that has ended is opened anew by the next look.
    let first = cache.wait_for(|view| view.sessions.stale() != Some(Stale::Empty) || view.refused.is_some());
    if let Ok(Err(_)) = tokio::time::timeout(FIRST_LIST, first).await {
        service.rosters().forget(line.id());
    }
    let view = cache.now();
    let sessions = view.sessions.iter().filter(|(_, entry)| entry.active || !query.active);
    Ok(RosterView {
        fresh: view.is_fresh(),
        stale: view.sessions.stale().map(|why| stale(why).to_owned()),
        refused: view.refused.as_deref().map(str::to_owned),
        cut: view.sessions.is_cut(),
        total: view.sessions.len(),
        active: view.sessions.active().count(),
        page: page.take(sessions.map(|(_, entry)| RosterSession::of(entry)), |view| {
            view.session.key.clone()
        }),
    })
}

async fn opened(service: &Service, line: &windlass::Gateway, now: Timestamp) -> Result<SessionCache, OperationError> {
    let cache = line.session_cache().await.map_err(|error| match &error {
        SessionCacheError::Windlass(registry) => OperationError::of_registry(registry, line.id()),
        _ => OperationError::new(OperationErrorCode::TooMany, error.to_string(), ""),
    })?;
    service.rosters().put(line.id().clone(), cache.clone(), now);
    Ok(cache)
}

const fn stale(why: Stale) -> &'static str {
    match why {
        Stale::Empty => "empty",
        Stale::LineDown => "line_down",
        Stale::Gap => "gap",
        Stale::Paging => "paging",
        _ => "unnamed",
    }
}

impl RosterSession {
    fn of(entry: &RosterEntry) -> Self {
        Self {
            session: SessionView::of(entry.row.clone()),
            active: entry.active,
            runs: entry.runs.clone(),
        }
    }
}
