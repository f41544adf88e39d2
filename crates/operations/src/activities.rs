//! Activities: what happened to agents and boards, and the audit trail of changes.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use windlass_store::limits::PAGE_LIMIT;
use windlass_store::{Activity, ActivityFilter, AgentUid, BoardId, Store, Timestamp};

use crate::access::{Caller, Scope};
use crate::audit::AUDIT_PREFIX;
use crate::error::OperationError;
use crate::page::{ListPage, PageQuery};
use crate::{agents, boards};

/// An activity.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ActivityView {
    /// Its number, which grows with time.
    pub id: i64,
    /// Its kind; `audit.` begins those of changes by people and programs.
    pub kind: String,
    /// Its text.
    pub message: String,
    /// The agent it is about.
    #[schema(value_type = Option<uuid::Uuid>)]
    pub agent_id: Option<AgentUid>,
    /// The board it is about.
    #[schema(value_type = Option<uuid::Uuid>)]
    pub board_id: Option<BoardId>,
    /// The person, program or agent that made the change.
    pub actor: Option<String>,
    /// The front by which the change came: `api`, `page`, `cli` or `agent`.
    pub source: Option<String>,
    /// The time of it.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// A selection of activities.
#[derive(Debug, Default, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ActivityQuery {
    /// Only activities about this agent, by id or name. The id of an agent that is gone is taken too.
    pub agent: Option<String>,
    /// Only activities about this board, by id or name. The id of a board that is gone is taken too.
    pub board: Option<String>,
    /// Only activities of a kind that begins with this, for example `audit.`.
    pub kind: Option<String>,
    /// Only the audit trail: changes by people and programs.
    #[serde(default)]
    pub audit: bool,
    /// Only activities after this number, oldest first; without it, the latest first.
    pub after: Option<i64>,
    /// The cursor of the page, from the page before.
    pub cursor: Option<String>,
    /// The number of activities on a page, 100 by default.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
}

/// The activities that the query selects: the latest first, or, after a number, the oldest first.
///
/// # Errors
/// Missing scope, an invalid member of the query, no such agent or board, or the store's.
pub async fn list(
    store: &dyn Store,
    caller: &Caller,
    query: &ActivityQuery,
) -> Result<ListPage<ActivityView>, OperationError> {
    caller.require(Scope::Read)?;
    let page = PageQuery::parse(query.cursor.as_deref(), query.limit)?;
    let mut filter = filter(store, query).await?;
    let cursor = page.after_number()?;
    // One more than the page holds tells whether there is another page.
    let wanted = page.limit() + 1;
    let found = if query.after.is_some() {
        read(store, &filter, cursor.or(query.after), wanted).await?
    } else {
        filter.before = cursor;
        let mut latest = read_latest(store, &mut filter, wanted).await?;
        latest.truncate(wanted);
        latest
    };
    let views = found.iter().map(ActivityView::of).collect();
    Ok(page.cut(views, |view: &ActivityView| view.id.to_string()))
}

/// Up to `wanted` activities after a number, by the pages of the store.
async fn read(
    store: &dyn Store,
    filter: &ActivityFilter,
    mut after: Option<i64>,
    wanted: usize,
) -> Result<Vec<Activity>, OperationError> {
    let mut found: Vec<Activity> = Vec::new();
    while found.len() < wanted {
        let limit = PAGE_LIMIT.min(wanted - found.len());
        let next = store.activities(filter, after, limit).await?;
        let Some(last) = next.last() else { break };
        after = Some(last.id);
        found.extend(next);
    }
    Ok(found)
}

/// Up to `wanted` activities, the latest first, by the pages of the store.
async fn read_latest(
    store: &dyn Store,
    filter: &mut ActivityFilter,
    wanted: usize,
) -> Result<Vec<Activity>, OperationError> {
    let mut found: Vec<Activity> = Vec::new();
    while found.len() < wanted {
        let limit = PAGE_LIMIT.min(wanted - found.len());
        let earlier = store.activities(filter, None, limit).await?;
        let Some(first) = earlier.first() else { break };
        filter.before = Some(first.id);
        found.extend(earlier.into_iter().rev());
    }
    Ok(found)
}

async fn filter(store: &dyn Store, query: &ActivityQuery) -> Result<ActivityFilter, OperationError> {
    let agent = match query.agent.as_deref().map(|text| (text, text.parse())) {
        Some((_, Ok(id))) => Some(id),
        Some((text, Err(_))) => Some(agents::find(store, text).await?.id),
        None => None,
    };
    let board = match query.board.as_deref().map(|text| (text, text.parse())) {
        Some((_, Ok(id))) => Some(id),
        Some((text, Err(_))) => Some(boards::find(store, text).await?.id),
        None => None,
    };
    let kind = match (&query.kind, query.audit) {
        (Some(kind), true) if !kind.starts_with(AUDIT_PREFIX) => {
            return Err(OperationError::invalid("kind", "is no kind of the audit trail"));
        }
        (Some(kind), _) => Some(kind.clone()),
        (None, audit) => audit.then(|| AUDIT_PREFIX.to_owned()),
    };
    Ok(ActivityFilter {
        kind_prefix: kind,
        before: None,
        agent,
        board,
    })
}

impl ActivityView {
    /// The view of a record.
    pub fn of(activity: &Activity) -> Self {
        Self {
            id: activity.id,
            kind: activity.kind.clone(),
            message: activity.message.clone(),
            agent_id: activity.agent_id,
            board_id: activity.board_id,
            actor: activity.actor.clone(),
            source: activity.source.clone(),
            at: activity.at,
        }
    }
}
