//! Tokens of people and programs, boards' memories, and the audit trail.

use crate::{
    ActivityFilter, ApiRole, ApiTokenId, ApiTokenRecord, BoardMemoryEntry, BoardMemoryFilter, MemoryId, NewActivity,
    StoreError,
};

use super::world::{Shared, agent_id, at, board, board_id, furnish};

fn token(number: u8, name: &str) -> ApiTokenRecord {
    ApiTokenRecord {
        id: ApiTokenId::from_bytes([number; 16]),
        name: name.into(),
        role: ApiRole::Operator,
        hash: [number; 32],
        created_at: at(1),
        expires_at: Some(at(100)),
        last_used_at: None,
        revoked_at: None,
    }
}

pub(crate) async fn a_token_is_found_by_its_hash_until_it_is_deleted(store: &Shared) {
    let one = token(1, "grafana");
    store.insert_api_token(&one).await.unwrap();
    assert_eq!(store.api_token_by_hash(&[1; 32]).await.unwrap(), Some(one.clone()));
    assert_eq!(store.api_token_by_hash(&[2; 32]).await.unwrap(), None);
    assert!(one.is_valid(at(99)) && !one.is_valid(at(100)));
    assert!(store.delete_api_token(one.id).await.unwrap());
    assert!(!store.delete_api_token(one.id).await.unwrap());
    assert_eq!(store.api_token_by_hash(&[1; 32]).await.unwrap(), None);
}

pub(crate) async fn a_tokens_name_is_taken_in_whatever_letters(store: &Shared) {
    store.insert_api_token(&token(1, "Grafana")).await.unwrap();
    let again = store.insert_api_token(&token(2, "grafana")).await;
    assert!(
        matches!(again, Err(StoreError::NameTaken { what: "token", .. })),
        "{again:?}"
    );
    let same = store.insert_api_token(&token(1, "other")).await;
    assert!(matches!(same, Err(StoreError::Exists { .. })), "{same:?}");
    let blank = store.insert_api_token(&token(3, " ")).await;
    assert!(
        matches!(
            blank,
            Err(StoreError::Invalid {
                field: "token.name",
                ..
            })
        ),
        "{blank:?}"
    );
    store.insert_api_token(&token(4, "alerts")).await.unwrap();
    let names: Vec<_> = store
        .api_tokens()
        .await
        .unwrap()
        .into_iter()
        .map(|token| token.name)
        .collect();
    assert_eq!(names, ["alerts", "Grafana"]);
}

pub(crate) async fn a_token_is_revoked_once_and_its_last_use_never_goes_back(store: &Shared) {
    let one = token(1, "ci");
    store.insert_api_token(&one).await.unwrap();
    store.touch_api_token(one.id, at(20)).await.unwrap();
    store.touch_api_token(one.id, at(10)).await.unwrap();
    assert!(store.revoke_api_token(one.id, at(30)).await.unwrap());
    assert!(store.revoke_api_token(one.id, at(40)).await.unwrap());
    let found = store.api_token_by_hash(&one.hash).await.unwrap().unwrap();
    assert_eq!((found.last_used_at, found.revoked_at), (Some(at(20)), Some(at(30))));
    assert!(!found.is_valid(at(31)));
    let unknown = ApiTokenId::from_bytes([9; 16]);
    assert!(!store.revoke_api_token(unknown, at(1)).await.unwrap());
    store.touch_api_token(unknown, at(1)).await.unwrap();
}

fn entry(number: u8, tags: &[&str]) -> BoardMemoryEntry {
    BoardMemoryEntry {
        id: MemoryId::from_bytes([number; 16]),
        board_id: board_id(1),
        content: format!("entry {number}"),
        tags: tags.iter().map(ToString::to_string).collect(),
        source: Some("lead".into()),
        agent_id: Some(agent_id(1)),
        created_at: at(i64::from(number)),
    }
}

