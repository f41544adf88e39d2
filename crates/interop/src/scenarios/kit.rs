//! Shared code of the scenarios of the product: a real gateway with a line to it, and ways to wait.
//!
//! Every wait here has a deadline and ends with the event it waits for. Expectations depend on the
//! hello-ok of the gateway, as the decisions of the product do.

mod events;
mod fleet;
mod measure;
mod patch;
mod requests;
mod roster;
mod service;
mod talk;
mod tap;
mod team;
mod texts;
mod tokens;
mod turn;
mod wake;

use std::{sync::Arc, time::Duration};

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use windlass::{
    CallError, DeviceIdentity, Endpoint, Gateway, GatewayId, GatewaySpec, LineStatus, Rejected, Secret, Windlass,
    protocol::{ErrorClass, HelloOk},
};

pub(super) use self::{
    events::{Item, Stream},
    fleet::Fleet,
    measure::Restart,
    patch::{Patched, patch_config},
    requests::Requests,
    roster::Roster,
    service::{AgentService, all_done},
    talk::{Told, answered, end_of, said_in, say, slow_answer},
    tap::{Verdict, Way, tapped},
    team::{Team, has_files, offers, record},
    texts::{Workspace, write},
    tokens::SharedTokens,
    turn::{run_turn, turn_of},
    wake::{answers_of, reference, references},
};
use crate::{
    process::RealGateway,
    scenario::{Ctx, Failure, check},
};

/// For a line to come up. A gateway that starts again needs up to 30 s (2026.2.26), three times
/// that on a busy machine.
pub(super) const UP: Duration = Duration::from_secs(120);
/// For an answer of a gateway that is up; the first answers come while it still loads its plugins. Before its first turn
/// 2026.4.15 on a busy machine answered nothing for 150 s.
pub(super) const ANSWER: Duration = Duration::from_secs(180);
/// For a whole turn: the first one after a start takes 25 s on 2026.4.15. On a machine that is busy with other builds that
/// release did not answer anything for 150 s of it.
pub(super) const TURN: Duration = Duration::from_secs(300);
/// For calls under way when Windlass is shut down at a scenario's end.
const DRAIN: Duration = Duration::from_secs(2);
/// How often something is looked at that cannot be waited for.
pub(super) const LOOK: Duration = Duration::from_millis(20);

/// The seed of the device that the scenarios' lines sign as.
pub(super) const SEED: [u8; 32] = [41; 32];

/// A real gateway, Windlass, and the line between them.
pub(super) struct Bench {
    pub(super) windlass: Windlass,
    pub(super) gateway: Gateway,
    pub(super) real: RealGateway,
}

impl Bench {
    /// A line that is up to a fresh gateway.
    pub(super) async fn up(ctx: &Ctx) -> Result<Self, Failure> {
        let bench = Self::with(ctx.gateway().await?, Windlass::start()?, |_| {}).await?;
        bench.wait_up().await?;
        Ok(bench)
    }

    /// A line to `real`, reached as [`spec`] says and `change` alters; it may not be up yet.
    pub(super) async fn with(
        real: RealGateway,
        windlass: Windlass,
        change: impl FnOnce(&mut GatewaySpec),
    ) -> Result<Self, Failure> {
        let mut spec = spec(&real, "line")?;
        change(&mut spec);
        let gateway = windlass.add(spec).await?;
        Ok(Self {
            windlass,
            gateway,
            real,
        })
    }

    pub(super) async fn wait_up(&self) -> Result<LineStatus, Failure> {
        wait_up(&self.gateway).await
    }

    /// Waits until the gateway is done with starting: 2026.4.15 and 2026.5.12 take connections some
    /// seconds before, and refuse histories until then.
    pub(super) async fn started(&self) -> Result<(), Failure> {
        let params = json!({"sessionKey": "agent:main:started", "limit": 1});
        let look = async {
            loop {
                // On a busy machine 2026.4.15 leaves it unanswered for half a minute before it can refuse it.
                let end = self.gateway.call("chat.history", params.clone()).timeout(UP).await;
                match refusal(&end).map(|rejected| rejected.error.class()) {
                    Some(ErrorClass::Transient) => tokio::time::sleep(LOOK).await,
                    _ => return Ok(end.map(drop)?),
                }
            }
        };
        tokio::time::timeout(UP, look).await?
    }

