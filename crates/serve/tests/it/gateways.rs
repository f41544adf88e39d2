//! Gateways, their lines, and calls.

use axum::http::Method;
use serde_json::json;
use windlass_testkit::RestartKind;

use crate::harness::Bench;

#[tokio::test]
async fn a_gateway_is_recorded_called_changed_and_deleted() {
    let mut bench = Bench::with_gateway().await;
    let lab = bench.get("/api/v1/gateways/LAB").await.expect(200);
    assert_eq!(
        (&lab["line"]["state"], &lab["line"]["release"]),
        (&json!("up"), &json!("2026.9.6"))
    );
    assert_eq!(lab["record"]["token"], "host:sim");
    let health = bench
        .post("/api/v1/gateways/lab/call/health", json!({}))
        .await
        .expect(200);
    assert_eq!(health["ok"], true);

    let other = bench.simulated("other", "2026.3.13").await;
    let changed = bench
        .patch("/api/v1/gateways/lab", json!({"name": "den", "url": other["url"]}))
        .await
        .expect(200);
    assert_eq!((&changed["name"], &changed["id"]), (&json!("den"), &lab["id"]));
    bench.wait_up("den").await;
    let line = bench.service.line("den").unwrap();
    let mut status = line.status();
    status
        .wait_for(|status| status.server_version() == Some("2026.3.13") && status.is_up())
        .await
        .unwrap();
    assert_eq!(bench.get("/api/v1/gateways/lab").await.problem(404), "not_found");

    bench.delete("/api/v1/gateways/den").await.expect(204);
    assert_eq!(bench.get("/api/v1/gateways/den").await.problem(404), "not_found");
    assert!(bench.service.windlass().gateways().is_empty(), "its line is closed");
    let audit = bench.get("/api/v1/activities?audit=true").await.expect(200);
    let kinds: Vec<_> = audit["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["kind"].clone())
        .collect();
    assert_eq!(
        kinds,
        [
            "audit.gateway.deleted",
            "audit.gateway.updated",
            "audit.gateway.created"
        ]
    );
    assert_eq!(
        (&audit["items"][0]["actor"], &audit["items"][0]["source"]),
        (&json!("local"), &json!("api"))
    );
    bench.end().await;
}

#[tokio::test]
async fn a_gateway_that_is_not_acceptable_names_the_member() {
    let bench = Bench::start().await;
    let good = json!({"name": "lab", "url": "ws://127.0.0.1:1", "workspace_root": "/srv/agents"});
    for (member, value) in [
        ("url", json!("https://gw.example")),
        ("name", json!(" ")),
        ("token", json!("s3cret-token")),
        ("workspace_root", json!("../x")),
        ("tls_fingerprint", json!("zz")),
        ("colour", json!("red")),
    ] {
        let mut body = good.clone();
        body[member] = value;
        let reply = bench.post("/api/v1/gateways", body).await.expect(422);
        assert!(
            reply["detail"].as_str().unwrap().contains(member) || reply["field"] == member,
            "{member}: {reply}"
        );
        assert!(!reply.to_string().contains("s3cret"), "{reply}");
    }
    bench.post("/api/v1/gateways", good.clone()).await.expect(201);
    let again = bench
        .post("/api/v1/gateways", json!({"name": "LAB", "url": "ws://127.0.0.1:1"}))
        .await;
    assert_eq!(again.problem(409), "conflict");
    bench.end().await;
}

#[tokio::test]
async fn each_outcome_of_a_call_is_a_problem_of_its_own() {
    let bench = Bench::with_gateway().await;
    let call = |method: &str| format!("/api/v1/gateways/lab/call/{method}");
    let rejected = bench
        .post(&call("agents.update"), json!({"params": {"agentId": "nope"}}))
        .await
        .expect(502);
    assert_eq!(
        (&rejected["code"], &rejected["gateway_error"]["code"]),
        (&json!("rejected"), &json!("INVALID_REQUEST"))
    );

    bench.sims[0].script().once().never_answer("health");
    let late = bench.post(&call("health"), json!({"timeout_ms": 50})).await;
    assert_eq!(late.problem(504), "timed_out");

    bench.sims[0]
        .script()
        .once()
        .drop_connection_before_answer("config.set");
    let unknown = bench.post(&call("config.set"), json!({"params": {}})).await;
    assert_eq!(unknown.problem(502), "outcome_unknown");

    bench.wait_up("lab").await;
    bench.sims[0].kill().await;
    let mut status = bench.service.line("lab").unwrap().status();
    status.wait_for(|status| !status.is_up()).await.unwrap();
    let down = bench.post(&call("health"), json!({"fail_fast": true})).await;
    assert_eq!(down.problem(503), "not_sent");
    assert_eq!(
        bench.post(&call("health"), json!({"timeout_ms": 0})).await.expect(422)["field"],
        "timeout_ms"
    );
    assert_eq!(
        bench
            .post("/api/v1/gateways/nope/call/health", json!({}))
            .await
            .problem(404),
        "not_found"
    );
    bench.end().await;
}

#[tokio::test]
async fn gateways_are_listed_by_page_state_and_text() {
    let mut bench = Bench::start().await;
    for (name, release) in [("oslo", "2026.9.6"), ("berlin", "2026.3.13"), ("tokyo", "2026.8.2")] {
        let body = bench.simulated(name, release).await;
        bench.post("/api/v1/gateways", body).await.expect(201);
        bench.wait_up(name).await;
    }
    let first = bench.get("/api/v1/gateways?limit=2").await.expect(200);
    let names = |page: &serde_json::Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap().iter();
        items.map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&first), ["berlin", "oslo"]);
    let next = format!(
        "/api/v1/gateways?limit=2&cursor={}",
        first["next_cursor"].as_str().unwrap()
    );
    let second = bench.get(&next).await.expect(200);
    assert_eq!(
        (names(&second), &second["next_cursor"]),
        (vec!["tokyo".to_owned()], &json!(null))
    );
    assert_eq!(
        names(&bench.get("/api/v1/gateways?search=OSL").await.expect(200)),
        ["oslo"]
    );
    assert_eq!(
        names(&bench.get("/api/v1/gateways?state=paused").await.expect(200)),
        Vec::<String>::new()
    );
    assert_eq!(
        bench.get("/api/v1/gateways?cursor=*").await.expect(422)["field"],
        "cursor"
    );
    assert_eq!(bench.get("/api/v1/gateways?colour=red").await.problem(422), "invalid");
    bench.end().await;
}

#[tokio::test]
async fn a_service_that_ends_is_not_ready_and_answers_requests_under_way() {
    let bench = Bench::with_gateway().await;
    bench.sims[0].restart(RestartKind::Clean);
    bench.send(Method::GET, "/readyz", &[], None).await.expect(200);
    bench.service.begin_shutdown();
    assert_eq!(
        bench.send(Method::GET, "/readyz", &[], None).await.problem(503),
        "unavailable"
    );
    bench.send(Method::GET, "/livez", &[], None).await.expect(200);
    bench.end().await;
}
