//! Agents on simulated gateways: what goes wrong on the way, and what comes of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use windlass::agents::{Agents, FleetReport, Job, ProvisionProgress, RunOptions};
use windlass::store::{
    Agent, AgentStatus, AgentUid, Agents as _, Board, BoardId, Boards as _, Creator, Gateway, GatewayUid,
    Gateways as _, MemoryStore, Organization, OrganizationId, Organizations as _, Owner, Timestamp,
};
use windlass::{Clock as _, Secret, TokioClock, Windlass};
use windlass_testkit::{RELEASES, RestartKind, SideEffect, SimGateway, SimGatewayBuilder, WireError};

use crate::bench::{Stopwatch, TOKEN, device, play};
use crate::secrets::LogWatch;

/// Simulated gateways with their records, and Windlass between them.
struct Fleet {
    windlass: Windlass,
    agents: Agents,
    store: Arc<MemoryStore>,
    sims: Vec<(GatewayUid, SimGateway)>,
    boards: Vec<BoardId>,
    next: u16,
}

impl Fleet {
    async fn new(sims: impl IntoIterator<Item = SimGatewayBuilder>) -> Self {
        let sims: Vec<_> = sims
            .into_iter()
            .enumerate()
            .map(|(number, sim)| (format!("gw-{number}"), sim.token(TOKEN).start_pipe()))
            .collect();
        let windlass = crate::bench::windlass(sims.clone());
        let store = Arc::new(MemoryStore::new());
        let agents = windlass
            .agents(Arc::clone(&store) as _)
            .base_url("https://board.example/api")
            .device(Arc::new(device()))
            .secrets(|name| (name == "gateway").then(|| Secret::new(TOKEN)))
            .supervise(false)
            .start()
            .await
            .unwrap();
        let mut fleet = Self {
            windlass,
            agents,
            store,
            sims: Vec::new(),
            boards: Vec::new(),
            next: 0,
        };
        fleet.records(sims).await;
        fleet
    }

    fn id(&mut self) -> [u8; 16] {
        self.next += 1;
        let mut id = [0; 16];
        id[..2].copy_from_slice(&self.next.to_be_bytes());
        id
    }

    async fn records(&mut self, sims: Vec<(String, SimGateway)>) {
        let organization = OrganizationId::from_bytes(self.id());
        let record = Organization {
            id: organization,
            name: "Analytical Engines".into(),
            owner: Owner::default(),
        };
        self.store.put_organization(&record).await.unwrap();
        for (name, sim) in sims {
            let id = GatewayUid::from_bytes(self.id());
            let record = Gateway {
                id,
                organization_id: organization,
                name: name.clone(),
                url: format!("ws://{name}"),
                token: Some("host:gateway".parse().unwrap()),
                workspace_root: Some("/srv/agents".into()),
                base_url: None,
                allow_insecure_tls: false,
                tls_fingerprint: None,
                disable_device_pairing: false,
                created_at: now(),
            };
            self.store.insert_gateway(&record).await.unwrap();
            let board = BoardId::from_bytes(self.id());
            let record = Board::new(board, organization, Some(id), format!("board of {name}"), now());
            self.store.insert_board(&record).await.unwrap();
            self.boards.push(board);
            self.sims.push((id, sim));
        }
    }

    /// New records of workers on the board of a gateway.
    async fn workers(&mut self, gateway: usize, count: usize) -> Vec<AgentUid> {
        let mut agents = Vec::new();
        for _ in 0..count {
            let (id, board) = (AgentUid::from_bytes(self.id()), self.boards[gateway]);
            let name = format!("Stoker {}", self.next);
            let agent = Agent::new_worker(id, self.sims[gateway].0, board, name, now());
            self.store.insert_agent(&agent, Creator::Operator).await.unwrap();
            agents.push(id);
        }
        agents
    }

    async fn main(&mut self) -> AgentUid {
        let id = AgentUid::from_bytes(self.id());
        let agent = Agent::new_main(id, self.sims[0].0, "Gateway Agent", now());
        self.store.insert_agent(&agent, Creator::Operator).await.unwrap();
        id
    }

