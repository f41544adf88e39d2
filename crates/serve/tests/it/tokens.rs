//! Tokens and rights.

use axum::http::Method;
use serde_json::json;

use crate::harness::Bench;

#[tokio::test]
async fn a_token_has_the_rights_of_its_role_until_it_is_revoked() {
    let bench = Bench::with_gateway().await;
    let made = bench
        .post("/api/v1/tokens", json!({"name": "grafana", "role": "viewer"}))
        .await
        .expect(201);
    let token = made["token"].as_str().unwrap().to_owned();
    let bearer = format!("Bearer {token}");
    let viewer = [("authorization", bearer.as_str())];

    bench
        .send(Method::GET, "/api/v1/gateways", &viewer, None)
        .await
        .expect(200);
    let read = bench
        .send(
            Method::POST,
            "/api/v1/gateways/lab/call/health",
            &viewer,
            Some(json!({})),
        )
        .await;
    read.expect(200);
    let write = bench
        .send(
            Method::POST,
            "/api/v1/gateways/lab/call/chat.send",
            &viewer,
            Some(json!({})),
        )
        .await;
    let problem = write.expect(403);
    assert!(
        problem["detail"].as_str().unwrap().contains("operator.write"),
        "{problem}"
    );
    let unknown = bench
        .send(
            Method::POST,
            "/api/v1/gateways/lab/call/no.such",
            &viewer,
            Some(json!({})),
        )
        .await;
    assert_eq!(
        unknown.problem(403),
        "forbidden",
        "a method that the table does not know needs admin"
    );
    assert_eq!(
        bench
            .send(Method::GET, "/api/v1/tokens", &viewer, None)
            .await
            .problem(403),
        "forbidden"
    );

    let listed = bench.get("/api/v1/tokens").await.expect(200);
    assert!(listed["items"][0]["last_used_at"].is_string(), "{listed}");
    assert!(!listed.to_string().contains(&token), "a token is shown once");
    let again = bench
        .post("/api/v1/tokens", json!({"name": "Grafana", "role": "viewer"}))
        .await;
    assert_eq!(again.problem(409), "conflict");

    bench.post("/api/v1/tokens/grafana/revoke", json!({})).await.expect(200);
    let refused = bench.send(Method::GET, "/api/v1/gateways", &viewer, None).await;
    assert_eq!(refused.problem(401), "unauthenticated");
    bench.end().await;
}

#[tokio::test]
async fn an_address_with_many_unknown_tokens_waits() {
    let bench = Bench::start().await;
    let unknown = [("authorization", "Bearer wl_unknown")];
    let mut codes = Vec::new();
    for _ in 0..30 {
        let reply = bench.send(Method::GET, "/api/v1/gateways", &unknown, None).await;
        codes.push(reply.status.as_u16());
    }
    assert_eq!(codes[..20], [401; 20]);
    assert_eq!(codes.last(), Some(&429));
    bench.end().await;
}
