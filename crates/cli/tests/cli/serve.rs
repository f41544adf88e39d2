//! `windlass serve`, and commands beside it.

use serde_json::json;

use crate::harness::{Harness, TOKEN, gateway};
use crate::store_fixture::{StoreFixture, writes};

#[tokio::test]
async fn commands_that_change_agents_are_done_by_the_running_service_of_their_store() {
    let sim = gateway().start_tcp().await.unwrap();
    let fixture = StoreFixture::with_agents(&sim).await;
    let store = fixture.harness.path(".local/share/windlass/windlass.db");
    let serving = Harness::new()
        .with("WINDLASS_STORE", store.to_str().unwrap())
        .with("T", TOKEN);
    let mut service = serving.start(&["serve", "--listen", "127.0.0.1:0", "--json"]);
    let started = service.line().await;
    assert_eq!(started["news"], "serving");
    let file = store.with_file_name("windlass.db.serve");
    let shown = std::fs::read_to_string(&file).unwrap();
    assert!(shown.contains(started["url"].as_str().unwrap()), "{shown}");

    let done = fixture
        .run(&["agents", "provision", "--all", "--no-wake", "--json"])
        .await;
    let report = done.json_lines().pop().unwrap();
    assert_eq!(
        (&report["news"], report["agents"].as_array().unwrap().len()),
        (&json!("report"), 2),
        "{report}"
    );
    assert!(!writes(&sim).is_empty(), "the service did it");
    let again = fixture.run(&["agents", "provision", "--all", "--no-wake"]).await;
    assert!(again.stdout.contains("2 agents: 0 changed, 0 failed"), "{again:?}");
    let refused = fixture
        .harness
        .run(&["agents", "provision", "--all", "--base-url", "https://x.example"])
        .await;
    refused
        .ends_with(8)
        .tells(&["--base-url is not taken by the running service"]);
    fixture.run(&["agents", "delete", "Scribe", "--yes"]).await;
    assert_eq!(
        fixture.run(&["agents", "list", "--json"]).await.json()["agents"]
            .as_array()
            .unwrap()
            .len(),
        1
    );

    service.signal("TERM");
    service.end().await.ends_with(0);
    assert!(!file.exists(), "the file goes with the service");
    fixture.run(&["agents", "provision", "--all", "--no-wake"]).await;
}

#[tokio::test]
async fn a_file_of_a_service_that_was_killed_keeps_no_command_from_working() {
    let sim = gateway().start_tcp().await.unwrap();
    let fixture = StoreFixture::with_agents(&sim).await;
    let store = fixture.harness.path(".local/share/windlass/windlass.db");
    let serving = Harness::new()
        .with("WINDLASS_STORE", store.to_str().unwrap())
        .with("T", TOKEN);
    let mut service = serving.start(&["serve", "--listen", "127.0.0.1:0", "--json"]);
    service.line().await;
    service.kill().await;
    assert!(store.with_file_name("windlass.db.serve").exists());
    fixture.run(&["agents", "provision", "--all", "--no-wake"]).await;
}

#[tokio::test]
async fn the_service_listens_beyond_this_machine_only_when_told_so() {
    let harness = Harness::new();
    let refused = harness.run(&["serve", "--listen", "0.0.0.0:0"]).await.ends_with(2);
    refused.tells(&["reachable from other machines", "--insecure-http"]);
}

#[tokio::test]
async fn a_demo_is_served_without_a_store() {
    let mut demo = Harness::new().start(&["serve", "--demo", "--listen", "127.0.0.1:0", "--json"]);
    assert_eq!(demo.line().await["news"], "serving");
    demo.signal("INT");
    demo.end().await.ends_with(0);
}
