//! `windlass demo`.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Harness, TOKEN, gateway};

/// What the demo promises.
const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the demo runs in real time")]
async fn the_demo_loses_nothing_and_does_nothing_twice_within_half_a_minute() {
    let begun = Instant::now();
    let ran = Harness::new().run(&["demo", "--json"]).await.ends_with(0);
    assert!(begun.elapsed() < LIMIT, "{:?}", begun.elapsed());
    assert_eq!(ran.stderr, "");
    let lines = ran.json_lines();
    let result = lines.last().unwrap();
    assert_eq!((&result["type"], &result["clean"]), (&json!("result"), &json!(true)));
    let gateways = result["gateways"].as_array().unwrap();
    assert_eq!(gateways.len(), 3);
    for tally in gateways {
        assert_eq!(
            (&tally["lost"], &tally["duplicated"]),
            (&json!(0), &json!(0)),
            "{tally}"
        );
        let count = |name: &str| tally[name].as_u64().unwrap();
        let ends = count("answered") + count("rejected") + count("notSent") + count("unknown");
        assert_eq!(count("calls"), ends, "{tally}");
        assert!(count("answered") > 50, "{tally}");
    }
    let resent: u64 = gateways.iter().filter_map(|tally| tally["resent"].as_u64()).sum();
    assert!(resent > 0, "no call was under way when a line broke: {result}");
    let acts = lines.iter().filter(|line| line["type"] == "act").count();
    let ups = lines
        .iter()
        .filter(|line| line["type"] == "line" && line["state"] == "up")
        .count();
    assert!(acts >= 10 && ups >= 10, "{acts} acts, {ups} lines up");
}

#[tokio::test]
async fn people_see_the_table_at_the_end() {
    let shown = Harness::new().run(&["demo"]).await.ends_with(0).stdout;
    assert!(shown.ends_with("lost 0, duplicated 0\n"), "{shown}");
    assert!(
        shown.contains("berlin: all its connections are cut") && !shown.contains('\u{1b}'),
        "{shown}"
    );
}

#[tokio::test]
async fn on_a_real_gateway_the_demo_only_reads() {
    let sim = gateway().start_tcp().await.unwrap();
    let harness = Harness::new().with("WINDLASS_TOKEN", TOKEN);
    let ran = harness.run(&["demo", "--url", &sim.url()]).await.ends_with(0);
    for method in ["health", "agents.list", "status", "sessions.list"] {
        assert!(ran.stdout.contains(&format!("{method} answered in")), "{ran:#?}");
        assert_eq!(sim.journal().executions(method), 1, "{method}");
    }
    assert_eq!(sim.journal().effects(), []);
}
