//! The sessions of a gateway, from lists and events in any order.

use std::collections::BTreeSet;

use arbitrary::{Arbitrary, Result, Unstructured};
use serde_json::{Value, json};
use windlass_protocol::session_roster::{RUNS_KEPT, RosterPage, SESSIONS_KEPT, SessionRoster, Stale};
use windlass_protocol::{AgentPhase, ChatState};

use crate::shared::steps;

/// Few names, so that steps meet.
#[derive(Arbitrary, Debug, Clone, Copy)]
struct Name(u8);

impl Name {
    fn session(self) -> String {
        format!("agent:main:{}", self.0 % 3)
    }

    fn run(self) -> String {
        format!("run-{}", self.0 % 40)
    }
}

/// A possible input of the roster.
#[derive(Debug)]
enum Step {
    Ask,
    List {
        rows: Vec<Row>,
        ts: Option<u16>,
        offset: u8,
        next: Option<u8>,
        more: Option<bool>,
    },
    Changed {
        session: Option<Name>,
        run: Option<Name>,
        ts: Option<u16>,
        row: Option<Row>,
        kind: Kind,
    },
    Chat {
        session: Name,
        run: Name,
        state: State,
    },
    Lifecycle {
        session: Name,
        run: Name,
        phase: Phase,
    },
    /// More runs of one session than are noted.
    Flood(Name),
    Gap,
    Down,
    Restarted,
}

impl<'a> Arbitrary<'a> for Step {
    /// Weighed: mostly events, and now and then something that makes all doubtful.
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match u8::arbitrary(u)? {
            0..=19 => Self::Ask,
            20..=54 => Self::List {
                rows: u.arbitrary()?,
                ts: u.arbitrary()?,
                offset: u.arbitrary()?,
                next: u.arbitrary()?,
                more: u.arbitrary()?,
            },
            55..=124 => Self::Changed {
                session: u.arbitrary()?,
                run: u.arbitrary()?,
                ts: u.arbitrary()?,
                row: u.arbitrary()?,
                kind: u.arbitrary()?,
            },
            125..=194 => Self::Chat {
                session: u.arbitrary()?,
                run: u.arbitrary()?,
                state: u.arbitrary()?,
            },
            195..=199 => Self::Flood(u.arbitrary()?),
            200..=245 => Self::Lifecycle {
                session: u.arbitrary()?,
                run: u.arbitrary()?,
                phase: u.arbitrary()?,
            },
            246..=249 => Self::Gap,
            250..=253 => Self::Down,
            254.. => Self::Restarted,
        })
    }
}

#[derive(Arbitrary, Debug)]
struct Row {
    name: Name,
    updated: Option<u16>,
    active: Option<bool>,
    runs: Option<Vec<Name>>,
}

#[derive(Arbitrary, Debug)]
enum Kind {
    Patch,
    Delete,
    Start,
    End,
    Error,
}

#[derive(Arbitrary, Debug)]
enum State {
    Delta,
    Status,
    Final,
    Aborted,
    Error,
    New,
}

#[derive(Arbitrary, Debug)]
enum Phase {
    Start,
    End,
    Error,
    Model,
}

impl Row {
    fn value(&self) -> Value {
        let mut row = json!({ "key": self.name.session() });
        if let Some(updated) = self.updated {
            row["updatedAt"] = json!(updated);
        }
        if let Some(active) = self.active {
            row["hasActiveRun"] = json!(active);
        }
        if let Some(runs) = &self.runs {
            row["activeRunIds"] = runs.iter().map(|run| run.run()).collect();
        }
        row
    }
}

/// Bounds hold after each step. The version grows with each change. A copy stays unchanged. After a whole list that was loaded last,
/// the roster is equal to this list.
pub(super) fn run(data: &[u8]) {
    let mut roster = SessionRoster::default();
    assert_eq!(roster.stale(), Some(Stale::Empty));
    for step in steps::read::<Step>(data) {
        let before = roster.clone();
        let kept = seen(&before);
        take(&mut roster, &step);
        assert_eq!(seen(&before), kept, "a copy is a moment that stays");
        assert!(roster.version() >= before.version());
        assert!(
            roster.version() > before.version() || seen(&roster) == kept,
            "a change is counted: {step:?}"
        );
        assert_bounded(&roster);
    }
    assert_list_repairs(&mut roster);
}

