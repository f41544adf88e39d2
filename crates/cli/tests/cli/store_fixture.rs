//! Records of gateways, boards and agents, made with the program itself.

use windlass_testkit::{SideEffect, SimGateway};

use crate::harness::{Finished, Harness, TOKEN};

/// A home with a store in its usual place, and the record of one gateway: `lab`.
pub(crate) struct StoreFixture {
    pub(crate) harness: Harness,
}

/// What was done on a gateway, without what a gateway does by itself.
pub(crate) fn writes(sim: &SimGateway) -> Vec<SideEffect> {
    let mut effects = sim.journal().effects();
    effects.retain(|effect| !matches!(effect, SideEffect::RunEnded { .. } | SideEffect::Restarted));
    effects
}

impl StoreFixture {
    /// With the record of this gateway.
    pub(crate) async fn of(sim: &SimGateway) -> Self {
        let fixture = Self {
            harness: Harness::new().with("T", TOKEN),
        };
        fixture.gateway("lab", sim).await;
        fixture
    }

    /// With a board, its lead and a worker: `Docs`, `Lead Agent`, `Scribe`.
    pub(crate) async fn with_agents(sim: &SimGateway) -> Self {
        let fixture = Self::of(sim).await;
        fixture.board("Docs", "lab").await;
        fixture.run(&["agents", "add", "--board", "Docs", "--lead"]).await;
        fixture.worker("Scribe", "Docs").await;
        fixture
    }

    pub(crate) async fn gateway(&self, name: &str, sim: &SimGateway) {
        let args = ["--token-env", "T", "--workspace-root", "/srv/agents"];
        let add = ["gateways", "add", name, "--url", &sim.url()];
        self.run(&[&add[..], &args].concat()).await;
    }

    pub(crate) async fn board(&self, name: &str, gateway: &str) {
        self.run(&["boards", "add", name, "--on", gateway]).await;
    }

    pub(crate) async fn worker(&self, name: &str, board: &str) {
        self.run(&["agents", "add", name, "--board", board]).await;
    }

    /// Runs the program; it must end well.
    pub(crate) async fn run(&self, args: &[&str]) -> Finished {
        self.harness.run(args).await.ends_with(0)
    }
}
