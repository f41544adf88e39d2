//! The stream of events, and its consumers.

use serde_json::json;

use crate::harness::Bench;

const EVENTS: &str = "/api/v1/events?kind=event&name=tick2";

#[tokio::test]
async fn a_viewer_that_comes_back_loses_nothing_and_reads_nothing_twice() {
    let bench = Bench::with_gateway().await;
    let mut viewer = bench.stream(EVENTS, None).await;
    let mut seen = Vec::new();
    let mut cursors = Vec::new();
    for round in 0..3_u64 {
        for n in 0..10 {
            bench.sims[0].emit("tick2", json!({"n": round * 10 + n}));
        }
        for _ in 0..if round == 1 { 4 } else { 10 } {
            let (_, data) = viewer.next().await.unwrap();
            seen.push(data["payload"]["n"].as_u64().unwrap());
            cursors.push(viewer.last.clone().unwrap());
        }
        let last = viewer.last.clone();
        viewer = bench.stream(EVENTS, last.as_deref()).await;
    }
    while seen.len() < 30 {
        let (_, data) = viewer.next().await.unwrap();
        seen.push(data["payload"]["n"].as_u64().unwrap());
    }
    assert_eq!(seen, (0..30).collect::<Vec<u64>>());
    assert!(cursors.is_sorted_by(|one, other| one < other), "{cursors:?}");
    bench.end().await;
}

#[tokio::test]
async fn a_kill_of_the_gateway_is_told_by_markers_and_the_state_of_its_line() {
    let bench = Bench::with_gateway().await;
    let mut markers = bench.stream("/api/v1/events?gateway=lab&kind=marker", None).await;
    let mut lines = bench.stream("/api/v1/events?gateway=lab&kind=line", None).await;
    assert_eq!(
        lines.next_of("line").await["line"]["state"],
        "up",
        "the present state comes first"
    );
    bench.sims[0].kill().await;
    // The beginning of the line may be recorded after the stream is opened.
    while markers.next_of("marker").await["name"] != "disconnected" {}
    while lines.next_of("line").await["line"]["state"] == "up" {}
    bench.sims[0].start_again().await;
    assert_eq!(markers.next_of("marker").await["name"], "reconnected");
    bench.end().await;
}

#[tokio::test]
async fn activities_come_over_the_stream() {
    let mut bench = Bench::with_gateway().await;
    let mut viewer = bench.stream("/api/v1/events?kind=activity", None).await;
    let other = bench.simulated("second", "2026.9.6").await;
    bench.post("/api/v1/gateways", other).await.expect(201);
    let told = viewer.next_of("activity").await;
    assert!(
        told["activity"]["kind"].as_str().unwrap().starts_with("audit.gateway"),
        "{told}"
    );
    bench.end().await;
}

#[tokio::test]
async fn a_shutdown_ends_streams_with_a_time_to_come_back() {
    let bench = Bench::with_gateway().await;
    let mut viewer = bench.stream("/api/v1/events?kind=event", None).await;
    bench.service.begin_shutdown();
    viewer.next_of("end").await;
    assert!(
        viewer.retry.is_some_and(|retry| (2_500..=4_500).contains(&retry)),
        "{:?}",
        viewer.retry
    );
    assert!(viewer.last.is_some(), "the end has a position to continue after");
    assert_eq!(viewer.next().await, None);
    bench.end().await;
}

#[tokio::test]
async fn a_viewer_slower_than_the_shared_entries_is_told_and_reads_on_without_a_hole() {
    let bench = Bench::with_gateway().await;
    let mut viewer = bench.stream(EVENTS, None).await;
    bench.sims[0].emit("tick2", json!({"n": 0}));
    assert_eq!(viewer.next_of("event").await["payload"]["n"], 0);
    let mut other = bench.stream(EVENTS, None).await;
    // Two shared payloads of this size are more than are kept in memory.
    let large = "x".repeat(20 * 1024 * 1024);
    for n in 1..=5 {
        bench.sims[0].emit("tick2", json!({"n": n, "text": large}));
        other.next_of("event").await;
    }
    let mut names = Vec::new();
    let mut numbers = Vec::new();
    while numbers.len() < 5 {
        let (name, data) = viewer.next().await.unwrap();
        if name == "event" {
            numbers.push(data["payload"]["n"].as_u64().unwrap());
        }
        names.push(name);
    }
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
    assert!(names.contains(&"lagged".to_owned()), "{names:?}");
    bench.end().await;
}

#[tokio::test]
async fn a_cursor_of_another_journal_is_told_as_a_hole() {
    let bench = Bench::with_gateway().await;
    let beyond = format!("{:016x}{:016x}", i64::MAX, 0);
    let mut viewer = bench
        .stream(&format!("/api/v1/events?kind=event&after={beyond}"), None)
        .await;
    assert_eq!(viewer.next_of("lost").await["why"], "other_journal");
    bench.end().await;
}

#[tokio::test]
async fn a_query_that_is_not_acceptable_names_its_member() {
    let bench = Bench::with_gateway().await;
    for (query, member) in [("kind=x", "kind"), ("after=x", "after"), ("what=x", "what")] {
        let refused = bench.get(&format!("/api/v1/events?{query}")).await.expect(422);
        assert_eq!(refused["field"], member);
    }
    assert_eq!(
        bench.get("/api/v1/events?gateway=nothing").await.problem(404),
        "not_found"
    );
    bench.end().await;
}

#[tokio::test]
async fn a_consumer_continues_after_what_it_acknowledged() {
    let bench = Bench::with_gateway().await;
    let mut viewer = bench.stream(EVENTS, None).await;
    for n in 0..3 {
        bench.sims[0].emit("tick2", json!({"n": n}));
    }
    viewer.next_of("event").await;
    let cursor = viewer.last.clone().unwrap();
    viewer.next_of("event").await;
    viewer.next_of("event").await;
    let path = "/api/v1/consumers/audit";
    assert_eq!(bench.get(path).await.problem(404), "not_found");
    let position = bench.post(path, json!({"cursor": cursor})).await.expect(200);
    assert_eq!(position["name"], "audit");
    let mut again = bench.stream(&format!("{EVENTS}&consumer=audit"), None).await;
    assert_eq!(again.next_of("event").await["payload"]["n"], 1);
    assert_eq!(
        bench.post(path, json!({"cursor": "x"})).await.expect(422)["field"],
        "cursor"
    );
    bench.delete(path).await.expect(204);
    bench.end().await;
}

#[tokio::test]
async fn metrics_have_words_of_help_types_and_values_and_no_series_of_single_gateways() {
    assert!(
        windlass_serve::metrics::install(false).is_ok(),
        "no other test installs a recorder"
    );
    let bench = Bench::with_gateway().await;
    bench
        .post("/api/v1/gateways/lab/call/health", json!({}))
        .await
        .expect(200);
    let text = bench.text("/metrics").await;
    let of = |start: &str| -> Vec<String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(start));
        lines
            .filter_map(|line| line.split(' ').next().map(str::to_owned))
            .collect()
    };
    let (helps, types) = (of("# HELP "), of("# TYPE "));
    assert!(types.contains(&"windlass_lines".to_owned()), "{text}");
    for name in &types {
        assert!(helps.contains(name), "{name} has no words of help");
    }
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
        assert!(types.iter().any(|name| series.starts_with(name.as_str())), "{line}");
        assert!(!series.contains("gateway="), "{line}");
    }
    assert!(
        text.lines().any(|line| line == "windlass_lines{state=\"up\"} 1"),
        "{text}"
    );
    bench.end().await;
}
