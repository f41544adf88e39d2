//! The calls of agents, with their own tokens as they stand in their workspaces.

use axum::http::Method;
use serde_json::{Value, json};

use crate::harness::{Bench, Reply};
use crate::records::team;

/// The token of an agent, from its TOOLS.md on the gateway or, where the release has none, from AGENTS.md.
async fn token_of(bench: &Bench, agent: &Value) -> String {
    let id = agent["agent_id"].as_str().unwrap();
    for file in ["TOOLS.md", "AGENTS.md"] {
        let params = json!({"params": {"agentId": id, "name": file}});
        let reply = bench.post("/api/v1/gateways/lab/call/agents.files.get", params).await;
        let text = reply.body["file"]["content"].as_str().unwrap_or_default().to_owned();
        let line = text
            .lines()
            .find_map(|line| line.split_once("AUTH_TOKEN=").map(|(_, token)| token.trim().to_owned()));
        if let Some(token) = line.filter(|token| token.len() > 20) {
            return token.trim_end_matches('`').to_owned();
        }
    }
    panic!("no token of {id}");
}

async fn as_agent(bench: &Bench, token: &str, method: Method, path: &str, body: Option<Value>) -> Reply {
    bench
        .send(
            method,
            &format!("/api/v1/agent{path}"),
            &[("x-agent-token", token)],
            body,
        )
        .await
}

#[tokio::test]
async fn agents_check_in_and_see_each_other_by_their_tokens() {
    let bench = Bench::with_gateway().await;
    let (main, board, lead, worker) = team(&bench).await;
    let (main_token, token) = (token_of(&bench, &main).await, token_of(&bench, &worker).await);

    let health = as_agent(&bench, &token, Method::GET, "/healthz", None)
        .await
        .expect(200);
    assert_eq!(
        (&health["agent_id"], &health["is_board_lead"]),
        (&worker["id"], &json!(false))
    );
    let seen = as_agent(&bench, &token, Method::POST, "/heartbeat", None)
        .await
        .expect(200);
    assert_eq!((&seen["status"], &seen["id"]), (&json!("online"), &worker["id"]));
    as_agent(
        &bench,
        &token,
        Method::POST,
        "/heartbeat",
        Some(json!({"status": "healthy"})),
    )
    .await
    .expect(200);
    let bearer = format!("Bearer {token}");
    bench
        .send(
            Method::POST,
            "/api/v1/agent/heartbeat",
            &[("authorization", &bearer)],
            None,
        )
        .await
        .expect(200);

    let of_board = as_agent(&bench, &token, Method::GET, "/agents", None).await.expect(200);
    assert_eq!(of_board["total"], 2, "{of_board}");
    let of_gateway = as_agent(&bench, &main_token, Method::GET, "/agents?limit=1&offset=1", None)
        .await
        .expect(200);
    assert_eq!(
        (&of_gateway["total"], of_gateway["items"].as_array().unwrap().len()),
        (&json!(3), 1)
    );
    let soul = format!(
        "/boards/{}/agents/{}/soul",
        board["id"].as_str().unwrap(),
        lead["id"].as_str().unwrap()
    );
    let foreign = as_agent(&bench, &token, Method::GET, &soul, None).await;
    assert_eq!(foreign.problem(403), "forbidden", "a worker reads its own soul only");
    assert_eq!(
        as_agent(&bench, "wrong", Method::GET, "/healthz", None)
            .await
            .problem(401),
        "unauthenticated"
    );
    bench.end().await;
}

