//! `windlass boards`: the boards of the store.

mod change;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use windlass::store::{Board, BoardId};
use windlass_operations::boards::{self, BoardInput, BoardRulesPatch};

use crate::change::{caller, changed};
use crate::columns::{Cell, TextTable};
use crate::exit::{ExitCode, Failure};
use crate::global::Global;
use crate::output::Output;
use crate::store::{Missing, Records, random, short, shown};

/// Manage boards
#[derive(Debug, Args)]
pub(crate) struct BoardsArgs {
    #[command(subcommand)]
    command: BoardsCommand,
}

#[derive(Debug, Subcommand)]
enum BoardsCommand {
    Add(Box<BoardsAddArgs>),
    /// List all boards
    List,
    Set(Box<change::BoardsSetArgs>),
    /// Give a board another name
    Rename {
        /// The board, by its name or id
        #[arg(value_name = "BOARD")]
        board: String,
        /// The new name
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Exclude a board from template syncs
    Pause {
        /// The board, by its name or id
        #[arg(value_name = "BOARD")]
        board: String,
    },
    /// Include a paused board in template syncs again
    Resume {
        /// The board, by its name or id
        #[arg(value_name = "BOARD")]
        board: String,
    },
    Delete(change::BoardsDeleteArgs),
}

/// Add a board
#[derive(Debug, Args)]
struct BoardsAddArgs {
    /// The name
    name: String,
    /// The id, a UUID, to keep the one of another system [default: a new one]
    #[arg(long, value_name = "UUID")]
    id: Option<BoardId>,
    /// The gateway of its agents, by name or id [default: that of --gateway, or the only one]
    #[arg(long, visible_alias = "board-gateway", value_name = "GATEWAY")]
    on: Option<String>,
    /// The objective
    #[arg(long, value_name = "TEXT")]
    objective: Option<String>,
    /// The type of the board
    #[arg(long = "type", value_name = "TYPE", default_value = "goal")]
    board_type: String,
    /// The target date
    #[arg(long, value_name = "DATE")]
    target_date: Option<String>,
    /// The number of workers that its lead may create
    #[arg(long, value_name = "N", default_value_t = 1)]
    max_agents: u32,
    /// The success metrics, as a JSON object
    #[arg(long, value_name = "JSON", value_parser = object)]
    success_metrics: Option<Map<String, Value>>,
    /// The owner has confirmed the goal
    #[arg(long)]
    goal_confirmed: bool,
    /// Exclude it from template syncs
    #[arg(long)]
    paused: bool,
    #[command(flatten)]
    rules: RuleArgs,
}

/// Rules for the agents of a board.
#[derive(Debug, Args)]
#[command(next_help_heading = "Rules for its agents")]
#[expect(clippy::struct_excessive_bools, reason = "independent flags")]
struct RuleArgs {
    /// Tasks may be completed without approval
    #[arg(long)]
    no_approval_for_done: bool,
    /// Tasks may be completed only after a review
    #[arg(long)]
    review_before_done: bool,
    /// A review needs a comment
    #[arg(long)]
    comment_for_review: bool,
    /// The status may not change while an approval is pending
    #[arg(long)]
    block_while_approval_pending: bool,
    /// Only the lead may change a status
    #[arg(long)]
    only_lead_changes_status: bool,
}

impl RuleArgs {
    /// A flag that is not given leaves the default of its rule.
    fn rules(&self) -> BoardRulesPatch {
        let given = |flag: bool, rule: bool| flag.then_some(rule);
        BoardRulesPatch {
            require_approval_for_done: given(self.no_approval_for_done, false),
            require_review_before_done: given(self.review_before_done, true),
            comment_required_for_review: given(self.comment_for_review, true),
            block_status_changes_with_pending_approval: given(self.block_while_approval_pending, true),
            only_lead_can_change_status: given(self.only_lead_changes_status, true),
        }
    }
}

fn object(text: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err("expected a JSON object, such as '{\"uptime\": \"99.9 %\"}'".into()),
        Err(error) => Err(format!("no JSON at line {}, column {}", error.line(), error.column())),
    }
}

