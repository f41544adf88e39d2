//! The jobs of the provisioner, and their options.

use serde::{Deserialize, Serialize};
use windlass_store::{AgentUid, BoardId};

/// How an agent is provisioned or updated. Kept with the run, so that a run that was cut off goes on as it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches")]
pub struct RunOptions {
    /// Whether to wake the agent at the end.
    pub wake: Wake,
    /// Deliver the answer to the wake to the channel that the agent was last reached by.
    pub deliver: bool,
    /// Begin a fresh session before the wake.
    pub reset_session: bool,
    /// Write `USER.md` and `MEMORY.md` even where the agent has made them its own.
    pub overwrite: bool,
    /// Give the agent its `BOOTSTRAP.md` again.
    pub force_bootstrap: bool,
    /// The rule for the agent's token.
    pub token: TokenRule,
}

/// When a run wakes its agent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wake {
    /// No agent is woken.
    Never,
    /// When it is new, or something of it was written: an agent that has all it needs is left in peace.
    #[default]
    IfChanged,
    /// In any case.
    Always,
    /// Unless it was seen since it was woken last, up to the very moment: for an agent that did not answer in time. It is left
    /// with the session that it has, too.
    UnlessSeen,
}

impl Wake {
    pub(crate) fn wanted(self, changed: bool) -> bool {
        match self {
            Self::Never => false,
            Self::IfChanged => changed,
            Self::Always | Self::UnlessSeen => true,
        }
    }
}

/// The rule for an agent's token in a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenRule {
    /// The token that the agent has stays, as long as it is the right one; otherwise it gets a new one.
    #[default]
    Keep,
    /// A new one in any case.
    Rotate,
    /// The token that the agent has stays; without one it is left alone with an error. A wrong one is a warning.
    MustExist,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            wake: Wake::IfChanged,
            deliver: true,
            reset_session: false,
            overwrite: false,
            force_bootstrap: false,
            token: TokenRule::Keep,
        }
    }
}

impl RunOptions {
    /// Files only: no agent is woken.
    pub fn quiet() -> Self {
        Self {
            wake: Wake::Never,
            ..Self::default()
        }
    }
}

/// Which agents a template sync takes in, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches")]
pub struct SyncOptions {
    /// The gateway's own agent too.
    pub include_main: bool,
    /// Leads only.
    pub lead_only: bool,
    /// Begin a fresh session for each.
    pub reset_sessions: bool,
    /// A new token for each; without this an agent without a readable token is skipped with an error.
    pub rotate_tokens: bool,
    /// See [`RunOptions::force_bootstrap`].
    pub force_bootstrap: bool,
    /// See [`RunOptions::overwrite`].
    pub overwrite: bool,
    /// The agents of this board only.
    pub board: Option<BoardId>,
}

impl SyncOptions {
    /// How each agent is updated.
    pub(crate) fn run_options(&self) -> RunOptions {
        RunOptions {
            wake: Wake::Never,
            deliver: false,
            reset_session: self.reset_sessions,
            overwrite: self.overwrite,
            force_bootstrap: self.force_bootstrap,
            token: if self.rotate_tokens {
                TokenRule::Rotate
            } else {
                TokenRule::MustExist
            },
        }
    }
}

/// A job on some agents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Job {
    /// Bring agents to life, or up to date.
    Provision {
        /// The agents, of any gateways.
        agents: Vec<AgentUid>,
        /// How.
        options: RunOptions,
    },
    /// Take agents off their gateways, and their records out of the store. Of an agent that no run was ever begun for there is
    /// nothing but its record: its gateway is not asked.
    Delete {
        /// The agents, of any gateways.
        agents: Vec<AgentUid>,
        /// Their workspaces too.
        delete_files: bool,
    },
    /// Take the records of agents out of the store, and ask no gateway: for agents of a gateway that is gone for good. An agent
    /// that is still there goes on with its token, its files and its session, and nothing knows it any more.
    Forget {
        /// The agents, of any gateways.
        agents: Vec<AgentUid>,
    },
    /// Take the record of a gateway out of the store, with those of the boards and agents on it, and ask it nothing: see
    /// [`Job::Forget`].
    ForgetGateway {
        /// The gateway.
        gateway: windlass_store::GatewayUid,
    },
    /// Write the present templates for the agents of a gateway.
    Sync {
        /// The gateway.
        gateway: windlass_store::GatewayUid,
        /// Which agents, and how.
        options: SyncOptions,
    },
}
