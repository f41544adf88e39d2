//! Provisioning outlives the end of either side: the gateway is killed in the middle of it, and another time we are.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use windlass::{
    agents::{Job, RunOptions},
    sqlite::SqliteStore,
    store::{Agent, AgentStatus, Store},
};

use super::kit::{
    AgentService, Bench, Fleet, LOOK, Requests, Roster, TURN, UP, answers_of, has_files, reference, references,
};
use crate::model::ModelRequest;
use crate::scenario::{Ctx, Failure, Outcome, Scenario, check, check_eq};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "provision-restart",
    what: "Provisioning outlives a kill of the gateway and an end of ours in its middle: all online, each made and woken \
           once",
    // Two gateways with two starts each, and four first turns.
    deadline: Duration::from_secs(1200),
    run: |ctx| Box::pin(run(ctx)),
};

async fn run(ctx: &Ctx) -> Result<Outcome, Failure> {
    ctx.progress("the gateway is killed");
    let gateway = gateway_dies(ctx).await?;
    ctx.progress("we end");
    let ours = we_end(ctx).await?;
    Ok(Outcome::Passed {
        notes: vec![format!("gateway killed at {gateway}, we ended at {ours}")],
    })
}

/// In the middle of it: the first file, or the first wake where there are no files.
fn middle(bench: &Bench) -> Result<&'static str, Failure> {
    Ok(if has_files(bench)? {
        "agents.files.set"
    } else {
        "chat.send"
    })
}

async fn gateway_dies(ctx: &Ctx) -> Result<&'static str, Failure> {
    let mut fleet = Fleet::up(ctx, false).await?;
    let at = middle(&fleet.bench)?;
    let job = Job::Provision {
        agents: fleet.team.all(),
        options: RunOptions::default(),
    };
    let work = fleet.service.work(job);
    let real = &mut fleet.bench.real;
    let requests = fleet.service.requests.clone();
    let kill = async {
        requests.wait_for(&[at], 1, UP).await?;
        real.kill().await?;
        Ok::<_, Failure>(real.start_again().await?)
    };
    let (report, killed) = tokio::join!(work, kill);
    killed?;
    super::kit::all_done(&report?)?;
    let agents = fleet.records().await?;
    for agent in &agents {
        check_eq(&format!("runs of {}", agent.name), &agent.lifecycle_generation, &1)?;
    }
    once_each(&mut fleet, &agents).await?;
    woken_once(ctx, &agents, at, &[&requests])?;
    fleet.finish().await?;
    Ok(at)
}

async fn we_end(ctx: &Ctx) -> Result<&'static str, Failure> {
    let mut fleet = Fleet::up(ctx, true).await?;
    let at = middle(&fleet.bench)?;
    let job = Job::Provision {
        agents: fleet.team.all(),
        options: RunOptions::default(),
    };
    let operation = fleet.service.agents.work(job).await?;
    let before = fleet.service.requests.clone();
    before.wait_for(&[at], 1, UP).await?;
    let path = fleet.bench.real.state_dir().join("windlass.db");
    drop(operation);
    fleet.service.drop_all().await;
    fleet.store.close().await?;
    // All of it anew, as another process would have it.
    fleet.store = Arc::new(SqliteStore::open(path).await?) as Arc<dyn Store>;
    fleet.service = AgentService::start(Arc::clone(&fleet.store), &fleet.bench.real, true).await?;
    let agents = settled(&fleet).await?;
    once_each(&mut fleet, &agents).await?;
    woken_once(ctx, &agents, at, &[&before, &fleet.service.requests])?;
    fleet.finish().await?;
    Ok(at)
}

/// Waits until every agent is online and was seen at work.
async fn settled(fleet: &Fleet) -> Result<Vec<Agent>, Failure> {
    let look = async {
        loop {
            let agents = fleet.records().await?;
            let is_done = |agent: &Agent| agent.status == AgentStatus::Online && agent.last_seen_at.is_some();
            if agents.iter().all(is_done) {
                return Ok::<_, Failure>(agents);
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    if let Ok(agents) = tokio::time::timeout(TURN, look).await {
        return agents;
    }
    let left = fleet.records().await?.into_iter().map(|agent| {
        let error = agent.last_provision_error.unwrap_or_default();
        format!("{} {} seen {:?} {error}", agent.name, agent.status, agent.last_seen_at)
    });
    Err(Failure::new(format!(
        "not all came online: {:?}",
        left.collect::<Vec<_>>()
    )))
}

/// Each agent is online, stands once in the roster, and was woken by one message.
async fn once_each(fleet: &mut Fleet, agents: &[Agent]) -> Result<(), Failure> {
    fleet.bench.wait_up().await?;
    let roster = Roster::read(&fleet.bench).await?;
    for agent in agents {
        check_eq(
            &format!("status of {}", agent.name),
            &agent.status,
            &AgentStatus::Online,
        )?;
        roster.check(&fleet.team, agent)?;
        let told = told(fleet, agent).await?;
        let different: BTreeSet<_> = told.iter().collect();
        check((told.len(), different.len()) == (1, 1), || {
            format!("{} was told {told:?}", agent.name)
        })?;
    }
    Ok(())
}

/// Counts all wakes: on the wire, and at the model.
///
/// Each agent has one. An agent that is silent for 30 s is woken once more, after a reset, in a separate run: this may happen on
/// a busy machine. If the kill took the answer of a wake, the wake is sent once more, with the same key.
fn woken_once(ctx: &Ctx, agents: &[Agent], at: &str, requests: &[&Requests]) -> Result<(), Failure> {
    let count = |method| requests.iter().map(|requests| requests.count(method)).sum::<usize>();
    let (sent, resets) = (count("chat.send"), count("sessions.reset"));
    let late: u64 = agents.iter().map(|agent| agent.lifecycle_generation - 1).sum();
    check(resets as u64 <= late, || {
        format!("{resets} sessions were reset in {late} runs after the first one")
    })?;
    let again = if at == "chat.send" { agents.len() } else { 0 };
    let wakes = agents.len() + resets;
    check((wakes..=wakes + again).contains(&sent), || {
        format!(
            "{sent} wakes were sent to {} agents, with {resets} resets",
            agents.len()
        )
    })?;
    let asked = runs_by_reference(&ctx.model().log().requests());
    let twice: Vec<_> = asked.iter().filter(|(_, runs)| **runs > 1 && again == 0).collect();
    check(twice.is_empty(), || format!("wakes ran more than once: {twice:?}"))
}

/// How often the model was asked for the answer to each wake.
fn runs_by_reference(requests: &[ModelRequest]) -> BTreeMap<String, usize> {
    let mut runs = BTreeMap::new();
    for request in requests.iter().filter(|request| request.tool_result.is_none()) {
        if let Some(reference) = reference(&request.words) {
            *runs.entry(reference).or_default() += 1;
        }
    }
    runs
}

/// The messages to an agent. Before 2026.6 they stand in its history only when the run is over.
async fn told(fleet: &mut Fleet, agent: &Agent) -> Result<Vec<String>, Failure> {
    let told = references(&fleet.bench, agent).await?;
    if !told.is_empty() {
        return Ok(told);
    }
    answers_of(&mut fleet.stream, std::slice::from_ref(agent), TURN).await?;
    references(&fleet.bench, agent).await
}
