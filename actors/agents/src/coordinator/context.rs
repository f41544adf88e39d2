//! The context of the coordinator's operations, and the delivery of their messages.

use super::operation::CoordinationCaller;
use super::operation::CoordinationError;
use crate::control_plane::{AgentMessage, ControlPlane};
use crate::offload::render;
use crate::provisioner::{Fleet, ProvisionerHandle, ProvisionerSettings};
use rand::RngExt as _;
use rand::rngs::StdRng;
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;
use windlass_line::clock::Clock;
use windlass_protocol::RetryPolicy;
use windlass_store::{
    Agent, AgentFilter, AgentRole, AgentUid, Board, BoardId, Gateway, GatewayUid, NewActivity, Store, Timestamp,
    resolver,
};
use windlass_templates::{MessageKind, MessageVariables, Overrides, Templates};

/// Longest message taken, in characters: a long text of a person, which an agent reads with its other instructions.
pub const MESSAGE_CHARS: usize = 20_000;

pub(crate) struct CoordinatorContext {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) templates: Templates,
    pub(crate) fleet: Arc<dyn Fleet>,
    pub(crate) provisioner: ProvisionerHandle,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: ProvisionerSettings,
    pub(crate) rng: RefCell<StdRng>,
}

impl CoordinatorContext {
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from(self.clock.wall())
    }

    /// The id that was given, or a fresh one.
    pub(crate) fn correlation(&self, given: Option<&String>) -> String {
        given.cloned().unwrap_or_else(|| {
            let random = self.rng.borrow_mut().random();
            uuid::Builder::from_random_bytes(random).into_uuid().to_string()
        })
    }

    /// Ends an operation after the budget of a waiting caller. A message that was on its way by then may have arrived.
    pub(crate) async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, CoordinationError>>,
    ) -> Result<T, CoordinationError> {
        const LIMIT: Duration = RetryPolicy::COORDINATION.budget;
        match tokio::time::timeout(LIMIT, work).await {
            Ok(end) => end,
            Err(_) => Err(CoordinationError::TooLate { after: LIMIT }),
        }
    }

    pub(crate) async fn agent(&self, id: AgentUid) -> Result<Agent, CoordinationError> {
        self.store.agent(id).await?.ok_or(CoordinationError::NoAgent(id))
    }

    pub(crate) async fn caller(&self, caller: CoordinationCaller) -> Result<Option<Agent>, CoordinationError> {
        match caller {
            CoordinationCaller::Operator => Ok(None),
            CoordinationCaller::Agent(id) => self.agent(id).await.map(Some),
        }
    }

    /// A board and the gateway that it is on.
    pub(crate) async fn board(&self, id: BoardId) -> Result<(Board, Gateway), CoordinationError> {
        let board = self.store.board(id).await?.ok_or(CoordinationError::NoBoard(id))?;
        Ok(resolver::resolve_board(&*self.store, id, board.organization_id).await?)
    }

    /// The gateway's own agent, once it was brought to life.
    pub(crate) async fn main_agent(&self, gateway: GatewayUid) -> Result<Agent, CoordinationError> {
        let filter = AgentFilter {
            gateway: Some(gateway),
            board: None,
            role: Some(AgentRole::Main),
        };
        let found = self.store.agents(&filter).await?.into_iter().next();
        found
            .filter(|main| main.lifecycle_generation > 0)
            .ok_or(CoordinationError::NoMainAgent(gateway))
    }

    pub(crate) async fn text(
        &self,
        gateway: &Gateway,
        kind: MessageKind,
        mut words: MessageVariables,
    ) -> Result<String, CoordinationError> {
        check_message("message", &words.message, kind == MessageKind::Onboarding)?;
        self.settings.base_url_of(gateway).clone_into(&mut words.base_url);
        let is_users = self.templates.work_on_users_text(&Overrides::default());
        let text = render(&self.templates, is_users, move |templates| {
            templates.coordination_message(kind, &words)
        });
        Ok(text.await?)
    }
}

/// Refuses an empty or too long message.
pub(crate) fn check_message(field: &'static str, text: &str, may_be_empty: bool) -> Result<(), CoordinationError> {
    let why = if text.trim().is_empty() && !may_be_empty {
        "is empty".to_owned()
    } else if text.chars().nth(MESSAGE_CHARS).is_some() {
        format!("is longer than {MESSAGE_CHARS} characters")
    } else {
        return Ok(());
    };
    Err(CoordinationError::Invalid { field, why })
}

/// The sender's name, for people.
pub(crate) fn sender(caller: Option<&Agent>) -> String {
    match caller {
        None => "An operator".to_owned(),
        Some(agent) => agent.name.clone(),
    }
}

/// The tags of answers: as given, or the correlation id.
pub(crate) fn tags(given: &[String], correlation_id: &str) -> Vec<String> {
    if given.is_empty() {
        vec![correlation_id.to_owned()]
    } else {
        given.to_vec()
    }
}

/// A message on its way to an agent.
pub(crate) struct Dispatch<'a> {
    pub(crate) gateway: &'a Gateway,
    pub(crate) agent: &'a Agent,
    pub(crate) text: &'a str,
    pub(crate) deliver: bool,
    pub(crate) correlation_id: &'a str,
}

impl CoordinatorContext {
    /// Sends, within the budget of a waiting caller. The correlation id is the idempotency key: however often the
    /// same thing is said under it, the agent hears it once.
    pub(crate) async fn dispatch(&self, dispatch: &Dispatch<'_>) -> Result<(), CoordinationError> {
        let plane = self.plane(dispatch.gateway).await?;
        let key = &dispatch.agent.session_key;
        if plane.capabilities().await?.sessions_before_turns {
            plane.ensure_session(key, Some(&dispatch.agent.name)).await?;
        }
        let message = AgentMessage {
            key: key.clone(),
            text: dispatch.text.to_owned(),
            deliver: dispatch.deliver,
            idempotency_key: dispatch.correlation_id.to_owned(),
            tried_before: false,
            within: RetryPolicy::COORDINATION.budget,
        };
        Ok(plane.send(&message).await?)
    }

    pub(crate) async fn plane(&self, gateway: &Gateway) -> Result<Arc<dyn ControlPlane>, CoordinationError> {
        Ok(self.fleet.control_plane(gateway).await?)
    }

    /// Puts an attempt on record: `kind` with `.sent` or `.failed` behind it.
    pub(crate) async fn note<T>(
        &self,
        kind: &str,
        board: BoardId,
        agent: Option<&Agent>,
        end: &Result<T, CoordinationError>,
        correlation_id: &str,
    ) {
        let (suffix, words) = match end {
            Ok(_) => ("sent", String::new()),
            Err(error) => ("failed", format!(": {error}")),
        };
        let who = agent.map(|agent| agent.name.as_str()).unwrap_or_default();
        let activity = NewActivity {
            actor: None,
            source: None,
            kind: format!("{kind}.{suffix}"),
            message: format!("{who} ({correlation_id}){words}"),
            agent_id: agent.map(|agent| agent.id),
            board_id: Some(board),
            at: self.now(),
        };
        if let Err(error) = self.store.record(&activity).await {
            tracing::warn!(correlation_id, "an activity could not be recorded: {error}");
        }
    }
}
