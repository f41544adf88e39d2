//! Gateways of `windlass.toml` and of the store are one list, for every command.

use std::path::Path;

use serde_json::json;
use windlass_testkit::SimGateway;

use crate::harness::{Harness, TOKEN, gateway};
use crate::store_fixture::StoreFixture;

/// `lab` in the store, `desk` in the configuration.
async fn both(lab: &SimGateway, desk: &SimGateway) -> Harness {
    let fixture = StoreFixture::of(lab).await;
    let file = format!("[gateways.desk]\nurl = \"{}\"\ntoken_env = \"T\"\n", desk.url());
    fixture.harness.configured(&file)
}

#[tokio::test]
async fn a_recorded_gateway_is_known_to_every_command_that_works_with_lines() {
    let (lab, desk) = (
        gateway().start_tcp().await.unwrap(),
        gateway().start_tcp().await.unwrap(),
    );
    let harness = both(&lab, &desk).await;
    for args in [
        &["call", "health", "-g", "LAB"][..],
        &["status", "-g", "lab"],
        &["doctor", "-g", "lab"],
        &["sessions", "list", "-g", "lab"],
        &["sessions", "show", "main", "--gateway", "lab"],
        &["gateways", "list", "-g", "lab"],
    ] {
        harness.run(args).await.ends_with(0);
    }
    harness.run_with(&["chat", "-g", "lab"], "").await.ends_with(0);
    assert_eq!(desk.journal().connect_attempts(), 0);
    assert!(lab.journal().connect_attempts() >= 6);
    let status = harness.run(&["status", "--json"]).await.ends_with(0).json();
    let names: Vec<_> = status["gateways"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["gateway"])
        .collect();
    assert_eq!(names, [&json!("desk"), &json!("lab")]);
    let called = harness
        .run(&["call", "health", "-g", "lab", "--json"])
        .await
        .ends_with(0)
        .json();
    assert_eq!(called["gateway"], "lab");
}

#[tokio::test]
async fn a_wrong_name_is_answered_with_what_there_is_and_a_double_one_with_its_places() {
    let (lab, desk) = (
        gateway().start_tcp().await.unwrap(),
        gateway().start_tcp().await.unwrap(),
    );
    let harness = both(&lab, &desk).await;
    let unknown = harness.run(&["call", "health", "-g", "nowhere"]).await.ends_with(2);
    unknown.tells(&["no gateway nowhere", "desk (", "windlass.toml", "lab (record "]);
    let several = harness.run(&["call", "health"]).await.ends_with(2);
    several.tells(&["--gateway desk or --gateway lab", "WINDLASS_GATEWAY"]);
    let file = format!("[gateways.lab]\nurl = \"{}\"\ntoken_env = \"T\"\n", desk.url());
    let harness = harness.configured(&file);
    let double = harness.run(&["call", "health", "-g", "lab"]).await.ends_with(2);
    double.tells(&["lab names 2 gateways", "windlass.toml", "record ", "by its id"]);
    harness
        .run(&["status"])
        .await
        .ends_with(0)
        .tells(&["two gateways have one name"]);
    let listed = harness.run(&["gateways", "list", "--json"]).await.ends_with(0).json();
    let rows = listed["gateways"].as_array().unwrap();
    let record = rows.iter().find(|row| row["source"] == "record").unwrap();
    assert!(
        rows.iter().any(|row| row["source"] == "file" && row["name"] == "lab"),
        "{listed}"
    );
    let id = record["id"].as_str().unwrap();
    harness.run(&["call", "health", "-g", &id[..8]]).await.ends_with(0);
    assert!(lab.journal().connect_attempts() > 0);
}

#[tokio::test]
async fn a_default_is_used_where_one_gateway_is_needed() {
    let (lab, desk) = (
        gateway().start_tcp().await.unwrap(),
        gateway().start_tcp().await.unwrap(),
    );
    let harness = both(&lab, &desk).await;
    let file = std::fs::read_to_string(harness.path("windlass.toml")).unwrap();
    let harness = harness.configured(&format!("default = \"lab\"\n{file}"));
    let gateway = async |harness: &Harness| {
        harness.run(&["call", "health", "--json"]).await.ends_with(0).json()["gateway"].clone()
    };
    assert_eq!(gateway(&harness).await, "lab");
    let harness = harness.with("WINDLASS_GATEWAY", "desk");
    assert_eq!(gateway(&harness).await, "desk");
    let harness = harness.with("WINDLASS_GATEWAY", "gone");
    let told = harness.run(&["call", "health"]).await.ends_with(2);
    told.tells(&["WINDLASS_GATEWAY", "no gateway gone", "lab (record"]);
}

