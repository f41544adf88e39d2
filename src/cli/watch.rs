//! `windlass watch`: events and markers as they come.

use std::fmt::Write as _;
use std::time::SystemTime;

use clap::Args;
use futures_util::StreamExt as _;
use futures_util::future::select_all;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::watch::Receiver;
use windlass_actors::{Clock as _, Event, EventFilter, LineEvent, Marker, TokioClock};
use windlass_protocol::{EventKeys, GatewayId};

use super::args::Global;
use super::exit::{Exit, Failure};
use super::output::{BAD, DIM, GOOD, Output, WARN};
use super::session::{self, Setup};
use super::text::{escaped, millis, time_of_day};
use crate::GatewaySpec;
use crate::{Gateway, LineState, LineStatus};

/// Longest payload shown on a line, in characters; `--json` shows all of it.
const PAYLOAD_LIMIT: usize = 160;
/// Longest key or name shown, in characters.
const KEY_LIMIT: usize = 80;

/// Print events as they come, and where the stream has holes
///
/// Goes on until it is interrupted: a line that breaks is connected again, and a marker in the stream says from where to
/// where events may be missing. Ends when no gateway is left that can come up by itself.
#[derive(Debug, Args)]
pub(super) struct WatchArgs {
    /// Only events of this name, for example chat; repeat it for several
    #[arg(long, value_name = "NAME")]
    event: Vec<String>,
    /// Only events of this session, by its key; repeat it for several
    #[arg(long, value_name = "KEY")]
    session: Vec<String>,
    /// Only events of this agent, by its id; repeat it for several
    #[arg(long, value_name = "ID")]
    agent: Vec<String>,
    /// End after so many events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
}

pub(super) async fn run(global: &Global, args: WatchArgs, output: &Output) -> Result<Exit, Failure> {
    let Setup { targets, tokens, .. } = session::prepare(global, output)?;
    let (windlass, gateways) = session::open(&targets, tokens).await?;
    let ended = tokio::select! {
        ended = print(&gateways, &args, output) => ended,
        failure = all_lost(&targets, &gateways, output) => Err(failure),
    };
    session::close(windlass).await;
    ended
}

async fn print(gateways: &[Gateway], args: &WatchArgs, output: &Output) -> Result<Exit, Failure> {
    let clock = TokioClock::start();
    let streams = gateways.iter().map(|gateway| {
        let id = gateway.id().clone();
        gateway.events(filter(args)).map(move |item| (id.clone(), item))
    });
    let mut events = stream::select_all(streams);
    let mut left = args.limit;
    while let Some((id, item)) = events.next().await {
        let at = clock.wall();
        if output.json() {
            output.value(&as_json(&id, &item, at))?;
        } else {
            output.line(&as_line(&id, &item, at))?;
        }
        if matches!(item, LineEvent::Event(_)) {
            left = left.map(|left| left - 1);
        }
        if left == Some(0) {
            break;
        }
    }
    Ok(Exit::Ok)
}

fn filter(args: &WatchArgs) -> EventFilter {
    let mut filter = EventFilter::all();
    for name in &args.event {
        filter = filter.name(name.as_str());
    }
    for key in &args.session {
        filter = filter.session(key.as_str());
    }
    for id in &args.agent {
        filter = filter.agent(id.as_str());
    }
    filter
}

