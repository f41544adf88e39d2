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

    let soul = json!({"name": "Poet", "soul": {"text": "Write verses."}});
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
        ["audit.board.resumed", "audit.board.paused", "audit.board.created"]
    );
    let wrong = bench
        .patch("/api/v1/boards/docs", json!({"max_agents": 20_000}))
        .await
        .expect(422);
    assert_eq!(wrong["field"], "max_agents");
    bench.end().await;
}

#[tokio::test]
async fn a_rule_of_a_board_and_an_entry_of_an_identity_are_changed_alone() {
    let bench = Bench::with_gateway().await;
    let body = json!({"name": "Docs", "gateway": "lab", "rules": {"require_approval_for_done": false}});
    bench.post("/api/v1/boards", body).await.expect(201);
    let rules = json!({"rules": {"require_review_before_done": true}});
    let board = bench.patch("/api/v1/boards/docs", rules).await.expect(200);
    assert_eq!(
        (
            &board["rules"]["require_approval_for_done"],
            &board["rules"]["require_review_before_done"]
        ),
        (&json!(false), &json!(true))
    );
    let typo = json!({"rules": {"require_aproval": true}});
    let refused = bench.patch("/api/v1/boards/docs", typo).await.expect(422);
    assert_eq!(refused["field"], "rules.require_aproval");

    let lead = json!({"board": "docs", "lead": true, "identity": {"emoji": ":owl:"}});
    bench.post("/api/v1/agents", lead).await.expect(201);
    let identity = json!({"identity": {"emoji": null, "purpose": "Leads"}});
    let lead = bench.patch("/api/v1/agents/lead%20agent", identity).await;
    assert_eq!(
        lead.expect(200)["identity"],
        json!({"role": "Board Lead", "purpose": "Leads"})
    );
    bench.end().await;
}

#[tokio::test]
async fn activities_come_in_pages_from_the_latest_on() {
    let bench = Bench::with_gateway().await;
    for name in ["One", "Two", "Three"] {
        let board = json!({"name": name, "gateway": "lab"});
        bench.post("/api/v1/boards", board).await.expect(201);
    }
    let (mut path, mut pages) = ("/api/v1/activities?kind=audit.board.&limit=2".to_owned(), Vec::new());
    loop {
        let page = bench.get(&path).await.expect(200);
        let messages: Vec<String> = page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["message"].as_str().unwrap().to_owned())
            .collect();
        pages.push(messages);
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/api/v1/activities?kind=audit.board.&limit=2&cursor={cursor}");
    }
    assert_eq!(pages, [vec!["board \"Three\"", "board \"Two\""], vec!["board \"One\""]]);
    bench.end().await;
}
