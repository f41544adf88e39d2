//! `windlass status`: the state of every line.

pub(super) mod table;

use std::time::Duration;

use clap::Args;
use futures_util::future::{join_all, select_all};
use serde_json::{Value, json};
use windlass_actors::{Clock as _, TokioClock};

use super::args::Global;
use super::config::parse_span;
use super::exit::{Exit, Failure};
use super::output::{Output, Redraw};
use super::session::{self, Patience, Setup, Target};
use super::text::millis;
use crate::{Gateway, LineStatus};

/// How often a live table is drawn when nothing happens, to keep its times right.
const REFRESH: Duration = Duration::from_secs(1);

/// Characters of a line in the live table: those of the smallest terminals in use.
const LIVE_WIDTH: usize = 80;

/// Connect and show the state of every line
///
/// The exit code is that of the gateway that is worst off: 0 when all lines are up, 3 when one is down, 4 when a gateway
/// refuses us.
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// Stay connected and show every change
    #[arg(long)]
    watch: bool,
    /// Wait so long for gateways that neither answer nor refuse [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = parse_span)]
    timeout: Option<Duration>,
}

pub(super) async fn run(global: &Global, args: StatusArgs, output: &Output) -> Result<Exit, Failure> {
    let Setup {
        targets,
        timeouts,
        tokens,
    } = session::prepare(global, output).await?;
    let (windlass, gateways) = session::open(&targets, tokens).await?;
    let limit = args.timeout.unwrap_or(timeouts.connect);
    let ended = if args.watch {
        watch(&targets, &gateways, output).await
    } else {
        once(&targets, &gateways, limit, output).await
    };
    session::close(windlass).await;
    ended
}

async fn once(targets: &[Target], gateways: &[Gateway], limit: Duration, output: &Output) -> Result<Exit, Failure> {
    let settled = join_all(
        gateways
            .iter()
            .zip(targets)
            .map(|(gateway, target)| session::settle(gateway, &target.name, Patience::FirstAttempt, limit, output)),
    );
    let statuses = settled.await;
    if output.json() {
        let rows: Vec<_> = targets
            .iter()
            .zip(&statuses)
            .map(|(target, status)| as_json(target, status))
            .collect();
        output.value(&json!({"gateways": rows}))?;
    } else {
        output.line(
            &table::lines(
                &named(targets, statuses.clone()),
                TokioClock::start().wall(),
                usize::MAX,
            )
            .join("\n"),
        )?;
    }
    Ok(statuses.iter().map(session::exit_of).max().unwrap_or(Exit::Ok))
}

/// Runs until it is interrupted.
async fn watch(targets: &[Target], gateways: &[Gateway], output: &Output) -> Result<Exit, Failure> {
    let clock = TokioClock::start();
    let mut lines: Vec<_> = gateways.iter().map(Gateway::status).collect();
    let mut redraw = Redraw::default();
    for line in &mut lines {
        line.mark_changed();
    }
    loop {
        if output.redraws() {
            let statuses: Vec<_> = lines.iter_mut().map(|line| line.borrow_and_update().clone()).collect();
            redraw.draw(
                output,
                &table::lines(&named(targets, statuses), clock.wall(), LIVE_WIDTH),
            )?;
        } else {
            for (target, line) in targets.iter().zip(&mut lines) {
                // An error would mean that the line is closed, which only happens at the end.
                if line.has_changed().unwrap_or(false) {
                    let status = line.borrow_and_update().clone();
                    if output.json() {
                        output.value(&as_json(target, &status))?;
                    } else {
                        output.line(&table::timed_change(&target.name, &status))?;
                    }
                }
            }
        }
        let changed = select_all(lines.iter_mut().map(|line| Box::pin(line.changed())));
        // In time or not: both draw again.
        let _ = tokio::time::timeout(REFRESH, changed).await;
    }
}

/// Each line's status with its gateway's name.
fn named(targets: &[Target], statuses: Vec<LineStatus>) -> Vec<(String, LineStatus)> {
    targets.iter().map(|target| target.name.clone()).zip(statuses).collect()
}

fn as_json(target: &Target, status: &LineStatus) -> Value {
    json!({
        "gateway": target.name,
        "url": target.endpoint.to_string(),
        "state": status.state.name(),
        "sinceMs": millis(status.since),
        "generation": status.generation,
        "protocol": status.protocol(),
        "version": status.server_version(),
        "authMethod": status.auth_method(),
        "nextAttemptAtMs": status.state.next_attempt_at().map(millis),
        "lastError": status.last_error.as_ref().map(|error| json!({
            "atMs": millis(error.at),
            "summary": error.advice.summary,
            "nextStep": error.advice.next_step,
        })),
    })
}
