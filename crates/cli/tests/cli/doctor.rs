//! `windlass doctor`.

use std::net::TcpListener;

use futures_util::{StreamExt as _, TryStreamExt as _};
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;
use windlass_testkit::{Generation, SimGateway};

use crate::harness::{Finished, Harness, TOKEN, gateway};
use crate::tls::TlsFront;

/// The steps' results, and the step that failed.
#[track_caller]
fn failed_step(ran: &Finished) -> (String, Value) {
    let steps = ran.json()["gateways"][0]["steps"].as_array().unwrap().clone();
    let at = steps
        .iter()
        .position(|step| step["result"] == "failed")
        .unwrap_or_else(|| panic!("{ran:#?}"));
    assert!(steps[..at].iter().all(|step| step["result"] == "ok"), "{steps:#?}");
    assert!(
        steps[at + 1..].iter().all(|step| step["result"] == "not reached"),
        "{steps:#?}"
    );
    assert!(
        steps[at]["nextStep"].as_str().is_some_and(|next| next.len() > 10),
        "{steps:#?}"
    );
    (steps[at]["step"].as_str().unwrap().to_owned(), steps[at].clone())
}

/// Doctor fails at `step` and ends with `code`.
async fn fails_at(harness: &Harness, step: &str, code: i32) -> Value {
    let (at, row) = failed_step(&harness.run(&["doctor", "--json"]).await.ends_with(code));
    assert_eq!(at, step, "{row}");
    row
}

fn by_file(sim: &SimGateway, settings: &str) -> Harness {
    let file = format!("[gateways.a]\nurl = \"{}\"\ntoken_env = \"T\"\n{settings}", sim.url());
    Harness::new().with("T", TOKEN).configured(&file)
}

#[tokio::test]
async fn every_measured_release_is_found_healthy() {
    for release in windlass_testkit::RELEASES {
        let sim = gateway().release(release).start_tcp().await.unwrap();
        let ran = Harness::of(&sim).run(&["doctor"]).await.ends_with(0);
        assert_eq!(ran.stdout.matches("  ok ").count(), 9, "{release}: {ran:#?}");
        sim.wait_for(|journal| journal.open_connections() == 0).await.unwrap();
    }
}

#[tokio::test]
async fn name_look_up_and_tcp_are_told_apart() {
    let harness = |url: &str| Harness::new().with("WINDLASS_URL", url);
    fails_at(&harness("ws://no-such-host.invalid:1"), "dns", 3).await;
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    fails_at(&harness(&format!("ws://{port}")), "tcp", 3).await;
}

#[tokio::test]
async fn tls_is_checked_against_roots_and_pin() {
    let sim = gateway().start_tcp().await.unwrap();
    let front = TlsFront::of(sim.address().unwrap()).await;
    let harness = |tls: &str| {
        let file = format!("[gateways.a]\nurl = \"{}\"\ntoken_env = \"T\"\n{tls}", front.url);
        Harness::new().with("T", TOKEN).configured(&file)
    };
    harness(&format!("tls = {{ pin = \"{}\" }}", front.fingerprint))
        .run(&["doctor"])
        .await
        .ends_with(0);
    harness("tls = { insecure = true }").run(&["doctor"]).await.ends_with(0);
    fails_at(&harness(""), "tls", 3).await;
    let wrong = harness(&format!("tls = {{ pin = \"{}\" }}", "AB".repeat(32)));
    let row = fails_at(&wrong, "tls", 3).await;
    assert!(row["summary"].as_str().unwrap().contains(&front.fingerprint), "{row}");
    let plain = sim.url().replace("ws://", "wss://");
    fails_at(&Harness::new().with("WINDLASS_URL", &plain), "tls", 3).await;
}

#[tokio::test]
async fn what_is_no_gateway_fails_at_the_upgrade() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, axum::Router::new()).await });
    let row = fails_at(&Harness::new().with("WINDLASS_URL", &url), "upgrade", 3).await;
    assert!(row["summary"].as_str().unwrap().contains("404"), "{row}");
    server.abort();
}

