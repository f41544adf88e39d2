//! `windlass watch`.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Harness, gateway};

const TICK: Duration = Duration::from_millis(50);

#[tokio::test]
async fn events_come_as_json_lines_up_to_the_limit() {
    let sim = gateway().tick_interval(TICK).start_tcp().await.unwrap();
    let ran = Harness::of(&sim)
        .run(&["watch", "--event", "tick", "--limit", "3", "--json"])
        .await
        .ends_with(0);
    let lines = ran.json_lines();
    assert_eq!(
        (&lines[0]["type"], &lines[0]["marker"]),
        (&json!("marker"), &json!("reconnected"))
    );
    let events: Vec<_> = lines.iter().filter(|line| line["type"] == "event").collect();
    assert_eq!(events.len(), 3);
    assert!(
        events
            .iter()
            .all(|event| event["event"] == "tick" && event["payload"]["ts"].is_u64())
    );
}

#[tokio::test]
async fn people_see_one_line_per_event() {
    let sim = gateway().tick_interval(TICK).start_tcp().await.unwrap();
    let ran = Harness::of(&sim)
        .run(&["watch", "--event", "tick", "--limit", "2"])
        .await
        .ends_with(0);
    let lines: Vec<_> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{ran:#?}");
    assert!(
        lines[0].ends_with("-- connected: events follow") && lines[2].ends_with(" is alive"),
        "{lines:#?}"
    );
}

#[tokio::test]
async fn a_broken_line_is_marked_in_the_stream() {
    let sim = gateway().start_tcp().await.unwrap();
    let mut running = Harness::of(&sim).start(&["watch", "--event", "chat", "--limit", "1", "--json"]);
    let mut markers = vec![running.line().await["marker"].clone()];
    sim.cut_all();
    markers.push(running.line().await["marker"].clone());
    markers.push(running.line().await["marker"].clone());
    sim.emit(
        "chat",
        json!({"runId": "r", "sessionKey": "agent:main:main", "state": "final"}),
    );
    assert_eq!(running.line().await["event"], "chat");
    assert_eq!(markers, ["reconnected", "disconnected", "reconnected"]);
    running.end().await.ends_with(0);
}

#[tokio::test]
async fn only_the_wanted_session_is_shown() {
    let sim = gateway().start_tcp().await.unwrap();
    let mut running = Harness::of(&sim).start(&["watch", "--session", "agent:main:b", "--limit", "1", "--json"]);
    assert_eq!(running.line().await["marker"], "reconnected");
    for session in ["agent:main:a", "agent:main:b"] {
        sim.emit("chat", json!({"runId": "r", "sessionKey": session, "state": "final"}));
    }
    assert_eq!(running.line().await["payload"]["sessionKey"], "agent:main:b");
    running.end().await.ends_with(0);
}

#[tokio::test]
async fn watching_ends_when_only_a_person_can_help() {
    let sim = gateway().start_tcp().await.unwrap();
    let harness = Harness::new()
        .with("WINDLASS_URL", &sim.url())
        .with("WINDLASS_TOKEN", "wrong");
    harness
        .run(&["watch"])
        .await
        .ends_with(4)
        .tells(&["gateway.auth.token"]);
}
