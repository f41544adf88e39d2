//! The cache's feed.

use std::time::Duration;

use serde_json::json;
use tokio::task::spawn_local;

use crate::session_cache::{SessionCache, SessionCacheClosed};
use windlass_line::Line;
use windlass_line::failpoint::arm;
use windlass_line::testing::{Harness, id, play};

/// The cache, fed; it must be known that something is there to be read of.
fn fed(line: &std::sync::Arc<Line>) -> SessionCache {
    let (cache, feed) = SessionCache::of(line).unwrap();
    if let Some(feed) = feed {
        spawn_local(feed.run());
    }
    cache
}

async fn label(harness: &Harness, line: &std::sync::Arc<Line>, label: &str) {
    let params = windlass_protocol::RawJson::from_value(&json!({"key": "agent:main:main", "label": label})).unwrap();
    let call = windlass_line::OutgoingCall {
        method: windlass_protocol::MethodName::new("sessions.patch").unwrap(),
        params: Some(params),
        deadline: harness.clock.now() + Duration::from_mins(1),
        resend: windlass_protocol::connection::Resend::Never,
        answers: windlass_protocol::connection::AnswerMode::First,
        wait_for_line: true,
        trace: None,
    };
    line.call(call).await.unwrap();
}

async fn has_label(cache: &mut SessionCache, wanted: &str) {
    let shown = cache.wait_for(|view| {
        view.is_fresh()
            && view
                .sessions
                .iter()
                .any(|(_, entry)| serde_json::to_value(&entry.row).unwrap()["label"] == wanted)
    });
    let shown = tokio::time::timeout(Duration::from_hours(1), shown).await;
    shown.expect("the cache shows it within an hour").unwrap();
}

async fn panicking(place: &'static str, times: u32) {
    let harness = Harness::new();
    let line = harness.up("gw").await;
    let armed = arm(place, times);
    let mut cache = fed(&line);
    label(&harness, &line, "first").await;
    armed.gone_off().await;
    has_label(&mut cache, "first").await;
    // The next feed hears of what changes.
    label(&harness, &line, "second").await;
    has_label(&mut cache, "second").await;
    drop(cache);
    tokio::time::sleep(Duration::from_millis(1)).await;
    let left = harness.shard.inspect(id("gw")).await.unwrap();
    assert_eq!((left.topics, left.subscribers), (0, 0), "something is left");
    harness.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_feed_that_panics_begins_anew_and_its_roster_comes_true_again() {
    for place in ["session_cache", "session_cache.stream"] {
        play(panicking(place, 1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_feed_that_panics_again_and_again_rests_and_comes_back() {
    play(panicking("session_cache", 8)).await;
}

#[tokio::test(start_paused = true)]
async fn a_roster_is_stale_and_not_wrong_while_its_feed_rests() {
    play(async {
        let harness = Harness::new();
        let line = harness.up("gw").await;
        let mut cache = fed(&line);
        cache.fresh().await.unwrap();
        let armed = arm("session_cache.stream", 1);
        harness.sim.emit(
            "sessions.changed",
            json!({"sessionKey": "agent:main:main", "reason": "patch"}),
        );
        armed.gone_off().await;
        assert!(!cache.now().is_fresh());
        cache.fresh().await.unwrap();
        harness.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_roster_ends_with_its_line_also_while_its_feed_rests() {
    play(async {
        let harness = Harness::new();
        let line = harness.up("gw").await;
        let armed = arm("session_cache", 1);
        let mut cache = fed(&line);
        armed.gone_off().await;
        harness.shard.remove(id("gw"), Duration::ZERO).await.unwrap();
        let ended = tokio::time::timeout(Duration::from_mins(1), async {
            loop {
                if let Err(closed) = cache.changed().await {
                    return closed;
                }
            }
        });
        assert_eq!(ended.await.unwrap(), SessionCacheClosed);
        harness.finish().await;
    })
    .await;
}
