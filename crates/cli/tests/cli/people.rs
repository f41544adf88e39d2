//! What people and scripts see: words, exit codes, and tables that fit.

use std::process::Stdio;

use serde_json::json;

use crate::harness::{Harness, gateway};

#[tokio::test]
async fn watch_is_read_by_people_in_their_own_time() {
    let sim = gateway().start_tcp().await.unwrap();
    // Half an hour east of UTC: no clock of a test machine stands there.
    let harness = Harness::of(&sim).with("TZ", "XXX-0:30");
    let mut running = harness.start(&["watch", "--event", "chat", "--limit", "2"]);
    assert!(running.text().await.ends_with("-- connected: events follow\n"));
    let chat = |state: &str, text: &str| {
        let message = json!({"role": "assistant", "content": [{"type": "text", "text": text}]});
        json!({"runId": "r", "sessionKey": "agent:scribe:main", "state": state, "message": message})
    };
    sim.emit("chat", chat("delta", "The first line.\nThe sec"));
    let line = running.text().await;
    assert!(
        line.contains(" scribe: The first line.") && !line.contains('{'),
        "{line}"
    );
    sim.emit("chat", chat("final", "The first line.\nThe second."));
    let ran = running.end().await.ends_with(0).tells(&["connecting to ", &sim.url()]);
    assert!(
        ran.stdout.contains(" scribe: The second.\n") && ran.stdout.contains(" scribe has answered\n"),
        "{ran:?}"
    );
}

#[tokio::test]
async fn raw_lines_hold_the_payload_as_it_came() {
    let sim = gateway().start_tcp().await.unwrap();
    let mut running = Harness::of(&sim).start(&["watch", "--event", "chat", "--limit", "1", "--raw"]);
    running.text().await;
    sim.emit(
        "chat",
        json!({"runId": "r", "sessionKey": "agent:main:main", "state": "final", "zz": "x".repeat(300)}),
    );
    let ran = running.end().await.ends_with(0);
    assert!(
        ran.stdout.contains(" chat session=agent:main:main run=r {") && ran.stdout.trim_end().ends_with("xxx\"}"),
        "{ran:?}"
    );
}

#[tokio::test]
async fn a_session_that_is_not_there_ends_with_1_in_each_command() {
    let sim = gateway().start_tcp().await.unwrap();
    let harness = Harness::of(&sim);
    for args in [
        &["sessions", "show", "nowhere"][..],
        &["sessions", "show", "agent:main:nowhere"],
        &["sessions", "history", "nowhere"],
        &["sessions", "history", "agent:main:nowhere"],
        &["sessions", "send", "nowhere", "hello"],
        &["sessions", "abort", "nowhere"],
        &["sessions", "abort", "agent:main:nowhere"],
        &["chat", "nowhere"],
    ] {
        harness
            .run(args)
            .await
            .ends_with(1)
            .tells(&["nowhere", "sessions list"]);
    }
}

#[tokio::test]
async fn final_is_refused_for_a_method_that_answers_once() {
    let harness = Harness::new().with("WINDLASS_URL", "ws://127.0.0.1:1");
    let ran = harness.run(&["call", "health", "--final"]).await.ends_with(2);
    ran.tells(&["--final", "health answers once"]);
}

#[tokio::test]
async fn an_address_of_a_web_page_is_answered_with_the_gateways() {
    let harness = Harness::new();
    for (given, meant) in [
        ("https://gw.example/s3cret", "did you mean wss://gw.example"),
        ("http://127.0.0.1:18789", "did you mean ws://127.0.0.1:18789?"),
        ("localhost:18789", "did you mean ws://localhost:18789?"),
    ] {
        let ran = harness
            .run(&["status", "--url", given])
            .await
            .ends_with(2)
            .tells(&[meant]);
        assert!(!ran.stderr.contains("s3cret"), "{ran:?}");
    }
}

#[tokio::test]
async fn the_path_of_an_address_is_not_shown() {
    let harness = Harness::new();
    for args in [
        &["status", "--timeout", "1s"][..],
        &["status", "--json", "--timeout", "1s"],
        &["doctor"],
        &["call", "health", "--no-wait"],
    ] {
        let args = [args, &["--url", "ws://127.0.0.1:1/s3cret/gateway", "--log", "trace"]].concat();
        let ran = harness.run(&args).await;
        assert!(
            !ran.stdout.contains("s3cret") && !ran.stderr.contains("s3cret"),
            "{ran:?}"
        );
    }
}

