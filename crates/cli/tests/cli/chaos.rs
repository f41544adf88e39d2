//! `windlass chaos`.

use std::net::TcpListener;

use serde_json::{Value, json};

use crate::harness::{Harness, TOKEN, gateway};

const PLAN: &str = "
seed = 7

[[fault]]
at = \"300ms\"
repeat = \"500ms\"
do = \"cut\"

[[fault]]
at = \"400ms\"
do = \"duplicate\"
of = \"tick\"
permille = 1000

[[fault]]
at = \"500ms\"
lasts = \"300ms\"
do = \"latency\"
delay = \"20ms\"
";

#[tokio::test]
async fn a_probe_behind_a_stormy_proxy_sees_no_promise_broken() {
    let sim = gateway().start_tcp().await.unwrap();
    let harness = Harness::new().with("WINDLASS_TOKEN", TOKEN).file("plan.toml", PLAN);
    let url = sim.url();
    let args = ["chaos", "--upstream", &url, "--plan", "plan.toml", "--for", "3s"];
    let probe = [
        "--probe",
        "--calls-per-second",
        "100",
        "--chat",
        "agent:main:main",
        "--json",
    ];
    let ran = harness.run(&[&args[..], &probe[..]].concat()).await.ends_with(0);
    let lines = ran.json_lines();
    assert_eq!((&lines[0]["type"], &lines[0]["seed"]), (&json!("listening"), &json!(7)));
    let result = lines.last().unwrap();
    let cut = &result["kinds"]["cut"];
    assert!(
        cut["times"].as_u64() >= Some(5) && cut["back"].as_u64() >= Some(2),
        "{result}"
    );
    let probe = &result["probe"];
    assert_eq!(probe["broken"], 0, "{result}");
    assert!(
        probe["ok"].as_u64() >= Some(50) && probe["markers"].as_u64() >= Some(4),
        "{result}"
    );
    assert_eq!(probe["messages"].as_u64(), Some(1), "{result}");
    let kinds = |kind: &str| lines.iter().filter(|line| line["type"] == kind).count();
    assert!(
        kinds("fault") >= 6 && kinds("letIn") >= 3 && kinds("line") >= 3,
        "{lines:#?}"
    );
    sim.wait_for(|journal| journal.open_connections() == 0).await.unwrap();
}

#[tokio::test]
async fn any_client_can_use_it_and_an_interrupt_ends_it_with_the_table() {
    let sim = gateway().start_tcp().await.unwrap();
    let harness = Harness::new().with("WINDLASS_TOKEN", TOKEN);
    let mut chaos = harness.start(&["chaos", "--upstream", &sim.url(), "--seed", "3"]);
    let introduced = chaos.text().await;
    assert!(introduced.contains("seed 3"), "{introduced}");
    let url = introduced.split_whitespace().next().unwrap().to_owned();
    let client = Harness::new().with("WINDLASS_URL", &url).with("WINDLASS_TOKEN", TOKEN);
    let ran = client.run(&["call", "health", "--timeout", "50s"]).await.ends_with(0);
    let health: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(health["ok"], true, "{health}");
    while !chaos.text().await.contains("was let in by the gateway") {}
    chaos.interrupt();
    let ran = chaos.end().await.ends_with(0);
    assert!(
        ran.stdout.contains("FAULT") && ran.stdout.contains("faults in"),
        "{ran:#?}"
    );
    assert!(!ran.stdout.contains(TOKEN));
}

#[tokio::test]
async fn what_is_wrong_is_named_before_anything_starts() {
    let sim = gateway().start_tcp().await.unwrap();
    let harness = Harness::new()
        .with("WINDLASS_TOKEN", TOKEN)
        .file("plan.toml", "[[fault]]\ndo = \"close\"\ncode = 1000\ndelay = \"1s\"\n");
    let url = sim.url();
    let chaos = ["chaos", "--upstream", &url];
    harness
        .run(&[&chaos[..], &["--plan", "plan.toml"]].concat())
        .await
        .ends_with(2)
        .tells(&["plan.toml:4, fault 1, delay", "close takes no delay"]);
    harness
        .run(&[&chaos[..], &["--plan", "no.toml"]].concat())
        .await
        .ends_with(2)
        .tells(&["no.toml"]);
    harness
        .run(&[&chaos[..], &["--calls-per-second", "5"]].concat())
        .await
        .ends_with(2)
        .tells(&["--probe"]);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    harness
        .run(&[&chaos[..], &["--listen", &address]].concat())
        .await
        .ends_with(2)
        .tells(&["--listen", &address]);
    drop(taken);
    assert_eq!(sim.journal().hellos(), 0);
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    harness
        .run(&["chaos", "--upstream", &format!("ws://{gone}")])
        .await
        .ends_with(3)
        .tells(&["No TCP connection", "Check that the gateway runs"]);
}
