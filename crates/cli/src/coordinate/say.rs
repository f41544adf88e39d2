//! `windlass coordinate nudge`, `ask`, `onboard`, `lead` and `soul`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::{Value, json};
use windlass::agents::coordinator::{AskUser, DeliveryReceipt, LeadMessage, LeadMessageKind, Nudge, Onboarding, Soul};
use windlass::agents::{AgentsPreview, CoordinationError};
use windlass::store::{Agent, Gateway};
use windlass_protocol::Advice;

use crate::agents::context::{AgentsContext, FileArgs, ReadOnlyAgentsContext};
use crate::coordinate::context::{CoordinationFailure, TEXT_BYTES, Who, board_of, caller, gateway_of};
use crate::exit::{ExitCode, Failure};
use crate::global::Global;
use crate::output::{DIM, Output, Spinner};
use crate::store::{Missing, Records, shown};
use crate::{input, text};

/// Message an agent of a board
///
/// The message appears in the agent's session with the name of the sender, and the answer goes to the agent's channel.
#[derive(Debug, Args)]
pub(crate) struct NudgeArgs {
    /// The agent, by name, id or a unique beginning of the id
    agent: String,
    /// The text, or - to read it from stdin
    text: String,
    #[command(flatten)]
    who: Who,
    #[command(flatten)]
    files: FileArgs,
}

/// Let the gateway's main agent ask its user a question for a board
#[derive(Debug, Args)]
pub(crate) struct AskArgs {
    /// The board that asks
    board: String,
    /// The question, or - to read it from stdin
    text: String,
    /// The channel for the question
    #[arg(long, value_name = "NAME")]
    channel: Option<String>,
    #[command(flatten)]
    answer: AnswerArgs,
    #[command(flatten)]
    who: Who,
    #[command(flatten)]
    files: FileArgs,
}

/// Let the gateway's main agent ask its user about the goals of a new board
#[derive(Debug, Args)]
pub(crate) struct OnboardArgs {
    /// The board
    board: String,
    /// The information so far, or - to read it from stdin
    text: Option<String>,
    #[command(flatten)]
    who: Who,
    #[command(flatten)]
    files: FileArgs,
}

/// Message the lead of a board; provision it first if it does not exist
#[derive(Debug, Args)]
pub(crate) struct LeadArgs {
    /// The board
    board: String,
    #[command(flatten)]
    message: LeadMessageArgs,
    #[command(flatten)]
    who: Who,
    #[command(flatten)]
    files: FileArgs,
}

/// A message to leads.
#[derive(Debug, Args)]
pub(crate) struct LeadMessageArgs {
    /// The text, or - to read it from stdin
    text: String,
    /// The message hands over work; it is not a question
    #[arg(long)]
    handoff: bool,
    #[command(flatten)]
    answer: AnswerArgs,
}

/// How an answer is marked.
#[derive(Debug, Args)]
pub(crate) struct AnswerArgs {
    /// A tag for the answer; repeat it for several [default: the correlation id]
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// The source of the answer [default: gateway-main for users, lead for leads]
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
}

impl LeadMessageArgs {
    /// The message for the leads of this gateway.
    pub(crate) async fn message(
        &self,
        who: &Who,
        records: &Records,
        gateway: &Gateway,
        correlation_id: &str,
    ) -> Result<LeadMessage, Failure> {
        Ok(LeadMessage {
            caller: who.caller(records)?,
            gateway: gateway.id,
            kind: if self.handoff {
                LeadMessageKind::Handoff
            } else {
                LeadMessageKind::Question
            },
            message: input::words("TEXT", &self.text, TEXT_BYTES).await?,
            correlation_id: Some(correlation_id.to_owned()),
            tags: self.answer.tag.clone(),
            source: self.answer.source.clone(),
        })
    }
}

pub(crate) async fn nudge(global: &Global, args: NudgeArgs, output: &Output) -> Result<ExitCode, Failure> {
    let records = Records::open(global, Missing::Refuse).await?;
    let agent = records.agent(&args.agent)?;
    let board = board_of(&records, agent)?;
    let correlation_id = args.who.correlation_id()?;
    let nudge = Nudge {
        caller: args.who.caller(&records)?,
        board: board.id,
        agent: agent.id,
        message: input::words("TEXT", &args.text, TEXT_BYTES).await?,
        correlation_id: Some(correlation_id.clone()),
    };
    let gateway = gateway_of(&records, board)?;
    let end = beside(&records, gateway, &args.files, output, |agents| async move {
        agents.nudge(nudge).await
    });
    show("nudge", &correlation_id, end.await?, &records, output)
}

