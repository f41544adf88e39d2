//! One agent, from its record to its wake.

use serde_json::json;
use windlass_protocol::{MethodName, Rejected, RetryPolicy, SessionKey};
use windlass_store::{AgentStatus, AgentUid, RunState, Runs as _};
use windlass_templates::tool_values;

use super::bench::{Bench, play};
use crate::control_plane::{ControlError, FakeEffect, FakeOperation, FakeRelease, Fault};
use crate::provisioner::{Job, RunOptions, TokenRule, Wake};

#[tokio::test(start_paused = true)]
async fn an_agent_is_made_written_and_woken() {
    play(async {
        let bench = Bench::new(FakeRelease::Current).await;
        let (agent, life) = (bench.worker().await, bench.start());
        let report = life.provision(&[agent]).await;
        assert!(report.all_done(), "{report:?}");
        assert_eq!(report.config_writes, 1);
        let id = bench.agent_id(agent).await;
        let files = bench.fake().files(&id);
        let names: Vec<&str> = files.keys().map(String::as_str).collect();
        assert_eq!(names, ["AGENTS.md", "IDENTITY.md", "MEMORY.md", "SOUL.md", "USER.md"]);
        let record = bench.agent(agent).await;
        assert_eq!(
            (record.status, record.lifecycle_generation, record.wake_attempts),
            (AgentStatus::Online, 1, 0),
            "nothing watches for its answer"
        );
        let token = tool_values(&files["AGENTS.md"])
            .get("AUTH_TOKEN")
            .map(str::to_owned)
            .unwrap();
        assert!(record.token_hash.is_some_and(|hash| hash.verify(&token)));
        assert_eq!(record.next_token_hash, None);
        assert_eq!(bench.sent(), 1);
        life.kill().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_second_run_changes_nothing() {
    for release in [FakeRelease::ByConfig, FakeRelease::Classic, FakeRelease::Current] {
        play(async {
            let bench = Bench::new(release).await;
            let board = bench.add_board("Engine room").await;
            let agents = [
                bench.add_main().await,
                bench.add_lead(board).await,
                bench.add_worker(board, "Stoker").await,
            ];
            let life = bench.start();
            assert!(life.provision(&agents).await.all_done());
            let before = bench.fake().effects();
            let report = life.provision(&agents).await;
            assert!(
                report.all_done() && report.changed().count() == 0,
                "{release:?}: {report:?}"
            );
            assert_eq!(bench.fake().effects(), before, "{release:?}");
            life.kill().await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_update_keeps_what_the_agent_made_its_own_and_mends_the_rest() {
    play(async {
        let bench = Bench::new(FakeRelease::Classic).await;
        let (agent, life) = (bench.worker().await, bench.start());
        life.provision(&[agent]).await;
        let (id, fake) = (bench.agent_id(agent).await, bench.fake());
        for file in ["USER.md", "MEMORY.md", "SOUL.md"] {
            fake.put_file(&id, file, Some("mine"));
        }
        let report = life.provision(&[agent]).await;
        let changes = &report.agents[0].changes;
        assert_eq!(changes.written, ["SOUL.md"]);
        assert_eq!(changes.preserved, ["MEMORY.md", "USER.md"]);
        assert!(changes.woken, "its files changed");
        assert_eq!(fake.file(&id, "USER.md").as_deref(), Some("mine"));
        let overwrite = RunOptions {
            overwrite: true,
            ..RunOptions::quiet()
        };
        let report = life.provision_with(&[agent], overwrite).await;
        assert_eq!(report.agents[0].changes.written, ["MEMORY.md", "USER.md"]);
        life.kill().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_gateways_own_agent_does_not_own_its_user_file() {
    play(async {
        let bench = Bench::new(FakeRelease::Classic).await;
        let (agent, life) = (bench.add_main().await, bench.start());
        life.provision(&[agent]).await;
        let id = bench.agent_id(agent).await;
        bench.fake().put_file(&id, "USER.md", Some("mine"));
        let report = life.provision(&[agent]).await;
        assert_eq!(report.agents[0].changes.written, ["USER.md"]);
        life.kill().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_lead_gets_its_bootstrap_once() {
    play(async {
        let bench = Bench::new(FakeRelease::Current).await;
        let board = bench.add_board("Engine room").await;
        let (agent, life) = (bench.add_lead(board).await, bench.start());
        life.provision(&[agent]).await;
        let (id, fake) = (bench.agent_id(agent).await, bench.fake());
        assert!(fake.file(&id, "BOOTSTRAP.md").is_some());
        // The agent deletes it when it has done what it says.
        fake.put_file(&id, "BOOTSTRAP.md", None);
        assert!(!life.provision(&[agent]).await.agents[0].changes.any());
        let forced = RunOptions {
            force_bootstrap: true,
            ..RunOptions::quiet()
        };
        let report = life.provision_with(&[agent], forced).await;
        assert_eq!(report.agents[0].changes.written, ["BOOTSTRAP.md"]);
        life.kill().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_template_that_does_not_render_writes_nothing_and_says_where() {
    play(async {
        let bench = Bench::new(FakeRelease::Current).await;
        let (agent, life) = (bench.worker().await, bench.start());
        let mut record = bench.agent(agent).await;
        record.soul_override = Some(windlass_store::FileOverride::Template(
            "one\n{{ no_such_thing }}".into(),
        ));
        windlass_store::Agents::update_agent(&*bench.store, &record)
            .await
            .unwrap();
        let report = life.provision(&[agent]).await;
        let failure = report.agents[0].failure.as_ref().unwrap().to_string();
        assert!(failure.contains("no_such_thing") && failure.contains('2'), "{failure}");
        assert_eq!(bench.effects(), 0);
        let record = bench.agent(agent).await;
        assert_eq!(record.last_provision_error.as_ref(), Some(&failure));
        assert_eq!(record.status, AgentStatus::Provisioning, "nothing was begun");
        life.kill().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_refuses_a_file_gets_its_content_elsewhere() {
    play(async {
        // It still lists the files that it refuses: an old list, a new rule.
        let bench = Bench::new(FakeRelease::Classic).await;
        let (agent, life) = (bench.worker().await, bench.start());
        life.provision(&[agent]).await;
        bench.fake().set_release(FakeRelease::Current);
        let report = life.provision(&[agent]).await;
        assert!(report.all_done(), "{report:?}");
        let id = bench.agent_id(agent).await;
        let text = bench.fake().file(&id, "AGENTS.md").unwrap();
        assert!(tool_values(&text).get("AUTH_TOKEN").is_some());
        life.kill().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn deleting_an_agent_takes_it_off_and_tells_the_gateways_own_agent() {
    play(async {
        let bench = Bench::new(FakeRelease::Current).await;
        let (main, agent, life) = (bench.add_main().await, bench.worker().await, bench.start());
        life.provision(&[main, agent]).await;
        let id = bench.agent_id(agent).await;
        let main_session = bench.agent(main).await.session_key;
        let job = || Job::Delete {
            agents: vec![agent],
            delete_files: true,
        };
        let report = life.work(job()).await;
        assert!(report.all_done() && report.agents[0].changes.removed, "{report:?}");
        assert_eq!(windlass_store::Agents::agent(&*bench.store, agent).await.unwrap(), None);
        assert_eq!(
            bench
                .fake()
                .count(|effect| *effect == FakeEffect::AgentDeleted(id.clone())),
            1
        );
        let told = bench.fake().messages(&main_session);
        assert!(told.last().is_some_and(|text| text.contains("Stoker")), "{told:?}");
        let gone = life.work(job()).await;
        assert!(gone.agents[0].failure.is_some());
        life.kill().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_was_never_provisioned_is_deleted_without_its_gateway() {
    play(async {
        let bench = Bench::new(FakeRelease::Current).await;
        let (board, life) = (bench.add_board("Engine room").await, bench.start());
        let (alive, unborn) = (bench.add_lead(board).await, bench.add_worker(board, "Unborn").await);
        assert!(life.provision(&[alive]).await.all_done());
        let refused = ControlError::NotOffered {
            method: "agents.delete",
        };
        bench.fake().fault(FakeOperation::DeleteAgent, Fault::Before(refused));
        let agents = vec![alive, unborn];
        let job = Job::Delete {
            agents: agents.clone(),
            delete_files: false,
        };
        let report = life.work(job).await;
        let order: Vec<AgentUid> = report.agents.iter().map(|report| report.agent).collect();
        assert_eq!(order, agents);
        assert!(report.agents[0].failure.is_some(), "its gateway refuses: {report:?}");
        assert!(
            report.agents[1].changes.forgotten && report.agents[1].failure.is_none(),
            "{report:?}"
        );
        assert_eq!(
            windlass_store::Agents::agent(&*bench.store, unborn).await.unwrap(),
            None
        );
        life.kill().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_is_gone_is_forgotten_with_all_that_is_on_it_and_asked_nothing() {
    play(async {
        let bench = Bench::new(FakeRelease::Current).await;
        let board = bench.add_board("Engine room").await;
        let (main, worker) = (bench.add_main().await, bench.add_worker(board, "Stoker").await);
        // The process ends in the middle of a run, and then the gateway is gone.
        let life = bench.start();
        assert!(life.provision(&[main, worker]).await.all_done());
        bench.fake().fault(FakeOperation::SetFile, Fault::HangBefore);
        let mut record = bench.agent(worker).await;
        record.name = "Fireman".into();
        windlass_store::Agents::update_agent(&*bench.store, &record)
            .await
            .unwrap();
        let begun = life.handle.work(Job::Provision {
            agents: vec![worker],
            options: RunOptions::quiet(),
        });
        let _operation = begun.await.unwrap();
        bench.wait_agent(worker, |agent| agent.provision_action.is_some()).await;
        life.kill().await;

        let life = bench.start();
        let (effects, sent) = (bench.effects(), bench.sent());
        let report = life.work(Job::Forget { agents: vec![worker] }).await;
        assert!(report.all_done() && report.agents[0].changes.forgotten, "{report:?}");
        let runs = windlass_store::Runs::active_runs(&*bench.store, 10).await.unwrap();
        assert_eq!(runs, [], "its run is not taken up again");
        let gateway = bench.gateway;
        let report = life.work(Job::ForgetGateway { gateway }).await;
        assert!(report.all_done() && report.agents.len() == 1, "{report:?}");
        assert_eq!(
            windlass_store::Gateways::gateways(&*bench.store, None).await.unwrap(),
            []
        );
        let all = windlass_store::BoardFilter::default();
        let boards = windlass_store::Boards::boards(&*bench.store, &all).await.unwrap();
        assert_eq!(boards, []);
        assert_eq!((bench.effects(), bench.sent()), (effects, sent), "nobody was asked");
        let gone = life.work(Job::Forget { agents: vec![worker] }).await;
        assert!(gone.agents[0].failure.is_some());
        life.kill().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_rotated_token_is_a_new_one_and_the_old_one_is_refused() {
    play(async {
        let bench = Bench::new(FakeRelease::Classic).await;
        let (agent, life) = (bench.worker().await, bench.start());
        life.provision(&[agent]).await;
        let id = bench.agent_id(agent).await;
        let token = |text: Option<String>| {
            tool_values(&text.unwrap())
                .get("AUTH_TOKEN")
                .map(str::to_owned)
                .unwrap()
        };
        let old = token(bench.fake().file(&id, "TOOLS.md"));
        let rotate = RunOptions {
            token: TokenRule::Rotate,
            ..RunOptions::quiet()
        };
        let report = life.provision_with(&[agent], rotate).await;
        assert!(report.agents[0].changes.rotated);
        let new = token(bench.fake().file(&id, "TOOLS.md"));
        let record = bench.agent(agent).await;
        assert!(record.knows_token(&new) && !record.knows_token(&old) && old != new);
        life.kill().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_run_ends_with_an_error_on_record_and_never_in_between() {
    play(async {
        let bench = Bench::new(FakeRelease::Current).await;
        let (agent, life) = (bench.worker().await, bench.start());
        let refused = ControlError::NotOffered {
            method: "agents.files.set",
        };
        bench.fake().fault(FakeOperation::SetFile, Fault::Before(refused));
        let report = life.provision(&[agent]).await;
        assert!(report.agents[0].failure.is_some());
        let record = bench.agent(agent).await;
        assert_eq!(record.status, AgentStatus::Offline);
        assert!(
            record
                .last_provision_error
                .is_some_and(|error| error.starts_with("files:"))
        );
        let runs = bench.store.runs(agent, 10).await.unwrap();
        assert_eq!(runs[0].state, RunState::Failed);
        assert!(life.provision(&[agent]).await.all_done(), "the next one mends it");
        assert_eq!(bench.agent(agent).await.status, AgentStatus::Online);
        life.kill().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_plan_says_what_would_be_done_and_does_nothing() {
    play(async {
        let bench = Bench::new(FakeRelease::Current).await;
        let (agent, life) = (bench.worker().await, bench.start());
        let plan = life.handle.plan(agent, RunOptions::default()).await.unwrap();
        assert!(plan.create && plan.config && plan.wake && plan.new_token);
        assert_eq!((bench.effects(), bench.agent(agent).await.lifecycle_generation), (0, 0));
        life.provision(&[agent]).await;
        let plan = life.handle.plan(agent, RunOptions::default()).await.unwrap();
        assert!(!plan.any(), "{plan:?}");
        let id = bench.agent_id(agent).await;
        bench.fake().put_file(&id, "SOUL.md", Some("something else"));
        let plan = life.handle.plan(agent, RunOptions::default()).await.unwrap();
        assert!(plan.drifted() && plan.wake);
        let changed: Vec<_> = plan
            .files
            .iter()
            .filter(|file| file.is_change())
            .map(|file| file.name.as_str())
            .collect();
        assert_eq!(changed, ["SOUL.md"]);
        life.kill().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_asks_for_an_absurd_wait_ends_the_run_in_its_budget() {
    play(async {
        let bench = Bench::new(FakeRelease::Current).await;
        let (agent, life) = (bench.worker().await, bench.start());
        let busy =
            json!({"code": "UNAVAILABLE", "message": "", "retryable": true, "retryAfterMs": 1_000_000_000_000_u64});
        let rejected = Rejected {
            method: MethodName::new("chat.send").unwrap(),
            error: serde_json::from_value(busy).unwrap(),
        };
        let error = ControlError::Rejected(Box::new(rejected));
        bench.fake().fault(FakeOperation::Send, Fault::Before(error));
        let start = bench.now();
        let report = life.provision(&[agent]).await;
        let took = bench.now().saturating_duration_since(start);
        assert!(took < RetryPolicy::PROVISIONING.budget, "{took:?}");
        assert!(report.failed().count() == 1, "{report:?}");
        life.kill().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn where_agents_reach_the_service_is_on_record_for_later_runs() {
    play(async {
        let bench = Bench::new(FakeRelease::Current).await;
        let board = bench.add_board("Engine room").await;
        let first = bench.add_worker(board, "Stoker").await;
        let life = bench.start_with_base_url(Some(" https://board.example/api "));
        life.provision(&[first]).await;
        life.kill().await;
        let life = bench.start_with_base_url(None);
        let plan = life.handle.plan(first, RunOptions::default()).await.unwrap();
        assert!(!plan.any(), "a later run without it changes nothing: {plan:?}");
        let second = bench.add_worker(board, "Oiler").await;
        let report = life.provision(&[first, second]).await;
        assert!(!report.agents[0].changes.any(), "{report:?}");
        let text = |agent| {
            let (bench, id) = (&bench, agent);
            async move { bench.fake().file(&bench.agent_id(id).await, "AGENTS.md").unwrap() }
        };
        assert!(text(second).await.contains("https://board.example/api"));
        life.kill().await;
        // Another one takes its place, and an empty one takes it away.
        for (given, changed) in [
            ("https://other.example", true),
            ("https://other.example", false),
            ("", true),
        ] {
            let life = bench.start_with_base_url(Some(given));
            let report = life.provision(&[first]).await;
            assert_eq!(report.agents[0].changes.any(), changed, "{given}: {report:?}");
            assert_eq!(text(first).await.contains("other.example"), !given.is_empty());
            life.kill().await;
        }
        let record = windlass_store::Gateways::gateway(&*bench.store, bench.gateway)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(record.base_url, None);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_wake_can_be_had_in_any_case_or_never() {
    play(async {
        let bench = Bench::new(FakeRelease::Current).await;
        let (agent, life) = (bench.worker().await, bench.start());
        life.provision_with(&[agent], RunOptions::quiet()).await;
        assert_eq!(bench.sent(), 0);
        let always = RunOptions {
            wake: Wake::Always,
            ..RunOptions::default()
        };
        life.provision_with(&[agent], always).await;
        assert_eq!(bench.sent(), 1);
        let key = SessionKey::main_of(&bench.agent_id(agent).await);
        assert_eq!(bench.fake().messages(&key).len(), 1);
        life.kill().await;
    })
    .await;
}
