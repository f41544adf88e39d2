//! The session manager and its messages.

use std::sync::Arc;
use std::time::Duration;

use windlass_protocol::SessionKey;
use windlass_store::{MemoryStore, SendState, Sends as _, Store};
use windlass_testkit::{ChatPlan, SideEffect, SimGateway};

use super::bench::Bench;
use crate::{Message, MessageHandle, MessageInterrupted, Outbox, RunEnd, SendError};
use windlass_line::Line;
use windlass_line::failpoint::arm;
use windlass_line::testing::play;

fn session(name: &str) -> SessionKey {
    format!("agent:main:{name}").parse().unwrap()
}

fn message(line: &Arc<Line>, name: &str) -> Message {
    Message::new(Arc::clone(line), session(name), name).key(name)
}

/// Runs take two seconds each.
fn slow() -> windlass_testkit::SimGatewayBuilder {
    SimGateway::builder().chat(ChatPlan {
        increments: 20,
        pace: Duration::from_millis(100),
        ..ChatPlan::default()
    })
}

async fn kept() -> (Arc<MemoryStore>, Bench) {
    let store = Arc::new(MemoryStore::new());
    let outbox = Outbox::open(Arc::clone(&store) as Arc<dyn Store>).await.unwrap();
    (store, Bench::with(slow(), Some(outbox)))
}

fn runs(bench: &Bench) -> usize {
    bench
        .sim
        .journal()
        .count(|effect| matches!(effect, SideEffect::ChatRun { .. }))
}

async fn send(bench: &Bench, line: &Arc<Line>, name: &str) -> MessageHandle {
    bench.sessions.send(message(line, name)).await.unwrap()
}

async fn recorded(store: &MemoryStore, key: &str) -> SendState {
    let ended = async {
        loop {
            let send = store.chat_send(key).await.unwrap().unwrap();
            if send.ended.is_some() {
                return send.state();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let ended = tokio::time::timeout(Duration::from_hours(1), ended).await;
    ended.expect("it ends within an hour")
}

#[tokio::test(start_paused = true)]
async fn a_session_manager_that_panics_fails_the_order_in_hand_and_no_message_under_way() {
    play(async {
        // Without a record: a message that was let go would be gone.
        let bench = Bench::with(slow(), None);
        let line = bench.up("gw").await;
        let following = send(&bench, &line, "one").await;
        bench.wait_requests("chat.send", 1).await;
        let armed = arm("sessions.handler", 1);
        let failed = bench.sessions.send(message(&line, "two")).await;
        assert!(
            matches!(failed, Err(SendError::Interrupted(MessageInterrupted))),
            "{failed:?}"
        );
        assert_eq!(armed.left(), 0);
        let next = send(&bench, &line, "three").await;
        for following in [following, next] {
            let end = following.end().await.unwrap();
            assert!(matches!(end, RunEnd::Final(_)), "{end:?}");
        }
        assert_eq!(runs(&bench), 2);
        bench.finish().await;
    })
    .await;
}

/// A message whose following panics as often as is said, and its end on record.
async fn panicking(place: &'static str, times: u32) {
    let (store, bench) = kept().await;
    let line = bench.up("gw").await;
    let other = send(&bench, &line, "other").await;
    bench.wait_requests("chat.send", 1).await;
    let armed = arm(place, times);
    let one = send(&bench, &line, "one").await;
    let (one, other) = (one.end().await, other.end().await);
    // Whoever followed the one that panicked is let go; the message is not.
    let let_go = [one, other]
        .iter()
        .filter(|end| **end == Err(MessageInterrupted))
        .count();
    assert_eq!(let_go, 1, "{place}");
    assert_eq!(recorded(&store, "one").await, SendState::Done);
    assert_eq!(recorded(&store, "other").await, SendState::Done);
    assert_eq!(armed.left(), 0, "{place}");
    assert_eq!(runs(&bench), 2, "{place}: each ran once");
    bench.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_on_record_whose_task_panics_is_taken_up_again_and_runs_once() {
    for place in ["message", "message.stream"] {
        play(panicking(place, 1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_on_record_whose_task_panics_again_and_again_comes_to_its_end_later() {
    play(panicking("message", 8)).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_not_on_record_ends_for_its_follower_when_its_task_panics() {
    play(async {
        let bench = Bench::with(slow(), None);
        let line = bench.up("gw").await;
        let armed = arm("message", 1);
        let following = send(&bench, &line, "one").await;
        assert_eq!(following.end().await.unwrap_err(), MessageInterrupted);
        assert_eq!(armed.left(), 0);
        // Its key and its session's lane are free.
        let end = send(&bench, &line, "one").await.end().await.unwrap();
        assert!(matches!(end, RunEnd::Final(_)), "{end:?}");
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_prunes_ended_messages_goes_on_after_a_panic() {
    play(async {
        let armed = arm("sessions.pruning", 1);
        let (store, bench) = kept().await;
        let line = bench.up("gw").await;
        send(&bench, &line, "one").await.end().await.unwrap();
        armed.gone_off().await;
        tokio::time::sleep(Duration::from_hours(26)).await;
        assert!(store.chat_send("one").await.unwrap().is_none());
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn messages_on_record_are_taken_up_although_the_session_manager_panics_meanwhile() {
    play(async {
        let (store, bench) = kept().await;
        let line = bench.up("gw").await;
        drop(send(&bench, &line, "one").await);
        bench.wait_requests("chat.send", 1).await;
        bench
            .shard
            .remove(windlass_line::testing::id("gw"), Duration::ZERO)
            .await
            .unwrap();
        let armed = arm("sessions.handler", 1);
        let line = bench.add("gw").await;
        assert_eq!(armed.left(), 0, "the order to take up was lost with it");
        // Whatever comes next finds a session manager that works.
        bench.sessions.take_up(line).await;
        assert_eq!(recorded(&store, "one").await, SendState::Done);
        assert_eq!(runs(&bench), 1);
        bench.finish().await;
    })
    .await;
}
