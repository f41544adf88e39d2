//! Recorded conversations of both generations, played to a tracker as if it had sent the message.

use std::time::Duration;

use serde_json::Value;
use windlass_protocol::run::{GatewayFacts, RunConfig, RunEnd, RunOutput, RunProgress, RunTracker};
use windlass_protocol::{AgentEvent, ChatEvent, SessionKey};

use super::bench::epoch;
use crate::corpus::{self, Line};

/// Plays everything that the sending connection saw after it asked for `key`.
struct Played {
    tracker: RunTracker,
    told: String,
    replaced: usize,
    ends: Vec<RunEnd>,
}

fn play(lines: &[Line], release: &str, key: &str, protocol: u32) -> Played {
    let asked = lines
        .iter()
        .position(|line| line.place.starts_with(release) && line.frame["params"]["idempotencyKey"] == key)
        .unwrap_or_else(|| panic!("{release} has no {key}"));
    let params = &lines[asked].frame["params"];
    let session = SessionKey::parse(params["sessionKey"].as_str().unwrap()).unwrap();
    let text = params["message"].as_str().unwrap();
    let config = RunConfig::new(session, key, text, GatewayFacts::of_protocol(protocol));
    let mut played = Played {
        tracker: RunTracker::new(config, epoch()),
        told: String::new(),
        replaced: 0,
        ends: Vec::new(),
    };
    played.drain(0);
    let id = &lines[asked].frame["id"];
    for (at, line) in lines[asked..]
        .iter()
        .enumerate()
        .filter(|(_, line)| line.conn == lines[asked].conn)
    {
        played.feed(&line.frame, id, u64::try_from(at).unwrap());
    }
    played
}

impl Played {
    fn feed(&mut self, frame: &Value, id: &Value, at: u64) {
        let now = epoch() + Duration::from_millis(at);
        if frame["type"] == "res" && frame["id"] == *id && frame["ok"] == true {
            self.tracker
                .on_sent(&serde_json::from_value(frame["payload"].clone()).unwrap(), now);
        }
        if frame["event"] == "chat" {
            let event: ChatEvent = serde_json::from_value(frame["payload"].clone()).unwrap();
            self.tracker.on_chat(&event, now);
        }
        if frame["event"] == "agent" {
            let event: AgentEvent = serde_json::from_value(frame["payload"].clone()).unwrap();
            self.tracker.on_agent(&event, now);
        }
        self.drain(at);
    }

    fn drain(&mut self, at: u64) {
        while let Some(output) = self.tracker.poll(epoch() + Duration::from_millis(at)) {
            match output {
                RunOutput::Tell(RunProgress::Increment(more)) => self.told.push_str(&more),
                RunOutput::Tell(RunProgress::Replaced(whole)) => {
                    self.replaced += 1;
                    self.told = whole;
                }
                RunOutput::End(end) => self.ends.push(end),
                RunOutput::Tell(_) | RunOutput::Do(_) => {}
            }
        }
    }

    fn end(&self) -> &RunEnd {
        assert_eq!(self.ends.len(), 1, "{:?}", self.tracker);
        &self.ends[0]
    }

    fn answer(&self) -> &str {
        let RunEnd::Final(answer) = self.end() else {
            panic!("{:?}", self.ends)
        };
        assert_eq!((answer.text.as_str(), self.replaced), (self.told.as_str(), 0));
        &answer.text
    }
}

const RELEASES: [(&str, u32); 2] = [("2026.3.13", 3), ("2026.9.6", 4)];

#[test]
fn recorded_runs_end_as_they_did_and_with_exactly_their_text() {
    let lines = corpus::read(&corpus::fixtures());
    for (release, protocol) in RELEASES {
        let played = |key| play(&lines, release, key, protocol);
        assert_eq!(played("fixture-echo").answer(), "echo: good morning", "{release}");
        assert_eq!(
            played("fixture-tool").answer(),
            "tool said: A file to read.",
            "{release}"
        );
        assert_eq!(played("fixture-session-1").answer(), "echo: hello there", "{release}");
        let failed = played("fixture-failed");
        let RunEnd::Failed(failure) = failed.end() else {
            panic!("{:?}", failed.ends)
        };
        assert!(!failure.message.is_empty() && failure.repair.is_none(), "{release}");
        let aborted = played("fixture-aborted");
        assert!(
            matches!(aborted.end(), RunEnd::Aborted { reason: Some(why), .. } if why == "rpc"),
            "{release}: {:?}",
            aborted.ends
        );
    }
}

#[test]
fn a_recorded_history_tells_what_its_events_told() {
    let lines = corpus::read(&corpus::fixtures());
    for (release, protocol) in RELEASES {
        let history = lines
            .iter()
            .filter(|line| line.place.starts_with(&format!("{release}/chat")))
            .find(|line| {
                line.frame["payload"]["messages"]
                    .as_array()
                    .is_some_and(|rows| !rows.is_empty())
            })
            .unwrap();
        let mut reply = history.frame["payload"].clone();
        corpus::drop_cut_items(&mut reply);
        for (key, text, answer) in [
            ("fixture-echo", "good morning", "echo: good morning"),
            (
                "fixture-tool",
                "TOOL:read:{\"path\":\"AGENTS.md\"}",
                "tool said: A file to read.",
            ),
        ] {
            let session = SessionKey::parse("agent:main:fixture-chat").unwrap();
            let mut config = RunConfig::new(session, key, text, GatewayFacts::of_protocol(protocol));
            config.sent_before = true;
            let mut played = Played {
                tracker: RunTracker::new(config, epoch()),
                told: String::new(),
                replaced: 0,
                ends: Vec::new(),
            };
            played.drain(0);
            played
                .tracker
                .on_history(&serde_json::from_value(reply.clone()).unwrap(), epoch());
            played.drain(1);
            assert_eq!(played.answer(), answer, "{release} {key}");
            assert_eq!(played.tracker.facts().keys_in_history, Some(protocol == 4));
        }
    }
}
