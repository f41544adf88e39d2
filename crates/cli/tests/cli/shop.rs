//! Records of gateways, boards and agents, made with the program itself.

use windlass_testkit::{SideEffect, SimGateway};

use crate::bench::{Bench, Ran, TOKEN};

/// A home with a store in its usual place, and the record of one gateway: `lab`.
pub(crate) struct Shop {
    pub(crate) bench: Bench,
}

/// What was done on a gateway, without what a gateway does by itself.
pub(crate) fn writes(sim: &SimGateway) -> Vec<SideEffect> {
    let mut effects = sim.journal().effects();
    effects.retain(|effect| !matches!(effect, SideEffect::RunEnded { .. } | SideEffect::Restarted));
    effects
}

impl Shop {
    /// With the record of this gateway.
    pub(crate) async fn of(sim: &SimGateway) -> Self {
        let shop = Self {
            bench: Bench::new().with("T", TOKEN),
        };
        shop.gateway("lab", sim).await;
        shop
    }

    /// With a board, its lead and a worker: `Docs`, `Lead Agent`, `Scribe`.
    pub(crate) async fn with_agents(sim: &SimGateway) -> Self {
        let shop = Self::of(sim).await;
        shop.board("Docs", "lab").await;
        shop.run(&["agents", "add", "--board", "Docs", "--lead"]).await;
        shop.worker("Scribe", "Docs").await;
        shop
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
    pub(crate) async fn run(&self, args: &[&str]) -> Ran {
        self.bench.run(args).await.ends_with(0)
    }
}
