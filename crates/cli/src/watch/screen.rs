//! Where events are shown: as readable lines, as raw lines, or as JSON.

use std::io;

use anstyle::Style;

use crate::columns::cells_of;
use crate::exit::Failure;
use crate::output::{BAD, DIM, GOOD, HEAD, Output};
use crate::text::escaped;
use crate::watch::shown::{InJournal, ShownLine, StreamLine};
use crate::watch::speech::{SpeechLines, cut, folded};
use crate::watch::words::{self, Beside, EventWords};

/// Longest name of a gateway shown, in characters.
const NAME_LIMIT: usize = 40;
/// EventWords is left for words where time and names fill a line, in cells.
const LEAST_WORDS: usize = 20;

/// Lines of a stream.
pub(crate) struct EventScreen<'a> {
    output: &'a Output,
    raw: bool,
    beside: Beside,
    speech: SpeechLines,
}

impl<'a> EventScreen<'a> {
    /// For events of these names, or of all.
    pub(crate) fn new(output: &'a Output, raw: bool, events: &[String]) -> Self {
        Self {
            output,
            raw,
            beside: Beside {
                chat: events.is_empty() || events.iter().any(|name| name == "chat"),
            },
            speech: SpeechLines::default(),
        }
    }

    pub(crate) fn show(&mut self, shown: &ShownLine<'_>) -> Result<(), Failure> {
        if self.output.json() {
            self.output.line(&shown.json().map_err(io::Error::from)?)?;
        } else if self.raw {
            self.output.line(&shown.line())?;
        } else {
            for line in self.lines(shown) {
                self.output.line(&line)?;
            }
        }
        Ok(())
    }

    /// EventWords is shown of it to people; nothing for words that are no whole line yet.
    fn lines(&mut self, shown: &ShownLine<'_>) -> Vec<String> {
        let head = self.head(shown);
        let width = self.output.width();
        let StreamLine::Event(event) = shown.what else {
            let style = shown.style();
            let room = head.room(width, 3);
            let lines = folded(&shown.text(), room).into_iter();
            return lines
                .map(|text| format!("{}{style}-- {text}{style:#}", head.styled))
                .collect();
        };
        let told = words::of(event, self.beside);
        let who = told.who.unwrap_or_default();
        let (plain_who, styled_who) = if who.is_empty() {
            (0, String::new())
        } else {
            (cells_of(&who) + 1, format!("{HEAD}{who}{HEAD:#} "))
        };
        let gateway = shown.gateway.unwrap_or_default();
        let mut lines: Vec<String> = Vec::new();
        if let Some((run, said)) = &told.says {
            // Behind the name stands a colon.
            let room = head.room(width, plain_who + 1);
            let mut spoken = self.speech.hear(gateway, run, said.words(), room);
            if told.ends {
                spoken.extend(self.speech.end(gateway, run, room));
            }
            let styled = if who.is_empty() {
                String::new()
            } else {
                format!("{HEAD}{who}:{HEAD:#} ")
            };
            let lines_of = |text: String| format!("{}{styled}{}", head.styled, text);
            lines.extend(spoken.into_iter().map(lines_of));
        } else if told.ends
            && let Some(run) = run_of(event)
        {
            let room = head.room(width, plain_who + 1);
            for text in self.speech.end(gateway, &run, room) {
                lines.push(format!("{}{HEAD}{who}:{HEAD:#} {}", head.styled, text));
            }
        }
        if let Some(what) = told.what {
            let (style, text) = match what {
                EventWords::Plain(text) => (Style::new(), text),
                EventWords::Good(text) => (GOOD, text),
                EventWords::Bad(text) => (BAD, text),
            };
            let text = cut(&text, head.room(width, plain_who));
            lines.push(format!("{}{styled_who}{style}{text}{style:#}", head.styled));
        }
        lines
    }

    /// Time, place in the journal and gateway, with a space behind each.
    fn head(&self, shown: &ShownLine<'_>) -> Head {
        let time = self.output.time_of_day(shown.at);
        let place = match shown.place {
            InJournal::Not => String::new(),
            InJournal::Beside => " -".to_owned(),
            InJournal::At(cursor) => format!(" {cursor}"),
        };
        let gateway = escaped(shown.gateway.unwrap_or("-"), NAME_LIMIT);
        Head {
            cells: cells_of(&time) + cells_of(&place) + cells_of(&gateway) + 2,
            styled: format!("{DIM}{time}{place}{DIM:#} {gateway} "),
        }
    }
}

