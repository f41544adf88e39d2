//! Template sync.

use windlass_store::{Agents as _, Boards as _};

use super::bench::{Bench, play};
use crate::control_plane::FakeRelease;
use crate::provisioner::{Job, SyncOptions};

fn sync(bench: &Bench, options: SyncOptions) -> Job {
    Job::Sync {
        gateway: bench.gateway,
        options,
    }
}

#[tokio::test(start_paused = true)]
async fn sync_writes_the_templates_of_today_and_wakes_nobody() {
    play(async {
        let bench = Bench::new(FakeRelease::Classic).await;
        let board = bench.add_board("Engine room").await;
        let agents = [
            bench.add_main().await,
            bench.add_lead(board).await,
            bench.add_worker(board, "Stoker").await,
        ];
        let life = bench.start();
        life.provision(&agents).await;
        let woken = bench.sent();
        let mut worker = bench.agent(agents[2]).await;
        worker.soul_override = Some(windlass_store::FileOverride::Template(
            "Steady at {{ board_name }}.".into(),
        ));
        bench.store.update_agent(&worker).await.unwrap();
        let report = life.work(sync(&bench, SyncOptions::default())).await;
        assert_eq!(report.agents.len(), 2, "not the gateway's own agent");
        assert_eq!(
            report.changed().map(|agent| agent.agent).collect::<Vec<_>>(),
            [agents[2]]
        );
        let text = bench.fake().file(&worker.agent_id(), "SOUL.md").unwrap();
        assert_eq!(text.trim_end(), "Steady at Engine room.");
        assert_eq!(bench.sent(), woken);
        let all = SyncOptions {
            include_main: true,
            ..SyncOptions::default()
        };
        assert_eq!(life.work(sync(&bench, all)).await.agents.len(), 3);
        let leads = SyncOptions {
            lead_only: true,
            ..SyncOptions::default()
        };
        assert_eq!(life.work(sync(&bench, leads)).await.agents.len(), 1);
        life.kill().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_without_a_token_is_left_alone_unless_tokens_are_rotated() {
    play(async {
        let bench = Bench::new(FakeRelease::Classic).await;
        let (agent, life) = (bench.worker().await, bench.start());
        life.provision(&[agent]).await;
        let (id, fake) = (bench.agent_id(agent).await, bench.fake());
        fake.put_file(&id, "TOOLS.md", Some("nothing here"));
        let before = bench.effects();
        let report = life.work(sync(&bench, SyncOptions::default())).await;
        let failure = report.agents[0].failure.clone().unwrap();
        assert!(
            failure.summary.contains("AUTH_TOKEN") && failure.summary.contains("TOOLS.md"),
            "{failure}"
        );
        assert_eq!(bench.effects(), before);
        let rotate = SyncOptions {
            rotate_tokens: true,
            ..SyncOptions::default()
        };
        let report = life.work(sync(&bench, rotate)).await;
        assert!(report.all_done() && report.agents[0].changes.rotated, "{report:?}");
        life.kill().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_wrong_token_is_a_warning_and_stays() {
    play(async {
        let bench = Bench::new(FakeRelease::Classic).await;
        let (agent, life) = (bench.worker().await, bench.start());
        life.provision(&[agent]).await;
        let (id, fake) = (bench.agent_id(agent).await, bench.fake());
        let text = fake.file(&id, "TOOLS.md").unwrap();
        let token = windlass_templates::tool_values(&text)
            .get("AUTH_TOKEN")
            .map(str::to_owned)
            .unwrap();
        let other = "x".repeat(token.len());
        fake.put_file(&id, "TOOLS.md", Some(&text.replace(&token, &other)));
        let report = life.work(sync(&bench, SyncOptions::default())).await;
        assert!(report.all_done(), "{report:?}");
        assert!(report.agents[0].warnings[0].contains("not the one on record"));
        assert!(!format!("{report:?}").contains(&other), "a warning shows no token");
        assert!(fake.file(&id, "TOOLS.md").unwrap().contains(&other));
        life.kill().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn agents_of_a_paused_board_are_left_out_by_name() {
    play(async {
        let bench = Bench::new(FakeRelease::Classic).await;
        let board = bench.add_board("Dry dock").await;
        let (agent, life) = (bench.add_worker(board, "Stoker").await, bench.start());
        life.provision(&[agent]).await;
        let mut record = bench.store.board(board).await.unwrap().unwrap();
        record.paused = true;
        bench.store.update_board(&record).await.unwrap();
        let report = life.work(sync(&bench, SyncOptions::default())).await;
        assert_eq!(report.agents[0].skipped.as_deref(), Some("board Dry dock is paused"));
        life.kill().await;
    })
    .await;
}