/// Tells on stderr why lines are down; ends when every line waits for a person.
async fn all_lost(targets: &[GatewaySpec], gateways: &[Gateway], output: &Output) -> Failure {
    let mut lines: Vec<Receiver<LineStatus>> = gateways.iter().map(Gateway::status).collect();
    let mut told: Vec<Option<String>> = vec![None; lines.len()];
    loop {
        for (line, told) in lines.iter_mut().zip(&mut told) {
            let status = line.borrow_and_update().clone();
            tell(&status, told, output);
        }
        let paused = |line: &Receiver<LineStatus>| matches!(line.borrow().state, LineState::Paused { .. });
        if lines.iter().all(paused)
            && let (Some(target), Some(line)) = (targets.first(), lines.first())
        {
            let status = line.borrow().clone();
            return session::why_down(target, &status);
        }
        let changed = lines.iter_mut().map(|line| Box::pin(line.changed()));
        if select_all(changed).await.0.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Each reason once, not once per attempt.
fn tell(status: &LineStatus, told: &mut Option<String>, output: &Output) {
    let why = match (&status.state, &status.last_error) {
        (LineState::Up { .. }, _) => {
            *told = None;
            return;
        }
        (_, Some(error)) => super::advice_line(&error.advice),
        (_, None) => return,
    };
    if told.as_ref() != Some(&why) {
        output.note(&format!("{}: {why}", status.id));
        *told = Some(why);
    }
}

fn as_line(id: &GatewayId, item: &LineEvent, at: SystemTime) -> String {
    let head = format!("{DIM}{}{DIM:#} {id}", time_of_day(at));
    match item {
        LineEvent::Event(event) => format!("{head} {}", event_text(event)),
        LineEvent::Marker(marker) => {
            let (style, text) = match marker {
                Marker::Reconnected { .. } => (GOOD, marker_text(marker)),
                Marker::Disconnected { .. } => (BAD, marker_text(marker)),
                _ => (WARN, marker_text(marker)),
            };
            format!("{head} {style}-- {text}{style:#}")
        }
    }
}

fn event_text(event: &Event) -> String {
    let keys = EventKeys::parse(event.payload.as_str());
    let mut text = format!("{GOOD}{}{GOOD:#}", escaped(&event.name, KEY_LIMIT));
    for (name, value) in [("session", &keys.session_key), ("run", &keys.run_id)] {
        if let Some(value) = value {
            let _ = write!(text, " {name}={}", escaped(value, KEY_LIMIT));
        }
    }
    let _ = write!(text, " {DIM}{}{DIM:#}", escaped(event.payload.as_str(), PAYLOAD_LIMIT));
    text
}

fn marker_text(marker: &Marker) -> String {
    match marker {
        Marker::Gap(gap) => {
            let dropped = gap.received.saturating_sub(gap.expected);
            if dropped == 0 {
                return "the next event is out of its order: load the state again".to_owned();
            }
            format!("the gateway dropped {dropped} events before this point: load the state again")
        }
        Marker::Unreadable => "something came that can't be read, maybe an event: load the state again".to_owned(),
        Marker::Lagged(count) => format!("this reader was too slow: {count} events were dropped before this point"),
        Marker::Disconnected { generation } => {
            format!("connection {generation} broke: events are missing from here until it is up again")
        }
        Marker::Reconnected {
            generation,
            gateway_restarted: None,
        } if generation.number() == 1 => "connected: events follow".to_owned(),
        Marker::Reconnected {
            generation,
            gateway_restarted,
        } => {
            let restarted = match gateway_restarted {
                Some(true) => "the gateway was restarted in between",
                Some(false) => "the gateway was not restarted in between",
                None => "whether the gateway was restarted in between can't be told",
            };
            format!("connection {generation} is up; {restarted}")
        }
        _ => format!("{marker:?}"),
    }
}

fn as_json(id: &GatewayId, item: &LineEvent, at: SystemTime) -> Value {
    let at = millis(at);
    match item {
        LineEvent::Event(event) => json!({
            "type": "event",
            "atMs": at,
            "gateway": id,
            "event": event.name,
            "seq": event.seq,
            "generation": event.generation,
            "payload": event.payload,
        }),
        LineEvent::Marker(marker) => {
            let (name, detail) = match marker {
                Marker::Gap(gap) => ("gap", json!({"expected": gap.expected, "received": gap.received})),
                Marker::Lagged(count) => ("lagged", json!({"dropped": count})),
                Marker::Disconnected { generation } => ("disconnected", json!({"generation": generation})),
                Marker::Reconnected {
                    generation,
                    gateway_restarted,
                } => (
                    "reconnected",
                    json!({"generation": generation, "gatewayRestarted": gateway_restarted}),
                ),
                other => (other.name(), json!({})),
            };
            json!({
                "type": "marker",
                "atMs": at,
                "gateway": id,
                "marker": name,
                "detail": detail,
                "text": marker_text(marker),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::UNIX_EPOCH;

    use windlass_protocol::{Generation, RawJson};

    use super::*;

    fn event(name: &str, payload: &str) -> LineEvent {
        let payload = RawJson::parse(payload).unwrap();
        LineEvent::Event(Arc::new(Event {
            name: name.into(),
            payload,
            seq: Some(7),
            generation: Generation::new(1),
        }))
    }

    #[test]
    fn an_event_is_one_line_that_steers_no_terminal() {
        let id = GatewayId::new("a").unwrap();
        let item = event("cha\u{1b}[2Jt", "{\"sessionKey\":\"s\u{9b}\\n\",\"runId\":\"r\"}");
        let line = as_line(&id, &item, UNIX_EPOCH);
        let plain = anstream::adapter::strip_str(&line).to_string();
        assert!(
            plain.starts_with("00:00:00.000Z a cha\\u{1b}[2Jt session=s\\u{9b}\\n run=r {"),
            "{plain}"
        );
        assert!(!plain.chars().any(char::is_control), "{plain:?}");
    }

    #[test]
    fn a_first_connection_is_not_called_a_reconnect() {
        let marker = |number, gateway_restarted| {
            marker_text(&Marker::Reconnected {
                generation: Generation::new(number),
                gateway_restarted,
            })
        };
        assert_eq!(marker(1, None), "connected: events follow");
        assert!(marker(2, Some(true)).contains("was restarted"));
        assert!(marker(2, None).contains("can't be told"));
    }
}
