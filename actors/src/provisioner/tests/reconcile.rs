//! Deadlines, wakes, and signs of life.

use std::time::Duration;

use serde_json::json;
use windlass_store::{AgentStatus, CheckIn};
use windlass_templates::tool_values;

use super::bench::{Bench, play};
use crate::control_plane::{FakeEffect, FakeRelease};
use crate::provisioner::WAKES;

#[tokio::test(start_paused = true)]
async fn an_agent_that_never_checks_in_is_woken_three_times_and_then_called_offline() {
    play(async {
        let bench = Bench::new(FakeRelease::Current).await;
        let (agent, life) = (bench.worker().await, bench.supervise());
        let start = bench.now();
        life.provision(&[agent]).await;
        let record = bench
            .wait_agent(agent, |agent| agent.status == AgentStatus::Offline)
            .await;
        let took = bench.now().saturating_duration_since(start);
        assert!(
            (Duration::from_secs(90)..Duration::from_secs(95)).contains(&took),
            "{took:?}"
        );
        assert_eq!(bench.sent(), WAKES as usize);
        assert_eq!(
            bench
                .fake()
                .count(|effect| matches!(effect, FakeEffect::SessionReset(_))),
            2
        );
        let error = record.last_provision_error.unwrap();
        assert!(error.contains("3 times"), "{error}");
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(bench.sent(), WAKES as usize, "it is left alone then");
        life.kill().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_checks_in_with_its_token_is_online_and_not_woken_again() {
    play(async {
        let bench = Bench::new(FakeRelease::Current).await;
        let (agent, life) = (bench.worker().await, bench.supervise());
        life.provision(&[agent]).await;
        let id = bench.agent_id(agent).await;
        let text = bench.fake().file(&id, "AGENTS.md").unwrap();
        let token = tool_values(&text).get("AUTH_TOKEN").map(str::to_owned).unwrap();
        let check_in = CheckIn {
            at: bench.now(),
            status: None,
        };
        assert!(!life.handle.check_in(agent, "another", check_in).await.unwrap());
        assert!(life.handle.check_in(agent, &token, check_in).await.unwrap());
        tokio::time::sleep(Duration::from_secs(300)).await;
        let record = bench.agent(agent).await;
        assert_eq!((record.status, record.wake_attempts), (AgentStatus::Online, 0));
        assert_eq!((record.checkin_deadline_at, bench.sent()), (None, 1));
        life.kill().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_seen_at_work_on_the_gateways_events_counts_as_checked_in() {
    play(async {
        let bench = Bench::new(FakeRelease::Current).await;
        let (agent, life) = (bench.worker().await, bench.supervise());
        life.provision(&[agent]).await;
        let key = bench.agent(agent).await.session_key;
        tokio::time::sleep(Duration::from_secs(10)).await;
        // A bare final and a failure say nothing of an agent at work.
        bench.publish(
            "chat",
            &json!({"runId": "r", "sessionKey": key, "seq": 1, "state": "final"}),
        );
        bench.publish(
            "chat",
            &json!({"runId": "r", "sessionKey": key, "seq": 1, "state": "error", "errorMessage": "no"}),
        );
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(bench.agent(agent).await.last_seen_at, None);
        let message = json!({"role": "assistant", "content": [{"type": "text", "text": "awake"}]});
        bench.publish(
            "chat",
            &json!({"runId": "r", "sessionKey": key, "seq": 2, "state": "delta", "message": message}),
        );
        bench.wait_agent(agent, |agent| agent.last_seen_at.is_some()).await;
        tokio::time::sleep(Duration::from_secs(300)).await;
        assert_eq!(
            (bench.agent(agent).await.status, bench.sent()),
            (AgentStatus::Online, 1)
        );
        life.kill().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_deadline_outlives_the_process() {
    play(async {
        let bench = Bench::new(FakeRelease::Current).await;
        let (agent, life) = (bench.worker().await, bench.start());
        life.provision(&[agent]).await;
        life.kill().await;
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert_eq!(bench.sent(), 1);
        let life = bench.supervise();
        bench.wait_agent(agent, |agent| agent.wake_attempts == 2).await;
        assert_eq!(bench.sent(), 2);
        life.kill().await;
    })
    .await;
}
