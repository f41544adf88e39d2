//! The harmless part of the demo, on a real gateway: reads and events, nothing that changes it.

use std::time::Duration;

use serde_json::{Value, json};
use windlass::{CallError, Gateway};
use windlass_line::{Clock as _, EventFilter, LineEvent, TokioClock};

use crate::demo::session::{self, Patience};
use crate::exit::{Exit, Failure, advice_on_call, of_call};
use crate::global::Global;
use crate::output::{GOOD, HEAD, Output};
use crate::text::escaped;

/// Events that are shown.
const EVENTS: usize = 5;
/// How long to wait for them: a gateway at rest sends a tick every 30 s, a health about once a minute.
const EVENTS_WITHIN: Duration = Duration::from_secs(6);
/// Longest deadline of a read; the slowest first `sessions.list` measured took 1.5 s.
const DEADLINE: Duration = Duration::from_secs(15);
/// How much of an answer is shown, in characters.
const SHOWN: usize = 100;

pub(crate) async fn run(global: &Global, output: &Output) -> Result<Exit, Failure> {
    let (target, timeouts, tokens) = session::prepare_one(global, output).await?;
    let (windlass, gateways) = session::open(std::slice::from_ref(&target), tokens).await?;
    let [gateway] = gateways.as_slice() else {
        return Ok(Exit::Usage);
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
    Ok(Exit::Ok)
}

async fn read(gateway: &Gateway, method: &'static str, params: Value, output: &Output) -> Result<(), Failure> {
    let clock = TokioClock::start();
    let begun = clock.now();
    let payload = gateway
        .call(method, params)
        .timeout(DEADLINE)
        .await
        .map_err(|error: CallError| {
            Failure::Told(of_call(&error).unwrap_or(Exit::Unreachable), advice_on_call(&error))
        })?;
    let took = crate::demo::elapsed(clock, begun);
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
