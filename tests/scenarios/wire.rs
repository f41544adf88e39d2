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

/// Checks every request that was sent, the handshakes included.
#[cfg(feature = "schema")]
fn check(sim: &SimGateway) -> usize {
    let schema = windlass_testkit::schema::Schema::from_env().unwrap();
    let schema = schema.expect("WINDLASS_SCHEMA names the schema's file");
    let frames = sim.journal().frames();
    for frame in &frames {
        schema
            .check_request(&frame.text)
            .unwrap_or_else(|violation| panic!("{violation}\n{}", frame.text));
    }
    frames.len()
}

#[cfg(not(feature = "schema"))]
fn check(_sim: &SimGateway) -> usize {
    panic!("built without the feature `schema`")
}

#[tokio::test(start_paused = true)]
#[ignore = "needs WINDLASS_SCHEMA and the feature `schema`"]
async fn every_frame_that_is_sent_to_a_gateway_of_today_is_allowed_by_its_schema() {
    play(async {
        let bench = Bench::up(Protocol::V4).await;
        let key = "agent:main:main";
        let calls = [
            ("health", json!({})),
            ("agents.list", json!({})),
            ("agents.create", json!({ "name": "a", "workspace": "/w" })),
            ("agents.files.list", json!({ "agentId": "a" })),
            (
                "agents.files.set",
                json!({ "agentId": "a", "name": "SOUL.md", "content": "kind" }),
            ),
            ("agents.files.get", json!({ "agentId": "a", "name": "SOUL.md" })),
            ("sessions.list", json!({ "limit": 5 })),
            ("sessions.patch", json!({ "key": key, "label": "main" })),
            ("sessions.subscribe", json!({})),
            ("chat.send", chat("hello")),
            ("chat.history", json!({ "sessionKey": key, "limit": 10 })),
            ("agent", json!({ "message": "hello", "sessionKey": key })),
            ("config.get", json!({})),
            ("device.pair.list", json!({})),
        ];
        let sent = calls.len() + 1;
        let parent: windlass::TraceParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
            .parse()
            .unwrap();
        for (method, params) in calls {
            bench
                .gateway
                .call(method, params)
                .trace(parent.clone())
                .await
                .unwrap_or_else(|error| panic!("{method}: {error}"));
        }
        assert!(check(&bench.sim) >= sent);
        bench.finish().await;
    })
    .await;
}
