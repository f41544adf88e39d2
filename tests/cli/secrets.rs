//! No output shows a secret, not even at the most talkative log level.

use serde_json::{Value, json};
use windlass_testkit::Generation;

use crate::bench::{Bench, Ran, TOKEN, gateway};

/// Everything in the program's home that must not be seen.
fn secrets(bench: &Bench) -> Vec<String> {
    let mut secrets = vec![TOKEN.to_owned()];
    let device = std::fs::read_to_string(bench.path(".openclaw/identity/device.json")).unwrap();
    let device: Value = serde_json::from_str(&device).unwrap();
    let key = device["privateKeyPem"].as_str().unwrap().lines().nth(1).unwrap();
    // The first half is the same in all keys.
    secrets.push(key[key.len() / 2..].to_owned());
    if let Ok(tokens) = std::fs::read_to_string(bench.path(".openclaw/identity/windlass-device-tokens.json")) {
        let tokens: Value = serde_json::from_str(&tokens).unwrap();
        let tokens = tokens["tokens"].as_object().unwrap();
        secrets.extend(tokens.values().map(|token| token.as_str().unwrap().to_owned()));
    }
    secrets
}

#[track_caller]
fn shows_none(ran: &Ran, secrets: &[String]) {
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
        let bench = Bench::of(&sim).with("WINDLASS_LOG", "trace");
        let refused = bench.run(&["doctor"]).await.ends_with(4);
        assert!(sim.approve_pairing(&sim.pending_pairings()[0].request_id));
        let mut runs = vec![refused];
        for args in [
            &["call", "health"][..],
            &["status"],
            &["doctor", "--json"],
            &["call", "chat.send", "{}"],
            &["watch", "--limit", "1"],
            &["demo", "--url", &sim.url()],
        ] {
            sim.emit("health", json!({"ok": true}));
            let (ran, ()) = tokio::join!(bench.run(args), async {
                let hellos = sim.journal().hellos();
                sim.wait_for(|journal| journal.hellos() > hellos).await.unwrap();
                sim.emit("health", json!({"ok": true}));
            });
            runs.push(ran);
        }
        let secrets = secrets(&bench);
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
