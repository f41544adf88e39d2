//! What the provisioner's actor is told.

use actix::Message;
use tokio::sync::oneshot;
use windlass_store::AgentUid;

use super::ensure::{Ensure, EnsureError, Ensured};
use super::preview::AgentPlan;
use super::progress::Teller;
use super::report::{Failure, FleetReport};
use super::request::{Job, RunOptions};

/// Anything that the actor does in the background, with the place for its end.
pub(crate) enum Order {
    /// Do a job.
    Work(Job, Teller, oneshot::Sender<FleetReport>),
    /// See to it that an agent is there.
    Ensure(
        Ensure,
        RunOptions,
        Teller,
        oneshot::Sender<Result<Ensured, EnsureError>>,
    ),
    /// Say what would be done.
    Plan(AgentUid, RunOptions, oneshot::Sender<Result<AgentPlan, Failure>>),
    /// A deadline may have come nearer: a record was changed by somebody else.
    DeadlineMoved,
}

impl Message for Order {
    type Result = ();
}
