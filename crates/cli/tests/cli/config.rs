//! Configuration errors as an operator sees them.

use std::os::unix::fs::PermissionsExt as _;

use crate::harness::{Harness, TOKEN, gateway};

#[tokio::test]
async fn without_a_gateway_the_program_says_how_to_name_one() {
    Harness::new()
        .run(&["status"])
        .await
        .ends_with(2)
        .tells(&["--url", "WINDLASS_URL", "windlass.toml"]);
}

#[tokio::test]
async fn a_mistake_in_the_file_is_named_with_its_line() {
    let harness = Harness::new().configured("[gateways.a]\nurl = \"ws://h\"\ntokenfile = \"x\"\n");
    harness
        .run(&["status"])
        .await
        .ends_with(2)
        .tells(&["windlass.toml:3", "tokenfile"]);
}

#[tokio::test]
async fn a_literal_token_in_the_file_is_refused_and_not_shown() {
    let file = format!("[gateways.a]\nurl = \"ws://h\"\ntoken = \"{TOKEN}\"\n");
    let ran = Harness::new().configured(&file).run(&["status"]).await.ends_with(2);
    let ran = ran.tells(&["windlass.toml:3, gateways.a.token", "token_file", "token_env"]);
    assert!(!ran.stderr.contains(TOKEN));
}

#[tokio::test]
async fn a_token_comes_from_the_file_that_the_configuration_names() {
    let sim = gateway().start_tcp().await.unwrap();
    let file = format!("[gateways.a]\nurl = \"{}\"\ntoken_file = \"a.token\"\n", sim.url());
    let harness = Harness::new().configured(&file);
    harness
        .run(&["call", "health"])
        .await
        .ends_with(2)
        .tells(&["gateways.a.token_file", "a.token can't be read"]);
    harness
        .file("a.token", &format!("{TOKEN}\n"))
        .run(&["call", "health"])
        .await
        .ends_with(0);
}

#[tokio::test]
async fn a_call_with_several_gateways_asks_for_one() {
    let file = "[gateways.a]\nurl = \"ws://h\"\n[gateways.b]\nurl = \"ws://h\"\n";
    let harness = Harness::new().configured(file);
    harness
        .run(&["call", "health"])
        .await
        .ends_with(2)
        .tells(&["--gateway a or --gateway b"]);
    harness
        .run(&["call", "health", "--gateway", "c"])
        .await
        .ends_with(2)
        .tells(&["no gateway c", "a (", "b ("]);
}

#[tokio::test]
async fn a_damaged_identity_stops_the_program_and_stays() {
    let sim = gateway().start_tcp().await.unwrap();
    let harness = Harness::of(&sim)
        .with("OPENCLAW_GATEWAY_DEVICE_IDENTITY_PATH", "device.json")
        .file("device.json", "{}");
    let path = harness.path("device.json");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    harness
        .run(&["call", "health"])
        .await
        .ends_with(2)
        .tells(&["device.json", "damaged", "restore it"]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "{}");
    assert_eq!(sim.journal().connect_attempts(), 0);
}

#[tokio::test]
async fn an_identity_is_made_at_the_first_run_and_kept() {
    let sim = gateway().start_tcp().await.unwrap();
    let harness = Harness::of(&sim);
    harness.run(&["call", "health"]).await.ends_with(0);
    let path = harness.path(".openclaw/identity/device.json");
    let first = std::fs::read_to_string(&path).unwrap();
    harness.run(&["call", "health"]).await.ends_with(0);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), first);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_malformed_entry_of_the_file_costs_itself_only() {
    let sim = gateway().start_tcp().await.unwrap();
    let file = format!(
        "[gateways.good]\nurl = \"{}\"\ntoken_env = \"T\"\n[gateways.bad]\nurl = \"ws://h\"\ntokn_env = \"T\"\n",
        sim.url()
    );
    let harness = Harness::new().with("T", TOKEN).configured(&file);
    let status = harness.run(&["status", "--json"]).await.ends_with(2).json();
    assert_eq!(status["gateways"][0]["state"], "up", "{status}");
    let bad = &status["gateways"][1];
    assert_eq!(
        (&bad["gateway"], &bad["state"]),
        (&"bad".into(), &"misconfigured".into())
    );
    let why = bad["lastError"]["summary"].as_str().unwrap();
    assert!(
        why.contains("windlass.toml:6, gateways.bad") && why.contains("tokn_env"),
        "{why}"
    );
    let shown = harness.run(&["status"]).await.ends_with(2).stdout;
    assert!(shown.contains("not set up") && shown.contains("tokn_env"), "{shown}");
    harness.run(&["call", "health", "-g", "good"]).await.ends_with(0);
    for command in [&["call", "health"][..], &["status"], &["watch"], &["doctor"]] {
        let args = [command, &["-g", "bad"]].concat();
        harness
            .run(&args)
            .await
            .ends_with(2)
            .tells(&["gateways.bad", "tokn_env"]);
    }
    let both = harness.run(&["call", "health"]).await.ends_with(2);
    both.tells(&["--gateway good or --gateway bad"]);
    let listed = harness.run(&["gateways", "list", "--json"]).await.ends_with(2).json();
    assert!(
        listed["gateways"][1]["error"].as_str().unwrap().contains("tokn_env"),
        "{listed}"
    );
}

#[tokio::test]
async fn a_token_of_the_environment_is_not_sent_where_a_malformed_entry_may_be_meant() {
    let sim = gateway().start_tcp().await.unwrap();
    let file = format!("[gateways.good]\nurl = \"{}\"\n[gateways.bad]\nurl = 7\n", sim.url());
    let harness = Harness::new().with("WINDLASS_TOKEN", TOKEN).configured(&file);
    let ran = harness.run(&["status"]).await.ends_with(4);
    ran.tells(&["WINDLASS_TOKEN is not used"]);
}
