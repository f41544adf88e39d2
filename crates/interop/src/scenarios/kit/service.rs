//! The side that provisions: a Windlass of its own, with every frame counted.

use std::{sync::Arc, time::Duration};

use secrecy::ExposeSecret as _;
use windlass::{
    DeviceIdentity, Secret, Windlass,
    agents::{Agents, AgentsError, FleetReport, Job, RunOptions},
    store::{AgentUid, OwnError, Store},
};

use super::{DRAIN, LOOK, Requests, SEED, tapped, team::SECRET};
use crate::{
    process::RealGateway,
    scenario::{Failure, check},
};

/// For an operation on four agents: a first start's first turn, and twice the restarts of a gateway that is busy.
const OPERATION: Duration = Duration::from_secs(240);
/// For the one that ran the agents before to let go of the store.
const OWN: Duration = Duration::from_secs(10);

/// Windlass with a provisioner, as a service has it.
pub(in super::super) struct AgentService {
    pub(in super::super) windlass: Windlass,
    pub(in super::super) agents: Agents,
    pub(in super::super) requests: Requests,
}

impl AgentService {
    /// Starts both. `supervise` as for [`windlass::agents::AgentsBuilder::supervise`].
    pub(in super::super) async fn start(
        store: Arc<dyn Store>,
        real: &RealGateway,
        supervise: bool,
    ) -> Result<Self, Failure> {
        let requests = Requests::new();
        let windlass = Windlass::builder().connector(tapped(requests.watch())).start()?;
        let agents = take_over(&windlass, &store, real, supervise).await?;
        Ok(Self {
            windlass,
            agents,
            requests,
        })
    }

    /// Provisions agents; fails when one of them fails.
    pub(in super::super) async fn provision(
        &self,
        agents: Vec<AgentUid>,
        options: RunOptions,
    ) -> Result<FleetReport, Failure> {
        let report = self.work(Job::Provision { agents, options }).await?;
        all_done(&report)?;
        Ok(report)
    }

    /// Does a job.
    pub(in super::super) async fn work(&self, job: Job) -> Result<FleetReport, Failure> {
        let operation = self.agents.work(job).await?;
        Ok(tokio::time::timeout(OPERATION, operation.report()).await??)
    }

    /// Ends both in order.
    pub(in super::super) async fn finish(self) {
        drop(self.agents);
        self.windlass.shutdown(DRAIN).await;
    }

    /// Ends both in the middle of their work.
    pub(in super::super) async fn drop_all(self) {
        drop(self.agents);
        self.windlass.shutdown(Duration::ZERO).await;
    }
}

/// Starts the provisioner as soon as no other process has the store.
async fn take_over(
    windlass: &Windlass,
    store: &Arc<dyn Store>,
    real: &RealGateway,
    supervise: bool,
) -> Result<Agents, Failure> {
    let start = async {
        loop {
            let token = Secret::new(real.token().expose_secret());
            let builder = windlass.agents(Arc::clone(store));
            let started = builder
                .base_url("https://board.example/api")
                .secrets(move |name| (name == SECRET).then(|| token.clone()))
                .device(Arc::new(DeviceIdentity::from_seed(SEED)))
                .supervise(supervise)
                .start()
                .await;
            match started {
                Err(AgentsError::Own(OwnError::Owned { .. })) => tokio::time::sleep(LOOK).await,
                other => return Ok(other?),
            }
        }
    };
    tokio::time::timeout(OWN, start).await?
}

/// Fails when an agent of the report failed or was left out.
pub(in super::super) fn all_done(report: &FleetReport) -> Result<(), Failure> {
    check(report.all_done(), || {
        let told = report.agents.iter().filter_map(|agent| {
            let failure = agent.failure.as_ref().map(ToString::to_string);
            Some(format!(
                "{}: {}",
                agent.name,
                failure.or_else(|| agent.skipped.clone())?
            ))
        });
        let gateways = report.gateways.iter().map(|gateway| gateway.summary.clone());
        let told: Vec<_> = told.chain(gateways).collect();
        format!("not all is done: {}", told.join("; "))
    })
}
