//! A database in a folder of its own, an agent in it, and a way past the store.

use std::path::{Path, PathBuf};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, SqliteConnection};
use tempfile::TempDir;
use windlass_store::{Activities as _, Agents as _, Gateways as _, Organizations as _};
use windlass_store::{
    ActivityFilter, Agent, AgentUid, Creator, Gateway, GatewayUid, NewActivity, Organization, OrganizationId, Owner,
    Store, Timestamp,
};
use windlass_store_sqlite::SqliteStore;

pub(crate) fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    (folder, path)
}

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

pub(crate) fn the_agent() -> AgentUid {
    AgentUid::from_bytes([7; 16])
}

/// A database with one agent in it, closed.
pub(crate) async fn furnished(path: &Path) -> Agent {
    let store = SqliteStore::open(path).await.unwrap();
    let organization = OrganizationId::from_bytes([1; 16]);
    let record = Organization {
        id: organization,
        name: "Acme".into(),
        owner: Owner::default(),
    };
    store.put_organization(&record).await.unwrap();
    let gateway = Gateway {
        id: GatewayUid::from_bytes([2; 16]),
        organization_id: organization,
        name: "east".into(),
        url: "ws://127.0.0.1:18789".into(),
        token: None,
        workspace_root: Some("/srv".into()),
        base_url: None,
        allow_insecure_tls: false,
        tls_fingerprint: None,
        disable_device_pairing: false,
        created_at: at(0),
    };
    store.insert_gateway(&gateway).await.unwrap();
    let agent = Agent::new_main(the_agent(), gateway.id, "main", at(0));
    let agent = store.insert_agent(&agent, Creator::Operator).await.unwrap();
    store.close().await.unwrap();
    agent
}

/// An activity of about 4 KB.
pub(crate) fn long_activity(number: i64) -> NewActivity {
    NewActivity {
        actor: None,
        source: None,
        kind: "test".into(),
        message: format!("{number:04000}"),
        agent_id: None,
        board_id: None,
        at: at(number),
    }
}

/// The numbers of all activities, read page by page.
pub(crate) async fn numbers(store: &SqliteStore) -> Vec<i64> {
    let mut numbers = Vec::new();
    loop {
        let after = numbers.last().copied().unwrap_or(0);
        let page = store
            .activities(&ActivityFilter::default(), Some(after), 1000)
            .await
            .unwrap();
        if page.is_empty() {
            return numbers;
        }
        numbers.extend(page.iter().map(|found| found.id));
    }
}

/// A connection that knows nothing of the store.
pub(crate) async fn past_the_store(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .connect()
        .await
        .unwrap()
}

pub(crate) async fn run_sql(path: &Path, sql: &str) {
    let mut connection = past_the_store(path).await;
    connection.execute(AssertSqlSafe(sql)).await.unwrap();
    connection.close().await.unwrap();
}
