//! The same conversation over TCP in real time and over a pipe in virtual time, on both generations.

use serde_json::json;
use windlass_testkit::{Generation, RestartKind, SideEffect, SimGateway};

use crate::client::Client;

async fn converse(sim: &SimGateway) {
    let protocol = sim.profile().generation.number();
    let mut client = Client::dial(sim).await;
    let hello = client.connect(sim, crate::client::Connect::default()).await;
    assert_eq!(hello["payload"]["protocol"], protocol);
    assert_eq!(client.ok("health", json!({})).await["ok"], true);
    assert_eq!(client.ok("agents.list", json!({})).await["agents"][0]["id"], "main");
    let sent = json!({"sessionKey": "main", "message": "hi", "idempotencyKey": "k1"});
    assert_eq!(
        client.ok("chat.send", sent.clone()).await,
        json!({"runId": "k1", "status": "started"})
    );
    let last = client.chat("final").await;
    assert_eq!(last["message"]["content"][0]["text"], "echo: hi");
    assert_eq!(client.ok("chat.send", sent).await["status"], "ok");
    let history = client.ok("chat.history", json!({"sessionKey": "main"})).await;
    assert_eq!(history["messages"].as_array().map(Vec::len), Some(2), "{history}");
    assert_eq!(sim.journal().runs_of("hi"), 1);
    sim.close_all(1012, "service restart");
    assert_eq!(client.closed().await, Some((1012, "service restart".into())));
    drop(client);
    sim.wait_for(|journal| journal.open_connections() == 0)
        .await
        .expect("the connection ends");
}

#[tokio::test]
async fn a_conversation_works_over_tcp_in_real_time() {
    for generation in [Generation::V3, Generation::V4] {
        let sim = SimGateway::builder()
            .generation(generation)
            .start_tcp()
            .await
            .expect("binds");
        converse(&sim).await;
        sim.shutdown().await;
        assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_clients_on_many_threads_live_through_restarts() {
    let sim = SimGateway::builder().start_tcp().await.expect("binds");
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..20 {
        let sim = sim.clone();
        clients.spawn(async move {
            for round in 0..3 {
                let mut client = Client::hello(&sim).await;
                let key = format!("{number}-{round}");
                let session = format!("agent:main:{number}");
                let params = json!({"sessionKey": session, "message": key, "idempotencyKey": key});
                // The restart may overtake the answer, so only the end is waited for.
                client.send("chat.send", params).await;
                client.closed().await;
            }
        });
    }
    for round in 1..=3 {
        sim.wait_for(|journal| journal.executions("chat.send") == 20 * round)
            .await
            .expect("all have sent");
        sim.restart(RestartKind::Clean);
    }
    while let Some(done) = clients.join_next().await {
        done.expect("no client failed");
    }
    let runs = sim
        .journal()
        .count(|effect| matches!(effect, SideEffect::ChatRun { key, .. } if key.contains('-') && key.len() < 6));
    assert_eq!(runs, 60);
    sim.shutdown().await;
    assert_eq!(sim.journal().open_connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_conversation_works_over_a_pipe_in_virtual_time() {
    for generation in [Generation::V3, Generation::V4] {
        let sim = SimGateway::builder().generation(generation).start_pipe();
        converse(&sim).await;
        sim.shutdown().await;
        assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0);
    }
}
