//! Finds the gateway of a board, and checks that it can be used.

use crate::error::StoreError;
use crate::record::{Board, Gateway};
use crate::traits::{Boards, Gateways};
use crate::values::{BoardId, GatewayUid, OrganizationId};

/// The reason why a gateway can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// No such board.
    #[error("there is no board {board}")]
    BoardUnknown {
        /// The board.
        board: BoardId,
    },
    /// The board has no gateway.
    #[error("board {board} has no gateway: give it one")]
    BoardWithoutGateway {
        /// The board.
        board: BoardId,
    },
    /// No such gateway.
    #[error("there is no gateway {gateway}")]
    GatewayUnknown {
        /// The gateway.
        gateway: GatewayUid,
    },
    /// The board or the gateway belongs to another organization.
    #[error("the {what} belongs to another organization")]
    OtherOrganization {
        /// "board" or "gateway".
        what: &'static str,
    },
    /// The gateway has no URL.
    #[error("gateway {gateway} has no URL: give it one (ws:// or wss://)")]
    UrlMissing {
        /// The gateway.
        gateway: GatewayUid,
    },
    /// The gateway has no workspace root.
    #[error("gateway {gateway} has no workspace_root: give it the folder in which its agents get their workspaces")]
    WorkspaceRootMissing {
        /// The gateway.
        gateway: GatewayUid,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The gateway of a board of this organization, fit to be provisioned: its URL and workspace root are there, without blanks around
/// them.
pub async fn resolve_board<S>(
    store: &S,
    board: BoardId,
    organization: OrganizationId,
) -> Result<(Board, Gateway), ResolveError>
where
    S: Boards + Gateways + Sync + ?Sized,
{
    let found = store.board(board).await?.ok_or(ResolveError::BoardUnknown { board })?;
    if found.organization_id != organization {
        return Err(ResolveError::OtherOrganization { what: "board" });
    }
    let gateway = found.gateway_id.ok_or(ResolveError::BoardWithoutGateway { board })?;
    let gateway = resolve_gateway(store, gateway, organization).await?;
    Ok((found, gateway))
}

/// A gateway of this organization, fit to be provisioned, as [`resolve_board`] gives it.
pub async fn resolve_gateway<S>(
    store: &S,
    gateway: GatewayUid,
    organization: OrganizationId,
) -> Result<Gateway, ResolveError>
where
    S: Gateways + Sync + ?Sized,
{
    let mut found = resolve_connection(store, gateway, organization).await?;
    let root = found
        .workspace_root
        .as_deref()
        .map(str::trim)
        .filter(|root| !root.is_empty());
    found.workspace_root = Some(root.ok_or(ResolveError::WorkspaceRootMissing { gateway })?.to_owned());
    Ok(found)
}

/// A gateway of this organization to connect to: its URL is there, without blanks around it.
pub async fn resolve_connection<S>(
    store: &S,
    gateway: GatewayUid,
    organization: OrganizationId,
) -> Result<Gateway, ResolveError>
where
    S: Gateways + Sync + ?Sized,
{
    let mut found = store
        .gateway(gateway)
        .await?
        .ok_or(ResolveError::GatewayUnknown { gateway })?;
    if found.organization_id != organization {
        return Err(ResolveError::OtherOrganization { what: "gateway" });
    }
    found.url = found.url.trim().to_owned();
    if found.url.is_empty() {
        return Err(ResolveError::UrlMissing { gateway });
    }
    Ok(found)
}
