//! Events and markers as lines, for people and for programs.

use std::fmt::Write as _;
use std::time::SystemTime;

use anstyle::Style;
use serde::Serialize;
use serde_json::{Value, json};
use windlass::journal::{Cursor, EntryKind, Lost, RecordedEntry, RecordedMarker, Stall};
use windlass_line::{Event, LineEvent, Marker};
use windlass_protocol::{EventKeys, RawJson};

use crate::output::{BAD, DIM, GOOD, WARN, compact};
use crate::text::{counted, escaped, millis, time_of_day};

/// Longest reason shown, in characters.
const REASON_LIMIT: usize = 160;
/// Longest key or name shown, in characters.
const KEY_LIMIT: usize = 80;

/// One line of output.
#[derive(Debug)]
pub(crate) struct ShownLine<'a> {
    pub(crate) at: SystemTime,
    /// The gateway's name; none for markers that concern all gateways.
    pub(crate) gateway: Option<&'a str>,
    pub(crate) place: InJournal,
    pub(crate) what: StreamLine<'a>,
}

/// Where it stands in a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InJournal {
    /// No journal is read here.
    Not,
    /// It is about the journal, and no entry of it.
    Beside,
    At(Cursor),
}

/// The content of the line.
#[derive(Debug)]
pub(crate) enum StreamLine<'a> {
    Event(&'a Event),
    Marker(&'a Marker),
    Recorded(&'a RecordedMarker),
    Lost(&'a Lost),
    Stalled(&'a Stall),
    Resumed,
    OtherReader,
}

impl<'a> From<&'a LineEvent> for StreamLine<'a> {
    fn from(item: &'a LineEvent) -> Self {
        match item {
            LineEvent::Event(event) => Self::Event(event),
            LineEvent::Marker(marker) => Self::Marker(marker),
        }
    }
}

impl<'a> From<&'a RecordedEntry> for StreamLine<'a> {
    fn from(recorded: &'a RecordedEntry) -> Self {
        match &recorded.kind {
            EntryKind::Event(event) => Self::Event(event),
            EntryKind::Marker(RecordedMarker::Line(marker)) => Self::Marker(marker),
            EntryKind::Marker(marker) => Self::Recorded(marker),
        }
    }
}

impl ShownLine<'_> {
    pub(crate) const fn is_event(&self) -> bool {
        matches!(self.what, StreamLine::Event(_))
    }

    /// One line with all of the payload.
    pub(crate) fn line(&self) -> String {
        let mut head = format!("{DIM}{}{DIM:#}", time_of_day(self.at));
        let _ = match self.place {
            InJournal::Not => Ok(()),
            InJournal::Beside => write!(head, " {DIM}-{DIM:#}"),
            InJournal::At(cursor) => write!(head, " {DIM}{cursor}{DIM:#}"),
        };
        let gateway = escaped(self.gateway.unwrap_or("-"), KEY_LIMIT);
        if let StreamLine::Event(event) = self.what {
            return format!("{head} {gateway} {}", event_text(event));
        }
        let style = self.style();
        format!("{head} {gateway} {style}-- {}{style:#}", self.text())
    }

    /// How good it is.
    pub(crate) const fn style(&self) -> Style {
        match self.what {
            StreamLine::Marker(Marker::Reconnected { .. }) | StreamLine::Resumed => GOOD,
            StreamLine::Marker(Marker::Disconnected { .. }) | StreamLine::Stalled(_) => BAD,
            _ => WARN,
        }
    }

    /// An object as text, for programs. A payload in it is the text that came.
    pub(crate) fn json(&self) -> serde_json::Result<String> {
        let what = match self.what {
            StreamLine::Event(event) => serde_json::to_string(event)?,
            StreamLine::Marker(marker) => serde_json::to_string(marker)?,
            StreamLine::Recorded(marker) => serde_json::to_string(&OneMarker {
                r#type: "marker",
                marker: marker.name(),
                detail: detail(marker)?,
            })?,
            _ => self.beside_the_journal().to_string(),
        };
        let more = serde_json::to_string(&self.place_and_time())?;
        // Two objects made one.
        let (what, more) = (what.strip_suffix('}'), more.strip_prefix('{'));
        let (what, more) = what.zip(more).unwrap_or_default();
        Ok(compact(&format!("{what},{more}")))
    }

    fn beside_the_journal(&self) -> Value {
        match self.what {
            StreamLine::Lost(Lost::Pruned { first, last }) => {
                json!({"type": "marker", "marker": "pruned", "detail": {"first": first, "last": last}})
            }
            StreamLine::Lost(Lost::OtherJournal) => json!({"type": "marker", "marker": "otherJournal", "detail": {}}),
            StreamLine::Stalled(why) => {
                json!({"type": "marker", "marker": "stalled", "detail": {"why": why.to_string()}})
            }
            StreamLine::OtherReader => json!({"type": "marker", "marker": "otherReader", "detail": {}}),
            _ => json!({"type": "marker", "marker": "resumed", "detail": {}}),
        }
    }

    fn place_and_time(&self) -> Value {
        let mut value = json!({});
        value["atMs"] = json!(millis(self.at));
        value["gateway"] = json!(self.gateway);
        match self.place {
            InJournal::Not => {}
            InJournal::Beside => value["cursor"] = Value::Null,
            InJournal::At(cursor) => value["cursor"] = json!(cursor),
        }
        if !self.is_event() {
            value["text"] = json!(self.text());
        }
        value
    }

    /// A marker, for people.
    pub(crate) fn text(&self) -> String {
        match self.what {
            StreamLine::Event(event) => event.name.to_string(),
            StreamLine::Marker(marker) => marker_text(marker),
            StreamLine::Recorded(marker) => recorded_text(marker),
            StreamLine::Lost(Lost::Pruned { first, last }) => {
                format!("entries {first} to {last} were deleted, as old or too much, before they were read here")
            }
            StreamLine::Lost(Lost::OtherJournal) => {
                "that place is of another journal: this begins with the oldest entry of this one".to_owned()
            }
            StreamLine::Stalled(why) => format!("nothing can be recorded just now: {why}"),
            StreamLine::Resumed => "recording continues".to_owned(),
            StreamLine::OtherReader => {
                "another reader uses this consumer's name: both move its place; give one of them another --consumer"
                    .to_owned()
            }
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
    let _ = write!(text, " {DIM}{}{DIM:#}", escaped(event.payload.as_str(), usize::MAX));
    text
}

fn marker_text(marker: &Marker) -> String {
    match marker {
        Marker::Gap(gap) => {
            let dropped = gap.received.saturating_sub(gap.expected);
            if dropped == 0 {
                return "the next event is out of its order: load the state again".to_owned();
            }
            format!(
                "the gateway dropped {} before this point: load the state again",
                counted(dropped, "event")
            )
        }
        Marker::Unreadable => "something came that can't be read, maybe an event: load the state again".to_owned(),
        Marker::Lagged(count) => format!(
            "this reader was too slow: it missed {} before this point",
            counted(*count, "event")
        ),
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
        Marker::Resynced { what, .. } => format!("loaded anew: {}", escaped(&what.to_string(), KEY_LIMIT)),
        Marker::Unsynced { what, why, .. } => {
            let what = escaped(&what.to_string(), KEY_LIMIT);
            format!("the gateway refuses {what}: {}", escaped(why, REASON_LIMIT))
        }
        other => other.name().to_owned(),
    }
}

fn recorded_text(marker: &RecordedMarker) -> String {
    match marker {
        RecordedMarker::Began { up, .. } => {
            let then = if *up { "events follow" } else { "the line is not up yet" };
            format!("recording began; what came since the entry before is missing; {then}")
        }
        RecordedMarker::Ended => "recording ended".to_owned(),
        RecordedMarker::Unrecorded { events, why } => {
            format!(
                "{} not recorded: {}",
                counted(*events, "event"),
                escaped(why, REASON_LIMIT)
            )
        }
        RecordedMarker::Damaged { what } => {
            format!(
                "an entry can't be read any more ({}): the file was damaged",
                escaped(what, KEY_LIMIT)
            )
        }
        RecordedMarker::Repeated { marker, count } => format!("{}: {}", counted(*count, "time"), marker_text(marker)),
        RecordedMarker::Pruned { entries, .. } => {
            format!(
                "{} of this gateway deleted before this point: it took too much of the journal",
                counted(*entries, "entry")
            )
        }
        other => escaped(other.name(), KEY_LIMIT),
    }
}

#[derive(Serialize)]
struct OneMarker<'a> {
    r#type: &'static str,
    marker: &'a str,
    detail: RawJson,
}

fn detail(marker: &RecordedMarker) -> serde_json::Result<RawJson> {
    RawJson::from_value(&match marker {
        RecordedMarker::Began { line, up } => json!({"line": line, "up": up}),
        RecordedMarker::Unrecorded { events, why } => json!({"events": events, "why": why}),
        RecordedMarker::Damaged { what } => json!({"what": what}),
        RecordedMarker::Other { detail, .. } => return Ok(detail.clone()),
        RecordedMarker::Repeated { count, .. } => json!({"count": count}),
        RecordedMarker::Pruned { first, entries } => json!({"first": first, "entries": entries}),
        _ => json!({}),
    })
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use windlass_protocol::Generation;

    use super::*;

    fn shown(what: StreamLine<'_>) -> ShownLine<'_> {
        ShownLine {
            at: UNIX_EPOCH,
            gateway: Some("a"),
            place: InJournal::Not,
            what,
        }
    }

    #[test]
    fn an_event_is_one_line_that_steers_no_terminal() {
        let event = Event {
            name: "cha\u{1b}[2Jt".into(),
            payload: RawJson::parse("{\"sessionKey\":\"s\u{9b}\\n\",\"runId\":\"r\"}").unwrap(),
            seq: Some(7),
            generation: Generation::new(1),
        };
        let mut shown = shown(StreamLine::Event(&event));
        let plain = anstream::adapter::strip_str(&shown.line()).to_string();
        assert!(
            plain.starts_with("00:00:00.000Z a cha\\u{1b}[2Jt session=s\\u{9b}\\n run=r {"),
            "{plain}"
        );
        assert!(!plain.chars().any(char::is_control), "{plain:?}");
        let value = |shown: &ShownLine<'_>| shown.json().unwrap().parse::<Value>().unwrap();
        assert!(value(&shown).get("cursor").is_none(), "not from a journal");
        shown.place = InJournal::At(Cursor::new(17));
        let plain = anstream::adapter::strip_str(&shown.line()).to_string();
        assert!(plain.starts_with("00:00:00.000Z 17 a cha"), "{plain}");
        assert_eq!(value(&shown)["cursor"], 17);
    }

    #[test]
    fn a_payload_that_no_value_holds_is_written_as_it_came() {
        for payload in [
            r#"{"cut":"\ud83d"}"#,
            "[1e999]",
            &format!("{}{}", "[".repeat(5_000), "]".repeat(5_000)),
        ] {
            let event = Event {
                name: "chat".into(),
                payload: RawJson::parse(payload).unwrap(),
                seq: None,
                generation: Generation::new(1),
            };
            let marker = RecordedMarker::Other {
                name: "later".into(),
                detail: event.payload.clone(),
            };
            for what in [StreamLine::Event(&event), StreamLine::Recorded(&marker)] {
                let line = shown(what).json().unwrap();
                assert!(
                    line.contains(payload) && RawJson::parse(line.as_str()).is_ok(),
                    "{line}"
                );
            }
        }
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

    #[test]
    fn what_has_no_place_of_its_own_has_none_in_json() {
        let mut shown = shown(StreamLine::Lost(&Lost::OtherJournal));
        shown.place = InJournal::Beside;
        let value: Value = shown.json().unwrap().parse().unwrap();
        assert_eq!(
            (&value["cursor"], &value["marker"]),
            (&Value::Null, &json!("otherJournal"))
        );
    }
}
