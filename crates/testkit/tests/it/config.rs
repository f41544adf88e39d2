//! `config.get`, `config.patch` and what a write sets off.

use std::time::Duration;

use serde_json::{Value, json};
use windlass_testkit::{RELEASES, SimGateway};

use crate::client::{Client, Seen};

async fn hello(release: &str) -> (SimGateway, Client) {
    let sim = SimGateway::builder().release(release).start_pipe();
    let client = Client::hello(&sim).await;
    (sim, client)
}

async fn patch(client: &mut Client, patch: &Value) -> Value {
    let base = client.ok("config.get", json!({})).await["hash"].clone();
    client
        .request("config.patch", json!({"raw": patch.to_string(), "baseHash": base}))
        .await
}

fn heartbeat(roster_map: bool) -> Value {
    if roster_map {
        json!({"agents": {"entries": {"main": {"heartbeat": {"every": "10m"}}}}})
    } else {
        json!({"agents": {"list": [{"id": "main", "heartbeat": {"every": "10m"}}]}})
    }
}

#[tokio::test(start_paused = true)]
async fn a_patch_restarts_twice_once_or_not_at_all() {
    let closes = [2, 1, 1, 0, 0, 0, 0, 0, 0];
    for (release, expected) in RELEASES.into_iter().zip(closes) {
        let (sim, mut client) = hello(release).await;
        let answer = patch(&mut client, &heartbeat(sim.profile().roster_map)).await;
        assert_eq!(answer["ok"], true, "{release}: {answer}");
        assert_eq!(answer["payload"].get("restart").is_some(), expected > 0, "{release}");
        let mut seen = 0;
        let begin = crate::now();
        while begin.elapsed() < Duration::from_secs(5) {
            let left = Duration::from_secs(5).saturating_sub(begin.elapsed());
            match tokio::time::timeout(left, client.closed()).await {
                Ok(end) => {
                    assert_eq!(end.map(|(code, _)| code), Some(1012), "{release}");
                    seen += 1;
                    client = Client::hello(&sim).await;
                }
                Err(_) => break,
            }
        }
        assert_eq!(seen, expected, "{release}");
    }
}

#[tokio::test(start_paused = true)]
async fn writes_are_limited_per_minute_and_the_error_says_when_to_come_back() {
    for release in RELEASES {
        let (sim, mut client) = hello(release).await;
        let mut refused = None;
        for at in 1..=60 {
            let params = json!({"raw": "{}", "baseHash": "stale"});
            let error = client.error("config.patch", params).await;
            if error["code"] == "UNAVAILABLE" {
                refused = Some((at, error));
                break;
            }
        }
        let Some(limit) = sim.profile().write_limit else {
            assert!(refused.is_none(), "{release}");
            continue;
        };
        let (at, error) = refused.expect("a limit");
        assert_eq!(at, limit + 1, "{release}: refused patches count too");
        assert_eq!(error["details"]["limit"], format!("{limit} per 60s"));
        let wait = error["retryAfterMs"].as_u64().expect("ms");
        tokio::time::sleep(Duration::from_millis(wait)).await;
        let mut client = Client::hello(&sim).await;
        let error = client
            .error("config.patch", json!({"raw": "{}", "baseHash": "stale"}))
            .await;
        assert_eq!(error["code"], "INVALID_REQUEST", "{release}: the time given is enough");
    }
}

#[tokio::test(start_paused = true)]
async fn a_patch_without_a_fresh_base_or_with_bad_content_is_refused() {
    let (_sim, mut client) = hello("2026.9.6").await;
    let base = client.ok("config.get", json!({})).await["hash"].clone();
    assert!(base.as_str().is_some_and(|hash| hash.starts_with("hmac-sha256:v1:")));
    let says = async |client: &mut Client, params: Value| {
        client.error("config.patch", params).await["message"]
            .as_str()
            .expect("text")
            .to_owned()
    };
    assert!(
        says(&mut client, json!({"raw": "{}"}))
            .await
            .starts_with("config base hash required")
    );
    let stale = says(&mut client, json!({"raw": "{}", "baseHash": "x"})).await;
    assert_eq!(stale, "config changed since last load; re-run config.get and retry");
    assert!(
        says(&mut client, json!({"raw": "{oops", "baseHash": base}))
            .await
            .starts_with("SyntaxError")
    );
    let array = says(&mut client, json!({"raw": "[]", "baseHash": base})).await;
    assert_eq!(array, "config.patch raw must be an object");
    let unknown = says(&mut client, json!({"raw": "{\"bogusKey\":1}", "baseHash": base})).await;
    assert_eq!(unknown, "invalid config: <root>: Unrecognized key: \"bogusKey\"");
    let list = says(
        &mut client,
        json!({"raw": "{\"agents\":{\"list\":[]}}", "baseHash": base}),
    )
    .await;
    assert_eq!(list, "invalid config: agents: Unrecognized key: \"list\"");
    let two = json!({"agents": {"entries": {"b": {}}}}).to_string();
    assert!(
        says(&mut client, json!({"raw": two, "baseHash": base}))
            .await
            .contains("agents.ownership")
    );
    let reasoning = json!({"agents": {"entries": {"main": {"heartbeat": {"includeReasoning": false}}}}}).to_string();
    let refused = says(&mut client, json!({"raw": reasoning, "baseHash": base})).await;
    assert_eq!(
        refused,
        "invalid config: agents.entries.main.heartbeat: Unrecognized key: \"includeReasoning\""
    );
}

