//! A machine with a simulated gateway, and a session manager beside it.

use std::ops::Deref;
use std::sync::Arc;

use tokio::task::{JoinHandle, spawn_local};
use windlass_line::Line;
use windlass_line::testing::{Harness, wait_up};
use windlass_testkit::SimGatewayBuilder;

use crate::{Outbox, SessionManager, SessionManagerHandle, SessionManagerParts};

pub(super) struct Bench {
    harness: Harness,
    pub(super) sessions: SessionManagerHandle,
    running: JoinHandle<()>,
}

impl Deref for Bench {
    type Target = Harness;

    fn deref(&self) -> &Harness {
        &self.harness
    }
}

impl Bench {
    pub(super) fn with(sim: SimGatewayBuilder, outbox: Option<Outbox>) -> Self {
        let harness = Harness::with(sim);
        let (manager, sessions) = SessionManager::prepare(SessionManagerParts {
            seed: [1; 32],
            clock: Arc::clone(&harness.clock),
            outbox,
        });
        let running = spawn_local(manager.run());
        Self {
            harness,
            sessions,
            running,
        }
    }

    /// A line that is not up yet.
    pub(super) async fn add(&self, name: &str) -> Arc<Line> {
        let line = self.harness.add(name).await;
        self.sessions.take_up(Arc::clone(&line)).await;
        line
    }

    /// A line that is up.
    pub(super) async fn up(&self, name: &str) -> Arc<Line> {
        let line = self.add(name).await;
        wait_up(&line).await;
        line
    }

    /// Stops all, and proves that nothing is left.
    pub(super) async fn finish(self) {
        drop(self.sessions);
        self.running.await.unwrap();
        self.harness.finish().await;
    }
}
