//! No output shows a secret, not even at the most talkative log level.

use serde_json::{Value, json};
use windlass_testkit::Generation;

use crate::harness::{Finished, Harness, TOKEN, gateway};
use crate::store_fixture::StoreFixture;

/// Everything in the program's home that must not be seen.
fn secrets(harness: &Harness) -> Vec<String> {
    let mut secrets = vec![TOKEN.to_owned()];
    let device = std::fs::read_to_string(harness.path(".openclaw/identity/device.json")).unwrap();
    let device: Value = serde_json::from_str(&device).unwrap();
    let key = device["privateKeyPem"].as_str().unwrap().lines().nth(1).unwrap();
    // The first half is the same in all keys.
    secrets.push(key[key.len() / 2..].to_owned());
    if let Ok(tokens) = std::fs::read_to_string(harness.path(".openclaw/identity/windlass-device-tokens.json")) {
        let tokens: Value = serde_json::from_str(&tokens).unwrap();
        let tokens = tokens["tokens"].as_array().unwrap();
        secrets.extend(tokens.iter().map(|entry| entry["token"].as_str().unwrap().to_owned()));
    }
    secrets
}

#[track_caller]
fn shows_none(ran: &Finished, secrets: &[String]) {
    for secret in secrets {
        assert!(
            !ran.stdout.contains(secret) && !ran.stderr.contains(secret),
            "{secret} is in {ran:#?}"
        );
    }
}

#[tokio::test]
async fn no_command_shows_a_token_or_the_device_key() {
    for generation in [Generation::V3, Generation::V4] {
        // A remote gateway pairs the device, and so hands out a device token too.
        let sim = gateway().generation(generation).remote(true).start_tcp().await.unwrap();
        let harness = Harness::of(&sim).with("WINDLASS_LOG", "trace");
        let refused = harness.run(&["doctor"]).await.ends_with(4);
        assert!(sim.approve_pairing(&sim.pending_pairings()[0].request_id));
        let mut runs = vec![refused];
        for args in [
            &["call", "health"][..],
            &["status"],
            &["doctor", "--json"],
            &["call", "chat.send", "{}"],
            &["sessions", "list"],
            &["sessions", "show"],
            &["sessions", "send", "main", "hello", "--json"],
            &["sessions", "history"],
            &["sessions", "abort"],
            &["chat"],
            &["watch", "--limit", "1"],
            &["demo", "--url", &sim.url()],
        ] {
            sim.emit("health", json!({"ok": true}));
            let (ran, ()) = tokio::join!(harness.run(args), async {
                let hellos = sim.journal().hellos();
                sim.wait_for(|journal| journal.hellos() > hellos).await.unwrap();
                sim.emit("health", json!({"ok": true}));
            });
            runs.push(ran);
        }
        let secrets = secrets(&harness);
        assert_eq!(secrets.len(), 3, "token, device key, device token");
        assert!(
            runs.iter().any(|ran| ran.stderr.contains("DEBUG")),
            "nothing was logged"
        );
        for ran in &runs {
            shows_none(ran, &secrets);
        }
    }
}

#[tokio::test]
async fn what_is_said_to_agents_shows_no_token_and_no_log_shows_what_is_said() {
    let sim = gateway().start_tcp().await.unwrap();
    let fixture = StoreFixture::with_agents(&sim).await;
    fixture.run(&["agents", "add", "--main", "lab"]).await;
    fixture.run(&["agents", "provision", "--all"]).await;
    let words = "between-you-and-me";
    let harness = fixture
        .harness
        .with("WINDLASS_LOG", "trace")
        .with("WINDLASS_URL", &sim.url())
        .with("WINDLASS_TOKEN", TOKEN);
    let mut runs = Vec::new();
    for args in [
        &["coordinate", "nudge", "Scribe", words][..],
        &["coordinate", "ask", "Docs", words],
        &["coordinate", "onboard", "Docs", words],
        &["coordinate", "lead", "Docs", words],
        &["coordinate", "broadcast", "--all", words],
        &["coordinate", "soul", "Scribe"],
        &["sessions", "send", "Scribe", words, "--no-wait"],
    ] {
        runs.push(harness.run(args).await.ends_with(0));
    }
    runs.push(
        harness
            .run_with(&["coordinate", "soul", "Scribe", "--set", "-"], words)
            .await
            .ends_with(0),
    );
    runs.push(harness.run_with(&["chat", "Lead Agent"], words).await.ends_with(0));
    let secrets = secrets(&harness);
    for ran in &runs {
        shows_none(ran, &secrets);
        assert!(ran.stderr.contains("DEBUG"), "nothing was logged: {ran:#?}");
        assert!(!ran.stderr.contains(words), "the log shows what was said: {ran:#?}");
    }
}
