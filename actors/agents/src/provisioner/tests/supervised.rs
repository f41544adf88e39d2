//! What panics in the provisioner, or beside it, and what goes on.

use std::time::Duration;

use serde_json::json;
use windlass_store::{Activities as _, ActivityFilter, AgentStatus, NewActivity};

use super::bench::{Bench, play};
use crate::control_plane::FakeRelease;
use crate::provisioner::{Job, RunOptions};
use windlass_line::failpoint::arm;

const DAY: Duration = Duration::from_hours(24);

fn provision(agents: &[windlass_store::AgentUid]) -> Job {
    Job::Provision {
        agents: agents.to_vec(),
        options: RunOptions::default(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_provisioner_that_panics_fails_the_order_in_hand_and_no_operation_under_way() {
    play(async {
        let bench = Bench::new(FakeRelease::Current).await;
        let board = bench.add_board("Engine room").await;
        let one = bench.add_worker(board, "Stoker").await;
        let (other, life) = (bench.add_worker(board, "Trimmer").await, bench.start());
        let under_way = life.handle.work(provision(&[one])).await.unwrap();
        tokio::task::yield_now().await;
        let armed = arm("provisioner.handler", 1);
        let failed = life.handle.work(provision(&[other])).await.unwrap();
        failed.report().await.unwrap_err();
        assert_eq!(armed.left(), 0);
        assert!(under_way.report().await.unwrap().all_done());
        assert!(life.provision(&[other]).await.all_done());
        life.kill().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_panics_is_told_to_who_waits_and_others_go_on() {
    play(async {
        let bench = Bench::new(FakeRelease::Current).await;
        let board = bench.add_board("Engine room").await;
        let one = bench.add_worker(board, "Stoker").await;
        let (other, life) = (bench.add_worker(board, "Trimmer").await, bench.start());
        let under_way = life.handle.work(provision(&[one])).await.unwrap();
        tokio::task::yield_now().await;
        let armed = arm("provisioner.operation", 1);
        let failed = life.handle.work(provision(&[other])).await.unwrap();
        failed.report().await.unwrap_err();
        assert_eq!(armed.left(), 0);
        assert!(under_way.report().await.unwrap().all_done());
        assert!(life.provision(&[other]).await.all_done());
        life.kill().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_reconciler_that_panics_once_or_often_still_finds_the_agent_that_did_not_check_in() {
    for times in [1, 8] {
        for place in ["reconciler.take_up", "reconciler"] {
            play(async {
                let bench = Bench::new(FakeRelease::Current).await;
                let armed = arm(place, times);
                let (agent, life) = (bench.worker().await, bench.supervise());
                assert!(life.provision(&[agent]).await.all_done());
                let woken = bench.sent();
                armed.gone_off().await;
                bench
                    .wait_agent(agent, |agent| agent.status == AgentStatus::Offline)
                    .await;
                assert!(bench.sent() > woken, "{place}: it was woken again first");
                life.kill().await;
            })
            .await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_wake_that_panics_is_made_up_for_at_the_agents_next_deadline() {
    play(async {
        let bench = Bench::new(FakeRelease::Current).await;
        let armed = arm("reconciler.wake", 1);
        let (agent, life) = (bench.worker().await, bench.supervise());
        assert!(life.provision(&[agent]).await.all_done());
        let woken = bench.sent();
        armed.gone_off().await;
        bench
            .wait_agent(agent, |agent| agent.status == AgentStatus::Offline)
            .await;
        assert!(bench.sent() > woken);
        life.kill().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn watching_goes_on_after_a_panic_over_an_event_and_after_one_in_the_watch_itself() {
    for (place, times) in [("activity", 1), ("activity.stream", 1), ("activity.stream", 8)] {
        play(async {
            let bench = Bench::new(FakeRelease::Current).await;
            let armed = arm(place, times);
            let (agent, life) = (bench.worker().await, bench.supervise());
            assert!(life.provision(&[agent]).await.all_done());
            let key = bench.agent(agent).await.session_key;
            let seen = async {
                loop {
                    bench.publish(
                        "chat",
                        &json!({"runId": "r", "sessionKey": key, "seq": 1, "state": "final",
                            "message": {"role": "assistant", "content": [{"type": "text", "text": "done"}]}}),
                    );
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    if bench.agent(agent).await.last_seen_at.is_some() {
                        return;
                    }
                }
            };
            let seen = tokio::time::timeout(Duration::from_hours(1), seen).await;
            seen.expect("what the agent says is seen within an hour");
            assert_eq!(armed.left(), 0, "{place}");
            life.kill().await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn housekeeping_goes_on_after_a_panic() {
    for times in [1, 8] {
        play(async {
            let bench = Bench::new(FakeRelease::Current).await;
            let armed = arm("housekeeping", times);
            let life = bench.supervise();
            let old = NewActivity {
                actor: None,
                source: None,
                kind: "test".into(),
                message: "old".into(),
                agent_id: None,
                board_id: None,
                at: bench.now(),
            };
            bench.store.record(&old).await.unwrap();
            armed.gone_off().await;
            tokio::time::sleep(366 * DAY).await;
            let left = bench.store.activities(&ActivityFilter::default(), Some(0), 100).await;
            assert!(left.unwrap().iter().all(|activity| activity.kind != "test"));
            life.kill().await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_provisioner_whose_last_handle_is_dropped_stops_what_it_looks_after() {
    play(async {
        let bench = Bench::new(FakeRelease::Current).await;
        let life = bench.supervise();
        tokio::task::yield_now().await;
        let stopped = life.stop();
        tokio::time::timeout(Duration::from_mins(1), stopped)
            .await
            .expect("it stops");
    })
    .await;
}