#[tokio::test(start_paused = true)]
async fn arrays_are_merged_by_id_except_on_the_oldest_release() {
    for (release, kept) in [("2026.1.30", 1), ("2026.3.13", 2)] {
        let (_sim, mut client) = hello(release).await;
        let list = |id: &str| json!({"agents": {"list": [{"id": id, "workspace": format!("/{id}")}]}});
        patch(&mut client, &list("a")).await;
        patch(&mut client, &list("b")).await;
        let config = client.ok("config.get", json!({})).await;
        assert_eq!(
            config["config"]["agents"]["list"].as_array().map(Vec::len),
            Some(kept),
            "{release}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_hot_patch_is_told_by_an_event_and_moves_the_heartbeat_monitors() {
    let (_sim, mut client) = hello("2026.9.6").await;
    client.ok("agents.create", json!({"name": "a"})).await;
    client.event("config.changed").await;
    let change = json!({"agents": {"entries": {"a": {"heartbeat": {"every": "10m", "target": "last"}}}}});
    let answer = patch(&mut client, &change).await;
    assert_eq!(answer["payload"]["changedPaths"], json!(["agents.entries.a.heartbeat"]));
    let hash = answer["payload"]["hash"].clone();
    assert_eq!(client.event("config.changed").await["payload"]["hash"], hash);
    let jobs = client.ok("cron.list", json!({})).await;
    assert_eq!(jobs["jobs"][0]["declarationKey"], "heartbeat:a");
    assert_eq!(jobs["jobs"][0]["schedule"]["everyMs"], 600_000);
    let all = client.ok("cron.list", json!({"includeDisabled": true})).await;
    assert_eq!(all["jobs"].as_array().map(Vec::len), Some(1), "main's monitor went");
    let again = patch(&mut client, &change).await;
    assert_eq!(again["payload"]["noop"], true);
}

#[tokio::test(start_paused = true)]
async fn a_new_auth_token_is_answered_then_closes_with_4001_and_then_counts() {
    let (sim, mut client) = hello("2026.9.6").await;
    let answer = patch(&mut client, &json!({"gateway": {"auth": {"token": "fresh"}}})).await;
    assert_eq!(answer["ok"], true);
    assert!(!answer.to_string().contains("fresh"), "the token is not shown");
    assert_eq!(client.closed().await, Some((4001, "gateway auth changed".into())));
    assert_eq!(sim.token().as_deref(), Some("fresh"));
    let mut client = Client::hello(&sim).await;
    patch(&mut client, &json!({"gateway": {"trustedProxies": ["127.0.0.1"]}})).await;
    assert_eq!(client.closed().await, Some((4001, "gateway policy changed".into())));
    let mut client = Client::hello(&sim).await;
    let answer = patch(&mut client, &json!({"gateway": {"controlUi": {"basePath": "/x"}}})).await;
    let stats = answer.pointer("/payload/sentinel/payload/stats/requiresRestart");
    assert_eq!(stats, Some(&json!(true)));
    assert_eq!(client.closed().await.map(|(code, _)| code), Some(1012));
}

#[tokio::test(start_paused = true)]
async fn the_schema_of_the_configuration_is_the_one_that_patches_are_checked_against() {
    for (release, list, entries) in [("2026.3.13", true, false), ("2026.9.6", false, true)] {
        let (_sim, mut client) = hello(release).await;
        let schema = client.ok("config.schema", json!({})).await;
        let agents = schema
            .pointer("/schema/properties/agents/properties")
            .expect("agents")
            .clone();
        assert_eq!(
            (agents.get("list").is_some(), agents.get("entries").is_some()),
            (list, entries),
            "{release}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_patch_of_channels_takes_its_answer_along_between_4_15_and_7_1() {
    for release in RELEASES.into_iter().skip(3) {
        let (sim, mut client) = hello(release).await;
        let shown = if sim.profile().roster_map {
            "heartbeatVisibility"
        } else {
            "heartbeat"
        };
        let base = client.ok("config.get", json!({})).await["hash"].clone();
        let raw = json!({"channels": {"defaults": {shown: {"showOk": false}}}}).to_string();
        let id = client.send("config.patch", json!({"raw": raw, "baseHash": base})).await;
        let answered = loop {
            match client.next().await {
                Seen::Frame(frame) if frame["id"] == id.as_str() => break true,
                Seen::Frame(_) => {}
                Seen::Closed(..) | Seen::Gone => break false,
            }
        };
        assert_eq!(answered, !sim.profile().channel_patch_restarts, "{release}");
        let mut client = Client::hello(&sim).await;
        let config = client.ok("config.get", json!({})).await;
        assert_eq!(
            config["config"]["channels"]["defaults"][shown]["showOk"], false,
            "{release}"
        );
    }
}
