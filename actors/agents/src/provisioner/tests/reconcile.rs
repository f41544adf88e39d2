//! Deadlines, wakes, and signs of life.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;
use windlass_protocol::SessionKey;
use windlass_store::{Agent, AgentStatus, CheckIn, OFFLINE_AFTER};
use windlass_templates::tool_values;

use super::bench::{Bench, play};
use crate::control_plane::{FakeEffect, FakeOperation, FakeRelease, Fault};
use crate::provisioner::{Job, RunOptions, WAKES, Wake};

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
        tokio::time::sleep(Duration::from_hours(1)).await;
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
        tokio::time::sleep(Duration::from_mins(5)).await;
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
        tokio::time::sleep(Duration::from_mins(5)).await;
        assert_eq!(
            (bench.agent(agent).await.status, bench.sent()),
            (AgentStatus::Online, 1)
        );
        life.kill().await;
    })
    .await;
}

/// What releases show of an agent that answers its heartbeat with nothing to say, and of one whose heartbeat did not run.
fn heartbeats(key: &SessionKey) -> Vec<(&'static str, Value, bool)> {
    let id = key.agent_id().unwrap();
    let job = json!({"id": "j", "agentId": id.as_str(), "payload": {"kind": "heartbeat"}});
    let other = json!({"id": "k", "agentId": id.as_str(), "payload": {"kind": "agentTurn"}});
    let cron =
        |action: &str, status: &str, job: &Value| json!({"jobId": "j", "action": action, "status": status, "job": job});
    let run = |stream: &str, data: Value| json!({"runId": "r", "sessionKey": key, "stream": stream, "data": data});
    vec![
        ("heartbeat", json!({"ts": 1, "status": "ok-token"}), false),
        ("cron", cron("started", "ok", &job), false),
        ("cron", cron("finished", "skipped", &job), false),
        ("cron", cron("finished", "error", &job), false),
        ("cron", cron("finished", "ok", &other), false),
        ("agent", run("lifecycle", json!({"phase": "start"})), false),
        ("agent", run("lifecycle", json!({"phase": "end"})), false),
        ("agent", run("assistant", json!({"text": ""})), false),
        ("cron", cron("finished", "ok", &job), true),
        ("agent", run("assistant", json!({"text": "HEARTBEAT_OK"})), true),
    ]
}

