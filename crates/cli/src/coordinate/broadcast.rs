//! `windlass coordinate broadcast`.

use std::collections::BTreeMap;
use std::sync::Arc;

use clap::Args;
use futures_util::future::join_all;
use serde_json::json;
use windlass::agents::coordinator::{BoardResult, BroadcastReport, LeadMessage};
use windlass::store::{Board, BoardId, Gateway, GatewayUid};

use crate::agents::context::{AgentsContext, AllDown, FileArgs};
use crate::columns::{Cell, TextTable};
use crate::coordinate::context::CoordinationFailure;
use crate::coordinate::context::{Who, gateway_of};
use crate::coordinate::say::LeadMessageArgs;
use crate::exit::{ExitCode, Failure};
use crate::global::Global;
use crate::output::Spinner;
use crate::output::{BAD, DIM, GOOD, Output};
use crate::store::{Missing, Records, shown};
use crate::text::{counted, escaped};

/// Longest reason shown, in characters; `--json` shows all of it.
const REASON_LIMIT: usize = 2_000;

/// Message the leads of several boards
///
/// Each board has its own result, and a failure does not stop the others. Leads that do not exist yet are provisioned first.
#[derive(Debug, Args)]
pub(crate) struct BroadcastArgs {
    #[command(flatten)]
    message: LeadMessageArgs,
    #[command(flatten)]
    boards: BoardArgs,
    #[command(flatten)]
    who: Who,
    #[command(flatten)]
    files: FileArgs,
}

/// The boards that it is about.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct BoardArgs {
    /// The leads of this gateway's boards; repeat it for several
    #[arg(long, value_name = "GATEWAY")]
    on: Vec<String>,
    /// The lead of this board; repeat it for several
    #[arg(long, value_name = "BOARD")]
    board: Vec<String>,
    /// The leads of all boards of the store
    #[arg(long)]
    all: bool,
}

/// Boards by gateway.
type Chosen = BTreeMap<GatewayUid, Vec<BoardId>>;

impl BoardArgs {
    fn of<'a>(&self, records: &'a Records) -> Result<Vec<&'a Board>, Failure> {
        if !self.board.is_empty() {
            let named = self.board.iter().map(|name| records.board(name));
            return named.collect();
        }
        let on = self
            .on
            .iter()
            .map(|name| records.gateway(name).map(|gateway| gateway.id));
        let on: Vec<GatewayUid> = on.collect::<Result<_, _>>()?;
        let wanted = |board: &&Board| {
            board
                .gateway_id
                .is_some_and(|gateway| self.all || on.contains(&gateway))
        };
        Ok(records.boards.iter().filter(wanted).collect())
    }

    fn chosen(&self, records: &Records) -> Result<Chosen, Failure> {
        let mut chosen = Chosen::new();
        for board in self.of(records)? {
            let boards = chosen.entry(gateway_of(records, board)?.id).or_default();
            if !boards.contains(&board.id) {
                boards.push(board.id);
            }
        }
        if chosen.is_empty() {
            return Err(Failure::usage(
                "there is no board to message",
                "See windlass boards list.",
            ));
        }
        Ok(chosen)
    }
}

pub(crate) async fn run(global: &Global, args: BroadcastArgs, output: &Output) -> Result<ExitCode, Failure> {
    let records = Records::open(global, Missing::Refuse).await?;
    let chosen = args.boards.chosen(&records)?;
    let gateways = records
        .gateways
        .iter()
        .filter(|gateway| chosen.contains_key(&gateway.id));
    let gateways: Vec<Gateway> = gateways.cloned().collect();
    let correlation_id = args.who.correlation_id()?;
    let Some(first) = gateways.first() else {
        return Ok(ExitCode::Usage);
    };
    // The same for all of them but for the gateway.
    let message = args
        .message
        .message(&args.who, &records, first, &correlation_id)
        .await?;
    let context = AgentsContext::open(&records, gateways, &args.files, output).await?;
    let report = speak(&context, &records, &message, &chosen, output).await;
    let exit = exit_of(&report, &context.down);
    context.close().await;
    // Leads may have been made just now.
    let records = Records::read(Arc::clone(&records.store)).await?;
    show(&report, &records, output)?;
    Ok(exit)
}

