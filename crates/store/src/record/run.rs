//! Lifecycle runs with their steps, and activities.
//!
//! A run keeps how far it got, so that it is continued and not repeated.

use serde::Serialize;
use serde_json::Value;

use super::named;
use crate::backend::{self, check};
use crate::error::StoreError;
use crate::limits;
use crate::values::{AgentUid, BoardId, GatewayUid, RunId, Timestamp};

named! {
    /// The purpose of a run.
    RunKind, "run kind" {
        /// Brings it to the gateway.
        Provision = "provision",
        /// Brings it up to date.
        Update = "update",
        /// Takes it from the gateway.
        Delete = "delete",
    }
}

named! {
    /// The state of a run.
    RunState, "run state" {
        /// Running, or interrupted and to be continued.
        Active = "active",
        /// Ended well.
        Done = "done",
        /// Ended with an error.
        Failed = "failed",
    }
}

named! {
    /// A step of a run.
    StepName, "step" {
        /// Templates rendered.
        Render = "render",
        /// The agent on the gateway created or updated.
        Agent = "agent",
        /// The heartbeat in the gateway's configuration.
        Heartbeat = "heartbeat",
        /// Workspace files and scratch written.
        Files = "files",
        /// The session reset.
        Reset = "reset",
        /// The agent woken.
        Wake = "wake",
        /// The agent on the gateway deleted.
        DeleteAgent = "delete-agent",
        /// The session deleted.
        DeleteSession = "delete-session",
        /// The main agent told to clean up.
        Cleanup = "cleanup",
    }
}

named! {
    /// The state of a step.
    StepState, "step state" {
        /// Begun: its effect may have happened or not.
        Begun = "begun",
        /// Its effect has happened.
        Done = "done",
        /// There was nothing to do.
        Skipped = "skipped",
        /// Given up.
        Failed = "failed",
    }
}

/// One lifecycle run of an agent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// The agent, which may be gone when the run has ended.
    pub agent_id: AgentUid,
    /// The gateway.
    pub gateway_id: GatewayUid,
    /// Its purpose.
    pub kind: RunKind,
    /// The lifecycle generation of the agent.
    pub generation: u64,
    /// Its options, in the provisioner's own form.
    pub options: Value,
    /// Its state.
    pub state: RunState,
    /// The error of a failed run; cut to [`limits::MESSAGE_CHARS`].
    pub error: Option<String>,
    /// The idempotency key of its wake message.
    pub wake_key: Option<String>,
    /// The time of its start.
    pub started_at: Timestamp,
    /// The time of its end.
    pub ended_at: Option<Timestamp>,
}

/// One step of a run, as it stands now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// The run.
    pub run_id: RunId,
    /// The step.
    pub name: StepName,
    /// Its state.
    pub state: StepState,
    /// The number of attempts.
    pub attempts: u32,
    /// The data that the provisioner needs to continue.
    pub detail: Value,
    /// The time of its last change.
    pub at: Timestamp,
}

impl Run {
    /// A run that begins now, with no options and no wake key.
    pub fn new(
        id: RunId,
        agent_id: AgentUid,
        gateway_id: GatewayUid,
        kind: RunKind,
        generation: u64,
        at: Timestamp,
    ) -> Self {
        Self {
            id,
            agent_id,
            gateway_id,
            kind,
            generation,
            options: Value::Null,
            state: RunState::Active,
            error: None,
            wake_key: None,
            started_at: at,
            ended_at: None,
        }
    }

    /// This run, ended: done, or failed with `error`.
    pub fn ended(&self, at: Timestamp, error: Option<String>) -> Self {
        Self {
            state: if error.is_some() {
                RunState::Failed
            } else {
                RunState::Done
            },
            error,
            ended_at: Some(at),
            ..self.clone()
        }
    }

    fn check(&self) -> Result<(), StoreError> {
        check::json("run.options", &self.options)?;
        check::optional("run.wake_key", self.wake_key.as_ref(), limits::KEY_CHARS)
    }

    /// Checks a run that is to begin, with its agent.
    pub fn check_begin(&self, agent: AgentUid) -> Result<(), StoreError> {
        self.check()?;
        self.check_agent(agent)?;
        if self.state != RunState::Active || self.ended_at.is_some() {
            return Err(StoreError::invalid(
                "run.state",
                "is not active, but the run is to begin",
            ));
        }
        Ok(())
    }

