//! What we send is what the official schema allows.

use serde_json::{Value, json};
use windlass_testkit::{Generation as Protocol, SimGateway};

use crate::bench::{Bench, chat, play, sim};

/// Every request that was sent, as JSON.
fn sent(sim: &SimGateway) -> Vec<Value> {
    sim.journal()
        .frames()
        .iter()
        .map(|frame| serde_json::from_str(&frame.text).unwrap())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn requests_have_no_field_that_a_closed_object_would_refuse() {
    play(async {
        for protocol in [Protocol::V3, Protocol::V4] {
            let bench = Bench::new(sim(protocol).start_pipe()).await;
            bench.wait_up().await;
            bench.gateway.call("health", ()).await.unwrap();
            bench.gateway.call("chat.send", chat("hello")).await.unwrap();
            bench
                .gateway
                .call("agents.files.list", json!({ "agentId": "main" }))
                .await
                .unwrap();
            for frame in sent(&bench.sim) {
                let keys: Vec<_> = frame.as_object().unwrap().keys().map(String::as_str).collect();
                assert!(
                    keys == ["id", "method", "params", "type"] || keys == ["id", "method", "type"],
                    "{keys:?}"
                );
            }
            bench.finish().await;
        }
    })
    .await;
}
