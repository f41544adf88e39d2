//! All records that an agent's files are made of.

use windlass_protocol::config::{HeartbeatEntry, RosterAgent};
use windlass_protocol::{AgentId, SessionKey};
use windlass_store::resolver::{self, ResolveError};
use windlass_store::{Agent, AgentUid, Board, Gateway, GatewayUid, Organization, Store, StoreError};

use super::lifecycle;
use crate::control_plane::{AgentSpec, Capabilities};

/// An agent with all that belongs to it.
#[derive(Debug, Clone)]
pub(crate) struct AgentRecords {
    pub(crate) agent: Agent,
    pub(crate) gateway: Gateway,
    pub(crate) board: Option<Board>,
    pub(crate) organization: Option<Organization>,
    /// The agent's folder on the gateway's host.
    pub(crate) workspace: String,
    /// Where folders of agents are, on the gateway's host.
    pub(crate) workspace_root: String,
}

/// Why an agent's records don't make a whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgentRecordsError {
    #[error("there is no such agent")]
    Gone,
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AgentRecords {
    pub(crate) async fn load(store: &dyn Store, agent: AgentUid) -> Result<Self, AgentRecordsError> {
        let agent = store.agent(agent).await?.ok_or(AgentRecordsError::Gone)?;
        let board = match agent.board_id {
            Some(board) => store.board(board).await?,
            None => None,
        };
        let gateway = gateway_of(store, &agent, board.as_ref()).await?;
        let organization = store.organization(gateway.organization_id).await?;
        let workspace_root = gateway
            .workspace_root
            .clone()
            .ok_or(ResolveError::WorkspaceRootMissing { gateway: gateway.id })?;
        Ok(Self {
            workspace: agent.identity_on_gateway().workspace_path(&workspace_root),
            agent,
            gateway,
            board,
            organization,
            workspace_root,
        })
    }

    /// See [`lifecycle::is_new`].
    pub(crate) const fn is_new(&self) -> bool {
        lifecycle::is_new(&self.agent)
    }

    pub(crate) fn agent_id(&self) -> AgentId {
        self.agent.agent_id()
    }

    pub(crate) const fn session(&self) -> &SessionKey {
        &self.agent.session_key
    }

    pub(crate) fn card(&self) -> AgentSpec {
        AgentSpec {
            id: self.agent_id(),
            name: self.agent.name.clone(),
            workspace: self.workspace.clone(),
        }
    }

    /// Whether the gateway has the agent's name and workspace right, as far as it lets us set them.
    pub(crate) fn matches(&self, there: &RosterAgent, capabilities: Capabilities) -> bool {
        // Without agents.update the workspace comes with the heartbeat, and there are no names.
        if !capabilities.agents {
            return true;
        }
        there.name.as_ref() == Some(&self.agent.name) && there.workspace.as_ref() == Some(&self.workspace)
    }

    pub(crate) fn heartbeat(&self) -> HeartbeatEntry {
        HeartbeatEntry {
            id: self.agent_id(),
            workspace: self.workspace.clone(),
            heartbeat: self.agent.heartbeat.clone(),
        }
    }
}

/// An agent's gateway, fit to be provisioned: one of the organization that its board belongs to.
async fn gateway_of(store: &dyn Store, agent: &Agent, board: Option<&Board>) -> Result<Gateway, AgentRecordsError> {
    let gateway = agent.gateway_id;
    let organization = match board {
        Some(board) => board.organization_id,
        None => {
            store
                .gateway(gateway)
                .await?
                .ok_or(ResolveError::GatewayUnknown { gateway })?
                .organization_id
        }
    };
    Ok(resolver::resolve_gateway(store, gateway, organization).await?)
}

/// A gateway, fit to be provisioned.
pub(crate) async fn gateway(store: &dyn Store, id: GatewayUid) -> Result<Gateway, ResolveError> {
    let found = store
        .gateway(id)
        .await?
        .ok_or(ResolveError::GatewayUnknown { gateway: id })?;
    resolver::resolve_gateway(store, id, found.organization_id).await
}
