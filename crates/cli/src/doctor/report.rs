//! The findings on the screen.

use serde_json::{Value, json};

use super::steps::{Finding, Findings};
use crate::output::{BAD, DIM, GOOD, HEAD};
use crate::session::Target;

pub(super) fn lines(target: &Target, findings: &Findings) -> Vec<String> {
    let mut lines = vec![format!("{HEAD}{}{HEAD:#} at {}", target.name, target.endpoint)];
    for (step, finding) in findings.iter() {
        let title = step.title();
        match finding {
            Finding::Ok(detail) => lines.push(format!("  {GOOD}ok         {GOOD:#} {title}: {detail}")),
            Finding::Failed { advice, .. } => {
                lines.push(format!("  {BAD}FAILED     {BAD:#} {title}: {}", advice.summary));
                lines.push(format!("              {HEAD}next:{HEAD:#} {}", advice.next_step));
            }
            Finding::NotReached => lines.push(format!("  {DIM}not reached {title}{DIM:#}")),
        }
    }
    lines
}

pub(super) fn as_json(target: &Target, findings: &Findings) -> Value {
    let steps: Vec<Value> = findings
        .iter()
        .map(|(step, finding)| {
            let mut row = json!({"step": step.name(), "result": finding.name()});
            match finding {
                Finding::Ok(detail) => row["detail"] = json!(detail),
                Finding::Failed { advice, .. } => {
                    row["summary"] = json!(advice.summary);
                    row["nextStep"] = json!(advice.next_step);
                }
                Finding::NotReached => {}
            }
            row
        })
        .collect();
    json!({
        "gateway": target.name,
        "url": target.endpoint.to_string(),
        "exitCode": findings.exit() as u8,
        "steps": steps,
    })
}