#[tokio::test]
async fn the_gateway_flag_narrows_the_records_of_agents() {
    let (lab, desk) = (
        gateway().start_tcp().await.unwrap(),
        gateway().start_tcp().await.unwrap(),
    );
    let fixture = StoreFixture::with_agents(&lab).await;
    fixture.gateway("other", &desk).await;
    let names = async |args: &[&str]| {
        let listed = fixture
            .run(&[&["agents", "list", "--json"], args].concat())
            .await
            .json();
        listed["agents"].as_array().unwrap().len()
    };
    assert_eq!((names(&["-g", "lab"]).await, names(&["-g", "other"]).await), (2, 0));
    fixture.run(&["agents", "provision", "--all", "-g", "lab"]).await;
    fixture
        .harness
        .run(&["agents", "plan", "Scribe", "-g", "other"])
        .await
        .ends_with(2)
        .tells(&["Scribe"]);
    fixture
        .harness
        .run(&["agents", "list", "-g", "nowhere"])
        .await
        .ends_with(2)
        .tells(&["it has lab, other"]);
    assert_eq!(desk.journal().connect_attempts(), 0);
}

#[tokio::test]
async fn a_command_that_only_looks_makes_no_store() {
    let sim = gateway().start_tcp().await.unwrap();
    let file = format!("[gateways.desk]\nurl = \"{}\"\ntoken_env = \"T\"\n", sim.url());
    let harness = Harness::new().with("T", TOKEN).configured(&file);
    let store: &Path = &harness.path(".local/share/windlass");
    for args in [
        &["call", "health"][..],
        &["status"],
        &["doctor"],
        &["sessions", "list"],
        &["gateways", "list"],
    ] {
        harness.run(args).await.ends_with(0);
    }
    for args in [
        &["owner", "show"][..],
        &["agents", "list"],
        &["boards", "list"],
        &["watch", "--from", "start", "--no-follow"],
    ] {
        harness.run(args).await.ends_with(2);
    }
    assert!(!store.exists(), "a store was made");
}

#[tokio::test]
async fn the_general_token_stands_in_for_none_that_a_gateway_has_of_its_own() {
    let (lab, desk) = (
        gateway().start_tcp().await.unwrap(),
        gateway().start_tcp().await.unwrap(),
    );
    // It is the token of some other gateway.
    let harness = both(&lab, &desk).await.with("OPENCLAW_GATEWAY_TOKEN", "another");
    for name in ["lab", "desk"] {
        harness.run(&["call", "health", "-g", name]).await.ends_with(0);
    }
}

#[tokio::test]
async fn a_reader_that_is_early_waits_for_the_store_and_makes_none() {
    let sim = gateway().start_tcp().await.unwrap();
    let harness = Harness::new();
    let store = harness.path("later.db");
    let reader = Harness::new().start(&[
        "watch",
        "--from",
        "start",
        "--limit",
        "1",
        "--store",
        store.to_str().unwrap(),
        "--json",
    ]);
    let recorder = Harness::of(&sim).start(&["watch", "--journal", "--store", store.to_str().unwrap(), "--json"]);
    sim.wait_for(|journal| journal.hellos() > 0).await.unwrap();
    sim.emit("custom", json!({"n": 1}));
    reader.end().await.ends_with(0);
    recorder.interrupt();
    recorder.end().await;
}

#[tokio::test]
async fn a_check_connects_to_the_gateways_of_the_configuration_too() {
    let (lab, desk) = (
        gateway().start_tcp().await.unwrap(),
        gateway().start_tcp().await.unwrap(),
    );
    let harness = both(&lab, &desk).await;
    // The address of the environment is of no list.
    let harness = harness.with("WINDLASS_URL", "ws://127.0.0.1:1");
    let checked = harness
        .run(&["gateways", "list", "--check", "--json"])
        .await
        .ends_with(0)
        .json();
    let rows = checked["gateways"].as_array().unwrap();
    let of = |name: &str| rows.iter().find(|row| row["name"] == name).unwrap();
    for (name, source) in [("lab", "record"), ("desk", "file")] {
        let row = of(name);
        assert_eq!(
            (&row["source"], &row["check"]["verdict"], &row["check"]["version"]),
            (&json!(source), &json!("supported"), &json!("2026.9.6"))
        );
    }
    let one = harness
        .run(&["gateways", "list", "desk", "--check"])
        .await
        .ends_with(0)
        .stdout;
    assert!(one.contains("desk") && !one.contains("lab "), "{one}");
}
