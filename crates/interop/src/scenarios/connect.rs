//! A line comes up, with and without a device identity, and reports protocol and release of the gateway.

use serde_json::json;
use windlass::{Generation, Windlass};

use super::kit::{ANSWER, Bench, refusal, spec, wait_up};
use crate::scenario::{Ctx, Failure, Outcome, Scenario, USUAL_DEADLINE, check, check_eq};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "connect",
    what: "The line comes up with a device identity and tells protocol and release",
    deadline: USUAL_DEADLINE,
    run: |ctx| Box::pin(run(ctx)),
};

/// The release name that 2026.1.30 and 2026.2.26 report.
const UNBUILT: &str = "dev";

async fn run(ctx: &Ctx) -> Result<Outcome, Failure> {
    let bench = Bench::up(ctx).await?;
    let status = bench.gateway.status().borrow().clone();
    let protocol = status.protocol().unwrap_or_default();
    let version = status.server_version().unwrap_or_default();
    check([3, 4].contains(&protocol), || {
        format!("of 3..4 the gateway chose {protocol}")
    })?;
    check([ctx.release().name(), UNBUILT].contains(&version), || {
        format!("the gateway calls itself {version}")
    })?;
    check_eq("generation of the line", &status.generation, &Generation::new(1))?;
    let agents = bench.ask("agents.list", json!({})).await?;
    check(agents["agents"].is_array(), || format!("agents.list answered {agents}"))?;
    let bare = without_device(&bench.windlass, &bench).await?;
    let notes = vec![format!("protocol {protocol}"), bare.to_owned()];
    bench.finish().await?;
    Ok(Outcome::Passed { notes })
}

/// A line that signs nothing: which releases give it its scopes is their affair, but it comes up.
async fn without_device(windlass: &Windlass, bench: &Bench) -> Result<&'static str, Failure> {
    let mut spec = spec(&bench.real, "bare")?;
    spec.device = None;
    let gateway = windlass.add(spec).await?;
    wait_up(&gateway).await?;
    let end = gateway.call("agents.list", json!({})).timeout(ANSWER).await;
    let missing = refusal(&end).and_then(|rejected| rejected.error.missing_scope());
    match (&end, missing) {
        (Ok(_), _) => Ok("without a device the scopes are kept"),
        (Err(_), Some("operator.read")) => Ok("without a device all scopes are taken away"),
        (Err(other), _) => Err(Failure::from_error(other)),
    }
}
