//! `windlass agents drift`.

use clap::Args;
use serde_json::{Value, json};
use windlass::agents::{AgentPlan, RunOptions};

use crate::agents::plan::{self, Looked};
use crate::agents::which::Which;
use crate::agents::workshop::FileArgs;
use crate::exit::{Exit, Failure};
use crate::global::Global;
use crate::output::Output;
use crate::store::{Missing, Records};
use crate::text::counted;

/// Compare what gateways have with what they should have
///
/// Ends with 0 when all is as it should be, with 7 when something is not. What agents have made their own (USER.md, MEMORY.md) is no
/// drift. Give the same --base-url and --templates as at provisioning.
#[derive(Debug, Args)]
pub(crate) struct DriftArgs {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    files: FileArgs,
}

pub(crate) async fn run(global: &Global, args: &DriftArgs, output: &Output) -> Result<Exit, Failure> {
    let records = Records::open(global, Missing::Refuse).await?;
    let agents = args.which.of(&records)?;
    let looked = plan::look(&records, &agents, RunOptions::quiet(), &args.files, output).await?;
    let drifted = looked.iter().filter(|looked| is_drifted(looked)).count();
    if output.json() {
        let rows: Vec<Value> = looked.iter().map(plan::as_json).collect();
        output.value(&json!({"drifted": drifted, "agents": rows}))?;
    } else {
        let mut lines = plan::lines(&looked, plan::differences, output.width());
        lines.push(format!("{}: {drifted} drifted", counted(looked.len(), "agent")));
        output.line(&lines.join("\n"))?;
    }
    Ok(match plan::exit_of(&looked) {
        Exit::Ok if drifted > 0 => Exit::Drift,
        other => other,
    })
}

fn is_drifted(looked: &Looked<'_>) -> bool {
    looked.end.as_ref().is_ok_and(AgentPlan::drifted)
}