    /// The gateway's hello-ok.
    pub(super) fn hello(&self) -> Result<Arc<HelloOk>, Failure> {
        let hello = self.gateway.status().borrow().hello.clone();
        hello.ok_or_else(|| Failure::new("the line never was up"))
    }

    /// The answer to a call, as JSON.
    pub(super) async fn ask(&self, method: &'static str, params: Value) -> Result<Value, Failure> {
        ask(&self.gateway, method, params).await
    }

    /// Ends everything, and proves that no call is left.
    pub(super) async fn finish(mut self) -> Result<(), Failure> {
        let left = self.gateway.inspect().await?;
        check((left.in_flight, left.waiting) == (0, 0), || {
            format!("calls are left: {} in flight, {} waiting", left.in_flight, left.waiting)
        })?;
        self.windlass.shutdown(DRAIN).await;
        Ok(self.real.stop().await?)
    }
}

/// How the scenarios' lines reach `real`: with its token and a device.
pub(super) fn spec(real: &RealGateway, id: &str) -> Result<GatewaySpec, Failure> {
    let mut spec = GatewaySpec::new(GatewayId::new(id)?, Endpoint::parse(real.url())?);
    spec.token = Some(Secret::new(real.token().expose_secret()));
    spec.device = Some(Arc::new(DeviceIdentity::from_seed(SEED)));
    Ok(spec)
}

/// Waits until the line is up.
pub(super) async fn wait_up(gateway: &Gateway) -> Result<LineStatus, Failure> {
    wait_status(gateway, "the line", UP, LineStatus::is_up).await
}

/// Waits for a status of the line; `what` names it in the failure.
pub(super) async fn wait_status(
    gateway: &Gateway,
    what: &str,
    within: Duration,
    fits: impl FnMut(&LineStatus) -> bool,
) -> Result<LineStatus, Failure> {
    let mut status = gateway.status();
    let found = tokio::time::timeout(within, status.wait_for(fits)).await;
    if let Ok(Ok(found)) = found {
        return Ok(found.clone());
    }
    let last = gateway.status().borrow().clone();
    let within = within.as_secs();
    Err(Failure::new(format!(
        "{what} did not come within {within} s: {}",
        tell(&last)
    )))
}

/// Watches a line that is up from now on; gives the reason of its end, in the words of its status.
///
/// The next attempt follows within 100 ms, and its failure takes the reason's place: hence a task.
pub(super) fn reason_of_end(gateway: &Gateway) -> JoinHandle<String> {
    let mut status = gateway.status();
    tokio::spawn(async move {
        let ended = status.wait_for(|status| !status.is_up()).await;
        let error = ended.ok().and_then(|status| status.last_error.clone());
        error.map_or(String::new(), |error| error.advice.summary.into_owned())
    })
}

/// A status in one line, for failures.
pub(super) fn tell(status: &LineStatus) -> String {
    let error = status.last_error.as_ref();
    let error = error.map_or("no error", |error| &*error.advice.summary);
    format!(
        "the line is {} (generation {}), {error}",
        status.state, status.generation
    )
}

/// The answer to a call, as JSON.
pub(super) async fn ask(gateway: &Gateway, method: &'static str, params: Value) -> Result<Value, Failure> {
    let call = gateway.call(method, params).timeout(ANSWER);
    call.reply().await.map_err(|error| {
        let why = Failure::from_error(&error);
        Failure::new(format!("{method}: {why}"))
    })
}

/// The gateway's refusal, if that is how the call ended.
pub(super) fn refusal<T>(end: &Result<T, CallError>) -> Option<&Rejected> {
    match end {
        Err(CallError::Rejected(rejected)) => Some(rejected),
        _ => None,
    }
}
