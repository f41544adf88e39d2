//! The registry: every gateway's line, started, changed and stopped on request.
//!
//! What it supervises stands in a [`Roster`] outside the actor, so that a registry that panicked is replaced by one that
//! finds its lines as they were; the lines themselves don't notice.

mod directory;
mod messages;
mod roster;

use std::rc::Rc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt as _, Context, Handler, ResponseActFuture, WrapFuture as _};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

pub(crate) use directory::Registration;
pub use directory::{Directory, OnceAdded};
pub(crate) use messages::{AddLine, Command, Inspect, RemoveLine, StopAll, Tell};
pub use messages::{Inspection, RegistryError};
pub(crate) use roster::Roster;

use crate::failpoint;
use crate::supervision::{LineCommand, LineContext, MachineContext};
use crate::turns::handling;

/// The actor.
pub(crate) struct GatewayRegistry {
    machine: Rc<MachineContext>,
    roster: Roster,
    rng: StdRng,
}

impl GatewayRegistry {
    /// A fleet is started over this long for each of its gateways, so that it does not strike in step; 10,000 gateways
    /// reach the bound below, a handful start at once.
    const START_SPREAD: Duration = Duration::from_micros(100);
    /// Longest delay of a first attempt. How many attempts are under way at a time has a bound of its own.
    const MAX_START_SPREAD: Duration = Duration::from_secs(1);

    pub(crate) fn new(machine: Rc<MachineContext>, roster: Roster, seed: u64) -> Self {
        Self {
            machine,
            roster,
            rng: StdRng::seed_from_u64(seed),
        }
    }

    fn first_delay(&mut self) -> Duration {
        let fleet = u32::try_from(self.roster.len()).unwrap_or(u32::MAX);
        let spread = Self::START_SPREAD.saturating_mul(fleet).min(Self::MAX_START_SPREAD);
        spread.mul_f64(self.rng.random_range(0.0..=1.0))
    }
}

impl Actor for GatewayRegistry {
    type Context = Context<Self>;
}

impl Handler<AddLine> for GatewayRegistry {
    type Result = Result<(), RegistryError>;

    fn handle(&mut self, AddLine { spec, mut ends }: AddLine, _: &mut Self::Context) -> Self::Result {
        let _handling = handling("registry::AddLine");
        failpoint::reach("registry.add");
        if self.roster.contains(&spec.id) {
            return Err(RegistryError::AlreadyThere(spec.id.clone()));
        }
        let first = self.first_delay();
        let registration = ends.registration.take();
        let line = Rc::new(LineContext::new(
            *spec,
            ends,
            Rc::clone(&self.machine),
            self.rng.random(),
        ));
        self.roster.start(line, first, registration);
        Ok(())
    }
}

impl Handler<Tell> for GatewayRegistry {
    type Result = Result<(), RegistryError>;

    fn handle(&mut self, Tell { id, command }: Tell, _: &mut Self::Context) -> Self::Result {
        let _handling = handling("registry::Tell");
        failpoint::reach("registry.tell");
        let told = self.roster.tell(&id, command);
        told.map_err(|()| RegistryError::NotThere(id))
    }
}

impl Handler<Inspect> for GatewayRegistry {
    type Result = Result<Inspection, RegistryError>;

    fn handle(&mut self, Inspect { id }: Inspect, _: &mut Self::Context) -> Self::Result {
        let _handling = handling("registry::Inspect");
        self.roster.inspect(&id).ok_or(RegistryError::NotThere(id))
    }
}

impl Handler<RemoveLine> for GatewayRegistry {
    type Result = ResponseActFuture<Self, Result<(), RegistryError>>;

    fn handle(&mut self, RemoveLine { id, drain_until }: RemoveLine, _: &mut Self::Context) -> Self::Result {
        let _handling = handling("registry::RemoveLine");
        let ended = self.roster.stop(&id, drain_until);
        let ended = async move {
            let ended = ended.await;
            failpoint::reach("registry.removed");
            ended.map_err(|()| RegistryError::NotThere(id))
        };
        Box::pin(ended.into_actor(self))
    }
}

impl Handler<StopAll> for GatewayRegistry {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, StopAll { drain_until }: StopAll, _: &mut Self::Context) -> Self::Result {
        let _handling = handling("registry::StopAll");
        failpoint::reach("registry.stop");
        let ended = self.roster.stop_all(drain_until);
        Box::pin(ended.into_actor(self).map(|(), _, ctx| actix::ActorContext::stop(ctx)))
    }
}

impl From<Command> for LineCommand {
    fn from(command: Command) -> Self {
        match command {
            Command::ReconnectNow => Self::ReconnectNow,
            Command::Update(spec) => Self::Update(spec),
        }
    }
}