    fn sim(&self) -> &SimGateway {
        &self.sims[0].1
    }

    async fn provision(&self, agents: &[AgentUid]) -> FleetReport {
        let job = Job::Provision {
            agents: agents.to_vec(),
            options: RunOptions::default(),
        };
        self.agents.work(job).await.unwrap().report().await.unwrap()
    }

    async fn assert_whole(&self, agents: &[AgentUid], report: &FleetReport) {
        assert!(report.all_done(), "{report:#?}");
        for agent in agents {
            let record = self.store.agent(*agent).await.unwrap().unwrap();
            assert_eq!(
                (record.status, record.last_provision_error),
                (AgentStatus::Online, None)
            );
        }
        let woken: usize = self.sims.iter().map(|(_, sim)| wakes(sim)).sum();
        assert_eq!(woken, agents.len(), "each was woken once");
        for (_, sim) in &self.sims {
            for (agent, count) in created(sim) {
                assert_eq!(count, 1, "{agent} was made once");
            }
        }
    }

    /// Another run of everything finds nothing to do, and nothing is left behind.
    async fn finish(self, agents: &[AgentUid]) {
        let before: Vec<_> = self.sims.iter().map(|(_, sim)| sim.journal().effects().len()).collect();
        let report = self.provision(agents).await;
        assert!(report.all_done() && report.changed().count() == 0, "{report:#?}");
        let after: Vec<_> = self.sims.iter().map(|(_, sim)| sim.journal().effects().len()).collect();
        assert_eq!(before, after, "nothing was written the second time");
        LogWatch::assert_clean();
        drop(self.agents);
        self.windlass.shutdown(Duration::from_secs(1)).await;
        for (_, sim) in &self.sims {
            sim.wait_for(|journal| journal.open_connections() == 0).await.unwrap();
            sim.shutdown().await;
        }
    }
}

fn now() -> Timestamp {
    Timestamp::from(TokioClock::start().wall())
}

/// Messages of ours that were run. (A gateway resumes by itself, under another key, what it was killed over.)
fn wakes(sim: &SimGateway) -> usize {
    let journal = sim.journal();
    let sent = journal.requests("chat.send");
    journal.count(|effect| match effect {
        SideEffect::ChatRun { key, .. } => sent.iter().any(|params| params["idempotencyKey"] == **key),
        _ => false,
    })
}

fn created(sim: &SimGateway) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for effect in sim.journal().effects() {
        if let SideEffect::AgentCreated { agent_id } = effect {
            *counts.entry(agent_id).or_default() += 1;
        }
    }
    counts
}

fn release(release: &str) -> SimGatewayBuilder {
    SimGateway::builder().release(release)
}

