//! What only a look inside can prove: how a database is set up, and how it is migrated.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, SqliteConnection};
use windlass_protocol::SessionKey;
use windlass_store::{
    Activities as _, ActivityFilter, AgentFilter, AgentRole, AgentToken, Agents as _, BoardFilter, Boards as _,
    FileOverride, GatewayUid, Gateways as _, NewSend, Organizations as _, RunState, Runs as _, Sends as _, StepState,
    Store as _, Timestamp, TokenHash,
};

use crate::{SqliteOptions, SqliteStore, migrations, open};

/// The migrations that were released, and how their checksums begin. An entry is added with each, and never changed.
const RELEASED: &[(i64, &str)] = &[
    (1, "8038d38ab05a05ce"),
    (2, "3a1bd611bb54804d"),
    (3, "e762a75615660db3"),
    (4, "155edb5df173975b"),
    (5, "dc4c285c4d32eb70"),
    (6, "5757b7100e64be25"),
    (7, "4dd0e0b491fe3b4d"),
    (8, "353252ac3559c58c"),
];
const RELEASED_OF_JOURNAL: &[(i64, &str)] = &[(1, "b678706615712a5e"), (2, "132df595d4de252d")];

async fn connect(path: &std::path::Path) -> SqliteConnection {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .connect()
        .await
        .unwrap()
}

async fn schema(connection: &mut SqliteConnection) -> Vec<String> {
    let sql = "SELECT coalesce(sql, name) FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY name";
    sqlx::query_scalar(sql).fetch_all(connection).await.unwrap()
}

#[test]
fn migrations_that_were_released_are_as_they_were() {
    for (schema, released) in [
        (&migrations::RECORDS, RELEASED),
        (&migrations::JOURNAL, RELEASED_OF_JOURNAL),
    ] {
        let now: Vec<(i64, String)> = schema
            .migrator(schema.known())
            .iter()
            .map(|migration| {
                let first = migration.checksum.first_chunk().unwrap();
                let checksum = format!("{:016x}", u64::from_be_bytes(*first));
                (migration.version, checksum)
            })
            .collect();
        let released: Vec<(i64, String)> = released
            .iter()
            .map(|(version, sum)| (*version, (*sum).to_owned()))
            .collect();
        assert_eq!(now, released);
    }
}

#[tokio::test]
async fn a_database_that_went_through_one_migration_at_a_time_is_the_same_as_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old.db"), folder.path().join("new.db"));
    for version in 1..=migrations::RECORDS.known() {
        let mut connection = connect(&old).await;
        migrations::migrate(&mut connection, &migrations::RECORDS, version)
            .await
            .unwrap();
        connection.close().await.unwrap();
    }
    SqliteStore::open(&new).await.unwrap().close().await.unwrap();
    SqliteStore::open(&old).await.unwrap().close().await.unwrap();
    assert_eq!(
        schema(&mut connect(&old).await).await,
        schema(&mut connect(&new).await).await
    );
}

