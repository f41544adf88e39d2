//! The roster's feed.

use std::time::Duration;

use serde_json::json;
use tokio::task::spawn_local;

use crate::roster::{Roster, RosterClosed};
use windlass_line::Line;
use windlass_line::failpoint::arm;
use windlass_line::testing::{Harness, id, play};

/// The roster, fed; it must be known that something is there to be read of.
fn fed(line: &std::sync::Arc<Line>) -> Roster {
    let (roster, feed) = Roster::of(line).unwrap();
    if let Some(feed) = feed {
        spawn_local(feed.run());
    }
    roster
}

async fn label(harness: &Harness, line: &std::sync::Arc<Line>, label: &str) {
    let params = windlass_protocol::RawJson::from_value(&json!({"key": "agent:main:main", "label": label})).unwrap();
    let call = windlass_line::OutgoingCall {
        method: windlass_protocol::MethodName::new("sessions.patch").unwrap(),
        params: Some(params),
        deadline: harness.clock.now() + Duration::from_secs(60),
        resend: windlass_protocol::connection::Resend::Never,
        answers: windlass_protocol::connection::AnswerMode::First,
        wait_for_line: true,
        trace: None,
    };
    line.call(call).await.unwrap();
}

async fn has_label(roster: &mut Roster, wanted: &str) {
    let shown = roster.wait_for(|view| {
        view.is_fresh()
            && view
                .sessions
                .iter()
                .any(|(_, entry)| serde_json::to_value(&entry.row).unwrap()["label"] == wanted)
    });
    let shown = tokio::time::timeout(Duration::from_secs(3600), shown).await;
    shown.expect("the roster shows it within an hour").unwrap();
}

async fn panicking(place: &'static str, times: u32) {
    let harness = Harness::new();
    let line = harness.up("gw").await;
    let armed = arm(place, times);
    let mut roster = fed(&line);
    label(&harness, &line, "first").await;
    armed.gone_off().await;
    has_label(&mut roster, "first").await;
    // The next feed hears of what changes.
    label(&harness, &line, "second").await;
    has_label(&mut roster, "second").await;
    drop(roster);
    tokio::time::sleep(Duration::from_millis(1)).await;
    let left = harness.machine.inspect(id("gw")).await.unwrap();
    assert_eq!((left.topics, left.subscribers), (0, 0), "something is left");
    harness.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_feed_that_panics_begins_anew_and_its_roster_comes_true_again() {
    for place in ["roster", "roster.stream"] {
        play(panicking(place, 1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_feed_that_panics_again_and_again_rests_and_comes_back() {
    play(panicking("roster", 8)).await;
}

#[tokio::test(start_paused = true)]
async fn a_roster_is_stale_and_not_wrong_while_its_feed_rests() {
    play(async {
        let harness = Harness::new();
        let line = harness.up("gw").await;
        let mut roster = fed(&line);
        roster.fresh().await.unwrap();
        let armed = arm("roster.stream", 1);
        harness.sim.emit(
            "sessions.changed",
            json!({"sessionKey": "agent:main:main", "reason": "patch"}),
        );
        armed.gone_off().await;
        assert!(!roster.now().is_fresh());
        roster.fresh().await.unwrap();
        harness.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_roster_ends_with_its_line_also_while_its_feed_rests() {
    play(async {
        let harness = Harness::new();
        let line = harness.up("gw").await;
        let armed = arm("roster", 1);
        let mut roster = fed(&line);
        armed.gone_off().await;
        harness.machine.remove(id("gw"), Duration::ZERO).await.unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(60), async {
            loop {
                if let Err(closed) = roster.changed().await {
                    return closed;
                }
            }
        });
        assert_eq!(ended.await.unwrap(), RosterClosed);
        harness.finish().await;
    })
    .await;
}