#[tokio::test]
async fn a_lead_creates_and_deletes_workers_within_the_limit_and_coordinates_them() {
    let bench = Bench::with_gateway().await;
    let (_, board, lead, worker) = team(&bench).await;
    let token = token_of(&bench, &lead).await;
    let of_board = format!("/boards/{}", board["id"].as_str().unwrap());
    let of_worker = format!("{of_board}/agents/{}", worker["id"].as_str().unwrap());

    let nudged = as_agent(
        &bench,
        &token,
        Method::POST,
        &format!("{of_worker}/nudge"),
        Some(json!({"message": "Go on."})),
    )
    .await;
    assert_eq!(nudged.expect(200), json!({"ok": true}));
    let content = json!({"content": "You write verses.", "reason": "the owner likes them"});
    as_agent(&bench, &token, Method::PUT, &format!("{of_worker}/soul"), Some(content))
        .await
        .expect(200);
    let soul = as_agent(&bench, &token, Method::GET, &format!("{of_worker}/soul"), None)
        .await
        .expect(200);
    assert_eq!(soul, "You write verses.");
    let question = json!({"content": "May I publish?", "correlation_id": "q-1"});
    let asked = as_agent(
        &bench,
        &token,
        Method::POST,
        &format!("{of_board}/gateway/main/ask-user"),
        Some(question),
    )
    .await;
    assert_eq!(asked.expect(200)["main_agent_name"], "lab Gateway Agent");

    let profile = json!({"role": "Editor", "skills": ["spelling", " style "]});
    let body = json!({"name": "Editor", "identity_profile": profile, "status": "provisioning"});
    let made = as_agent(&bench, &token, Method::POST, "/agents", Some(body))
        .await
        .expect(200);
    assert_eq!(made["identity_profile"]["skills"], "spelling, style");
    let over = as_agent(&bench, &token, Method::POST, "/agents", Some(json!({"name": "Third"}))).await;
    assert_eq!(over.problem(409), "conflict", "the board has two workers at most");
    let of_made = format!("{of_board}/agents/{}", made["id"].as_str().unwrap());
    as_agent(&bench, &token, Method::DELETE, &of_made, None)
        .await
        .expect(200);
    as_agent(&bench, &token, Method::DELETE, &of_made, None)
        .await
        .problem(404);

    let worker_token = token_of(&bench, &worker).await;
    let refused = as_agent(
        &bench,
        &worker_token,
        Method::POST,
        "/agents",
        Some(json!({"name": "X"})),
    )
    .await;
    assert_eq!(refused.problem(403), "forbidden");
    let audit = bench.get("/api/v1/activities?audit=true").await.expect(200);
    let by_agent = audit["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|item| item["source"] == "agent")
        .count();
    assert_eq!(by_agent, 3, "created, soul, deleted: {audit}");
    bench.end().await;
}

#[tokio::test]
async fn answers_come_into_the_memory_of_the_board_and_leads_hear_the_gateways_agent() {
    let bench = Bench::with_gateway().await;
    let (main, board, lead, _) = team(&bench).await;
    let (main_token, lead_token) = (token_of(&bench, &main).await, token_of(&bench, &lead).await);
    let id = board["id"].as_str().unwrap();
    let memory = format!("/boards/{id}/memory");
    let answer = json!({"content": "Yes.", "tags": ["gateway_main", "user_reply"], "source": "user_via_gateway_main"});
    as_agent(&bench, &main_token, Method::POST, &memory, Some(answer))
        .await
        .expect(200);
    let chat = json!({"content": "Thanks!", "tags": ["chat"]});
    as_agent(&bench, &lead_token, Method::POST, &memory, Some(chat))
        .await
        .expect(200);
    let lasting = as_agent(
        &bench,
        &lead_token,
        Method::GET,
        &format!("{memory}?is_chat=false"),
        None,
    )
    .await
    .expect(200);
    assert_eq!(
        (&lasting["total"], &lasting["items"][0]["content"]),
        (&json!(1), &json!("Yes."))
    );

    let message = json!({"kind": "handoff", "content": "Take over.", "correlation_id": "h-1"});
    let path = format!("/gateway/boards/{id}/lead/message");
    let sent = as_agent(&bench, &main_token, Method::POST, &path, Some(message))
        .await
        .expect(200);
    assert_eq!(
        (&sent["lead_agent_id"], &sent["lead_created"]),
        (&lead["id"], &json!(false))
    );
    let all = json!({"content": "The release is out."});
    let sent = as_agent(&bench, &main_token, Method::POST, "/gateway/leads/broadcast", Some(all))
        .await
        .expect(200);
    assert_eq!((&sent["sent"], &sent["failed"]), (&json!(1), &json!(0)), "{sent}");
    let refused = as_agent(
        &bench,
        &lead_token,
        Method::POST,
        "/gateway/leads/broadcast",
        Some(json!({"content": "x"})),
    )
    .await;
    assert_eq!(refused.problem(403), "forbidden");
    bench.end().await;
}