pub(crate) async fn ask(global: &Global, args: AskArgs, output: &Output) -> Result<ExitCode, Failure> {
    let records = Records::open(global, Missing::Refuse).await?;
    let board = records.board(&args.board)?;
    let correlation_id = args.who.correlation_id()?;
    let ask = AskUser {
        caller: args.who.caller(&records)?,
        board: board.id,
        question: input::words("TEXT", &args.text, TEXT_BYTES).await?,
        channel: args.channel,
        correlation_id: Some(correlation_id.clone()),
        tags: args.answer.tag,
        source: args.answer.source,
    };
    let gateway = gateway_of(&records, board)?;
    let end = beside(&records, gateway, &args.files, output, |agents| async move {
        agents.ask_user(ask).await
    });
    show("ask", &correlation_id, end.await?, &records, output)
}

pub(crate) async fn onboard(global: &Global, args: OnboardArgs, output: &Output) -> Result<ExitCode, Failure> {
    let records = Records::open(global, Missing::Refuse).await?;
    let board = records.board(&args.board)?;
    let correlation_id = args.who.correlation_id()?;
    let known = match &args.text {
        Some(text) => input::words("TEXT", text, TEXT_BYTES).await?,
        None => String::new(),
    };
    let onboarding = Onboarding {
        caller: args.who.caller(&records)?,
        board: board.id,
        known,
        correlation_id: Some(correlation_id.clone()),
    };
    let gateway = gateway_of(&records, board)?;
    let end = beside(&records, gateway, &args.files, output, |agents| async move {
        agents.onboard(onboarding).await
    });
    show("onboard", &correlation_id, end.await?, &records, output)
}

pub(crate) async fn lead(global: &Global, args: LeadArgs, output: &Output) -> Result<ExitCode, Failure> {
    let records = Records::open(global, Missing::Refuse).await?;
    let board = records.board(&args.board)?;
    let gateway = gateway_of(&records, board)?;
    let correlation_id = args.who.correlation_id()?;
    let message = args.message.message(&args.who, &records, gateway, &correlation_id);
    let message = message.await?;
    let context = AgentsContext::open(&records, vec![gateway.clone()], &args.files, output).await?;
    let end = if let Some(down) = context.down.get(&gateway.id) {
        Err(CoordinationFailure::from(down.clone()))
    } else {
        let _waiting = Spinner::new(output, "speaking to the lead");
        let said = context.agents.coordinator().message_lead(message, board.id).await;
        said.map_err(CoordinationFailure::from)
    };
    context.close().await;
    // It may have been made just now.
    let records = Records::read(Arc::clone(&records.store)).await?;
    show("lead", &correlation_id, end, &records, output)
}

/// Does something that neither makes nor changes an agent, beside the process that runs the agents.
pub(crate) async fn beside<T, F>(
    records: &Records,
    gateway: &Gateway,
    files: &FileArgs,
    output: &Output,
    work: impl FnOnce(AgentsPreview) -> F,
) -> Result<Result<T, CoordinationFailure>, Failure>
where
    F: Future<Output = Result<T, CoordinationError>>,
{
    let context = ReadOnlyAgentsContext::open(records, std::slice::from_ref(gateway), files, output).await?;
    let end = if let Some(down) = context.down.get(&gateway.id) {
        Err(CoordinationFailure::from(down.clone()))
    } else {
        let _waiting = Spinner::new(output, "waiting for the gateway");
        work(context.agents.clone()).await.map_err(CoordinationFailure::from)
    };
    context.close().await;
    Ok(end)
}

fn show(
    operation: &str,
    correlation_id: &str,
    end: Result<DeliveryReceipt, CoordinationFailure>,
    records: &Records,
    output: &Output,
) -> Result<ExitCode, Failure> {
    if output.json() {
        output.value(&as_json(operation, correlation_id, &end, records))?;
    }
    match end {
        Ok(said) => {
            if !output.json() {
                let name = records.agent_name(said.agent);
                let made = if said.created {
                    ", which was provisioned for it"
                } else {
                    ""
                };
                output.line(&format!("told {name}{made} {DIM}({correlation_id}){DIM:#}"))?;
            }
            Ok(ExitCode::Ok)
        }
        Err(trouble) => Err(repeatable(&trouble, correlation_id).into_failure()),
    }
}