fn run_of(event: &windlass_line::Event) -> Option<String> {
    let keys = windlass_protocol::EventKeys::parse(event.payload.as_str());
    keys.run_id.map(std::borrow::Cow::into_owned)
}

/// The beginning of a line.
struct Head {
    styled: String,
    cells: usize,
}

impl Head {
    /// The cells that are left behind it and behind `more`.
    fn room(&self, width: usize, more: usize) -> usize {
        width.saturating_sub(self.cells + more).max(LEAST_WORDS)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use jiff::tz::TimeZone;
    use serde_json::{Value, json};
    use windlass_line::{Event, Marker};
    use windlass_protocol::{Generation, RawJson};

    use super::*;

    /// EventWords a person sees of these events, at this width.
    fn seen(width: usize, events: &[(&str, Value)]) -> Vec<String> {
        let mut output = Output::of_width(width);
        output.zone = TimeZone::fixed(jiff::tz::offset(2));
        let mut screen = EventScreen::new(&output, false, &[]);
        let mut lines = Vec::new();
        for (name, payload) in events {
            let event = Event {
                name: (*name).into(),
                payload: RawJson::parse(payload.to_string()).unwrap(),
                seq: None,
                generation: Generation::new(1),
            };
            lines.extend(screen.lines(&ShownLine {
                at: UNIX_EPOCH + Duration::from_secs(50_587),
                gateway: Some("lab"),
                place: InJournal::Not,
                what: StreamLine::Event(&event),
            }));
        }
        lines
            .iter()
            .map(|line| anstream::adapter::strip_str(line).to_string())
            .collect()
    }

    fn chat(state: &str, text: &str) -> (&'static str, Value) {
        let message = json!({"role": "assistant", "content": [{"type": "text", "text": text}]});
        let payload = json!({"runId": "r", "sessionKey": "agent:scribe:main", "state": state, "message": message});
        ("chat", payload)
    }

    #[test]
    fn a_conversation_reads_as_one() {
        let agent = |stream: &str, data: Value| {
            let payload = json!({"runId": "r", "sessionKey": "agent:scribe:review", "stream": stream, "data": data});
            ("agent", payload)
        };
        let lines = seen(
            usize::MAX,
            &[
                ("tick", json!({"ts": 1})),
                agent("lifecycle", json!({"phase": "start"})),
                agent("tool", json!({"phase": "start", "name": "read\u{9b}"})),
                agent("assistant", json!({"text": "One"})),
                chat("delta", "One line.\nAnd"),
                chat("delta", "One line.\nAnd another"),
                chat("final", "One line.\nAnd another.\u{1b}[2J"),
                (
                    "chat",
                    json!({"runId": "x", "sessionKey": "global", "state": "error", "errorMessage": "HTTP 400"}),
                ),
                ("later.thing", json!({"a": 1})),
            ],
        );
        assert_eq!(
            lines,
            [
                "16:03:07 lab is alive",
                "16:03:07 lab scribe/review begins a run",
                "16:03:07 lab scribe/review calls read\\u{9b}",
                "16:03:07 lab scribe: One line.",
                "16:03:07 lab scribe: And another.\\u{1b}[2J",
                "16:03:07 lab scribe has answered",
                "16:03:07 lab global failed: HTTP 400",
                "16:03:07 lab later.thing {\"a\":1}",
            ]
        );
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let long = "words of a chat as they come ".repeat(20);
        let events = [
            chat("delta", &long),
            chat("error", &long),
            ("later.thing", json!({"a": long})),
        ];
        for width in [60, 80, 120] {
            let lines = seen(width, &events);
            assert!(lines.iter().all(|line| cells_of(line) <= width), "{lines:#?}");
            assert!(lines.len() > 2);
        }
    }

    #[test]
    fn a_long_marker_is_folded() {
        let output = Output::of_width(60);
        let mut screen = EventScreen::new(&output, false, &[]);
        let lines = screen.lines(&ShownLine {
            at: UNIX_EPOCH,
            gateway: Some("lab"),
            place: InJournal::Not,
            what: StreamLine::Marker(&Marker::Unreadable),
        });
        assert!(lines.len() > 1);
        assert!(
            lines
                .iter()
                .all(|line| cells_of(&anstream::adapter::strip_str(line).to_string()) <= 60),
            "{lines:#?}"
        );
    }
}
