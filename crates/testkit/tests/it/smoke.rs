//! The same conversation over TCP in real time and over a pipe in virtual time, on both generations.

use serde_json::json;
use windlass_testkit::{Generation, SimGateway};

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

#[tokio::test(start_paused = true)]
async fn a_conversation_works_over_a_pipe_in_virtual_time() {
    for generation in [Generation::V3, Generation::V4] {
        let sim = SimGateway::builder().generation(generation).start_pipe();
        converse(&sim).await;
        sim.shutdown().await;
        assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0);
    }
}
