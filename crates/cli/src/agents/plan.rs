//! `windlass agents plan` and `drift`, and every `--dry-run`.

use clap::Args;
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use windlass::agents::{AgentPlan, FileAction, PlanError, RunOptions, TokenRule, Wake};
use windlass::store::Agent;

use crate::agents::context::{FileArgs, ReadOnlyAgentsContext, Which};
use crate::columns::{Cell, TextTable};
use crate::exit::{ExitCode, Failure};
use crate::global::Global;
use crate::output::{BAD, DIM, Output, WARN};
use crate::store::{Missing, Records, short, shown};
use crate::text::{counted, escaped};

/// Agents that are looked at side by side: as many as a gateway is asked about at a time.
const AT_A_TIME: usize = 16;

/// Longest reason shown, in characters.
const REASON_LIMIT: usize = 2_000;

/// How agents are brought up to date.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "independent flags")]
pub(crate) struct RunArgs {
    /// Do not wake agents
    #[arg(long, conflicts_with = "wake")]
    no_wake: bool,
    /// Wake all agents, even if nothing was written
    #[arg(long)]
    wake: bool,
    /// Reset the session before the wake-up
    #[arg(long)]
    reset_session: bool,
    /// Overwrite USER.md and MEMORY.md even if the agent has changed them
    #[arg(long)]
    overwrite: bool,
    /// Write BOOTSTRAP.md again
    #[arg(long)]
    force_bootstrap: bool,
    /// Create new tokens
    #[arg(long)]
    rotate_token: bool,
}

impl RunArgs {
    pub(crate) fn options(&self) -> RunOptions {
        RunOptions {
            wake: if self.no_wake {
                Wake::Never
            } else if self.wake {
                Wake::Always
            } else {
                Wake::IfChanged
            },
            reset_session: self.reset_session,
            overwrite: self.overwrite,
            force_bootstrap: self.force_bootstrap,
            token: if self.rotate_token {
                TokenRule::Rotate
            } else {
                TokenRule::Keep
            },
            ..RunOptions::default()
        }
    }
}

/// Show the changes that windlass agents provision would make
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    files: FileArgs,
}

/// An agent that was looked at.
pub(crate) struct Looked<'a> {
    pub(crate) agent: &'a Agent,
    pub(crate) end: Result<AgentPlan, Unseen>,
}

/// Why an agent could not be looked at.
pub(crate) struct Unseen {
    /// The exit code that its gateway stands for, if it is the gateway.
    pub(crate) exit: Option<ExitCode>,
    pub(crate) summary: String,
    pub(crate) next_step: String,
}

pub(crate) async fn plan(global: &Global, args: &PlanArgs, output: &Output) -> Result<ExitCode, Failure> {
    let records = Records::open(global, Missing::Refuse).await?;
    let agents = args.which.of(&records)?;
    show(&records, &agents, args.run.options(), &args.files, output).await
}

/// Shows the changes that a run with these options would make.
pub(crate) async fn show(
    records: &Records,
    agents: &[&Agent],
    options: RunOptions,
    files: &FileArgs,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let looked = look(records, agents, options, files, output).await?;
    if output.json() {
        let plans: Vec<Value> = looked.iter().map(as_json).collect();
        output.value(&json!({"plan": plans}))?;
    } else {
        let mut lines = lines(&looked, what, output.width());
        let any = looked
            .iter()
            .filter(|looked| looked.end.as_ref().is_ok_and(AgentPlan::any))
            .count();
        lines.push(format!(
            "{}: {any} would change; nothing was done",
            counted(looked.len(), "agent")
        ));
        output.line(&lines.join("\n"))?;
    }
    Ok(exit_of(&looked))
}

/// Looks at all of them.
pub(crate) async fn look<'a>(
    records: &Records,
    agents: &[&'a Agent],
    options: RunOptions,
    files: &FileArgs,
    output: &Output,
) -> Result<Vec<Looked<'a>>, Failure> {
    let gateways = records.gateways_of(agents);
    let context = ReadOnlyAgentsContext::open(records, &gateways, files, output).await?;
    let looks = agents.iter().map(|agent| async {
        let end = match context.down.get(&agent.gateway_id) {
            Some(down) => Err(Unseen {
                exit: Some(down.exit),
                summary: down.advice.summary.to_string(),
                next_step: down.advice.next_step.to_string(),
            }),
            None => context.agents.plan(agent.id, options).await.map_err(Unseen::from),
        };
        Looked { agent, end }
    });
    let looked: Vec<Looked<'a>> = stream::iter(looks).buffered(AT_A_TIME).collect().await;
    context.close().await;
    Ok(looked)
}

impl From<PlanError> for Unseen {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Failed(failure) => Self {
                exit: None,
                summary: format!("{}: {}", failure.step, failure.summary),
                next_step: failure.next_step,
            },
            PlanError::Interrupted(interrupted) => Self {
                exit: None,
                summary: interrupted.to_string(),
                next_step: String::new(),
            },
        }
    }
}

