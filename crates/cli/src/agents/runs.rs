//! `windlass agents runs`: the provisioning runs of an agent.

use clap::Args;
use serde_json::{Value, json};
use windlass::store::{Run, RunState, Runs as _, Step, StepState};

use crate::exit::{ExitCode, Failure};
use crate::global::Global;
use crate::output::{BAD, DIM, GOOD, Output, WARN};
use crate::store::{Missing, Records, shown};
use crate::text::{escaped, span};

/// Longest error that is shown, in characters; `--json` shows all of it.
const ERROR_LIMIT: usize = 500;

/// Show the latest runs of an agent with their steps, newest first
#[derive(Debug, Args)]
pub(crate) struct RunsArgs {
    /// The agent, by name, id or a unique beginning of the id
    agent: String,
    /// The number of runs
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    limit: u16,
}

pub(crate) async fn runs(global: &Global, args: &RunsArgs, output: &Output) -> Result<ExitCode, Failure> {
    let records = Records::open(global, Missing::Refuse).await?;
    let agent = records.agent(&args.agent)?;
    let mut all = Vec::new();
    for run in records.store.runs(agent.id, usize::from(args.limit)).await? {
        let steps = records.store.steps(run.id).await?;
        all.push((run, steps));
    }
    if output.json() {
        let rows: Vec<Value> = all.iter().map(|(run, steps)| as_json(run, steps)).collect();
        output.value(&json!({"agent": agent.id, "runs": rows}))?;
        return Ok(ExitCode::Ok);
    }
    if all.is_empty() {
        output.line(&format!("{} has no runs yet", shown(&agent.name)))?;
    }
    for (run, steps) in &all {
        for line in lines(run, steps) {
            output.line(&line)?;
        }
    }
    Ok(ExitCode::Ok)
}

fn lines(run: &Run, steps: &[Step]) -> Vec<String> {
    let style = match run.state {
        RunState::Done => GOOD,
        RunState::Failed => BAD,
        RunState::Active => WARN,
    };
    let took = run.ended_at.map(|end| {
        let took = span(end.saturating_duration_since(run.started_at));
        format!(" {DIM}in {took}{DIM:#}")
    });
    let mut lines = vec![format!(
        "{DIM}{}{DIM:#} {} {style}{}{style:#}{}",
        run.started_at,
        run.kind,
        run.state,
        took.unwrap_or_default()
    )];
    let step = |step: &Step| match (step.state, step.attempts) {
        (StepState::Done, 0 | 1) => step.name.to_string(),
        (state, 0 | 1) => format!("{} ({state})", step.name),
        (state, attempts) => format!("{} ({state}, {attempts} attempts)", step.name),
    };
    if !steps.is_empty() {
        lines.push(format!("  {}", steps.iter().map(step).collect::<Vec<_>>().join(", ")));
    }
    if let Some(error) = &run.error {
        lines.push(format!("  {BAD}why:{BAD:#} {}", escaped(error, ERROR_LIMIT)));
    }
    lines
}

fn as_json(run: &Run, steps: &[Step]) -> Value {
    let step = |step: &Step| {
        json!({
            "name": step.name,
            "state": step.state,
            "attempts": step.attempts,
            "at": step.at,
        })
    };
    json!({
        "id": run.id,
        "kind": run.kind,
        "state": run.state,
        "generation": run.generation,
        "error": run.error,
        "startedAt": run.started_at,
        "endedAt": run.ended_at,
        "steps": steps.iter().map(step).collect::<Vec<_>>(),
    })
}
