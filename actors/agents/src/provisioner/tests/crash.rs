//! Killed anywhere, a run goes on where it was, and does nothing twice.

use std::collections::BTreeMap;
use std::time::Duration;

use windlass_store::{AgentStatus, AgentUid, RunState, Runs as _};

use super::bench::{Bench, play};
use crate::control_plane::{FakeEffect, FakeOperation, FakeRelease, Fault};
use crate::provisioner::{Job, RunOptions, TokenRule};

/// All operations that a run may use.
const OPERATIONS: [FakeOperation; 14] = [
    FakeOperation::Capabilities,
    FakeOperation::Roster,
    FakeOperation::CreateAgent,
    FakeOperation::UpdateAgent,
    FakeOperation::PatchAgents,
    FakeOperation::ListFiles,
    FakeOperation::GetFile,
    FakeOperation::SetFile,
    FakeOperation::Scratch,
    FakeOperation::SetScratch,
    FakeOperation::Session,
    FakeOperation::EnsureSession,
    FakeOperation::ResetSession,
    FakeOperation::Send,
];

/// Runs `job` with its process killed in the `nth` call of an operation, and then to its end by another one. Whether the
/// point was met at all.
async fn killed_at(bench: &Bench, job: &Job, operation: FakeOperation, nth: u64, after: bool) -> bool {
    let fake = bench.fake();
    fake.clear_faults();
    let before = fake.calls(operation);
    for _ in 1..nth {
        fake.fault(operation, Fault::Pass);
    }
    fake.fault(operation, if after { Fault::HangAfter } else { Fault::HangBefore });
    let life = bench.start();
    let work = life.work(job.clone());
    // Nothing here takes time but a call that hangs.
    let ended = tokio::time::timeout(Duration::from_hours(1), work).await.is_ok();
    life.kill().await;
    fake.clear_faults();
    if ended {
        assert!(
            fake.calls(operation) - before < nth,
            "{operation:?}: the fault was not met"
        );
        return false;
    }
    let life = bench.start();
    let report = life.work(job.clone()).await;
    assert!(report.all_done(), "{operation:?} {nth} after={after}: {report:?}");
    life.kill().await;
    true
}

async fn assert_whole(bench: &Bench, agents: &[AgentUid], point: &str) {
    for agent in agents {
        let record = bench.agent(*agent).await;
        assert_eq!(record.status, AgentStatus::Online, "{point}");
        assert_eq!(record.next_token_hash, None, "{point}");
        let runs = bench.store.runs(*agent, 10).await.unwrap();
        assert!(
            runs.iter().all(|run| run.state != RunState::Active),
            "{point}: {runs:?}"
        );
    }
    let life = bench.start();
    let before = bench.fake().effects();
    let report = life.provision(agents).await;
    assert!(report.all_done(), "{point}: {report:?}");
    assert_eq!(
        bench.fake().effects(),
        before,
        "{point}: another run finds nothing to do"
    );
    life.kill().await;
}

fn count(bench: &Bench) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for effect in bench.fake().effects() {
        let what = match effect {
            FakeEffect::AgentCreated(_) => "created",
            FakeEffect::Sent(..) => "woken",
            FakeEffect::ConfigWritten(_) => "config",
            _ => continue,
        };
        *counts.entry(what).or_default() += 1;
    }
    counts
}

#[tokio::test(start_paused = true)]
async fn a_provision_that_is_killed_anywhere_is_completed_and_nothing_happens_twice() {
    let mut points = 0;
    for release in [FakeRelease::ByConfig, FakeRelease::Classic, FakeRelease::Current] {
        for operation in OPERATIONS {
            for after in [false, true] {
                for nth in 1.. {
                    let met = play(async {
                        let bench = Bench::new(release).await;
                        let board = bench.add_board("Engine room").await;
                        let agents = [bench.add_lead(board).await, bench.add_worker(board, "Stoker").await];
                        let job = Job::Provision {
                            agents: agents.to_vec(),
                            options: RunOptions::default(),
                        };
                        let met = killed_at(&bench, &job, operation, nth, after).await;
                        let point = format!("{release:?} {operation:?} {nth} after={after}");
                        let counts = count(&bench);
                        let created = if release == FakeRelease::ByConfig {
                            None
                        } else {
                            Some(&2)
                        };
                        assert_eq!(counts.get("created"), created, "{point}");
                        assert_eq!(counts.get("woken"), Some(&2), "{point}");
                        // The fake writes each entry by itself.
                        assert_eq!(counts.get("config"), Some(&2), "{point}");
                        assert_whole(&bench, &agents, &point).await;
                        met
                    })
                    .await;
                    if !met {
                        break;
                    }
                    points += 1;
                }
            }
        }
    }
    eprintln!("{points} points");
    assert!(points > 100, "only {points} points were met");
}

#[tokio::test(start_paused = true)]
async fn a_rotation_that_is_killed_anywhere_leaves_a_token_that_is_known() {
    let mut points = 0;
    for operation in [
        FakeOperation::GetFile,
        FakeOperation::SetFile,
        FakeOperation::ResetSession,
        FakeOperation::Send,
    ] {
        for after in [false, true] {
            for nth in 1.. {
                let met = play(async {
                    let bench = Bench::new(FakeRelease::Classic).await;
                    let (agent, life) = (bench.worker().await, bench.start());
                    life.provision(&[agent]).await;
                    life.kill().await;
                    let options = RunOptions {
                        token: TokenRule::Rotate,
                        reset_session: true,
                        ..RunOptions::default()
                    };
                    let agents = vec![agent];
                    let met = killed_at(&bench, &Job::Provision { agents, options }, operation, nth, after).await;
                    let point = format!("{operation:?} {nth} after={after}");
                    assert_eq!(bench.sent(), 2, "{point}");
                    assert_whole(&bench, &[agent], &point).await;
                    met
                })
                .await;
                if !met {
                    break;
                }
                points += 1;
            }
        }
    }
    assert!(points >= 20, "only {points} points were met");
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_answer_was_lost_is_not_sent_twice_even_when_the_gateway_forgot_its_key() {
    play(async {
        let bench = Bench::new(FakeRelease::Current).await;
        let agent = bench.worker().await;
        let life = bench.start();
        bench.fake().fault(FakeOperation::Send, Fault::HangAfter);
        let work = life.work(Job::Provision {
            agents: vec![agent],
            options: RunOptions::default(),
        });
        tokio::time::timeout(Duration::from_mins(1), work).await.unwrap_err();
        life.kill().await;
        bench.fake().forget_keys();
        let life = bench.start();
        assert!(life.provision(&[agent]).await.all_done());
        assert_eq!(bench.sent(), 1);
        life.kill().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_service_takes_up_what_was_cut_off_by_itself() {
    play(async {
        let bench = Bench::new(FakeRelease::Current).await;
        let agent = bench.worker().await;
        bench.fake().fault(FakeOperation::SetFile, Fault::HangAfter);
        let life = bench.start();
        let agents = [agent];
        let work = life.provision(&agents);
        tokio::time::timeout(Duration::from_mins(1), work).await.unwrap_err();
        life.kill().await;
        assert_eq!(bench.agent(agent).await.status, AgentStatus::Provisioning);
        let life = bench.supervise();
        bench
            .wait_agent(agent, |agent| agent.status == AgentStatus::Online)
            .await;
        assert_eq!(bench.sent(), 1);
        life.kill().await;
    })
    .await;
}