#[tokio::test(start_paused = true)]
async fn an_idle_agent_that_answers_its_heartbeats_is_seen() {
    play(async {
        let bench = Bench::new(FakeRelease::Current).await;
        let (agent, life) = (bench.worker().await, bench.supervise());
        life.provision(&[agent]).await;
        words(&bench, &bench.agent(agent).await.session_key);
        bench.wait_agent(agent, |agent| agent.last_seen_at.is_some()).await;
        for (name, payload, counts) in heartbeats(&bench.agent(agent).await.session_key) {
            tokio::time::sleep(OFFLINE_AFTER + Duration::from_mins(1)).await;
            let shown = |record: &Agent| record.shown_status(bench.now());
            assert_eq!(shown(&bench.agent(agent).await), AgentStatus::Offline);
            bench.publish(name, &payload);
            tokio::time::sleep(Duration::from_secs(1)).await;
            let is_online = shown(&bench.agent(agent).await) == AgentStatus::Online;
            assert_eq!(is_online, counts, "{name} {payload}");
        }
        assert_eq!(bench.sent(), 1);
        life.kill().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_that_names_no_agent_counts_for_the_sessions_that_changed_in_its_time() {
    play(async {
        let bench = Bench::new(FakeRelease::Current).await;
        let (agent, life) = (bench.worker().await, bench.supervise());
        life.provision(&[agent]).await;
        let key = bench.agent(agent).await.session_key;
        words(&bench, &key);
        bench.wait_agent(agent, |agent| agent.last_seen_at.is_some()).await;
        let heartbeat = json!({"ts": 20_000, "status": "ok-token", "durationMs": 500, "silent": true});
        for (changed_at, counts) in [(19_400, false), (20_001, false), (19_800, true)] {
            tokio::time::sleep(OFFLINE_AFTER + Duration::from_mins(1)).await;
            bench.fake().change_session(&key, changed_at);
            bench.publish("heartbeat", &heartbeat);
            tokio::time::sleep(Duration::from_secs(6)).await;
            let status = bench.agent(agent).await.shown_status(bench.now());
            assert_eq!(status == AgentStatus::Online, counts, "{changed_at}");
        }
        life.kill().await;
    })
    .await;
}

/// An event of an agent that says something.
fn words(bench: &Bench, key: &SessionKey) {
    let message = json!({"role": "assistant", "content": [{"type": "text", "text": "awake"}]});
    bench.publish(
        "chat",
        &json!({"runId": "r", "sessionKey": key, "seq": 2, "state": "final", "message": message}),
    );
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_answers_before_its_run_is_over_is_not_woken_again() {
    play(async {
        let bench = Bench::new(FakeRelease::Current).await;
        let (agent, life) = (bench.worker().await, bench.supervise());
        let go_on = Arc::new(Notify::new());
        let labelled = Fault::Wait(Arc::clone(&go_on));
        bench.fake().fault(FakeOperation::EnsureSession, labelled);
        let key = bench.agent(agent).await.session_key;
        let answer = async {
            while bench.sent() == 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            words(&bench, &key);
            tokio::time::sleep(Duration::from_secs(1)).await;
            go_on.notify_one();
        };
        let agents = [agent];
        tokio::join!(life.provision(&agents), answer);
        tokio::time::sleep(Duration::from_mins(5)).await;
        let record = bench.agent(agent).await;
        assert_eq!((record.checkin_deadline_at, bench.sent()), (None, 1));
        life.kill().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_counts_however_lately_the_agent_was_seen_before() {
    play(async {
        let bench = Bench::new(FakeRelease::Current).await;
        let (agent, life) = (bench.worker().await, bench.supervise());
        life.provision(&[agent]).await;
        let key = bench.agent(agent).await.session_key;
        words(&bench, &key);
        bench.wait_agent(agent, |agent| agent.last_seen_at.is_some()).await;
        // Woken again, and what it says is seen before the gateway's answer to that.
        let go_on = Arc::new(Notify::new());
        bench.fake().fault(FakeOperation::Send, Fault::Wait(Arc::clone(&go_on)));
        let answer = async {
            tokio::time::sleep(Duration::from_secs(6)).await;
            assert_eq!(bench.sent(), 1, "the wake is under way");
            words(&bench, &key);
            tokio::time::sleep(Duration::from_secs(1)).await;
            go_on.notify_one();
        };
        let options = RunOptions {
            wake: Wake::Always,
            ..RunOptions::default()
        };
        let agents = [agent];
        tokio::join!(life.provision_with(&agents, options), answer);
        tokio::time::sleep(Duration::from_mins(5)).await;
        assert_eq!((bench.agent(agent).await.checkin_deadline_at, bench.sent()), (None, 2));
        life.kill().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_gateway_whose_events_could_not_be_had_at_first_is_watched_later() {
    play(async {
        let bench = Bench::new(FakeRelease::Current).await;
        bench.fakes.hidden.store(true, Ordering::Relaxed);
        let (agent, life) = (bench.worker().await, bench.supervise());
        life.provision(&[agent]).await;
        bench.fakes.hidden.store(false, Ordering::Relaxed);
        // Its deadline is over by then, and it is woken again.
        tokio::time::sleep(Duration::from_secs(61)).await;
        words(&bench, &bench.agent(agent).await.session_key);
        bench.wait_agent(agent, |agent| agent.last_seen_at.is_some()).await;
        life.kill().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_answers_late_is_not_woken_again_while_that_is_prepared() {
    play(async {
        let bench = Bench::new(FakeRelease::Current).await;
        let (agent, life) = (bench.worker().await, bench.supervise());
        life.provision(&[agent]).await;
        let go_on = Arc::new(Notify::new());
        bench
            .fake()
            .fault(FakeOperation::ListFiles, Fault::Wait(Arc::clone(&go_on)));
        bench.wait_agent(agent, |agent| agent.lifecycle_generation == 2).await;
        words(&bench, &bench.agent(agent).await.session_key);
        bench.wait_agent(agent, |agent| agent.last_seen_at.is_some()).await;
        go_on.notify_one();
        tokio::time::sleep(Duration::from_mins(5)).await;
        let resets = bench
            .fake()
            .count(|effect| matches!(effect, FakeEffect::SessionReset(_)));
        assert_eq!((bench.sent(), resets), (1, 0));
        assert_eq!(bench.agent(agent).await.status, AgentStatus::Online);
        life.kill().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn agents_are_seen_at_work_while_runs_are_still_taken_up() {
    play(async {
        let bench = Bench::new(FakeRelease::Current).await;
        let board = bench.add_board("Engine room").await;
        let cut_off = bench.add_worker(board, "Stoker").await;
        let other = bench.add_worker(board, "Oiler").await;
        let life = bench.start();
        for _ in 0..2 {
            // In the first life, and when it is taken up.
            bench.fake().fault(FakeOperation::ListFiles, Fault::HangBefore);
        }
        let agents = vec![cut_off];
        let options = RunOptions::default();
        let begun = life.handle.work(Job::Provision { agents, options }).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        life.kill().await;
        drop(begun);
        let life = bench.supervise();
        tokio::time::sleep(Duration::from_secs(1)).await;
        life.provision(&[other]).await;
        words(&bench, &bench.agent(other).await.session_key);
        let record = bench.wait_agent(other, |agent| agent.last_seen_at.is_some()).await;
        assert_eq!(record.checkin_deadline_at, None);
        life.kill().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_is_added_later_is_watched_when_it_is_worked_with() {
    play(async {
        let mut bench = Bench::new(FakeRelease::Current).await;
        let life = bench.supervise();
        tokio::time::sleep(Duration::from_secs(1)).await;
        bench.gateway = bench.add_gateway(FakeRelease::Current).await;
        let agent = bench.worker().await;
        life.provision(&[agent]).await;
        words(&bench, &bench.agent(agent).await.session_key);
        tokio::time::sleep(Duration::from_mins(5)).await;
        assert_eq!(bench.sent(), 1);
        life.kill().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_wakes_nobody_lets_nobody_off() {
    play(async {
        let bench = Bench::new(FakeRelease::Current).await;
        let (agent, life) = (bench.worker().await, bench.supervise());
        life.provision(&[agent]).await;
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert!(!life.provision(&[agent]).await.agents[0].changes.any());
        bench.wait_agent(agent, |agent| agent.wake_attempts == 2).await;
        assert_eq!(bench.sent(), 2);
        life.kill().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_deadline_outlives_the_process() {
    play(async {
        let bench = Bench::new(FakeRelease::Current).await;
        let (agent, life) = (bench.worker().await, bench.supervise());
        life.provision(&[agent]).await;
        life.kill().await;
        tokio::time::sleep(Duration::from_mins(10)).await;
        assert_eq!(bench.sent(), 1);
        let life = bench.supervise();
        bench.wait_agent(agent, |agent| agent.wake_attempts == 2).await;
        assert_eq!(bench.sent(), 2);
        life.kill().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_wake_that_nothing_watches_has_no_deadline_and_is_no_miss() {
    play(async {
        let bench = Bench::new(FakeRelease::Current).await;
        let (agent, life) = (bench.worker().await, bench.start());
        let options = RunOptions {
            wake: Wake::Always,
            ..RunOptions::default()
        };
        for _ in 0..3 {
            life.provision_with(&[agent], options).await;
        }
        life.kill().await;
        let record = bench.agent(agent).await;
        assert_eq!((record.status, record.checkin_deadline_at), (AgentStatus::Online, None));
        assert_eq!((record.wake_attempts, bench.sent()), (0, 3));
        tokio::time::sleep(Duration::from_mins(10)).await;
        assert_eq!(record.shown_status(bench.now()), AgentStatus::Provisioned);
        let (life, start) = (bench.supervise(), bench.now());
        bench
            .wait_agent(agent, |agent| agent.status == AgentStatus::Offline)
            .await;
        let took = bench.now().saturating_duration_since(start);
        // Time for the old wake, and for three of its own.
        assert!(took > Duration::from_secs(115), "{took:?}");
        assert_eq!(bench.sent(), 3 + WAKES as usize);
        life.kill().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_answered_while_nothing_watched_is_left_in_peace() {
    play(async {
        for supervised in [false, true] {
            let bench = Bench::new(FakeRelease::Current).await;
            let agent = bench.worker().await;
            let life = if supervised { bench.supervise() } else { bench.start() };
            life.provision(&[agent]).await;
            life.kill().await;
            bench.fake().answer(&bench.agent(agent).await.session_key);
            tokio::time::sleep(Duration::from_mins(10)).await;
            let life = bench.supervise();
            let record = bench.wait_agent(agent, |agent| agent.last_seen_at.is_some()).await;
            assert_eq!(
                record.last_seen_at, record.last_wake_sent_at,
                "no later sign is known of"
            );
            tokio::time::sleep(Duration::from_mins(5)).await;
            let record = bench.agent(agent).await;
            assert_eq!((record.status, record.wake_attempts), (AgentStatus::Online, 0));
            let is_reset = |effect: &FakeEffect| matches!(effect, FakeEffect::SessionReset(_));
            assert_eq!((bench.sent(), bench.fake().count(is_reset)), (1, 0));
            life.kill().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_goes_unseen_but_answered_is_not_woken_again() {
    play(async {
        let bench = Bench::new(FakeRelease::Current).await;
        let (agent, life) = (bench.worker().await, bench.supervise());
        life.provision(&[agent]).await;
        // Its event was lost with the line.
        bench.fake().answer(&bench.agent(agent).await.session_key);
        tokio::time::sleep(Duration::from_mins(5)).await;
        let record = bench.agent(agent).await;
        assert_eq!(
            (record.wake_attempts, record.checkin_deadline_at, bench.sent()),
            (0, None, 1)
        );
        life.kill().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn why_an_agents_runs_fail_stands_on_its_record_when_it_is_given_up() {
    play(async {
        let bench = Bench::new(FakeRelease::Current).await;
        let (agent, life) = (bench.worker().await, bench.supervise());
        life.provision(&[agent]).await;
        let key = bench.agent(agent).await.session_key;
        let failed = json!({"runId": "r", "sessionKey": key, "seq": 1, "state": "error",
            "errorMessage": "Error: Session file path must be within sessions directory"});
        let failing = async {
            loop {
                bench.publish("chat", &failed);
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
        };
        let record = tokio::select! {
            record = bench.wait_agent(agent, |agent| agent.status == AgentStatus::Offline) => record,
            () = failing => unreachable!(),
        };
        let why = record.last_provision_error.unwrap();
        for part in [
            "woken 3 times",
            "2026.2.12",
            "Update the gateway",
            "within sessions directory",
        ] {
            assert!(why.contains(part), "{part}: {why}");
        }
        life.kill().await;
    })
    .await;
}