/// Speaks to all gateways side by side; boards of those that are down are reported without a try.
async fn speak(
    context: &AgentsContext,
    records: &Records,
    message: &LeadMessage,
    chosen: &Chosen,
    output: &Output,
) -> BroadcastReport {
    let count: usize = chosen.values().map(Vec::len).sum();
    let _waiting = Spinner::new(output, &format!("speaking to the leads of {}", counted(count, "board")));
    let reports = chosen.iter().map(|(gateway, boards)| async {
        if let Some(down) = context.down.get(gateway) {
            let why = down.advice.summary.to_string();
            return boards
                .iter()
                .map(|board| untried(records, *board, &why, None))
                .collect();
        }
        let message = LeadMessage {
            gateway: *gateway,
            ..message.clone()
        };
        let told = context.agents.coordinator().broadcast(message, Some(boards.clone()));
        match told.await {
            Ok(report) => report.boards,
            Err(error) => {
                let trouble = CoordinationFailure::from(error);
                let why = trouble.advice.summary.to_string();
                let untried = |board: &BoardId| untried(records, *board, &why, Some(trouble.status));
                boards.iter().map(untried).collect()
            }
        }
    });
    let boards: Vec<BoardResult> = join_all(reports).await.into_iter().flatten().collect();
    let failed = boards.iter().filter(|board| board.error.is_some()).count();
    BroadcastReport {
        correlation_id: message.correlation_id.clone().unwrap_or_default(),
        sent: boards.len() - failed,
        failed,
        boards,
    }
}

/// A board on a gateway that can't be used now.
fn untried(records: &Records, board: BoardId, why: &str, status: Option<u16>) -> BoardResult {
    let name = records.boards.iter().find(|record| record.id == board);
    BoardResult {
        board,
        name: name.map(|record| record.name.clone()).unwrap_or_default(),
        agent: None,
        error: Some(why.to_owned()),
        status: status.unwrap_or(502),
    }
}

/// The code of the gateways that are down where nothing else could be tried.
fn exit_of(report: &BroadcastReport, down: &AllDown) -> ExitCode {
    match down.values().map(|down| down.exit).max() {
        _ if report.failed == 0 => ExitCode::Ok,
        Some(worst) if report.sent == 0 => worst,
        _ => ExitCode::Agents,
    }
}

fn show(report: &BroadcastReport, records: &Records, output: &Output) -> Result<(), Failure> {
    if output.json() {
        let mut value = json!(report);
        value["operation"] = json!("broadcast");
        output.value(&value)?;
        return Ok(());
    }
    let rows: Vec<Vec<Cell>> = report.boards.iter().map(|board| row(board, records)).collect();
    let table = TextTable::new(&["BOARD", "LEAD", "RESULT"], &rows).spare(&["LEAD"]);
    let mut lines = table.lines_with(output.width(), |index| {
        let error = report.boards[index].error.as_ref();
        let why = error.map(|error| format!("  {BAD}why:{BAD:#}  {}", escaped(error, REASON_LIMIT)));
        why.into_iter().collect()
    });
    let BroadcastReport {
        sent,
        failed,
        correlation_id,
        ..
    } = report;
    lines.push(format!("{sent} told, {failed} failed {DIM}({correlation_id}){DIM:#}"));
    output.line(&lines.join("\n"))?;
    if *failed > 0 {
        output.note(&format!(
            "to say it again, and be heard once: the same command with --correlation-id {correlation_id}"
        ));
    }
    Ok(())
}

fn row(board: &BoardResult, records: &Records) -> Vec<Cell> {
    let lead = board
        .agent
        .map_or_else(|| "-".to_owned(), |agent| records.agent_name(agent));
    let result = match &board.error {
        None => Cell::styled("told", GOOD),
        Some(_) => Cell::styled(format!("failed ({})", board.status), BAD),
    };
    vec![Cell::plain(shown(&board.name)), Cell::plain(lead), result]
}