#[tokio::test]
async fn a_level_that_is_none_is_an_error() {
    let harness = Harness::new();
    for level in ["loud", "info,loud", "windlass=loud"] {
        harness
            .run(&["owner", "show", "--log", level])
            .await
            .ends_with(2)
            .tells(&["--log"]);
    }
    harness
        .run(&["--version", "--log", "info,windlass=debug"])
        .await
        .ends_with(0);
}

#[tokio::test]
async fn one_gateway_without_its_token_costs_its_row() {
    let sim = gateway().start_tcp().await.unwrap();
    let url = sim.url();
    let harness = Harness::new().with("GOOD", crate::harness::TOKEN).configured(&format!(
        "[gateways.good]\nurl = \"{url}\"\ntoken_env = \"GOOD\"\n[gateways.bad]\nurl = \"{url}\"\ntoken_env = \"NOT_SET\"\n\
         [gateways.ugly]\nurl = \"{url}\"\ntoken_file = \"nowhere\"\n"
    ));
    let ran = harness.run(&["status"]).await.ends_with(2);
    let row = |name: &str| {
        ran.stdout
            .lines()
            .find(|line| line.starts_with(name))
            .unwrap_or_default()
            .to_owned()
    };
    assert!(
        row("good").contains("up") && row("bad").contains("not set up"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stdout.contains("NOT_SET") && ran.stdout.contains("nowhere"),
        "{}",
        ran.stdout
    );
    let shown = harness.run(&["status", "--json"]).await.ends_with(2).json();
    let states: Vec<_> = shown["gateways"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["state"].clone())
        .collect();
    assert_eq!(states, ["misconfigured", "up", "misconfigured"]);
    harness.run(&["status", "--gateway", "good"]).await.ends_with(0);
}

#[tokio::test]
async fn a_variable_that_is_not_set_is_refused_when_it_is_given() {
    let harness = Harness::new();
    let args = [
        "gateways",
        "add",
        "lab",
        "--url",
        "ws://h",
        "--workspace-root",
        "/srv",
        "--token-env",
        "NOT_SET",
    ];
    harness
        .run(&args)
        .await
        .ends_with(2)
        .tells(&["--token-env", "NOT_SET is not set"]);
}

#[tokio::test]
async fn a_narrow_table_leaves_columns_out_and_no_letters() {
    let sim = gateway().start_tcp().await.unwrap();
    for width in [30, 60, 80, 120] {
        let ran = Harness::of(&sim)
            .with("COLUMNS", &width.to_string())
            .run(&["status"])
            .await
            .ends_with(0);
        let widest = ran.stdout.lines().map(|line| line.chars().count()).max();
        assert!(
            widest <= Some(width) && ran.stdout.contains("STATE") && !ran.stdout.contains('…'),
            "{}",
            ran.stdout
        );
        assert_eq!(ran.stdout.contains("CONNECTIONS"), width >= 80, "{}", ran.stdout);
    }
}

#[tokio::test]
async fn advice_of_a_check_stands_below_its_row() {
    let sim = gateway().start_tcp().await.unwrap();
    let fixture = crate::store_fixture::StoreFixture::of(&sim).await;
    let add = [
        "gateways",
        "add",
        "dead",
        "--url",
        "ws://127.0.0.1:1",
        "--workspace-root",
        "/srv",
    ];
    fixture.run(&add).await;
    let ran = fixture
        .harness
        .run(&["gateways", "list", "--check", "--timeout", "2s"])
        .await
        .ends_with(3);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    let dead = lines.iter().position(|line| line.starts_with("dead")).unwrap();
    assert!(lines[dead + 1].trim_start().starts_with("why:"), "{}", ran.stdout);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_output_that_takes_nothing_has_exit_codes_of_its_own() {
    let sim = gateway().start_tcp().await.unwrap();
    let harness = Harness::of(&sim);
    for args in [&["call", "health"][..], &["status"], &["--help"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let mut command = harness.command(args);
        let status = command.stdout(full).stderr(Stdio::null());
        assert_eq!(status.status().await.unwrap().code(), Some(9), "{args:?}");
        let mut child = harness
            .command(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Nobody reads.
        drop(child.stdout.take());
        let ended = child.wait_with_output().await.unwrap();
        assert_eq!(
            (ended.status.code(), ended.stderr.as_slice()),
            (Some(141), &b""[..]),
            "{args:?}"
        );
    }
}
