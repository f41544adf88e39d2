//! What the registry is asked.

use std::time::Instant;

use actix::Message;
use windlass_protocol::GatewayId;
use windlass_protocol::connection::CallCounters;

use crate::GatewaySpec;
use crate::line::{LineEnds, ResyncCounters};

/// Why the registry did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// A gateway of that id is there already.
    #[error("a gateway with the id {0} is registered already; update it, or remove it first")]
    AlreadyThere(GatewayId),
    /// No gateway of that id is there.
    #[error("no gateway with the id {0} is registered")]
    NotThere(GatewayId),
    /// The registry panicked over this request. The lines of all gateways go on.
    #[error(
        "a bug in Windlass broke this request off: please report it with the log; look at what is registered, and ask again"
    )]
    Fault,
    /// Windlass was shut down.
    #[error("Windlass was shut down")]
    ShutDown,
}

/// Takes a gateway in and starts its line.
#[derive(Debug)]
pub(crate) struct AddLine {
    pub(crate) spec: Box<GatewaySpec>,
    pub(crate) ends: LineEnds,
}

impl Message for AddLine {
    type Result = Result<(), RegistryError>;
}

/// What may be told to a running line.
#[derive(Debug)]
pub(crate) enum Command {
    ReconnectNow,
    Update(Box<GatewaySpec>),
}

/// Tells a line something.
#[derive(Debug)]
pub(crate) struct Tell {
    pub(crate) id: GatewayId,
    pub(crate) command: Command,
}

impl Message for Tell {
    type Result = Result<(), RegistryError>;
}

/// Counts what a line holds.
#[derive(Debug)]
pub(crate) struct Inspect {
    pub(crate) id: GatewayId,
}

impl Message for Inspect {
    type Result = Result<Inspection, RegistryError>;
}

/// What a line holds and has done, at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// Calls by the way they went, since the line was made.
    pub calls: CallCounters,
    /// Requests that were written and not answered yet.
    pub in_flight: usize,
    /// Calls that were not written yet, or wait to be written again.
    pub waiting: usize,
    /// Event streams that are open.
    pub subscribers: usize,
    /// Event payloads that were looked into to filter them: one look for each event at most, however many subscribers.
    pub parses: u64,
    /// Topics that are kept subscribed.
    pub topics: usize,
    /// How often those were loaded.
    pub resyncs: ResyncCounters,
}

/// Stops a line; answered when it is closed.
#[derive(Debug)]
pub(crate) struct RemoveLine {
    pub(crate) id: GatewayId,
    pub(crate) drain_until: Instant,
}

impl Message for RemoveLine {
    type Result = Result<(), RegistryError>;
}

/// Stops every line and the registry; answered when all are closed.
#[derive(Debug)]
pub(crate) struct StopAll {
    pub(crate) drain_until: Instant,
}

impl Message for StopAll {
    type Result = ();
}
