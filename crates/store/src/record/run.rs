//! Lifecycle runs with their steps, and activities.
//!
//! A run keeps how far it got, so that it is continued and not repeated.

use serde::Serialize;
use serde_json::Value;

use super::agent::Agent;
use super::named;
use crate::backend::{self, check};
use crate::error::StoreError;
use crate::limits;
use crate::values::{AgentUid, BoardId, GatewayUid, RunId, Timestamp};

named! {
    /// What a run does with its agent.
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
    /// How far a run is.
    RunState, "run state" {
        /// Under way, or cut off and to be continued.
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
    /// How far a step is.
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
    /// What it does.
    pub kind: RunKind,
    /// The agent's lifecycle generation that it is.
    pub generation: u64,
    /// With which options, as the one who runs it wrote them down.
    pub options: Value,
    /// How far it is.
    pub state: RunState,
    /// Why it failed; cut to [`limits::MESSAGE_CHARS`].
    pub error: Option<String>,
    /// The idempotency key of its wake message.
    pub wake_key: Option<String>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// One step of a run, as it stands now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// The run.
    pub run_id: RunId,
    /// Which step.
    pub name: StepName,
    /// How far it is.
    pub state: StepState,
    /// How often it was begun.
    pub attempts: u32,
    /// What the one who runs it needs to continue.
    pub detail: Value,
    /// When it became so.
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

    pub fn check_begin(&self, agent: &Agent) -> Result<(), StoreError> {
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

    pub fn check_end(&self, agent: Option<&Agent>) -> Result<(), StoreError> {
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

    fn check_agent(&self, agent: &Agent) -> Result<(), StoreError> {
        if self.agent_id == agent.id {
            Ok(())
        } else {
            Err(StoreError::invalid("run.agent_id", "is another agent"))
        }
    }

    /// This run with the end of `ended`: what was fixed when it began stays.
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

    /// As it is stored.
    pub fn kept(&self) -> Self {
        Self {
            error: self.error.as_deref().map(backend::cut),
            ..self.clone()
        }
    }
}

impl Step {
    pub fn check(&self) -> Result<(), StoreError> {
        check::json("step.detail", &self.detail)
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Activity {
    /// Counted up from 1 and never used again: the cursor of a reader.
    pub id: i64,
    /// What sort of thing, for example `agent.provisioned`.
    pub kind: String,
    /// In words.
    pub message: String,
    /// The agent it is about, which may be gone by now.
    pub agent_id: Option<AgentUid>,
    /// The board it is about, which may be gone by now.
    pub board_id: Option<BoardId>,
    /// When.
    pub at: Timestamp,
}

/// An activity that is to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewActivity {
    /// What sort of thing, for example `agent.provisioned`.
    pub kind: String,
    /// In words; cut to [`limits::MESSAGE_CHARS`].
    pub message: String,
    /// The agent it is about.
    pub agent_id: Option<AgentUid>,
    /// The board it is about.
    pub board_id: Option<BoardId>,
    /// When.
    pub at: Timestamp,
}

/// Which activities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ActivityFilter {
    /// Those of this agent only.
    pub agent: Option<AgentUid>,
    /// Those of this board only.
    pub board: Option<BoardId>,
}

impl NewActivity {
    pub fn check(&self) -> Result<(), StoreError> {
        check::name("activity.kind", &self.kind, limits::KEY_CHARS)
    }

    pub fn numbered(&self, id: i64) -> Activity {
        Activity {
            id,
            kind: self.kind.clone(),
            message: backend::cut(&self.message),
            agent_id: self.agent_id,
            board_id: self.board_id,
            at: self.at,
        }
    }
}

impl ActivityFilter {
    pub fn takes(&self, activity: &Activity) -> bool {
        self.agent.is_none_or(|id| activity.agent_id == Some(id))
            && self.board.is_none_or(|id| activity.board_id == Some(id))
    }
}
