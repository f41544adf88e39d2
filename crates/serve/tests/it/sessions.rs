//! Sessions of a gateway.

use axum::http::Method;
use serde_json::{Value, json};

use crate::harness::Bench;

const SESSIONS: &str = "/api/v1/gateways/lab/sessions";

#[tokio::test]
async fn a_session_is_made_labelled_read_and_deleted() {
    let bench = Bench::with_gateway().await;
    let made = bench
        .post(SESSIONS, json!({"key": "agent:main:report"}))
        .await
        .expect(200);
    assert_eq!(made["outcome"], "made");
    let one = format!("{SESSIONS}/agent:main:report");
    let changed = bench.patch(&one, json!({"label": "weekly"})).await.expect(200);
    assert_eq!(changed["label"], "weekly");
    assert_eq!(bench.get(&one).await.expect(200)["label"], "weekly");
    let listed = bench.get(&format!("{SESSIONS}?limit=1000")).await.expect(200);
    let keys: Vec<&Value> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["key"])
        .collect();
    assert!(keys.contains(&&json!("agent:main:report")), "{keys:?}");
    assert_eq!(bench.delete(&one).await.expect(200)["outcome"], "deleted");
    assert_eq!(bench.delete(&one).await.expect(200)["outcome"], "not_there");
    assert_eq!(bench.get(&one).await.problem(404), "not_found");
    assert_eq!(
        bench.patch(&one, json!({"label": "gone"})).await.problem(404),
        "not_found"
    );
    bench.end().await;
}

#[tokio::test]
async fn an_invalid_key_and_a_missing_label_name_their_members() {
    let bench = Bench::with_gateway().await;
    let refused = bench.post(SESSIONS, json!({"key": ""})).await.expect(422);
    assert_eq!(refused["field"], "session");
    let refused = bench
        .patch(&format!("{SESSIONS}/agent:main:main"), json!({}))
        .await
        .expect(422);
    assert_eq!(refused["field"], "label");
    bench.end().await;
}

#[tokio::test]
async fn the_roster_shows_sessions_and_asks_the_gateway_once() {
    let bench = Bench::with_gateway().await;
    bench
        .post(SESSIONS, json!({"key": "agent:main:report"}))
        .await
        .expect(200);
    let roster = bench.get("/api/v1/gateways/lab/roster").await.expect(200);
    assert!(roster["total"].as_u64().unwrap() >= 1, "{roster}");
    let lists = || bench.sims[0].journal().requests("sessions.list").len();
    let before = lists();
    for _ in 0..20 {
        bench.get("/api/v1/gateways/lab/roster").await.expect(200);
    }
    assert!(lists() <= before + 1, "{} lists for twenty looks", lists() - before);
    bench.end().await;
}

#[tokio::test]
async fn a_history_has_what_was_said_and_an_abort_of_nothing_stops_nothing() {
    let bench = Bench::with_gateway().await;
    let said = json!({"session": "agent:main:main", "text": "what is the time?"});
    let wait = [
        ("authorization", &*format!("Bearer {}", bench.admin)),
        ("prefer", "wait=20"),
    ];
    let path = "/api/v1/gateways/lab/messages";
    bench.send(Method::POST, path, &wait, Some(said)).await.expect(200);
    let history = bench
        .get(&format!("{SESSIONS}/agent:main:main/history?limit=10"))
        .await
        .expect(200);
    let texts = history["items"].to_string();
    assert!(texts.contains("what is the time?"), "{texts}");
    let stopped = bench
        .post(&format!("{SESSIONS}/agent:main:main/abort"), json!({}))
        .await
        .expect(200);
    assert_eq!(stopped["stopped"], json!([]));
    assert_eq!(
        bench
            .post(&format!("{SESSIONS}/agent:main:main/reset"), json!({}))
            .await
            .expect(200)["outcome"],
        "emptied"
    );
    bench.end().await;
}
