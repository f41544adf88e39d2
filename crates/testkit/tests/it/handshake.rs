//! Who gets in, and how the others are told.

use std::time::Duration;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Error;
use windlass_testkit::{Entry, Generation, Profile, RELEASES, SimGateway};

use crate::client::{ALL_SCOPES, Client, Connect, Seen, Signature, device_id};
use crate::leaves_nothing;

/// Spoils finished parameters.
type Change = fn(&mut Value);

fn pipe(release: &str) -> SimGateway {
    SimGateway::builder().release(release).start_pipe()
}

/// The answer to `connect`, and how the connection ended if it was refused.
async fn attempt(sim: &SimGateway, with: Connect) -> (Value, Option<(u16, String)>) {
    let mut client = Client::dial(sim).await;
    let answer = client.connect(sim, with).await;
    let closed = if answer["ok"] == true {
        None
    } else {
        client.closed().await
    };
    (answer, closed)
}

fn code(answer: &Value) -> &str {
    answer
        .pointer("/error/details/code")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn every_release_agrees_to_its_own_protocol_and_to_the_range_3_to_4() {
    for release in RELEASES {
        let sim = pipe(release);
        let own = sim.profile().generation.number();
        for range in [(3, 3), (4, 4), (3, 4), (1, 99), (1, 2), (5, 6)] {
            let (answer, closed) = attempt(
                &sim,
                Connect {
                    range,
                    ..Connect::default()
                },
            )
            .await;
            if range.0 <= own && own <= range.1 {
                assert_eq!(answer["payload"]["protocol"], own, "{release} {range:?}");
                continue;
            }
            assert_eq!(closed, Some((1002, "protocol mismatch".into())), "{release} {range:?}");
            let details = &answer["error"]["details"];
            assert_eq!(details["expectedProtocol"], own, "{release}");
            let coded = sim.profile().index >= 5;
            assert_eq!(details["code"] == "PROTOCOL_MISMATCH", coded, "{release}: {details}");
        }
        leaves_nothing(sim).await;
    }
}

#[tokio::test(start_paused = true)]
async fn hello_carries_what_the_release_is_known_to_send() {
    for release in RELEASES {
        let sim = pipe(release);
        let (answer, _) = attempt(&sim, Connect::default()).await;
        let hello = &answer["payload"];
        let profile = sim.profile();
        let r = profile.index;
        let version = if r <= 1 { "dev" } else { release };
        assert_eq!(hello["server"]["version"], version, "{release}");
        assert_eq!(hello["server"].get("bootId").is_some(), r >= 7, "{release}");
        assert_eq!(hello.get("auth").is_some(), r <= 1 || r >= 4, "{release}");
        assert_eq!(hello["auth"].get("deviceToken").is_some(), r <= 1, "{release}");
        assert_eq!(hello["auth"].get("recoveryScope").is_some(), r >= 7, "{release}");
        assert_eq!(hello["auth"].get("method").is_some(), r == 8, "{release}");
        assert_eq!(hello["features"].get("capabilities").is_some(), r >= 6, "{release}");
        let payload = if r == 0 { 524_288 } else { 26_214_400 };
        assert_eq!(hello["policy"]["maxPayload"], payload, "{release}");
        assert_eq!(hello["policy"]["tickIntervalMs"], 30_000, "{release}");
    }
}

#[tokio::test(start_paused = true)]
async fn scopes_without_a_device_are_kept_or_emptied_as_measured() {
    for release in RELEASES {
        let sim = pipe(release);
        for (client, kept) in [
            (
                ("gateway-client", "backend"),
                !matches!(release, "2026.3.13" | "2026.4.15"),
            ),
            (
                ("cli", "cli"),
                matches!(
                    release,
                    "2026.1.30" | "2026.2.26" | "2026.7.1" | "2026.8.2" | "2026.9.6"
                ),
            ),
        ] {
            let mut line = Client::dial(&sim).await;
            let with = Connect {
                client,
                device: None,
                ..Connect::default()
            };
            assert_eq!(line.connect(&sim, with).await["ok"], true, "{release} {client:?}");
            let answer = line.request("agents.list", json!({})).await;
            assert_eq!(answer["ok"], kept, "{release} {client:?}: {answer}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn signatures_of_version_2_work_everywhere_and_version_3_from_the_second_release_on() {
    for release in RELEASES {
        let sim = pipe(release);
        for (version, taken) in [
            (Signature::V3, release != "2026.1.30"),
            (Signature::V2, true),
            (Signature::V1, release == "2026.1.30"),
        ] {
            let (answer, closed) = attempt(
                &sim,
                Connect {
                    version,
                    ..Connect::default()
                },
            )
            .await;
            assert_eq!(answer["ok"], taken, "{release} {version:?}: {answer}");
            assert_eq!(
                closed.map(|(code, _)| code),
                (!taken).then_some(1008),
                "{release} {version:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_refusal_has_its_code_and_its_close() {
    let token = |token: &str| Some(json!({"token": token}));
    let bad: [(&str, &str, Change); 6] = [
        ("nonce", "DEVICE_AUTH_NONCE_MISMATCH", |p| {
            p["device"]["nonce"] = json!("other");
        }),
        ("stale", "DEVICE_AUTH_SIGNATURE_EXPIRED", |p| {
            p["device"]["signedAt"] = json!(1);
        }),
        ("signature", "DEVICE_AUTH_SIGNATURE_INVALID", |p| {
            p["device"]["signature"] = json!("AAAA");
        }),
        ("key", "DEVICE_AUTH_PUBLIC_KEY_INVALID", |p| {
            p["device"]["publicKey"] = json!("AAAA");
        }),
        ("id", "DEVICE_AUTH_DEVICE_ID_MISMATCH", |p| {
            p["device"]["id"] = json!("00");
        }),
        ("token", "DEVICE_AUTH_SIGNATURE_INVALID", |p| {
            p["auth"]["token"] = json!("other");
        }),
    ];
    for generation in [Generation::V3, Generation::V4] {
        let sim = SimGateway::builder().generation(generation).start_pipe();
        for (name, expected, change) in bad {
            let (answer, closed) = attempt(
                &sim,
                Connect {
                    change,
                    ..Connect::default()
                },
            )
            .await;
            assert_eq!(code(&answer), expected, "{name}: {answer}");
            assert_eq!(closed.map(|(code, _)| code), Some(1008), "{name}");
        }
        let wrong = Connect {
            auth: token("wrong"),
            ..Connect::default()
        };
        assert_eq!(code(&attempt(&sim, wrong.clone()).await.0), "AUTH_TOKEN_MISMATCH");
        let bare = Connect {
            auth: token("wrong"),
            device: None,
            ..Connect::default()
        };
        let (answer, _) = attempt(&sim, bare).await;
        assert_eq!(answer["error"]["details"]["canRetryWithDeviceToken"], false, "{answer}");
        let none = Connect {
            auth: Some(json!({})),
            device: None,
            ..Connect::default()
        };
        let (answer, _) = attempt(&sim, none).await;
        assert_eq!(
            (code(&answer), &answer["error"]["code"]),
            ("DEVICE_IDENTITY_REQUIRED", &json!("NOT_PAIRED"))
        );
        let refused = sim
            .journal()
            .records()
            .into_iter()
            .filter(|r| matches!(r.entry, Entry::Refused { .. }));
        assert_eq!(refused.count(), 9);
        leaves_nothing(sim).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_parameters_of_connect_are_closed_and_its_enums_are_enums() {
    let sim = pipe("2026.9.6");
    let says = |change: fn(&mut Value)| {
        let sim = sim.clone();
        async move {
            let (answer, closed) = attempt(
                &sim,
                Connect {
                    change,
                    ..Connect::default()
                },
            )
            .await;
            let text = answer["error"]["message"].as_str().expect("a message").to_owned();
            assert_eq!(closed, Some((1008, text.clone())));
            text
        }
    };
    let unknown = says(|p| p["bogus"] = json!(1)).await;
    assert_eq!(unknown, "invalid connect params: at root: unexpected property 'bogus'");
    let id = says(|p| p["client"]["id"] = json!("windlass")).await;
    assert_eq!(
        id,
        "invalid connect params: at /client/id: must be equal to one of the allowed values"
    );
    assert!(
        says(|p| p["client"]["mode"] = json!("operator"))
            .await
            .contains("/client/mode")
    );
    assert_eq!(says(|p| p["role"] = json!("boss")).await, "invalid role");
    let (answer, _) = attempt(
        &sim,
        Connect {
            scopes: vec!["operator.bogus"],
            ..Connect::default()
        },
    )
    .await;
    assert_eq!(answer["payload"]["auth"]["scopes"], json!(["operator.bogus"]));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_connect_request_ends_the_handshake() {
    for generation in [Generation::V3, Generation::V4] {
        let sim = SimGateway::builder().generation(generation).start_pipe();
        let after = |text: String| {
            let sim = sim.clone();
            async move {
                let mut client = Client::dial(&sim).await;
                client.event("connect.challenge").await;
                client.text(&text).await;
                client.closed().await.expect("a close frame")
            }
        };
        let health = json!({"type": "req", "id": "1", "method": "health"}).to_string();
        let first = (1008, "invalid handshake: first request must be connect".to_owned());
        assert_eq!(after(health).await, first);
        assert_eq!(after("{not json".into()).await, (1000, String::new()));
        assert_eq!(
            after("{\"hello\": 1}".into()).await,
            (1008, "invalid request frame".into())
        );
        assert_eq!(after("x".repeat(70_000)).await, (1009, String::new()));
        let mut client = Client::dial(&sim).await;
        client.event("connect.challenge").await;
        client.binary(b"abc").await;
        assert_eq!(client.closed().await, Some((1000, String::new())));
        leaves_nothing(sim).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_handshake_is_closed_after_3_or_15_seconds() {
    for (generation, seconds) in [(Generation::V3, 3), (Generation::V4, 15)] {
        let sim = SimGateway::builder().generation(generation).start_pipe();
        let mut client = Client::dial(&sim).await;
        client.event("connect.challenge").await;
        assert!(
            client.quiet(Duration::from_millis(seconds * 1000 - 1)).await,
            "too early"
        );
        assert_eq!(client.next().await, Seen::Closed(1000, String::new()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_local_cli_device_is_paired_silently_and_its_token_then_works_alone() {
    for generation in [Generation::V3, Generation::V4] {
        let sim = SimGateway::builder().generation(generation).start_pipe();
        let cli = Connect {
            client: ("cli", "cli"),
            ..Connect::default()
        };
        let (answer, _) = attempt(&sim, cli.clone()).await;
        let token = answer["payload"]["auth"]["deviceToken"]
            .as_str()
            .expect("a device token")
            .to_owned();
        for auth in [
            json!({"token": token}),
            json!({"deviceToken": token}),
            json!({"token": "wrong", "deviceToken": token}),
        ] {
            let narrow = Connect {
                auth: Some(auth),
                scopes: vec!["operator.read"],
                ..cli.clone()
            };
            let (answer, _) = attempt(&sim, narrow).await;
            assert_eq!(
                answer["payload"]["auth"]["scopes"],
                json!(["operator.read"]),
                "{answer}"
            );
        }
        let other = Connect {
            auth: Some(json!({"deviceToken": token})),
            device: Some(2),
            ..cli.clone()
        };
        assert_eq!(code(&attempt(&sim, other).await.0), "AUTH_TOKEN_MISMATCH");
        assert!(sim.revoke_device(&device_id(1)));
        let revoked = Connect {
            auth: Some(json!({"deviceToken": token})),
            ..cli
        };
        assert_eq!(code(&attempt(&sim, revoked).await.0), "AUTH_TOKEN_MISMATCH");
    }
}

#[tokio::test(start_paused = true)]
async fn the_token_in_the_password_field_is_taken_by_generation_4_only() {
    for (generation, expected) in [(Generation::V3, "AUTH_TOKEN_MISSING"), (Generation::V4, "")] {
        let sim = SimGateway::builder().generation(generation).token("t").start_pipe();
        let with = Connect {
            auth: Some(json!({"password": "t"})),
            device: None,
            ..Connect::default()
        };
        let (answer, _) = attempt(&sim, with).await;
        assert_eq!(code(&answer), expected, "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_remote_device_waits_for_approval_under_one_request_id() {
    for generation in [Generation::V3, Generation::V4] {
        let sim = SimGateway::builder().generation(generation).remote(true).start_pipe();
        let (answer, closed) = attempt(&sim, Connect::default()).await;
        assert_eq!(code(&answer), "PAIRING_REQUIRED");
        assert_eq!(closed.map(|(code, _)| code), Some(1008));
        let id = answer["error"]["details"]["requestId"]
            .as_str()
            .expect("an id")
            .to_owned();
        let (again, _) = attempt(&sim, Connect::default()).await;
        assert_eq!(again["error"]["details"]["requestId"], json!(id));
        assert_eq!(sim.pending_pairings().len(), 1);
        assert!(sim.approve_pairing(&id));
        let (answer, _) = attempt(&sim, Connect::default()).await;
        assert!(answer["payload"]["auth"]["deviceToken"].is_string(), "{answer}");
        let bare = Connect {
            device: None,
            ..Connect::default()
        };
        let mut line = Client::dial(&sim).await;
        line.connect(&sim, bare).await;
        assert_eq!(
            line.request("agents.list", json!({})).await["ok"],
            false,
            "scopes are emptied"
        );
        leaves_nothing(sim).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_operator_with_the_pairing_scope_sees_and_decides_requests() {
    let sim = SimGateway::builder()
        .generation(Generation::V4)
        .trusted_proxy(true)
        .start_pipe();
    let mut owner = Client::hello(&sim).await;
    let through_proxy = [("x-forwarded-for", "203.0.113.9")];
    let mut remote = Client::try_dial(&sim, &through_proxy).await.expect("let through");
    let other = Connect {
        device: Some(2),
        ..Connect::default()
    };
    remote.connect(&sim, other.clone()).await;
    let asked = owner.event("device.pair.requested").await;
    let id = asked["payload"]["requestId"].clone();
    let listed = owner.ok("device.pair.list", json!({})).await;
    assert_eq!(listed["pending"][0]["requestId"], id);
    let approved = owner.ok("device.pair.approve", json!({"requestId": id})).await;
    assert_eq!(approved["device"]["deviceId"], device_id(2));
    assert_eq!(
        owner.event("device.pair.resolved").await["payload"]["decision"],
        "approved"
    );
    let mut remote = Client::try_dial(&sim, &through_proxy).await.expect("let through");
    assert_eq!(remote.connect(&sim, other).await["ok"], true);
    owner
        .ok(
            "device.token.revoke",
            json!({"deviceId": device_id(2), "role": "operator"}),
        )
        .await;
    assert_eq!(remote.closed().await, Some((4001, "device removed".into())));
}

#[tokio::test(start_paused = true)]
async fn an_untrusted_proxy_header_is_answered_403_by_generation_4() {
    let headers = [("x-forwarded-for", "203.0.113.9")];
    let sim = pipe("2026.9.6");
    match Client::try_dial(&sim, &headers).await.err() {
        Some(Error::Http(response)) => assert_eq!(response.status(), 403),
        other => panic!("{other:?}"),
    }
    assert!(Client::try_dial(&pipe("2026.3.13"), &headers).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_control_ui_needs_its_origin_and_a_device_unless_generation_3_is_told_otherwise() {
    let with = Connect {
        client: ("openclaw-control-ui", "ui"),
        device: None,
        ..Connect::default()
    };
    let sim = SimGateway::builder()
        .generation(Generation::V3)
        .insecure_control_ui(true)
        .start_pipe();
    let (answer, _) = attempt(&sim, with.clone()).await;
    assert_eq!(code(&answer), "CONTROL_UI_ORIGIN_NOT_ALLOWED");
    let origin = [("origin", "http://sim.invalid")];
    let mut ui = Client::try_dial(&sim, &origin).await.expect("upgraded");
    assert_eq!(ui.connect(&sim, with.clone()).await["ok"], true);
    assert_eq!(
        ui.request("agents.list", json!({})).await["ok"],
        true,
        "scopes are kept"
    );
    let sim = pipe("2026.9.6");
    let mut ui = Client::try_dial(&sim, &origin).await.expect("upgraded");
    assert_eq!(
        code(&ui.connect(&sim, with).await),
        "CONTROL_UI_DEVICE_IDENTITY_REQUIRED"
    );
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_off_is_no_matter_if_the_challenge_is_signed() {
    let sim = pipe("2026.9.6");
    sim.skew_clock(-86_400_000);
    assert_eq!(attempt(&sim, Connect::default()).await.0["ok"], true);
    let late = Connect {
        change: |p| p["device"]["signedAt"] = json!(p["device"]["signedAt"].as_u64().expect("ms") + 120_001),
        ..Connect::default()
    };
    assert_eq!(code(&attempt(&sim, late).await.0), "DEVICE_AUTH_SIGNATURE_EXPIRED");
}

#[tokio::test(start_paused = true)]
async fn the_journal_names_credentials_and_keeps_none() {
    let sim = SimGateway::builder().token("very-secret").start_pipe();
    Client::hello(&sim).await;
    let journal = sim.journal();
    assert!(!format!("{:?}{:?}", journal.records(), journal.frames()).contains("very-secret"));
    let hello = journal.records().into_iter().find_map(|record| match record.entry {
        Entry::Hello {
            credentials, scopes, ..
        } => Some((credentials, scopes)),
        _ => None,
    });
    let scopes = ALL_SCOPES.map(str::to_owned).to_vec();
    assert_eq!(hello, Some((vec!["token".to_owned(), "device".to_owned()], scopes)));
}

#[test]
fn profiles_can_be_changed_field_by_field() {
    let mut profile = Profile::latest(Generation::V4);
    profile.server_version = "2027.1.1".into();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("runtime");
    runtime.block_on(async {
        let sim = SimGateway::builder().profile(profile).start_pipe();
        let (answer, _) = attempt(&sim, Connect::default()).await;
        assert_eq!(answer["payload"]["server"]["version"], "2027.1.1");
    });
}