    /// Checks a run that is to end, with its agent if given.
    pub fn check_end(&self, agent: Option<AgentUid>) -> Result<(), StoreError> {
        self.check()?;
        agent.map_or(Ok(()), |agent| self.check_agent(agent))?;
        if self.state == RunState::Active || self.ended_at.is_none() {
            return Err(StoreError::invalid(
                "run.state",
                "is active or has no end, but the run is to end",
            ));
        }
        Ok(())
    }

    fn check_agent(&self, agent: AgentUid) -> Result<(), StoreError> {
        if self.agent_id == agent {
            Ok(())
        } else {
            Err(StoreError::invalid("run.agent_id", "is another agent"))
        }
    }

    /// This run with the end of `ended`. Everything else stays as it was at the start.
    pub fn ended_as(&self, ended: &Self) -> Self {
        let ended = ended.kept();
        Self {
            state: ended.state,
            error: ended.error,
            wake_key: ended.wake_key,
            ended_at: ended.ended_at,
            ..self.clone()
        }
    }

    /// The record to store, its error cut.
    pub fn kept(&self) -> Self {
        Self {
            error: self.error.as_deref().map(backend::cut),
            ..self.clone()
        }
    }
}

impl Step {
    /// Checks the fields, before it is written.
    pub fn check(&self) -> Result<(), StoreError> {
        check::json("step.detail", &self.detail)
    }
}

/// An activity: an event in the life of an agent or a board.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Activity {
    /// Counted up from 1 and never used again: the cursor of a reader.
    pub id: i64,
    /// Its kind, for example `agent.provisioned`.
    pub kind: String,
    /// Its text.
    pub message: String,
    /// The agent it is about, which may be gone by now.
    pub agent_id: Option<AgentUid>,
    /// The board it is about, which may be gone by now.
    pub board_id: Option<BoardId>,
    /// The person, program or agent that made the change, where there is one.
    pub actor: Option<String>,
    /// The front by which the change came: `api`, `page`, `cli` or `agent`.
    pub source: Option<String>,
    /// The time of it.
    pub at: Timestamp,
}

/// An activity that is to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewActivity {
    /// Its kind, for example `agent.provisioned`.
    pub kind: String,
    /// Its text; cut to [`limits::MESSAGE_CHARS`].
    pub message: String,
    /// The agent it is about.
    pub agent_id: Option<AgentUid>,
    /// The board it is about.
    pub board_id: Option<BoardId>,
    /// The person, program or agent that made the change, where there is one; cut to [`limits::NAME_CHARS`].
    pub actor: Option<String>,
    /// The front by which the change came: `api`, `page`, `cli` or `agent`.
    pub source: Option<String>,
    /// The time of it.
    pub at: Timestamp,
}

/// A selection of activities.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActivityFilter {
    /// Those of a kind that begins with this, for example `audit.`.
    pub kind_prefix: Option<String>,
    /// Those with a smaller number than this.
    pub before: Option<i64>,
    /// Those of this agent only.
    pub agent: Option<AgentUid>,
    /// Those of this board only.
    pub board: Option<BoardId>,
}

impl NewActivity {
    /// Checks the fields, before it is written.
    pub fn check(&self) -> Result<(), StoreError> {
        check::name("activity.kind", &self.kind, limits::KEY_CHARS)?;
        check::optional("activity.source", self.source.as_ref(), limits::KEY_CHARS)
    }

    /// The record to store, with its number.
    pub fn numbered(&self, id: i64) -> Activity {
        Activity {
            id,
            kind: self.kind.clone(),
            message: backend::cut(&self.message),
            agent_id: self.agent_id,
            board_id: self.board_id,
            actor: self
                .actor
                .as_deref()
                .map(|actor| actor.chars().take(limits::NAME_CHARS).collect()),
            source: self.source.clone(),
            at: self.at,
        }
    }
}

impl ActivityFilter {
    /// Whether the filter takes it.
    pub fn takes(&self, activity: &Activity) -> bool {
        self.kind_prefix
            .as_ref()
            .is_none_or(|prefix| activity.kind.starts_with(prefix))
            && self.before.is_none_or(|number| activity.id < number)
            && self.agent.is_none_or(|id| activity.agent_id == Some(id))
            && self.board.is_none_or(|id| activity.board_id == Some(id))
    }
}
