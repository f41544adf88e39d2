//! `windlass status`.

use serde_json::json;
use windlass_testkit::{Generation, SimGateway};

use crate::harness::{Harness, TOKEN, gateway};

#[tokio::test]
async fn the_table_shows_every_gateway_and_what_is_wrong_with_it() {
    let old = gateway().generation(Generation::V3).start_tcp().await.unwrap();
    let new = gateway().token("another").start_tcp().await.unwrap();
    let gone = gateway().start_tcp().await.unwrap();
    gone.kill().await;
    let section =
        |(id, sim): (&str, &SimGateway)| format!("[gateways.{id}]\nurl = \"{}\"\ntoken_env = \"T\"\n", sim.url());
    let file = [("old", &old), ("new", &new), ("gone", &gone)].map(section).concat();
    let harness = Harness::new().with("T", TOKEN).configured(&file);

    let shown = harness.run(&["status"]).await.ends_with(4).stdout;
    for text in ["GATEWAY", "2026.3.13", "why:", "next:", "refused", "in "] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    let document = harness.run(&["status", "--json"]).await.ends_with(4).json();
    let state = |index: usize| document["gateways"][index]["state"].clone();
    assert_eq!(
        [state(0), state(1), state(2)],
        [json!("waiting"), json!("paused"), json!("up")]
    );
    let up = &document["gateways"][2];
    assert_eq!(
        (&up["gateway"], &up["protocol"], &up["generation"]),
        (&json!("old"), &json!(3), &json!(1))
    );
    let down = &document["gateways"][0];
    assert!(
        down["lastError"]["nextStep"].is_string() && down["nextAttemptAtMs"].is_u64(),
        "{down}"
    );

    harness.run(&["status", "--gateway", "old"]).await.ends_with(0);
    harness.run(&["status", "--gateway", "gone"]).await.ends_with(3);
    harness
        .run(&["status", "--gateway", "old", "--gateway", "gone"])
        .await
        .ends_with(3);
}

#[tokio::test]
async fn a_release_that_refuses_the_first_signature_is_shown_as_up() {
    let sim = gateway().release("2026.1.30").start_tcp().await.unwrap();
    let shown = Harness::of(&sim).run(&["status", "--json"]).await.ends_with(0).json();
    assert_eq!(shown["gateways"][0]["state"], "up");
}

#[tokio::test]
async fn a_gateway_that_hangs_is_given_up_after_the_timeout() {
    let sim = gateway().start_tcp().await.unwrap();
    sim.deaf(true);
    let shown = Harness::of(&sim)
        .run(&["status", "--timeout", "500ms", "--json"])
        .await
        .ends_with(3)
        .json();
    assert_eq!(shown["gateways"][0]["state"], "connecting");
}
