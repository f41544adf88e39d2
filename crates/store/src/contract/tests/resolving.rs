//! From a board to its gateway.

use crate::resolver::{ResolveError, resolve_board, resolve_connection, resolve_gateway};

use super::world::{Shared, board, board_id, furnish, gateway, gateway_id, organization, organization_id};

pub(crate) async fn a_board_is_resolved_to_its_gateway(store: &Shared) {
    furnish(store).await;
    let mut padded = gateway(1, "east");
    padded.url = "  ws://127.0.0.1:18789 \n".into();
    padded.workspace_root = Some(" /srv/agents/ ".into());
    store.update_gateway(&padded).await.unwrap();
    let (board, found) = resolve_board(&**store, board_id(1), organization_id(1)).await.unwrap();
    assert_eq!(board.id, board_id(1));
    assert_eq!(found, gateway(1, "east"), "as it is, without the blanks");
    assert_eq!(
        resolve_gateway(&**store, gateway_id(1), organization_id(1))
            .await
            .unwrap(),
        found
    );
}

pub(crate) async fn each_reason_why_there_is_no_gateway_is_told(store: &Shared) {
    furnish(store).await;
    store.put_organization(&organization(2, "Other")).await.unwrap();
    let resolve =
        |number: u16, organization: u16| resolve_board(&**store, board_id(number), organization_id(organization));
    assert!(matches!(resolve(9, 1).await, Err(ResolveError::BoardUnknown { .. })));
    assert!(matches!(
        resolve(1, 2).await,
        Err(ResolveError::OtherOrganization { what: "board" })
    ));
    store.update_board(&board(2, None, "b")).await.unwrap();
    assert!(matches!(
        resolve(2, 1).await,
        Err(ResolveError::BoardWithoutGateway { .. })
    ));

    let mut theirs = gateway(2, "west");
    theirs.organization_id = organization_id(2);
    store.update_gateway(&theirs).await.unwrap();
    assert!(matches!(
        resolve(3, 1).await,
        Err(ResolveError::OtherOrganization { what: "gateway" })
    ));
    let nobody = resolve_gateway(&**store, gateway_id(9), organization_id(1)).await;
    assert!(matches!(nobody, Err(ResolveError::GatewayUnknown { .. })));

    let mut bare = gateway(1, "east");
    bare.workspace_root = Some(" ".into());
    store.update_gateway(&bare).await.unwrap();
    assert!(matches!(
        resolve(1, 1).await,
        Err(ResolveError::WorkspaceRootMissing { .. })
    ));
    assert!(
        resolve_connection(&**store, bare.id, organization_id(1)).await.is_ok(),
        "enough to connect"
    );
    bare.url = " ".into();
    store.update_gateway(&bare).await.unwrap();
    let error = resolve(1, 1).await.unwrap_err();
    assert!(matches!(error, ResolveError::UrlMissing { .. }));
    assert!(
        error.to_string().contains("ws:// or wss://"),
        "what to do next: {error}"
    );
}