/// Everything of a roster that a reader sees.
fn seen(roster: &SessionRoster) -> Vec<(String, bool, Vec<String>, Value)> {
    let entry = |(key, entry): (&str, &windlass_protocol::session_roster::RosterEntry)| {
        let row = serde_json::to_value(&entry.row).expect("JSON is written");
        (key.to_owned(), entry.active, entry.runs.clone(), row)
    };
    roster.iter().map(entry).collect()
}

fn take(roster: &mut SessionRoster, step: &Step) {
    match step {
        Step::Ask => roster.on_asked(),
        Step::List {
            rows,
            ts,
            offset,
            next,
            more,
        } => {
            let rows: Vec<Value> = rows.iter().map(Row::value).collect();
            let list = json!({ "sessions": rows, "ts": ts, "nextOffset": next, "hasMore": more });
            let list = serde_json::from_value(list).expect("a list");
            let offset = u32::from(*offset % 4);
            match roster.on_list(&list, offset) {
                RosterPage::Next(again) => assert!(again > offset || again == 0, "pages go on, or begin anew"),
                RosterPage::Complete => assert_ne!(roster.stale(), Some(Stale::Paging)),
            }
        }
        Step::Changed {
            session,
            run,
            ts,
            row,
            kind,
        } => roster.on_changed(&changed(*session, *run, *ts, row.as_ref(), kind)),
        Step::Chat { session, run, state } => roster.on_chat_state(&session.session(), &run.run(), &state.state()),
        Step::Lifecycle { session, run, phase } => {
            roster.on_lifecycle(&session.session(), &run.run(), &phase.phase());
        }
        Step::Flood(session) => {
            for run in 0..=RUNS_KEPT {
                roster.on_lifecycle(&session.session(), &format!("flood-{run}"), &AgentPhase::Start);
            }
        }
        Step::Gap => {
            roster.on_gap();
            assert!(roster.stale().is_some());
        }
        Step::Down => {
            roster.on_line_down();
            assert!(roster.stale().is_some());
        }
        Step::Restarted => {
            roster.on_restarted();
            assert_eq!(roster.active().count(), 0, "no run outlives its process");
        }
    }
}

fn changed(
    session: Option<Name>,
    run: Option<Name>,
    ts: Option<u16>,
    row: Option<&Row>,
    kind: &Kind,
) -> windlass_protocol::SessionsChangedEvent {
    let mut event = json!({ "ts": ts, "runId": run.map(Name::run), "sessionKey": session.map(Name::session) });
    match kind {
        Kind::Patch => event["reason"] = json!("patch"),
        Kind::Delete => event["reason"] = json!("delete"),
        Kind::Start => event["phase"] = json!("start"),
        Kind::End => event["phase"] = json!("end"),
        Kind::Error => event["phase"] = json!("error"),
    }
    if let Some(row) = row {
        event["session"] = row.value();
    }
    serde_json::from_value(event).expect("an event")
}

impl State {
    fn state(&self) -> ChatState {
        match self {
            Self::Delta => ChatState::Delta,
            Self::Status => ChatState::Status,
            Self::Final => ChatState::Final,
            Self::Aborted => ChatState::Aborted,
            Self::Error => ChatState::Error,
            Self::New => ChatState::from("new"),
        }
    }
}

impl Phase {
    fn phase(&self) -> AgentPhase {
        match self {
            Self::Start => AgentPhase::Start,
            Self::End => AgentPhase::End,
            Self::Error => AgentPhase::Error,
            Self::Model => AgentPhase::Model,
        }
    }
}

fn assert_bounded(roster: &SessionRoster) {
    assert!(roster.len() <= SESSIONS_KEPT);
    for (key, entry) in roster.iter() {
        assert_eq!(key, entry.row.key);
        assert!(entry.runs.len() <= RUNS_KEPT, "{} runs", entry.runs.len());
        assert!(
            entry.active || entry.runs.is_empty(),
            "what is not active has no runs: {entry:?}"
        );
    }
}

fn assert_list_repairs(roster: &mut SessionRoster) {
    roster.on_asked();
    // Later than all that any step told.
    let list = json!({ "ts": 1_000_000, "sessions": [{ "key": "agent:main:0" }, { "key": "agent:main:last" }] });
    let page = roster.on_list(&serde_json::from_value(list).expect("a list"), 0);
    assert_eq!((page, roster.stale()), (RosterPage::Complete, None));
    let keys: BTreeSet<&str> = roster.iter().map(|(key, _)| key).collect();
    assert_eq!(keys, BTreeSet::from(["agent:main:0", "agent:main:last"]));
}
