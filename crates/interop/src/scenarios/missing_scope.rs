//! A call that the line's scopes do not allow is refused, and the refusal names the scope.

use serde_json::json;
use windlass::{
    Windlass,
    protocol::{ErrorClass, Scope},
};

use super::kit::{ANSWER, Bench, refusal};
use crate::scenario::{Ctx, Failure, Outcome, Scenario, USUAL_DEADLINE, check_eq};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "missing-scope",
    what: "A line with fewer scopes is refused by name of the scope it lacks, and stays up",
    deadline: USUAL_DEADLINE,
    run: |ctx| Box::pin(run(ctx)),
};

async fn run(ctx: &Ctx) -> Result<Outcome, Failure> {
    let bench = Bench::with(ctx.gateway().await?, Windlass::start()?, |spec| {
        spec.scopes = vec![Scope::Read];
    })
    .await?;
    let before = bench.wait_up().await?.generation;
    bench.ask("agents.list", json!({})).await?;
    let params = json!({"raw": "{}", "baseHash": "none"});
    let end = bench.gateway.call("config.patch", params).timeout(ANSWER).await;
    let Some(rejected) = refusal(&end) else {
        return Err(Failure::new(format!("config.patch ended as {end:?}")));
    };
    let error = &rejected.error;
    check_eq("the missing scope", &error.missing_scope(), &Some("operator.admin"))?;
    check_eq("what can be done about it", &error.class(), &ErrorClass::NeedsPerson)?;
    let after = bench.gateway.status().borrow().generation;
    check_eq("generation of the line", &after, &before)?;
    bench.finish().await?;
    Ok(Outcome::passed())
}