#[tokio::test]
async fn a_database_of_the_first_version_opens_with_all_that_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let mut connection = connect(&path).await;
    connection
        .execute(include_str!("../tests/fixtures/first_version.sql"))
        .await
        .unwrap();
    let columns = "SELECT count(*) FROM pragma_table_info('agents') WHERE name = 'next_token_hash'";
    assert_eq!(
        sqlx::query_scalar::<_, i64>(columns)
            .fetch_one(&mut connection)
            .await
            .unwrap(),
        0,
        "it is old"
    );
    connection.close().await.unwrap();

    for _ in 0..2 {
        let store = SqliteStore::open(&path).await.unwrap();
        assert_eq!(
            store.organizations().await.unwrap()[0].owner.preferred_name.as_deref(),
            Some("Ada")
        );
        let gateway = store.gateways(None).await.unwrap().remove(0);
        assert_eq!(gateway.token.unwrap().to_string(), "env:OPENCLAW_TOKEN");
        let board = store.boards(&BoardFilter::default()).await.unwrap().remove(0);
        assert!(board.rules.comment_required_for_review && board.max_agents == 2);

        let lead = AgentFilter {
            role: Some(AgentRole::Lead),
            ..AgentFilter::default()
        };
        let lead = store.agents(&lead).await.unwrap().remove(0);
        assert!(lead.knows_token("agent-token-3") && lead.next_token_hash.is_none());
        let (due, deadline) = store.next_deadline().await.unwrap().unwrap();
        assert_eq!(deadline, Timestamp::from_millis(35_000));

        let run = store.active_runs(10).await.unwrap().remove(0);
        assert_eq!(
            (run.agent_id, run.state, run.wake_key.as_deref()),
            (due, RunState::Active, Some("wake-1"))
        );
        let steps = store.steps(run.id).await.unwrap();
        assert!(steps.len() == 1 && steps[0].state == StepState::Begun);
        let activities = store
            .activities(&ActivityFilter::default(), Some(40), 10)
            .await
            .unwrap();
        assert_eq!(activities[0].id, 41);
        store.close().await.unwrap();
    }

    // What came with later migrations works on it.
    let store = SqliteStore::open(&path).await.unwrap();
    let mut agent = store.agents(&AgentFilter::default()).await.unwrap().remove(0);
    agent.next_token_hash = Some(TokenHash::new(&AgentToken::from_bytes([3; 32]), [4; 16]));
    let agent = store.update_agent(&agent).await.unwrap();
    assert_eq!(store.agent(agent.id).await.unwrap(), Some(agent));
}

#[tokio::test]
async fn a_database_of_the_third_version_opens_with_all_that_is_in_it_and_takes_sends() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let mut connection = connect(&path).await;
    connection
        .execute(include_str!("../tests/fixtures/third_version.sql"))
        .await
        .unwrap();
    let tables = schema(&mut connection).await;
    assert!(!tables.iter().any(|sql| sql.contains("TABLE sends")), "it is old");
    connection.close().await.unwrap();

    let send = NewSend {
        key: "key-1".into(),
        gateway_id: GatewayUid::from_bytes([1; 16]),
        session_key: SessionKey::parse("agent:main:main").unwrap(),
        text: "Hello".into(),
        deliver: None,
        options: serde_json::Value::Null,
        created_at: Timestamp::from_millis(1),
        deadline: None,
    };
    let store = SqliteStore::open(&path).await.unwrap();
    let agents = store.agents(&AgentFilter::default()).await.unwrap();
    assert!(agents.iter().any(|agent| agent.next_token_hash.is_some()));
    assert_eq!(store.active_runs(10).await.unwrap().len(), 1);
    assert_eq!(store.begin_send(&send).await.unwrap().position, 1);
    assert_eq!(
        store
            .note_attempt("key-1", Timestamp::from_millis(2), &send.options)
            .await
            .unwrap(),
        1
    );
    store.close().await.unwrap();
    let store = SqliteStore::open(&path).await.unwrap();
    assert_eq!(store.chat_send("key-1").await.unwrap().unwrap().attempts, 1);
    assert_eq!(store.agents(&AgentFilter::default()).await.unwrap(), agents);
}

/// A store as the fourth version left it, with an organization, and what the statements add.
async fn fourth_version(path: &std::path::Path, statements: &[String]) {
    let mut connection = connect(path).await;
    migrations::migrate(&mut connection, &migrations::RECORDS, 4)
        .await
        .unwrap();
    let organization = "INSERT INTO organizations VALUES ('01010101-0101-4101-8101-010101010101', 'Acme', '{}')";
    connection.execute(organization).await.unwrap();
    for statement in statements {
        connection.execute(AssertSqlSafe(statement.as_str())).await.unwrap();
    }
    connection.close().await.unwrap();
}

fn old_gateway(number: usize, name: &str) -> String {
    format!(
        "INSERT INTO gateways VALUES ('0000000{number}-0202-4202-8202-020202020202', '01010101-0101-4101-8101-010101010101', '{name}',
        'ws://127.0.0.1:1', NULL, '/srv', 0, NULL, 0, {number})"
    )
}

