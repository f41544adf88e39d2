//! Many agents at once.

use windlass_store::{AgentUid, Agents as _};

use super::bench::{Bench, play};
use crate::control_plane::{ControlError, FakeEffect, FakeOperation, FakeRelease, Fault};
use crate::provisioner::{Job, ProvisionProgress, RunOptions};

async fn workers(bench: &Bench, count: usize) -> Vec<AgentUid> {
    let board = bench.add_board("Engine room").await;
    let mut agents = Vec::new();
    for number in 0..count {
        agents.push(bench.add_worker(board, &format!("Stoker {number}")).await);
    }
    agents
}

#[tokio::test(start_paused = true)]
async fn reports_come_in_the_order_of_the_question() {
    play(async {
        let bench = Bench::new(FakeRelease::Classic).await;
        let (agents, life) = (workers(&bench, 50).await, bench.start());
        let report = life.provision(&agents).await;
        assert!(report.all_done());
        let order: Vec<_> = report.agents.iter().map(|agent| agent.agent).collect();
        assert_eq!(order, agents);
        assert_eq!(bench.sent(), 50);
        life.kill().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn one_template_error_in_fifty_keeps_nobody_else() {
    play(async {
        let bench = Bench::new(FakeRelease::Current).await;
        let (agents, life) = (workers(&bench, 50).await, bench.start());
        let mut bad = bench.agent(agents[17]).await;
        bad.identity_override = Some(windlass_store::FileOverride::Template(
            "fine\nfine\n{{ colour }}".into(),
        ));
        bench.store.update_agent(&bad).await.unwrap();
        let report = life.provision(&agents).await;
        let failed: Vec<_> = report.failed().collect();
        assert_eq!(failed.len(), 1);
        assert_eq!(failed[0].agent, agents[17]);
        let why = failed[0].failure.as_ref().unwrap().summary.clone();
        assert!(why.contains("colour") && why.contains('3'), "{why}");
        let bad = bad.agent_id();
        let touched = bench
            .fake()
            .count(|effect| format!("{effect:?}").contains(bad.as_str()));
        assert_eq!((touched, bench.sent()), (0, 49));
        life.kill().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_the_gateway_refuses_fails_its_agent_only() {
    play(async {
        let bench = Bench::new(FakeRelease::Current).await;
        let (agents, life) = (workers(&bench, 4).await, bench.start());
        let refused = || Fault::Before(ControlError::NotOffered { method: "config.patch" });
        bench.fake().fault(FakeOperation::PatchAgents, refused());
        let report = life.provision(&agents).await;
        let failed: Vec<_> = report.failed().map(|agent| agent.agent).collect();
        assert_eq!(failed, [agents[0]]);
        assert_eq!(bench.sent(), 3);
        life.kill().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn two_operations_on_one_agent_come_one_after_the_other() {
    play(async {
        let bench = Bench::new(FakeRelease::Current).await;
        let (agents, life) = (workers(&bench, 3).await, bench.start());
        let reversed: Vec<_> = agents.iter().rev().copied().collect();
        let (one, two) = tokio::join!(life.provision(&agents), life.provision(&reversed));
        assert!(one.all_done() && two.all_done(), "{one:?} {two:?}");
        let created = bench
            .fake()
            .count(|effect| matches!(effect, FakeEffect::AgentCreated(_)));
        assert_eq!((created, bench.sent()), (3, 3));
        life.kill().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_operation_tells_how_far_it_is() {
    play(async {
        let bench = Bench::new(FakeRelease::Current).await;
        let (agents, life) = (workers(&bench, 2).await, bench.start());
        let options = RunOptions::default();
        let mut operation = life.handle.work(Job::Provision { agents, options }).await.unwrap();
        let mut news = Vec::new();
        while let Some(item) = operation.next().await {
            news.push(item);
        }
        assert_eq!(news.first(), Some(&ProvisionProgress::Planned { agents: 2 }));
        let ended = news
            .iter()
            .filter(|news| matches!(news, ProvisionProgress::Ended { changed: true, .. }))
            .count();
        let steps = news
            .iter()
            .filter(|news| matches!(news, ProvisionProgress::Step { .. }))
            .count();
        assert_eq!((ended, steps), (2, 2 * 3), "{news:?}");
        assert!(operation.report().await.unwrap().all_done());
        life.kill().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_is_lost_ends_the_operation_and_not_each_agent_by_itself() {
    play(async {
        let bench = Bench::new(FakeRelease::Current).await;
        let (agents, life) = (workers(&bench, 20).await, bench.start());
        let down = windlass_protocol::NotSent::NotReady {
            waited: std::time::Duration::from_mins(10),
        };
        bench.fake().fault(
            FakeOperation::ListFiles,
            Fault::Before(ControlError::Line(windlass_protocol::CallError::NotSent(down))),
        );
        let report = life.provision(&agents).await;
        let lost = report
            .failed()
            .filter(|agent| agent.failure.as_ref().unwrap().transient)
            .count();
        // Those that were under way when it happened have come through; nobody was begun after it.
        assert!((5..=20).contains(&lost), "{lost}");
        assert!(life.provision(&agents).await.all_done());
        assert_eq!(bench.sent(), 20);
        life.kill().await;
    })
    .await;
}
