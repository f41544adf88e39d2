//! `windlass demo`: Windlass at work, in a quarter of a minute.
//!
//! | module | contents |
//! |---|---|
//! | `stage` | three simulated gateways with a line to each, and the schedule of faults |
//! | `load` | tasks that call and chat, and the comparison of their results with the gateways' journals |
//! | `screen` | the live view, the log, the table at the end |

mod load;
mod screen;
mod stage;

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use windlass::{CallError, Gateway};
use windlass_line::{Clock as _, EventFilter, LineEvent, TokioClock};

use crate::demo::load::{GatewayTally, Ledger};
use crate::demo::screen::DemoScreen;

use crate::demo::stage::{DemoSetup, elapsed};
use crate::exit::{ExitCode, Failure, advice_on_call, of_call};
use crate::global::Global;
use crate::output::{GOOD, HEAD, Output};
use crate::session::{self, Patience};
use crate::text::escaped;

/// Show Windlass at work: simulated gateways that are cut and killed under load
///
/// Starts three simulated gateways of both protocol generations, calls them and chats from several tasks, cuts connections and
/// kills gateways on a schedule, and then compares the results of the callers with the journals of the gateways. Exits with 0 only
/// if nothing was lost and nothing was done twice.
///
/// With --url or --gateway it reads from a real gateway instead, and changes nothing there.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {}

pub(crate) async fn run(global: &Global, _: DemoArgs, output: &Output) -> Result<ExitCode, Failure> {
    if global.url.is_some() || !global.gateway.is_empty() || global.config.is_some() {
        return run_on_real_gateway(global, output).await;
    }
    let stage = DemoSetup::set().await?;
    let ledger = Arc::new(Ledger::default());
    let screen = DemoScreen::new(output, TokioClock::start());
    screen.introduce(&stage)?;
    let tallies = play(&stage, &ledger, &screen).await?;
    screen.conclude(&stage, &tallies)?;
    stage.clear().await;
    Ok(if tallies.iter().all(GatewayTally::is_clean) {
        ExitCode::Ok
    } else {
        ExitCode::Rejected
    })
}

/// Runs load and chaos to their ends, and counts.
async fn play(stage: &DemoSetup, ledger: &Arc<Ledger>, screen: &DemoScreen<'_>) -> Result<Vec<GatewayTally>, Failure> {
    let mut callers = load::start(stage, ledger);
    let (acts, mut news) = tokio::sync::mpsc::channel(stage::NEWS);
    let performance = async {
        stage::perform(stage, acts).await;
        load::stop(&mut callers).await;
    };
    tokio::select! {
        () = performance => {}
        failed = screen.follow(stage, ledger, &mut news) => failed?,
    }
    let mut tallies = Vec::new();
    for (index, cast) in stage.casts.iter().enumerate() {
        let counters = cast.gateway.inspect().await?.calls;
        tallies.push(ledger.tally(index, &cast.sim.journal(), counters));
    }
    Ok(tallies)
}

/// Events that are shown.
const EVENTS: usize = 5;
/// How long to wait for them: a gateway at rest sends a tick every 30 s, a health about once a minute.
const EVENTS_WITHIN: Duration = Duration::from_secs(6);
/// Longest deadline of a read; the slowest first `sessions.list` measured took 1.5 s.
const DEADLINE: Duration = Duration::from_secs(15);
/// How much of an answer is shown, in characters.
const SHOWN: usize = 100;

pub(crate) async fn run_on_real_gateway(global: &Global, output: &Output) -> Result<ExitCode, Failure> {
    let (target, timeouts, tokens) = session::prepare_one(global, output).await?;
    let (windlass, gateways) = session::open(std::slice::from_ref(&target), tokens).await?;
    let [gateway] = gateways.as_slice() else {
        return Ok(ExitCode::Usage);
    };
    let mut events = gateway.events(EventFilter::all());
    let status = session::settle(gateway, &target.name, Patience::FirstAttempt, timeouts.connect, output).await;
    if !status.is_up() {
        return Err(session::why_down(&target, &status));
    }
    if !output.json() {
        let version = escaped(status.server_version().unwrap_or("?"), SHOWN);
        let protocol = status.protocol().unwrap_or_default();
        output.line(&format!(
            "{HEAD}{}{HEAD:#} is up: release {version}, protocol {protocol}. Only reads from here on.",
            target.name
        ))?;
    }
    for (method, params) in [
        ("health", json!({})),
        ("agents.list", json!({})),
        ("status", json!({})),
        ("sessions.list", json!({"limit": 5})),
    ] {
        read(gateway, method, params, output).await?;
    }
    let mut shown = 0;
    let watching = async {
        while let (true, Some(item)) = (shown < EVENTS, events.next().await) {
            if let LineEvent::Event(event) = item {
                shown += 1;
                if output.json() {
                    output.value(&json!({"type": "event", "event": event.name, "payload": event.payload}))?;
                } else {
                    let payload = escaped(event.payload.as_str(), SHOWN);
                    output.line(&format!(
                        "event {GOOD}{}{GOOD:#} {payload}",
                        escaped(&event.name, SHOWN)
                    ))?;
                }
            }
        }
        Ok::<_, Failure>(())
    };
    if let Ok(ended) = tokio::time::timeout(EVENTS_WITHIN, watching).await {
        ended?;
    }
    if shown == 0 && !output.json() {
        output.line("No event came meanwhile: the gateway is at rest.")?;
    }
    session::close(windlass).await;
    Ok(ExitCode::Ok)
}

async fn read(gateway: &Gateway, method: &'static str, params: Value, output: &Output) -> Result<(), Failure> {
    let clock = TokioClock::start();
    let begun = clock.now();
    let payload = gateway
        .call(method, params)
        .timeout(DEADLINE)
        .await
        .map_err(|error: CallError| {
            Failure::Told(of_call(&error).unwrap_or(ExitCode::Unreachable), advice_on_call(&error))
        })?;
    let took = elapsed(clock, begun);
    let bytes = payload.as_str().len();
    if output.json() {
        output.value(&json!({"type": "read", "method": method, "tookMs": took, "bytes": bytes}))?;
    } else {
        let shown = escaped(payload.as_str(), SHOWN);
        output.line(&format!(
            "{GOOD}{method}{GOOD:#} answered in {took} ms, {bytes} bytes: {shown}"
        ))?;
    }
    Ok(())
}