pub(crate) async fn a_boards_memory_is_read_newest_first_by_page_and_kind(store: &Shared) {
    furnish(store).await;
    for number in 1..=5 {
        let tags: &[&str] = if number % 2 == 0 {
            &["chat"]
        } else {
            &["decision", "plan"]
        };
        store.remember(&entry(number, tags)).await.unwrap();
    }
    let numbers = |entries: &[BoardMemoryEntry]| entries.iter().map(|entry| entry.created_at).collect::<Vec<_>>();
    let all = BoardMemoryFilter {
        board: board_id(1),
        is_chat: None,
    };
    let page = store.board_memory(&all, 1, 2).await.unwrap();
    assert_eq!((numbers(&page.entries), page.total), (vec![at(4), at(3)], 5));
    assert_eq!(page.entries[1], entry(3, &["decision", "plan"]));
    let lasting = BoardMemoryFilter {
        is_chat: Some(false),
        ..all
    };
    let page = store.board_memory(&lasting, 0, 10).await.unwrap();
    assert_eq!((numbers(&page.entries), page.total), (vec![at(5), at(3), at(1)], 3));
    let beyond = store.board_memory(&all, u64::MAX, 10).await.unwrap();
    assert_eq!((beyond.entries.len(), beyond.total), (0, 5));
}

pub(crate) async fn a_memory_that_makes_no_sense_is_refused(store: &Shared) {
    let nowhere = store.remember(&entry(1, &[])).await;
    assert!(
        matches!(nowhere, Err(StoreError::Unknown { what: "board", .. })),
        "{nowhere:?}"
    );
    furnish(store).await;
    let blank = BoardMemoryEntry {
        content: " \n".into(),
        ..entry(1, &[])
    };
    let refused = store.remember(&blank).await;
    assert!(
        matches!(
            refused,
            Err(StoreError::Invalid {
                field: "memory.content",
                ..
            })
        ),
        "{refused:?}"
    );
    let refused = store.remember(&entry(1, &["a"; 33])).await;
    assert!(
        matches!(
            refused,
            Err(StoreError::Invalid {
                field: "memory.tags",
                ..
            })
        ),
        "{refused:?}"
    );
    store.remember(&entry(1, &[])).await.unwrap();
    let again = store.remember(&entry(1, &[])).await;
    assert!(matches!(again, Err(StoreError::Exists { .. })), "{again:?}");
}

pub(crate) async fn a_boards_memory_goes_with_its_board(store: &Shared) {
    furnish(store).await;
    store.remember(&entry(1, &[])).await.unwrap();
    assert!(store.delete_board(board_id(1)).await.unwrap());
    store.insert_board(&board(1, Some(1), "again")).await.unwrap();
    let all = BoardMemoryFilter {
        board: board_id(1),
        is_chat: None,
    };
    assert_eq!(store.board_memory(&all, 0, 10).await.unwrap().total, 0);
}

pub(crate) async fn an_activity_tells_its_actor_and_is_found_by_kind(store: &Shared) {
    let audited = NewActivity {
        kind: "audit.gateway.updated".into(),
        message: "url".into(),
        agent_id: None,
        board_id: None,
        actor: Some("grafana".into()),
        source: Some("api".into()),
        at: at(1),
    };
    let other = NewActivity {
        kind: "agent.provisioned".into(),
        actor: None,
        source: None,
        ..audited.clone()
    };
    store.record(&other).await.unwrap();
    let recorded = store.record(&audited).await.unwrap();
    assert_eq!(
        (recorded.actor.as_deref(), recorded.source.as_deref()),
        (Some("grafana"), Some("api"))
    );
    let filter = ActivityFilter {
        kind_prefix: Some("audit.".into()),
        ..ActivityFilter::default()
    };
    let latest = store.activities(&filter, None, 10).await.unwrap();
    assert_eq!(latest, std::slice::from_ref(&recorded));
    assert_eq!(store.activities(&filter, Some(0), 10).await.unwrap(), [recorded]);
    let other_prefix = ActivityFilter {
        kind_prefix: Some("audit_".into()),
        ..filter
    };
    assert_eq!(store.activities(&other_prefix, None, 10).await.unwrap(), []);
}
