//! `windlass activities`: the past of agents, boards and records.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};
use windlass::store::{Activities as _, Activity, ActivityFilter};
use windlass_operations::audit::AUDIT_PREFIX;

use crate::exit::{ExitCode, Failure};
use crate::global::Global;
use crate::output::{DIM, Output};
use crate::store::{Missing, Records, shown};
use crate::text::escaped;

/// Activities that are shown, unless a flag says otherwise.
const DEFAULT_LIMIT: u16 = 50;
/// Activities that are read at once.
const PAGE: usize = 500;
/// The interval between two looks at the store.
const LOOK: Duration = Duration::from_millis(500);
/// Longest text that is shown of an activity, in characters; `--json` shows all of it.
const TEXT_LIMIT: usize = 500;

/// Show what happened to agents, boards and records, and who changed them; the latest last
///
/// Changes by people and programs have a kind that begins with audit., the name of who made them, and the way by which they came: api,
/// page, cli or agent.
#[derive(Debug, Args)]
pub(crate) struct ActivitiesArgs {
    /// Only activities about this agent
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
    /// Only activities about this board
    #[arg(long, value_name = "BOARD")]
    board: Option<String>,
    /// Only changes by people and programs
    #[arg(long, conflicts_with = "kind")]
    audit: bool,
    /// Only activities of a kind that begins with this, for example audit.gateway
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// The number of activities to show, the latest ones
    #[arg(long, value_name = "N", default_value_t = DEFAULT_LIMIT, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    /// Go on, and show each new one as it comes
    #[arg(long)]
    follow: bool,
}

pub(crate) async fn run(global: &Global, args: &ActivitiesArgs, output: &Output) -> Result<ExitCode, Failure> {
    let records = Records::open(global, Missing::Refuse).await?;
    let filter = args.filter(&records)?;
    let latest = records.store.activities(&filter, None, usize::from(args.limit)).await?;
    if !args.follow && output.json() {
        let activities: Vec<_> = latest.iter().map(|activity| as_json(&records, activity)).collect();
        output.value(&json!({"activities": activities}))?;
        return Ok(ExitCode::Ok);
    }
    for activity in &latest {
        show(&records, activity, output)?;
    }
    if args.follow {
        let after = match latest.last() {
            Some(activity) => activity.id,
            None => newest(&records).await?,
        };
        follow(&records, &filter, after, output).await?;
    }
    Ok(ExitCode::Ok)
}

/// The number of the newest activity of any kind.
async fn newest(records: &Records) -> Result<i64, Failure> {
    let last = records.store.activities(&ActivityFilter::default(), None, 1).await?;
    Ok(last.last().map_or(0, |activity| activity.id))
}

/// Shows new activities until it is interrupted.
async fn follow(records: &Records, filter: &ActivityFilter, mut after: i64, output: &Output) -> Result<(), Failure> {
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        // The store may be busy for a moment; what happened is still there then.
        let Ok(new) = records.store.activities(filter, Some(after), PAGE).await else {
            continue;
        };
        for activity in new {
            after = activity.id;
            show(records, &activity, output)?;
        }
    }
}

impl ActivitiesArgs {
    fn filter(&self, records: &Records) -> Result<ActivityFilter, Failure> {
        let agent = self.agent.as_deref().map(|name| records.agent(name)).transpose()?;
        let board = self.board.as_deref().map(|name| records.board(name)).transpose()?;
        Ok(ActivityFilter {
            kind_prefix: self
                .audit
                .then(|| AUDIT_PREFIX.to_owned())
                .or_else(|| self.kind.clone()),
            before: None,
            agent: agent.map(|agent| agent.id),
            board: board.map(|board| board.id),
        })
    }
}

fn show(records: &Records, activity: &Activity, output: &Output) -> Result<(), Failure> {
    if output.json() {
        output.value(&as_json(records, activity))?;
        return Ok(());
    }
    let about = match (activity.agent_id, activity.board_id) {
        (Some(agent), _) => format!("{}: ", records.agent_name(agent)),
        (None, Some(board)) => format!("{}: ", records.board_name(board)),
        (None, None) => String::new(),
    };
    let by = activity.actor.as_deref().map(|actor| {
        let source = activity.source.as_deref().unwrap_or("-");
        format!(" {DIM}by {} ({}){DIM:#}", shown(actor), shown(source))
    });
    output.line(&format!(
        "{DIM}{}{DIM:#} {about}{}: {}{}",
        activity.at,
        escaped(&activity.kind, TEXT_LIMIT),
        escaped(&activity.message, TEXT_LIMIT),
        by.unwrap_or_default()
    ))?;
    Ok(())
}

fn as_json(records: &Records, activity: &Activity) -> Value {
    json!({
        "id": activity.id,
        "kind": activity.kind,
        "message": activity.message,
        "agent": activity.agent_id,
        "agentName": activity.agent_id.map(|agent| records.agent_name(agent)),
        "board": activity.board_id,
        "boardName": activity.board_id.map(|board| records.board_name(board)),
        "actor": activity.actor,
        "source": activity.source,
        "at": activity.at,
    })
}
