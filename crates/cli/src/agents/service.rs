//! `windlass agents run`: the process that looks after the agents.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use clap::Args;
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};
use windlass::LineStatus;
use windlass::agents::Agents;
use windlass::store::{Activities as _, Activity, ActivityFilter, Agent, AgentStatus, AgentUid, Runs as _};
use windlass_line::{Clock as _, TokioClock};

use crate::agents::context::FileArgs;
use crate::agents::context::Host;
use crate::exit::{ExitCode, Failure};
use crate::global::Global;
use crate::interrupts::stop_signal;
use crate::output::{DIM, Output};
use crate::status::change_of;
use crate::store::{Missing, Records, shown};
use crate::text::{counted, escaped, millis};

/// The interval between looks at the store, to which other processes write too.
const LOOK: Duration = Duration::from_secs(1);

/// Activities read in one look; more than happen in a second are read in the next.
const PAGE: usize = 500;

/// Longest text of an activity shown, in characters; `--json` shows all of it.
const TEXT_LIMIT: usize = 500;

/// Run the agent supervisor until interrupted
///
/// Continues interrupted runs, wakes agents that do not check in (three times; then they are marked offline with a reason), and
/// counts activity of agents on their gateways as check-ins. Only one process at a time can do this for a store: provision, sync
/// and delete are refused meanwhile; adding records and checking in are not. Exits with 0 on SIGINT and SIGTERM.
#[derive(Debug, Args)]
pub(crate) struct ServiceArgs {
    #[command(flatten)]
    files: FileArgs,
}

pub(crate) async fn run(global: &Global, args: &ServiceArgs, output: &Output) -> Result<ExitCode, Failure> {
    let mut stop = std::pin::pin!(stop_signal()?);
    let records = Records::open(global, Missing::Refuse).await?;
    let host = Host::start(&records.gateways)?;
    let agents = args.files.builder(&host, &records)?.supervise(true).start().await?;
    let ended = tokio::select! {
        ended = follow(&records, &host, &agents, output) => ended,
        () = &mut stop => Ok(()),
    };
    drop(agents);
    host.close().await;
    ended?;
    let now = TokioClock::start().wall();
    tell(
        output,
        now,
        json!({"news": "stopped"}),
        "stopped; interrupted work continues at the next start",
    )?;
    Ok(ExitCode::Ok)
}

/// Shows events until it is dropped.
async fn follow(records: &Records, host: &Host, agents: &Agents, output: &Output) -> Result<(), Failure> {
    let clock = TokioClock::start();
    for gateway in &records.gateways {
        // Opens the line; whoever needs it waits for it.
        if let Err(error) = agents.control_plane(gateway).await {
            output.note(&format!("{}: {error}", shown(&gateway.name)));
        }
    }
    let mut watcher = StoreWatcher::open(records, output, clock).await?;
    let mut lines = host.watch(&records.gateways);
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            (name, status) = lines.next() => tell_line(output, clock.wall(), &name, &status)?,
            _ = look.tick() => watcher.look().await?,
        }
    }
}

/// The state of the store at the last look.
struct StoreWatcher<'a> {
    records: &'a Records,
    output: &'a Output,
    clock: TokioClock,
    after: i64,
    agents: BTreeMap<AgentUid, AgentStatus>,
}

impl<'a> StoreWatcher<'a> {
    async fn open(records: &'a Records, output: &'a Output, clock: TokioClock) -> Result<Self, Failure> {
        let last = records.store.activities(&ActivityFilter::default(), None, 1).await?;
        let runs = records.store.active_runs(PAGE).await?.len();
        let (agents, gateways) = (records.agents.len(), records.gateways.len());
        let news = json!({"news": "started", "agents": agents, "gateways": gateways, "runsToTakeUp": runs});
        let text = format!(
            "supervising {} on {}; {} to continue",
            counted(agents, "agent"),
            counted(gateways, "gateway"),
            counted(runs, "run")
        );
        tell(output, clock.wall(), news, &text)?;
        Ok(Self {
            records,
            output,
            clock,
            after: last.last().map_or(0, |activity| activity.id),
            agents: records.agents.iter().map(|agent| (agent.id, agent.status)).collect(),
        })
    }

    async fn look(&mut self) -> Result<(), Failure> {
        let store = &self.records.store;
        // The store may be busy for a moment; what happened is still there then.
        let Ok(activities) = store
            .activities(&ActivityFilter::default(), Some(self.after), PAGE)
            .await
        else {
            return Ok(());
        };
        for activity in activities {
            self.after = activity.id;
            self.tell_activity(&activity)?;
        }
        let filter = windlass::store::AgentFilter::default();
        let Ok(agents) = windlass::store::Agents::agents(&**store, &filter).await else {
            return Ok(());
        };
        for agent in agents {
            let before = self.agents.insert(agent.id, agent.status);
            if before != Some(agent.status) {
                self.tell_agent(&agent, before)?;
            }
        }
        Ok(())
    }

    fn tell_activity(&self, activity: &Activity) -> Result<(), Failure> {
        let mut news = json!(activity);
        news["news"] = json!("activity");
        let agent = activity
            .agent_id
            .map_or_else(|| "-".into(), |agent| self.records.agent_name(agent));
        let text = format!(
            "{agent}: {}: {}",
            escaped(&activity.kind, TEXT_LIMIT),
            escaped(&activity.message, TEXT_LIMIT)
        );
        tell(self.output, self.clock.wall(), news, &text)
    }

    fn tell_agent(&self, agent: &Agent, before: Option<AgentStatus>) -> Result<(), Failure> {
        let news = json!({
            "news": "agent",
            "agent": agent.id,
            "name": agent.name,
            "status": agent.status,
            "before": before,
            "error": agent.last_provision_error,
        });
        tell(
            self.output,
            self.clock.wall(),
            news,
            &format!("{} is {}", shown(&agent.name), agent.status),
        )
    }
}

fn tell_line(output: &Output, at: SystemTime, name: &str, status: &LineStatus) -> Result<(), Failure> {
    let news = json!({
        "news": "line",
        "gateway": name,
        "state": status.state.name(),
        "generation": status.generation,
        "lastError": status.last_error.as_ref().map(|error| json!({
            "summary": error.advice.summary,
            "nextStep": error.advice.next_step,
        })),
    });
    tell(output, at, news, &change_of(name, status))
}

fn tell(output: &Output, at: SystemTime, mut news: Value, text: &str) -> Result<(), Failure> {
    if output.json() {
        news["atMs"] = json!(millis(at));
        output.value(&news)?;
    } else {
        output.line(&format!("{DIM}{}{DIM:#} {text}", output.time_of_day(at)))?;
    }
    Ok(())
}