/// 0 when all could be looked at; the gateways' code where only gateways were in the way.
pub(crate) fn exit_of(looked: &[Looked<'_>]) -> ExitCode {
    let unseen: Vec<Option<ExitCode>> = looked
        .iter()
        .filter_map(|looked| looked.end.as_ref().err().map(|unseen| unseen.exit))
        .collect();
    if unseen.is_empty() {
        return ExitCode::Ok;
    }
    let by_gateways: Option<Vec<ExitCode>> = unseen.iter().copied().collect();
    match by_gateways.and_then(|exits| exits.into_iter().max()) {
        Some(exit) if unseen.len() == looked.len() => exit,
        _ => ExitCode::Agents,
    }
}

/// The table, with the reasons of agents that could not be examined.
pub(crate) fn lines(looked: &[Looked<'_>], what: fn(&AgentPlan) -> Vec<String>, width: usize) -> Vec<String> {
    let rows: Vec<Vec<Cell>> = looked
        .iter()
        .map(|looked| {
            let (result, text) = match &looked.end {
                Err(_) => (Cell::styled("unknown", BAD), "-".to_owned()),
                Ok(plan) => match what(plan) {
                    words if words.is_empty() => (Cell::styled("nothing", DIM), "-".to_owned()),
                    words => (Cell::styled("changes", WARN), words.join(", ")),
                },
            };
            let id = Cell::plain(short(looked.agent.id));
            vec![Cell::plain(shown(&looked.agent.name)), id, result, Cell::plain(text)]
        })
        .collect();
    let table = TextTable::new(&["AGENT", "ID", "PLAN", "WHAT"], &rows).spare(&["ID"]);
    table.lines_with(width, |index| match &looked[index].end {
        Ok(_) => Vec::new(),
        Err(unseen) => {
            let mut why = vec![format!(
                "  {BAD}why:{BAD:#}  {}",
                escaped(&unseen.summary, REASON_LIMIT)
            )];
            if !unseen.next_step.is_empty() {
                why.push(format!(
                    "  {DIM}next:{DIM:#} {}",
                    escaped(&unseen.next_step, REASON_LIMIT)
                ));
            }
            why
        }
    })
}

/// The planned changes, in words.
fn what(plan: &AgentPlan) -> Vec<String> {
    let mut words = differences(plan);
    if plan.reset {
        words.push("reset session".into());
    }
    if plan.wake {
        words.push("wake".into());
    }
    words
}

/// The differences, in words.
pub(crate) fn differences(plan: &AgentPlan) -> Vec<String> {
    let mut words: Vec<String> = [
        (plan.create, "create"),
        (plan.update, "rename or move"),
        (plan.config, "configure"),
        (plan.settings, "gateway settings"),
        (plan.scratch, "heartbeat instructions"),
        (plan.new_token, "new token"),
        (plan.token_differs, "token differs"),
    ]
    .into_iter()
    .filter(|(due, _)| *due)
    .map(|(_, word)| word.to_owned())
    .collect();
    for (action, word) in [
        (FileAction::Create, "write"),
        (FileAction::Rewrite, "rewrite"),
        (FileAction::Delete, "delete"),
    ] {
        let names: Vec<&str> = plan.files_to(action).collect();
        if !names.is_empty() {
            words.push(format!("{word} {}", shown(&names.join(" "))));
        }
    }
    words
}

pub(crate) fn as_json(looked: &Looked<'_>) -> Value {
    match &looked.end {
        Ok(plan) => {
            let mut value = json!(plan);
            value["changes"] = json!(plan.any());
            value["drifted"] = json!(plan.drifted());
            value
        }
        Err(unseen) => json!({
            "agent": looked.agent.id,
            "name": looked.agent.name,
            "failure": {"summary": unseen.summary, "nextStep": unseen.next_step},
        }),
    }
}

/// Show differences between gateways and the store
///
/// The exit code is 0 without differences and 7 with any. Files that agents have changed themselves (USER.md, MEMORY.md) do not
/// count. Give the same --base-url and --templates as for windlass agents provision.
#[derive(Debug, Args)]
pub(crate) struct DriftArgs {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    files: FileArgs,
}

pub(crate) async fn drift(global: &Global, args: &DriftArgs, output: &Output) -> Result<ExitCode, Failure> {
    let records = Records::open(global, Missing::Refuse).await?;
    let agents = args.which.of(&records)?;
    let looked = look(&records, &agents, RunOptions::quiet(), &args.files, output).await?;
    let drifted = looked.iter().filter(|looked| is_drifted(looked)).count();
    if output.json() {
        let rows: Vec<Value> = looked.iter().map(as_json).collect();
        output.value(&json!({"drifted": drifted, "agents": rows}))?;
    } else {
        let mut lines = lines(&looked, differences, output.width());
        lines.push(format!("{}: {drifted} drifted", counted(looked.len(), "agent")));
        output.line(&lines.join("\n"))?;
    }
    Ok(match exit_of(&looked) {
        ExitCode::Ok if drifted > 0 => ExitCode::Drift,
        other => other,
    })
}

fn is_drifted(looked: &Looked<'_>) -> bool {
    looked.end.as_ref().is_ok_and(AgentPlan::drifted)
}