pub(crate) async fn run(global: &Global, args: BoardsArgs, output: &Output) -> Result<ExitCode, Failure> {
    let records = Records::open(global, Missing::Refuse).await?;
    match args.command {
        BoardsCommand::Add(args) => add(&records, *args, output).await,
        BoardsCommand::List => list(&records, output),
        BoardsCommand::Set(args) => change::set(&records, *args, output).await,
        BoardsCommand::Rename { board, name } => change::rename(&records, &board, name, output).await,
        BoardsCommand::Pause { board } => change::set_paused(&records, &board, true, output).await,
        BoardsCommand::Resume { board } => change::set_paused(&records, &board, false, output).await,
        BoardsCommand::Delete(args) => change::delete(global, &records, &args, output).await,
    }
}

async fn add(records: &Records, args: BoardsAddArgs, output: &Output) -> Result<ExitCode, Failure> {
    let gateway = match &args.on {
        Some(name) => records.gateway(name)?,
        None => records.only_gateway()?,
    };
    let input = BoardInput {
        id: args.id,
        name: args.name,
        gateway: gateway.id.to_string(),
        board_type: Some(args.board_type),
        objective: args.objective,
        success_metrics: args.success_metrics,
        target_date: args.target_date,
        goal_confirmed: args.goal_confirmed,
        rules: args.rules.rules(),
        max_agents: Some(args.max_agents),
        paused: args.paused,
    };
    let caller = caller();
    let board = boards::insert(&changed(&*records.store, &caller), gateway, input, random()?).await?;
    if output.json() {
        output.value(&as_json(records, &board))?;
    } else {
        let place = shown(&gateway.name);
        output.line(&format!(
            "board {} added on {place} ({})",
            shown(&board.name),
            short(board.id)
        ))?;
    }
    Ok(ExitCode::Ok)
}

fn list(records: &Records, output: &Output) -> Result<ExitCode, Failure> {
    if output.json() {
        let boards: Vec<_> = records.boards.iter().map(|board| as_json(records, board)).collect();
        output.value(&json!({"boards": boards}))?;
        return Ok(ExitCode::Ok);
    }
    let rows: Vec<Vec<Cell>> = records
        .boards
        .iter()
        .map(|board| {
            vec![
                Cell::plain(shown(&board.name)),
                Cell::plain(
                    board
                        .gateway_id
                        .map_or_else(|| "-".into(), |id| records.gateway_name(id)),
                ),
                Cell::plain(shown(&board.board_type)),
                Cell::plain(agents_of(records, board)),
                Cell::plain(board.max_agents),
                Cell::plain(if board.paused { "paused" } else { "active" }),
                Cell::plain(short(board.id)),
            ]
        })
        .collect();
    let headings = ["BOARD", "GATEWAY", "TYPE", "AGENTS", "MAX WORKERS", "STATE", "ID"];
    output.line(
        &TextTable::new(&headings, &rows)
            .spare(&["TYPE", "MAX WORKERS", "ID"])
            .lines(output.width())
            .join("\n"),
    )?;
    Ok(ExitCode::Ok)
}

fn agents_of(records: &Records, board: &Board) -> usize {
    let on_it = records.agents.iter().filter(|agent| agent.board_id == Some(board.id));
    on_it.count()
}

fn as_json(records: &Records, board: &Board) -> Value {
    json!({
        "id": board.id,
        "name": board.name,
        "gateway": board.gateway_id,
        "type": board.board_type,
        "objective": board.objective,
        "successMetrics": board.success_metrics,
        "targetDate": board.target_date,
        "goalConfirmed": board.goal_confirmed,
        "rules": {
            "requireApprovalForDone": board.rules.require_approval_for_done,
            "requireReviewBeforeDone": board.rules.require_review_before_done,
            "commentRequiredForReview": board.rules.comment_required_for_review,
            "blockStatusChangesWithPendingApproval": board.rules.block_status_changes_with_pending_approval,
            "onlyLeadCanChangeStatus": board.rules.only_lead_can_change_status,
        },
        "maxAgents": board.max_agents,
        "paused": board.paused,
        "agents": agents_of(records, board),
        "createdAt": board.created_at,
    })
}