/// With the id under which it may be said again.
fn repeatable(trouble: &CoordinationFailure, correlation_id: &str) -> CoordinationFailure {
    let Advice { summary, next_step } = &trouble.advice;
    let again = format!("To say it again and be heard once: --correlation-id {correlation_id}");
    let next_step = format!("{next_step} {again}").trim_start().to_owned();
    let advice = Advice::new(summary.clone(), next_step);
    CoordinationFailure { advice, ..*trouble }
}

fn as_json(
    operation: &str,
    correlation_id: &str,
    end: &Result<DeliveryReceipt, CoordinationFailure>,
    records: &Records,
) -> Value {
    let mut value = match end {
        Ok(said) => json!({
            "outcome": "sent",
            "status": 200,
            "agent": said.agent,
            "agentName": records.agent_name(said.agent),
            "created": said.created,
        }),
        Err(trouble) => trouble.as_json(),
    };
    value["operation"] = json!(operation);
    value["correlationId"] = json!(correlation_id);
    value
}

/// Show or replace an agent's SOUL.md
///
/// A new SOUL.md is stored before it is written: if the gateway fails meanwhile, the next windlass agents provision writes it.
#[derive(Debug, Args)]
pub(crate) struct SoulArgs {
    /// The agent, by name, id or a unique beginning of the id
    agent: String,
    /// Write this file, or - to read it from stdin
    #[arg(long, value_name = "FILE")]
    set: Option<PathBuf>,
    /// Act as this agent, with its rights [default: as an operator, with all rights]
    #[arg(long = "as", value_name = "AGENT")]
    on_behalf_of: Option<String>,
    #[command(flatten)]
    files: FileArgs,
}

/// The agent whose SOUL.md is read or written.
struct Task<'a> {
    records: &'a Records,
    agent: &'a Agent,
    gateway: &'a Gateway,
    soul: Soul,
}

pub(crate) async fn run(global: &Global, args: SoulArgs, output: &Output) -> Result<ExitCode, Failure> {
    let records = Records::open(global, Missing::Refuse).await?;
    let agent = records.agent(&args.agent)?;
    let board = board_of(&records, agent)?;
    let task = Task {
        records: &records,
        agent,
        gateway: gateway_of(&records, board)?,
        soul: Soul {
            caller: caller(args.on_behalf_of.as_deref(), &records)?,
            board: board.id,
            agent: agent.id,
        },
    };
    match &args.set {
        Some(path) => write(task, path, &args.files, output).await,
        None => read(task, &args.files, output).await,
    }
}

async fn read(task: Task<'_>, files: &FileArgs, output: &Output) -> Result<ExitCode, Failure> {
    let soul = task.soul.clone();
    let end = beside(task.records, task.gateway, files, output, |agents| async move {
        agents.read_soul(soul).await
    })
    .await?;
    if output.json() {
        output.value(&soul_as_json(
            &task,
            "soul",
            &end,
            |text| json!({"outcome": "read", "status": 200, "text": text}),
        ))?;
    }
    let text = end.map_err(CoordinationFailure::into_failure)?;
    if !output.json() {
        output.line(&text::harmless(text.trim_end()))?;
    }
    Ok(ExitCode::Ok)
}

async fn write(task: Task<'_>, path: &Path, files: &FileArgs, output: &Output) -> Result<ExitCode, Failure> {
    let content = input::file("--set", path, TEXT_BYTES).await?;
    let bytes = content.len();
    let opened = AgentsContext::open(task.records, vec![task.gateway.clone()], files, output).await?;
    let end = if let Some(down) = opened.down.get(&task.gateway.id) {
        Err(CoordinationFailure::from(down.clone()))
    } else {
        let written = opened.agents.coordinator().write_soul(task.soul.clone(), content).await;
        written.map_err(CoordinationFailure::from)
    };
    opened.close().await;
    if output.json() {
        output.value(&soul_as_json(
            &task,
            "soul-set",
            &end,
            |()| json!({"outcome": "written", "status": 200, "bytes": bytes}),
        ))?;
    }
    end.map_err(CoordinationFailure::into_failure)?;
    if !output.json() {
        output.line(&format!(
            "SOUL.md of {} written ({bytes} bytes)",
            shown(&task.agent.name)
        ))?;
    }
    Ok(ExitCode::Ok)
}

fn soul_as_json<T>(
    task: &Task<'_>,
    operation: &str,
    end: &Result<T, CoordinationFailure>,
    well: impl FnOnce(&T) -> Value,
) -> Value {
    let mut value = match end {
        Ok(end) => well(end),
        Err(trouble) => trouble.as_json(),
    };
    value["operation"] = json!(operation);
    value["agent"] = json!(task.agent.id);
    value["agentName"] = json!(task.agent.name);
    value
}
