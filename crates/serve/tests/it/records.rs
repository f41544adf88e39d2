//! Boards, agents, and operations on them.

use serde_json::{Value, json};

use crate::harness::Bench;

/// A board with a lead and a worker on `lab`, all provisioned.
pub(crate) async fn team(bench: &Bench) -> (Value, Value, Value, Value) {
    let main = bench
        .post("/api/v1/agents", json!({"main_of": "lab"}))
        .await
        .expect(201);
    let board = bench
        .post(
            "/api/v1/boards",
            json!({"name": "Docs", "gateway": "lab", "max_agents": 2}),
        )
        .await
        .expect(201);
    let lead = bench
        .post("/api/v1/agents", json!({"board": "docs", "lead": true}))
        .await
        .expect(201);
    let worker = json!({"board": board["id"], "name": "Scribe", "identity": {"role": "Writer"}});
    let worker = bench.post("/api/v1/agents", worker).await.expect(201);
    let operation = bench
        .post("/api/v1/agents/provision", json!({"all": true}))
        .await
        .expect(202);
    let ended = bench.ended(&operation).await;
    assert_eq!(ended["state"], "done", "{ended}");
    (main, board, lead, worker)
}

#[tokio::test]
async fn agents_are_recorded_provisioned_planned_changed_and_deleted() {
    let bench = Bench::with_gateway().await;
    let (main, board, _, worker) = team(&bench).await;
    assert_eq!(main["name"], "lab Gateway Agent");
    let plan = bench.get("/api/v1/agents/Scribe/plan").await.expect(200);
    assert_eq!(
        (&plan["drifted"], &plan["changes"]),
        (&json!(false), &json!(false)),
        "{plan}"
    );

    let soul = json!({"name": "Poet", "soul": "Write verses."});
    let changed = bench.patch("/api/v1/agents/scribe", soul).await.expect(200);
    assert_eq!((&changed["name"], &changed["id"]), (&json!("Poet"), &worker["id"]));
    let plan = bench.get("/api/v1/agents/poet/plan").await.expect(200);
    assert_eq!(plan["drifted"], true, "{plan}");
    let operation = bench
        .post("/api/v1/agents/provision", json!({"agents": ["poet"]}))
        .await
        .expect(202);
    assert_eq!(bench.ended(&operation).await["state"], "done");
    let runs = bench.get("/api/v1/agents/poet/runs").await.expect(200);
    assert_eq!(runs["items"].as_array().unwrap().len(), 2, "{runs}");
    assert!(!runs["items"][0]["steps"].as_array().unwrap().is_empty());

    let in_use = bench.delete("/api/v1/boards/docs").await;
    assert_eq!(in_use.problem(409), "conflict");
    let in_use = bench.delete("/api/v1/gateways/lab").await;
    assert_eq!(in_use.problem(409), "conflict");
    let agents = bench
        .get(&format!("/api/v1/agents?board={}", board["id"].as_str().unwrap()))
        .await
        .expect(200);
    let ids: Vec<_> = agents["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|agent| agent["id"].clone())
        .collect();
    assert_eq!(ids.len(), 2);
    let operation = bench
        .post("/api/v1/agents/delete", json!({"agents": ids}))
        .await
        .expect(202);
    let ended = bench.ended(&operation).await;
    assert_eq!(ended["state"], "done", "{ended}");
    bench.delete("/api/v1/boards/docs").await.expect(204);
    bench.end().await;
}

#[tokio::test]
async fn a_gateway_that_is_gone_is_forgotten_with_its_agents() {
    let bench = Bench::with_gateway().await;
    team(&bench).await;
    bench.sims[0].kill().await;
    bench.post("/api/v1/gateways/lab/forget", json!({})).await.expect(204);
    for list in ["gateways", "boards", "agents"] {
        let page = bench.get(&format!("/api/v1/{list}")).await.expect(200);
        assert_eq!(page["items"], json!([]), "{list}");
    }
    bench.end().await;
}

#[tokio::test]
async fn a_renamed_gateway_renames_its_own_agent_unless_it_has_another_name() {
    let bench = Bench::with_gateway().await;
    let main = bench
        .post("/api/v1/agents", json!({"main_of": "lab"}))
        .await
        .expect(201);
    bench
        .patch("/api/v1/gateways/lab", json!({"name": "den"}))
        .await
        .expect(200);
    let path = format!("/api/v1/agents/{}", main["id"].as_str().unwrap());
    assert_eq!(bench.get(&path).await.expect(200)["name"], "den Gateway Agent");
    bench.patch(&path, json!({"name": "Keeper"})).await.expect(200);
    bench
        .patch("/api/v1/gateways/den", json!({"name": "lab"}))
        .await
        .expect(200);
    assert_eq!(bench.get(&path).await.expect(200)["name"], "Keeper");
    bench.end().await;
}

#[tokio::test]
async fn a_board_is_paused_resumed_and_changed_by_member() {
    let bench = Bench::with_gateway().await;
    let body = json!({"name": "Docs", "gateway": "lab", "objective": "Write."});
    bench.post("/api/v1/boards", body).await.expect(201);
    let paused = bench
        .patch("/api/v1/boards/docs", json!({"paused": true}))
        .await
        .expect(200);
    assert_eq!(
        (&paused["paused"], &paused["objective"]),
        (&json!(true), &json!("Write."))
    );
    let resumed = bench
        .patch("/api/v1/boards/docs", json!({"paused": false, "objective": null}))
        .await
        .expect(200);
    assert_eq!(
        (&resumed["paused"], &resumed["objective"]),
        (&json!(false), &json!(null))
    );
    let audit = bench.get("/api/v1/activities?audit=true&board=docs").await.expect(200);
    let kinds: Vec<_> = audit["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["kind"].clone())
        .collect();
    assert_eq!(
        kinds,
        ["audit.board.created", "audit.board.paused", "audit.board.resumed"]
    );
    let wrong = bench
        .patch("/api/v1/boards/docs", json!({"max_agents": 20_000}))
        .await
        .expect(422);
    assert_eq!(wrong["field"], "max_agents");
    bench.end().await;
}
