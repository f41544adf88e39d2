//! All that a scenario of provisioning works with.

use std::sync::Arc;

use serde_json::{Value, json};
use windlass::{
    Windlass,
    agents::{FleetReport, RunOptions},
    protocol::ErrorCode,
    sqlite::SqliteStore,
    store::{Agent, AgentUid, Store},
};

use super::{ANSWER, AgentService, Bench, LOOK, Stream, TURN, Team, record, refusal, run_turn};
use crate::scenario::{Ctx, Failure};

/// A real gateway, records of a small fleet, and the side that provisions them. Another line reads the state of the gateway, so
/// that these reads are not counted.
pub(in super::super) struct Fleet {
    pub(in super::super) bench: Bench,
    /// The other line's events, from before the first agent was made.
    pub(in super::super) stream: Stream,
    pub(in super::super) store: Arc<dyn Store>,
    pub(in super::super) team: Team,
    pub(in super::super) service: AgentService,
}

impl Fleet {
    /// Starts all of it; the store is a database in the gateway's folder. Nothing is provisioned yet.
    pub(in super::super) async fn up(ctx: &Ctx, supervise: bool) -> Result<Self, Failure> {
        // As gateways are by themselves: they put files of their own into a new agent's workspace.
        let own_files = json!({"agents": {"defaults": {"skipBootstrap": false}}});
        let real = ctx.gateway_config(own_files).await?;
        let bench = Bench::with(real, Windlass::start()?, |_| {}).await?;
        bench.wait_up().await?;
        let mut stream = Stream::of(&bench.gateway);
        if supervise {
            // An agent has 30 s for its first word. The first turn after a start alone can take longer (2026.4.15).
            run_turn(&bench, &mut stream, "agent:main:started", "started", TURN).await?;
        }
        let path = bench.real.state_dir().join("windlass.db");
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(path).await?);
        let team = Team::enter(&*store, &bench.real).await?;
        let service = AgentService::start(Arc::clone(&store), &bench.real, supervise).await?;
        Ok(Self {
            bench,
            stream,
            store,
            team,
            service,
        })
    }

    /// Provisions all; fails when one of them fails.
    pub(in super::super) async fn provision(&self, options: RunOptions) -> Result<FleetReport, Failure> {
        self.service.provision(self.team.all(), options).await
    }

    /// The record of an agent that must be there.
    pub(in super::super) async fn record(&self, id: AgentUid) -> Result<Agent, Failure> {
        record(&*self.store, id).await
    }

    /// All records as they are now.
    pub(in super::super) async fn records(&self) -> Result<Vec<Agent>, Failure> {
        let mut records = Vec::new();
        for id in self.team.all() {
            records.push(self.record(id).await?);
        }
        Ok(records)
    }

    /// The answer to a question over the other line, asked again while the gateway is not able to answer: for some seconds
    /// after an agent was deleted 2026.9.6 can't read its sessions, and does not say that this passes.
    pub(in super::super) async fn ask_patiently(&self, method: &'static str, params: Value) -> Result<Value, Failure> {
        let ask = async {
            loop {
                let end = self.bench.gateway.call(method, params.clone()).timeout(ANSWER).await;
                match refusal(&end).map(|refused| &refused.error.code) {
                    Some(ErrorCode::Unavailable) => tokio::time::sleep(LOOK).await,
                    _ => return Ok(end?.decode()?),
                }
            }
        };
        tokio::time::timeout(ANSWER, ask).await?
    }

    /// Ends everything, and proves that no call of the other line is left.
    pub(in super::super) async fn finish(self) -> Result<(), Failure> {
        self.service.finish().await;
        self.store.close().await?;
        self.bench.finish().await
    }
}