#[tokio::test(start_paused = true)]
async fn every_release_gets_its_agents_and_a_second_run_writes_nothing() {
    for name in RELEASES {
        play(async {
            let mut fleet = Fleet::new([release(name)]).await;
            let mut agents = fleet.workers(0, 2).await;
            agents.push(fleet.main().await);
            let report = fleet.provision(&agents).await;
            fleet.assert_whole(&agents, &report).await;
            assert_eq!(report.config_writes, 1, "{name}");
            fleet.finish(&agents).await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_added_wakes_none_of_the_others() {
    play(async {
        for release in RELEASES {
            let mut fleet = Fleet::new([SimGateway::builder().release(release)]).await;
            let known = fleet.workers(0, 3).await;
            fleet.provision(&known).await;
            let mut all = known.clone();
            all.extend(fleet.workers(0, 1).await);
            let woken = |fleet: &Fleet| fleet.sim().journal().requests("chat.send").len();
            let before = woken(&fleet);
            for agent in &known {
                let plan = fleet.agents.plan(*agent, RunOptions::default()).await.unwrap();
                assert!(!plan.any(), "{release}: {plan:?}");
            }
            let report = fleet.provision(&all).await;
            fleet.assert_whole(&all, &report).await;
            let changed: Vec<AgentUid> = report.changed().map(|agent| agent.agent).collect();
            assert_eq!(changed, all[3..], "{release}: {report:#?}");
            assert_eq!(woken(&fleet), before + 1, "{release}");
            fleet.finish(&all).await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn agents_whose_configuration_is_included_are_provisioned_and_deleted() {
    play(async {
        for release in ["2026.9.6", "2026.3.13"] {
            let mut fleet = Fleet::new([SimGateway::builder().release(release).included("agents")]).await;
            let agents = fleet.workers(0, 2).await;
            let report = fleet.provision(&agents).await;
            fleet.assert_whole(&agents, &report).await;
            let again = fleet.provision(&agents).await;
            assert_eq!((again.changed().count(), again.config_writes), (0, 0), "{release}");
            let job = Job::Delete {
                agents: agents.clone(),
                delete_files: true,
            };
            let report = fleet.agents.work(job).await.unwrap().report().await.unwrap();
            assert!(report.all_done(), "{release}: {report:#?}");
            let kept = fleet.sim().profile().includes_kept;
            for agent in &report.agents {
                assert_eq!(
                    agent.warnings.iter().any(|text| text.contains("files stay")),
                    kept,
                    "{release}"
                );
            }
            fleet.finish(&[]).await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn fifty_agents_on_a_gateway_with_three_writes_a_minute_take_one_write() {
    play(async {
        let mut fleet = Fleet::new([release("2026.3.13")]).await;
        let agents = fleet.workers(0, 50).await;
        let report = fleet.provision(&agents).await;
        fleet.assert_whole(&agents, &report).await;
        assert_eq!(report.config_writes, 1);
        fleet.finish(&agents).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn two_hundred_agents_on_four_gateways_take_less_than_ten_seconds_and_tell_how_far_they_are() {
    play(async {
        let releases = ["2026.9.6", "2026.8.2", "2026.5.12", "2026.4.15"];
        let mut fleet = Fleet::new(releases.map(release)).await;
        let mut agents = Vec::new();
        for gateway in 0..releases.len() {
            agents.extend(fleet.workers(gateway, 50).await);
        }
        let (watch, real) = (Stopwatch::start(), real_time());
        let job = Job::Provision {
            agents: agents.clone(),
            options: RunOptions::default(),
        };
        let mut operation = fleet.agents.work(job).await.unwrap();
        let (mut steps, mut ended) = (0, 0);
        while let Some(news) = operation.next().await {
            match news {
                ProvisionProgress::Step { .. } => steps += 1,
                ProvisionProgress::Ended { failure: None, .. } => ended += 1,
                _ => {}
            }
        }
        let report = operation.report().await.unwrap();
        let took = watch.elapsed();
        assert!(took < Duration::from_secs(10), "{took:?}");
        eprintln!(
            "200 agents: {took:?} of the gateways' time, {:?} of ours",
            real.elapsed()
        );
        assert_eq!(ended, 200);
        assert!(steps >= 600, "{steps}");
        fleet.assert_whole(&agents, &report).await;
        fleet.finish(&agents).await;
    })
    .await;
}

/// The time that passes outside of the test, to be told and never judged by.
#[expect(clippy::disallowed_methods, reason = "virtual time can't tell what the work costs")]
fn real_time() -> std::time::Instant {
    std::time::Instant::now()
}

#[tokio::test(start_paused = true)]
async fn a_restart_in_the_middle_is_a_pause() {
    for (name, method) in [
        ("2026.9.6", "agents.create"),
        ("2026.9.6", "agents.files.set"),
        ("2026.9.6", "chat.send"),
        ("2026.3.13", "agents.create"),
        ("2026.3.13", "agents.files.set"),
        ("2026.3.13", "chat.send"),
    ] {
        play(async {
            let mut fleet = Fleet::new([release(name)]).await;
            let agents = fleet.workers(0, 5).await;
            let sim = fleet.sim().clone();
            let restart = tokio::task::spawn_local(async move {
                sim.wait_for(|journal| journal.executions(method) >= 2).await.unwrap();
                sim.restart(RestartKind::Clean);
            });
            let report = fleet.provision(&agents).await;
            restart.await.unwrap();
            fleet.assert_whole(&agents, &report).await;
            fleet.finish(&agents).await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_dies_in_the_middle_of_a_file_gets_it_when_it_is_back() {
    play(async {
        let mut fleet = Fleet::new([release("2026.9.6")]).await;
        let agents = fleet.workers(0, 3).await;
        let sim = fleet.sim().clone();
        sim.script().once().drop_connection_before_answer("agents.files.set");
        let killed = tokio::task::spawn_local(async move {
            sim.wait_for(|journal| journal.executions("agents.files.set") >= 4)
                .await
                .unwrap();
            sim.kill().await;
            tokio::time::sleep(Duration::from_secs(20)).await;
            sim.start_again().await;
        });
        let report = fleet.provision(&agents).await;
        killed.await.unwrap();
        fleet.assert_whole(&agents, &report).await;
        fleet.finish(&agents).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_write_limit_and_others_who_write_are_waited_for() {
    play(async {
        let mut fleet = Fleet::new([release("2026.4.15")]).await;
        let agents = fleet.workers(0, 4).await;
        let script = || fleet.sim().script().once();
        let limited = WireError::new("UNAVAILABLE", "rate limit exceeded for config.patch; retry after 40s")
            .retry_after_ms(40_000)
            .details(json!({"method": "config.patch", "limit": "3 per 60s"}));
        script().fail("config.patch", limited);
        let stale = WireError::new(
            "INVALID_REQUEST",
            "config changed since last load; re-run config.get and retry",
        );
        script().fail("config.patch", stale);
        let watch = Stopwatch::start();
        let job = Job::Provision {
            agents: agents.clone(),
            options: RunOptions::default(),
        };
        let mut operation = fleet.agents.work(job).await.unwrap();
        let mut waiting = 0;
        while let Some(news) = operation.next().await {
            waiting += usize::from(matches!(news, ProvisionProgress::WaitingToWrite { agents: 4, .. }));
        }
        let report = operation.report().await.unwrap();
        assert!(waiting > 10, "the wait is told: {waiting}");
        assert!(watch.elapsed() >= Duration::from_secs(40));
        fleet.assert_whole(&agents, &report).await;
        fleet.finish(&agents).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_not_known_yet_after_it_was_made_is_waited_for() {
    play(async {
        let slow = release("2026.9.6").create_settles_after(Duration::from_millis(2500));
        let mut fleet = Fleet::new([slow]).await;
        let agents = fleet.workers(0, 2).await;
        let report = fleet.provision(&agents).await;
        fleet.assert_whole(&agents, &report).await;
        fleet.finish(&agents).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn asking_for_a_gateways_own_agent_over_and_over_makes_one() {
    play(async {
        let fleet = Fleet::new([release("2026.9.6")]).await;
        let gateway = fleet.sims[0].0;
        fleet.sim().script().once().fail_after_execution(
            "agents.create",
            WireError::new("UNAVAILABLE", "starting").retry_after_ms(500),
        );
        let mut made = Vec::new();
        for _ in 0..3 {
            let wanted = windlass::agents::Ensure::Main { gateway };
            let ensured = fleet.agents.ensure(wanted, RunOptions::default()).await.unwrap();
            made.push(ensured.report().await.unwrap().unwrap().agent);
        }
        made.dedup();
        assert_eq!((made.len(), created(fleet.sim()).len(), wakes(fleet.sim())), (1, 1, 1));
        fleet.finish(&made).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_whose_name_was_cut_in_half_is_left_as_it_is() {
    for name in RELEASES {
        play(async {
            let odd = format!("Ro{}", windlass_testkit::half(0xd83d));
            let mut fleet = Fleet::new([release(name).agent("odd", odd)]).await;
            let agents = fleet.workers(0, 1).await;
            let report = fleet.provision(&agents).await;
            fleet.assert_whole(&agents, &report).await;
            let config = fleet.sim().config();
            assert!(config.contains(r#""name":"Ro\ud83d""#), "{name}: {config}");
            fleet.finish(&agents).await;
        })
        .await;
    }
}
