//! `windlass boards set`, `rename`, `pause`, `resume` and `delete`.

use clap::{ArgGroup, Args};
use serde_json::{Map, Value, json};
use windlass::agents::Job;
use windlass::store::Agent;
use windlass_operations::boards::{self, BoardPatch, BoardRulesPatch};

use super::{as_json, object};
use crate::agents::context::FileArgs;
use crate::agents::jobs;
use crate::change::{caller, changed};
use crate::exit::{ExitCode, Failure};
use crate::global::Global;
use crate::output::Output;
use crate::store::{Records, short, shown};

/// Change a board
///
/// Its agents get the change with the next windlass agents sync or provision. An empty value removes what is removable.
#[derive(Debug, Args)]
#[command(override_usage = "windlass boards set [OPTIONS] <BOARD>", group = ArgGroup::new("change").multiple(true).required(true).args([
    "name", "on", "objective", "board_type", "target_date", "max_agents", "success_metrics", "goal_confirmed", "approval_for_done",
    "review_before_done", "comment_for_review", "block_while_approval_pending", "only_lead_changes_status",
]))]
pub(super) struct BoardsSetArgs {
    /// The board, by its name or id
    board: String,
    /// The new name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The gateway of its agents, by name or id; a board with agents stays where it is
    #[arg(long, visible_alias = "board-gateway", value_name = "GATEWAY")]
    on: Option<String>,
    /// The objective
    #[arg(long, value_name = "TEXT")]
    objective: Option<String>,
    /// The type of the board
    #[arg(long = "type", value_name = "TYPE")]
    board_type: Option<String>,
    /// The target date
    #[arg(long, value_name = "DATE")]
    target_date: Option<String>,
    /// The number of workers that its lead may create
    #[arg(long, value_name = "N")]
    max_agents: Option<u32>,
    /// The success metrics, as a JSON object; an empty object removes them
    #[arg(long, value_name = "JSON", value_parser = object)]
    success_metrics: Option<Map<String, Value>>,
    /// The owner has confirmed the goal
    #[arg(long, value_name = "BOOL")]
    goal_confirmed: Option<bool>,
    #[command(flatten)]
    rules: RuleChanges,
}

/// Changes of the rules for the agents of a board.
#[derive(Debug, Args)]
#[command(next_help_heading = "Rules for its agents")]
struct RuleChanges {
    /// Tasks may be completed only with an approval
    #[arg(long, value_name = "BOOL")]
    approval_for_done: Option<bool>,
    /// Tasks may be completed only after a review
    #[arg(long, value_name = "BOOL")]
    review_before_done: Option<bool>,
    /// A review needs a comment
    #[arg(long, value_name = "BOOL")]
    comment_for_review: Option<bool>,
    /// The status may not change while an approval is pending
    #[arg(long, value_name = "BOOL")]
    block_while_approval_pending: Option<bool>,
    /// Only the lead may change a status
    #[arg(long, value_name = "BOOL")]
    only_lead_changes_status: Option<bool>,
}

impl RuleChanges {
    const fn patch(&self) -> BoardRulesPatch {
        BoardRulesPatch {
            require_approval_for_done: self.approval_for_done,
            require_review_before_done: self.review_before_done,
            comment_required_for_review: self.comment_for_review,
            block_status_changes_with_pending_approval: self.block_while_approval_pending,
            only_lead_can_change_status: self.only_lead_changes_status,
        }
    }
}

pub(super) async fn set(records: &Records, args: BoardsSetArgs, output: &Output) -> Result<ExitCode, Failure> {
    let text = |text: Option<String>| text.map(|text| Some(text).filter(|text| !text.trim().is_empty()));
    let metrics = args
        .success_metrics
        .map(|metrics| Some(metrics).filter(|metrics| !metrics.is_empty()));
    let patch = BoardPatch {
        name: args.name,
        gateway: args.on,
        board_type: args.board_type,
        objective: text(args.objective),
        success_metrics: metrics,
        target_date: text(args.target_date),
        goal_confirmed: args.goal_confirmed,
        rules: args.rules.patch(),
        max_agents: args.max_agents,
        paused: None,
    };
    apply(records, &args.board, patch, "changed", output).await
}

pub(super) async fn rename(records: &Records, board: &str, name: String, output: &Output) -> Result<ExitCode, Failure> {
    let patch = BoardPatch {
        name: Some(name),
        ..BoardPatch::default()
    };
    apply(records, board, patch, "renamed", output).await
}

pub(super) async fn set_paused(
    records: &Records,
    board: &str,
    paused: bool,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let patch = BoardPatch {
        paused: Some(paused),
        ..BoardPatch::default()
    };
    apply(records, board, patch, if paused { "paused" } else { "resumed" }, output).await
}

async fn apply(
    records: &Records,
    board: &str,
    patch: BoardPatch,
    done: &str,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let before = records.board(board)?.clone();
    let gateway = patch.gateway.as_deref().map(|name| records.gateway(name)).transpose()?;
    let caller = caller();
    let after = boards::change(&changed(&*records.store, &caller), before.clone(), gateway, patch).await?;
    if output.json() {
        output.value(&as_json(records, &after))?;
        return Ok(ExitCode::Ok);
    }
    let done = if before == after { "is like this already" } else { done };
    output.line(&format!("board {} ({}) {done}", shown(&after.name), short(after.id)))?;
    Ok(ExitCode::Ok)
}

/// Delete a board, with its memory
///
/// A board with agents is deleted only with --with-agents, which deletes its agents on their gateway first.
#[derive(Debug, Args)]
pub(super) struct BoardsDeleteArgs {
    /// The board, by its name or id
    board: String,
    /// Also delete its agents, on their gateway and in the store
    #[arg(long)]
    with_agents: bool,
    /// Also delete the workspaces of its agents
    #[arg(long, requires = "with_agents")]
    delete_files: bool,
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    files: FileArgs,
}

pub(super) async fn delete(
    global: &Global,
    records: &Records,
    args: &BoardsDeleteArgs,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let board = records.board(&args.board)?;
    let on_it = |agent: &&Agent| agent.board_id == Some(board.id);
    let agents: Vec<&Agent> = records.agents.iter().filter(on_it).collect();
    if args.with_agents && !agents.is_empty() {
        let delete_files = args.delete_files;
        if !args.yes && !jobs::confirmed_deletion(records, &agents, delete_files)? {
            output.note("nothing was deleted");
            return Ok(ExitCode::Ok);
        }
        let job = |agents| Job::Delete { agents, delete_files };
        let exit = jobs::work(global, jobs::DELETE, records, &agents, job, &args.files, output).await?;
        if exit != ExitCode::Ok {
            return Ok(exit);
        }
    }
    let caller = caller();
    boards::remove(&changed(&*records.store, &caller), board).await?;
    if output.json() {
        output.value(&json!({"deleted": true, "id": board.id, "name": board.name}))?;
    } else {
        output.line(&format!("board {} deleted ({})", shown(&board.name), short(board.id)))?;
    }
    Ok(ExitCode::Ok)
}