fn old_board(number: usize, name: &str) -> String {
    format!(
        "INSERT INTO boards VALUES ('0000000{number}-0303-4303-8303-030303030303', '01010101-0101-4101-8101-010101010101', NULL, '{name}',
        'goal', NULL, NULL, NULL, 0, '{{}}', 1, 0, {number})"
    )
}

/// How the fourth version kept a soul that was written through the coordinator.
fn wrapped(content: &str) -> String {
    if !["{{", "{%", "{#"].iter().any(|sign| content.contains(sign)) {
        return content.to_owned();
    }
    let inner = content.replace("{% endraw %}", "{% endraw %}{{ '{% endraw %}' }}{% raw %}");
    format!("{{% raw %}}{inner}{{% endraw %}}")
}

#[tokio::test]
async fn a_soul_that_was_kept_as_a_template_is_a_text_again_and_exactly_that_text() {
    let contents = [
        "plain",
        "",
        "{{ auth_token }}",
        "{%- endraw %}{{ auth_token }}{% raw %}",
        "{%endraw%}{{ auth_token }}{%raw%}",
        "{% endraw -%}{{ auth_token }}{%- raw -%}",
        "{% endraw %}{{ auth_token }}{% raw %}",
        "{% endraw %}{{ '{% endraw %}' }}{% raw %}",
        "{% endraw %}{% endraw %}{% raw %}{% raw %}",
        "a \0 {% endraw %} \0 {%- endraw %}",
        "{#",
        "ünï {% endraw %}ö",
    ];
    // Templates of the operator stay what they are.
    let templates = [
        "I am {{ agent_name }}.",
        "{% raw %}a{% endraw %}{{ agent_name }}{% raw %}b{% endraw %}",
        "{% raw %}{% endraw %} {# remark #}",
        "{% raw %}",
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    fourth_version(&path, &[old_gateway(1, "east"), old_board(1, "Engine")]).await;
    let mut connection = connect(&path).await;
    let souls = contents.iter().map(|content| wrapped(content));
    for (number, soul) in souls.chain(templates.map(str::to_owned)).enumerate() {
        let insert = "INSERT INTO agents VALUES (printf('%08d-0404-4404-8404-040404040404', ?1), '00000001-0202-4202-8202-020202020202',
            '00000001-0303-4303-8303-030303030303', 0, ?2, ?2, 'online', 'agent:mc-' || ?2 || ':main', NULL, '{}', '{}',
            '{{ agent_name }}', ?3, NULL, NULL, NULL, 1, 0, NULL, NULL, NULL, ?1, 7, NULL)";
        let query = sqlx::query(insert).bind(i64::try_from(number).unwrap());
        query
            .bind(format!("a{number}"))
            .bind(soul)
            .execute(&mut connection)
            .await
            .unwrap();
    }
    connection.close().await.unwrap();

    let store = SqliteStore::open(&path).await.unwrap();
    let agents = store.agents(&AgentFilter::default()).await.unwrap();
    let template = |text: &str| Some(FileOverride::Template(text.into()));
    for (agent, content) in agents.iter().zip(contents) {
        assert_eq!(agent.soul_override, Some(FileOverride::Text(content.into())));
        assert_eq!(agent.identity_override, template("{{ agent_name }}"));
        assert_eq!(agent.revision, 8, "who read it before may not write the old form back");
    }
    for (agent, source) in agents[contents.len()..].iter().zip(templates) {
        assert_eq!((&agent.soul_override, agent.revision), (&template(source), 7));
    }
    assert_eq!(agents.len(), contents.len() + templates.len());
}