#[tokio::test]
async fn a_gateway_that_is_starting_is_no_wrong_login() {
    let sim = gateway().start_tcp().await.unwrap();
    sim.go_starting(std::time::Duration::from_mins(1));
    fails_at(&Harness::of(&sim), "challenge", 3).await;
}

#[tokio::test]
async fn token_pairing_and_scopes_are_told_apart() {
    let sim = gateway().start_tcp().await.unwrap();
    fails_at(
        &Harness::new()
            .with("WINDLASS_URL", &sim.url())
            .with("WINDLASS_TOKEN", "wrong"),
        "auth",
        4,
    )
    .await;

    let sim = gateway().remote(true).start_tcp().await.unwrap();
    let row = fails_at(&Harness::of(&sim), "pairing", 4).await;
    assert!(
        row["nextStep"]
            .as_str()
            .unwrap()
            .contains(&sim.pending_pairings()[0].request_id),
        "{row}"
    );

    for generation in [Generation::V3, Generation::V4] {
        let sim = gateway().generation(generation).remote(true).start_tcp().await.unwrap();
        let row = fails_at(&by_file(&sim, "device = false\n"), "scopes", 4).await;
        assert!(row["summary"].as_str().unwrap().contains("operator.read"), "{row}");
    }
}

#[tokio::test]
async fn a_control_ui_is_let_in_where_it_still_is_and_refused_with_a_way_out_elsewhere() {
    let old = gateway()
        .generation(Generation::V3)
        .insecure_control_ui(true)
        .start_tcp()
        .await
        .unwrap();
    by_file(&old, "control_ui = true\n").run(&["doctor"]).await.ends_with(0);
    let new = gateway().insecure_control_ui(true).start_tcp().await.unwrap();
    fails_at(&by_file(&new, "control_ui = true\n"), "auth", 4).await;
}

#[tokio::test]
async fn the_doctor_logs_in_once_and_leaves() {
    let sim = gateway().start_tcp().await.unwrap();
    Harness::of(&sim).run(&["doctor"]).await.ends_with(0);
    sim.wait_for(|journal| journal.open_connections() == 0).await.unwrap();
    assert_eq!((sim.journal().connect_attempts(), sim.journal().hellos()), (1, 1));
}

/// A proxy that sends the gateway's frames on as binary messages: its address.
async fn as_binary(sim: &SimGateway) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (near, far) = (listener.local_addr().unwrap(), sim.address().unwrap());
    let url = sim.url();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let gateway = tokio::net::TcpStream::connect(far).await.unwrap();
            let client = tokio_tungstenite::accept_async(client).await.unwrap();
            let (gateway, _) = tokio_tungstenite::client_async(&url, gateway).await.unwrap();
            let ((to_client, from_client), (to_gateway, from_gateway)) = (client.split(), gateway.split());
            let up = from_client.forward(to_gateway);
            let binary = |message: Message| match message {
                Message::Text(text) => Message::Binary(text.into()),
                other => other,
            };
            let down = from_gateway.map_ok(binary).forward(to_client);
            tokio::spawn(async move { tokio::join!(up, down) });
        }
    });
    format!("ws://{near}")
}

#[tokio::test]
async fn a_gateway_that_sends_binary_frames_is_found_as_healthy_as_a_line_finds_it() {
    let sim = gateway().start_tcp().await.unwrap();
    let harness = Harness::of(&sim).with("WINDLASS_URL", &as_binary(&sim).await);
    harness.run(&["status"]).await.ends_with(0);
    harness.run(&["doctor"]).await.ends_with(0);
}

#[tokio::test]
async fn a_gateway_that_can_not_be_used_costs_the_others_nothing() {
    let sim = gateway().start_tcp().await.unwrap();
    let harness = by_file(&sim, "[gateways.b]\nurl = \"ws://h\"\ntoken_env = \"MISSING\"\n");
    let ran = harness
        .run(&["doctor", "--json"])
        .await
        .ends_with(2)
        .tells(&["MISSING"]);
    assert_eq!(ran.json()["gateways"][0]["exitCode"], 0, "{ran:?}");
}
