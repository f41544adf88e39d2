//! `windlass status`: the state of every line.

pub(crate) mod table;

use std::time::Duration;

use clap::Args;
use futures_util::future::{join_all, select_all};
use serde_json::{Value, json};
use windlass::{Gateway, LineStatus};
use windlass_line::{Clock as _, TokioClock};

use crate::config::parse_span;
use crate::exit::{Exit, Failure};
use crate::global::Global;
use crate::output::{Output, Redraw};
use crate::session::{self, Patience, Setup, Target, Unusable};
use crate::status::table::Row;
use crate::text::millis;

/// How often a live table is drawn when nothing happens, to keep its times right.
const REFRESH: Duration = Duration::from_secs(1);

/// Connect and show the state of every line
///
/// The exit code is that of the gateway that is worst off: 0 when all lines are up, 2 when the configuration of one can't be used,
/// 3 when one is down, 4 when a gateway refuses us.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Stay connected and show every change
    #[arg(long)]
    watch: bool,
    /// Wait so long for gateways that neither answer nor refuse [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = parse_span)]
    timeout: Option<Duration>,
}

pub(crate) async fn run(global: &Global, args: StatusArgs, output: &Output) -> Result<Exit, Failure> {
    let Setup {
        targets,
        timeouts,
        tokens,
        unusable,
    } = session::prepare_usable(global, output).await?;
    let (windlass, gateways) = session::open(&targets, tokens).await?;
    let limit = args.timeout.unwrap_or(timeouts.connect);
    let ended = if args.watch {
        watch(&targets, &gateways, &unusable, output).await
    } else {
        once(&targets, &gateways, &unusable, limit, output).await
    };
    session::close(windlass).await;
    ended
}

async fn once(
    targets: &[Target],
    gateways: &[Gateway],
    unusable: &[(usize, Unusable)],
    limit: Duration,
    output: &Output,
) -> Result<Exit, Failure> {
    let settled = join_all(
        gateways
            .iter()
            .zip(targets)
            .map(|(gateway, target)| session::settle(gateway, &target.name, Patience::FirstAttempt, limit, output)),
    );
    let statuses = settled.await;
    if output.json() {
        let rows = targets
            .iter()
            .zip(&statuses)
            .map(|(target, status)| as_json(target, status));
        let mut rows: Vec<_> = rows.collect();
        for (place, gateway) in unusable {
            rows.insert(*place, unusable_as_json(gateway));
        }
        output.value(&json!({"gateways": rows}))?;
    } else {
        output.line(
            &table::lines(
                &named(targets, statuses.clone(), unusable),
                TokioClock::start().wall(),
                output.width(),
            )
            .join("\n"),
        )?;
    }
    let of_unusable = unusable.first().map(|_| Exit::Usage);
    Ok(statuses
        .iter()
        .map(session::exit_of)
        .chain(of_unusable)
        .max()
        .unwrap_or(Exit::Ok))
}

/// Runs until it is interrupted.
async fn watch(
    targets: &[Target],
    gateways: &[Gateway],
    unusable: &[(usize, Unusable)],
    output: &Output,
) -> Result<Exit, Failure> {
    if !output.redraws() {
        for (_, gateway) in unusable {
            output.error(&gateway.why);
        }
    }
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
                &table::lines(&named(targets, statuses, unusable), clock.wall(), output.drawn_width()),
            )?;
        } else {
            for (target, line) in targets.iter().zip(&mut lines) {
                // An error would mean that the line is closed, which only happens at the end.
                if line.has_changed().unwrap_or(false) {
                    let status = line.borrow_and_update().clone();
                    if output.json() {
                        output.value(&as_json(target, &status))?;
                    } else {
                        output.line(&table::timed_change(&target.name, &status, output))?;
                    }
                }
            }
        }
        let changed = select_all(lines.iter_mut().map(|line| Box::pin(line.changed())));
        // In time or not: both draw again.
        let _ = tokio::time::timeout(REFRESH, changed).await;
    }
}

/// Each line's status with its gateway's name, and the gateways that have no line.
fn named(targets: &[Target], statuses: Vec<LineStatus>, unusable: &[(usize, Unusable)]) -> Vec<(String, Row)> {
    let lines = statuses.into_iter().map(Row::Line);
    let mut rows: Vec<_> = targets.iter().map(|target| target.name.clone()).zip(lines).collect();
    for (place, gateway) in unusable {
        rows.insert(*place, (gateway.name.clone(), Row::Misconfigured(gateway.why.clone())));
    }
    rows
}

fn unusable_as_json(gateway: &Unusable) -> Value {
    json!({
        "gateway": gateway.name,
        "url": gateway.endpoint.as_ref().map(ToString::to_string),
        "state": "misconfigured",
        "lastError": {"summary": gateway.why.summary, "nextStep": gateway.why.next_step},
    })
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