#[tokio::test]
async fn names_that_several_records_have_are_told_apart_and_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let long = "Ö".repeat(120);
    let records = [
        old_gateway(1, "Öst"),
        old_gateway(2, " öST "),
        old_gateway(3, "west"),
        old_gateway(4, &long),
        old_gateway(5, &long),
        old_board(1, "Docs"),
        old_board(2, "docs"),
        old_board(3, "DOCS 00000002"),
        old_board(4, "docs"),
    ];
    fourth_version(&path, &records).await;
    let store = SqliteStore::open(&path).await.unwrap();
    let gateways = store.gateways(None).await.unwrap();
    let boards = store.boards(&BoardFilter::default()).await.unwrap();
    let of_gateways = gateways
        .iter()
        .map(|gateway| (gateway.id.to_string(), gateway.name.clone()));
    let of_boards = boards.iter().map(|board| (board.id.to_string(), board.name.clone()));
    let names: Vec<String> = of_gateways
        .chain(of_boards)
        .collect::<BTreeMap<String, String>>()
        .into_values()
        .collect();
    let cut = format!("{} 00000005", "Ö".repeat(111));
    assert_eq!(
        names,
        [
            "Öst",
            "Docs",
            "öST 00000002",
            "docs 00000002-0303-4303-8303-030303030303",
            "west",
            "DOCS 00000002",
            &long,
            "docs 00000004",
            &cut,
        ]
    );
    let told: BTreeSet<&str> = store.renamed().iter().map(|renamed| renamed.to.as_str()).collect();
    assert_eq!(told, BTreeSet::from([&*names[2], &*names[3], &*names[7], &*names[8]]));
    let activities = store.activities(&ActivityFilter::default(), None, 10).await.unwrap();
    assert_eq!(activities.len(), told.len());
    assert!(
        activities
            .iter()
            .all(|activity| activity.kind.ends_with(".renamed") && activity.at.as_millis() > 0)
    );
    // A second time there is nothing left to do.
    store.close().await.unwrap();
    assert_eq!(SqliteStore::open(&path).await.unwrap().renamed(), []);
}

#[tokio::test]
async fn a_commit_is_on_the_disk_and_the_settings_are_those_of_every_connection() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let journal = store.journal().await.unwrap();
    let settings =
        "SELECT (SELECT synchronous FROM pragma_synchronous) || ',' || (SELECT foreign_keys FROM pragma_foreign_keys)
        || ',' || (SELECT journal_mode FROM pragma_journal_mode) || ',' || (SELECT timeout FROM pragma_busy_timeout)";
    for (connections, checkpoint) in [(&store.connections, 1_000), (journal, 4_000)] {
        let ask = |sql: &'static str| sqlx::query_scalar::<_, String>(sql);
        let mut write = connections.write().await.unwrap();
        // 2 is FULL: the log is synced at every commit.
        assert_eq!(
            ask(settings).fetch_one(write.connection()).await.unwrap(),
            "2,1,wal,5000"
        );
        let pages: i64 = sqlx::query_scalar("PRAGMA wal_autocheckpoint")
            .fetch_one(write.connection())
            .await
            .unwrap();
        assert_eq!(pages, checkpoint);
        write.finish(Ok(())).await.unwrap();
        let mut read = connections.read().await.unwrap();
        assert_eq!(
            ask(settings).fetch_one(read.connection()).await.unwrap(),
            "2,1,wal,5000"
        );
        let error = read
            .connection()
            .execute("DELETE FROM _sqlx_migrations")
            .await
            .unwrap_err();
        assert!(error.to_string().contains("readonly"), "a reader only reads: {error}");
    }
}

#[tokio::test]
async fn a_connection_that_failed_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open_with(&path, SqliteOptions::default()).await.unwrap();
    // A transaction that is gone without its holder's doing, as SQLite does it when it runs out of room.
    let mut write = store.connections.write().await.unwrap();
    write.connection().execute("ROLLBACK").await.unwrap();
    write.finish(Ok(())).await.unwrap_err();
    let write = store.connections.write().await.unwrap();
    write.finish(Ok(())).await.unwrap();
    // And one whose holder went away.
    drop(store.connections.write().await.unwrap());
    let write = store.connections.write().await.unwrap();
    write.finish(Ok(())).await.unwrap();
    assert_eq!(open::create(&path).unwrap(), path.canonicalize().unwrap());
}
