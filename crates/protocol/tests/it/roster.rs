//! The materialised sessions say what a fresh list would say, or that they may not.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};
use windlass_protocol::request::SessionsListReply;
use windlass_protocol::session_roster::{RosterPage, SESSIONS_KEPT, SessionRoster, Stale};
use windlass_protocol::{AgentEvent, ChatEvent, SessionsChangedEvent};

use crate::corpus;

fn list(value: Value) -> SessionsListReply {
    serde_json::from_value(value).unwrap()
}

fn changed(value: &Value) -> SessionsChangedEvent {
    serde_json::from_value(value.clone()).unwrap()
}

fn chat(session: &str, run: &str, state: &str) -> ChatEvent {
    serde_json::from_value(json!({"sessionKey": session, "runId": run, "state": state})).unwrap()
}

fn lifecycle(session: &str, run: &str, phase: &str) -> AgentEvent {
    let value = json!({"sessionKey": session, "runId": run, "stream": "lifecycle", "data": {"phase": phase}});
    serde_json::from_value(value).unwrap()
}

fn rows(keys: &[&str]) -> Value {
    keys.iter().map(|key| json!({"key": key, "updatedAt": 1})).collect()
}

#[test]
fn a_list_makes_the_roster_fresh_and_replaces_it() {
    let mut roster = SessionRoster::default();
    assert_eq!(roster.stale(), Some(Stale::Empty));
    roster.on_asked();
    assert_eq!(
        roster.on_list(&list(json!({"ts": 5, "sessions": rows(&["a", "b"])})), 0),
        RosterPage::Complete
    );
    assert_eq!((roster.stale(), roster.len()), (None, 2));
    let before = roster.version();
    roster.on_asked();
    roster.on_list(&list(json!({"ts": 6, "sessions": rows(&["b"])})), 0);
    assert!(roster.get("a").is_none() && roster.version() > before);
}

#[test]
fn a_list_in_pages_is_fresh_with_its_last_page() {
    let mut roster = SessionRoster::default();
    roster.on_asked();
    let page = |keys: &[&str], next: Option<u32>| {
        list(json!({"ts": 5, "sessions": rows(keys), "hasMore": next.is_some(), "nextOffset": next}))
    };
    assert_eq!(roster.on_list(&page(&["a", "b"], Some(2)), 0), RosterPage::Next(2));
    assert_eq!(roster.stale(), Some(Stale::Paging));
    assert_eq!(roster.on_list(&page(&["c"], None), 2), RosterPage::Complete);
    assert_eq!((roster.stale(), roster.len()), (None, 3));
    roster.on_list(&page(&["a", "b"], Some(2)), 0);
    roster.on_line_down();
    assert_eq!(
        roster.on_list(&page(&["c"], None), 2),
        RosterPage::Next(0),
        "its first page is gone"
    );
}

#[test]
fn an_event_that_overtook_a_list_is_neither_lost_nor_undone() {
    let mut roster = SessionRoster::default();
    roster.on_asked();
    roster.on_changed(&changed(
        &json!({"sessionKey": "a", "reason": "patch", "ts": 7, "session": {"key": "a", "label": "new"}}),
    ));
    roster.on_changed(&changed(&json!({"sessionKey": "b", "reason": "delete", "ts": 7})));
    roster.on_list(
        &list(json!({"ts": 6, "sessions": [{"key": "a", "label": "old"}, {"key": "b"}]})),
        0,
    );
    assert_eq!(roster.get("a").unwrap().row.label.as_deref(), Some("new"));
    assert!(roster.get("b").is_none());
    roster.on_changed(&changed(
        &json!({"sessionKey": "a", "reason": "patch", "ts": 5, "session": {"key": "a", "label": "older"}}),
    ));
    assert_eq!(roster.get("a").unwrap().row.label.as_deref(), Some("new"));
}

#[test]
fn an_event_without_a_row_or_a_session_asks_for_a_list() {
    for event in [
        json!({"reason": "cron-bindings-loaded", "ts": 9}),
        json!({"sessionKey": "a", "reason": "patch", "ts": 9}),
    ] {
        let mut roster = SessionRoster::default();
        roster.on_asked();
        roster.on_list(&list(json!({"ts": 5, "sessions": rows(&["a"])})), 0);
        roster.on_asked();
        roster.on_changed(&changed(&event));
        assert_eq!(roster.stale(), Some(Stale::Unnamed));
        roster.on_list(&list(json!({"ts": 8, "sessions": rows(&["a"])})), 0);
        assert_eq!(roster.stale(), Some(Stale::Unnamed), "the list was made before");
        roster.on_asked();
        roster.on_list(&list(json!({"ts": 10, "sessions": rows(&["a"])})), 0);
        assert_eq!(roster.stale(), None);
    }
}

#[test]
fn a_gap_is_repaired_by_a_list_asked_for_after_it_only() {
    let mut roster = SessionRoster::default();
    roster.on_asked();
    roster.on_gap();
    roster.on_list(&list(json!({"ts": 5, "sessions": []})), 0);
    assert_eq!(roster.stale(), Some(Stale::Gap));
    roster.on_asked();
    roster.on_list(&list(json!({"ts": 5, "sessions": []})), 0);
    assert_eq!(roster.stale(), None);
}

#[test]
fn a_list_that_came_whole_and_does_not_cover_all_awaits_no_page() {
    let mut roster = SessionRoster::default();
    roster.on_asked();
    roster.on_list(
        &list(json!({"ts": 5, "sessions": [], "hasMore": true, "nextOffset": 1})),
        0,
    );
    roster.on_changed(&changed(&json!({"reason": "cron-bindings-loaded"})));
    assert_eq!(roster.stale(), Some(Stale::Paging));
    assert_eq!(
        roster.on_list(&list(json!({"ts": 5, "sessions": []})), 1),
        RosterPage::Complete
    );
    assert_eq!(roster.stale(), Some(Stale::Unnamed));
}

#[test]
fn runs_begin_and_end_by_events_where_rows_say_nothing() {
    let mut roster = SessionRoster::default();
    roster.on_asked();
    roster.on_list(&list(json!({"ts": 5, "sessions": rows(&["a"])})), 0);
    roster.on_agent(&lifecycle("a", "r", "start"));
    roster.on_chat(&chat("a", "r", "delta"));
    assert_eq!(
        roster
            .active()
            .map(|(key, entry)| (key, entry.runs.len()))
            .collect::<Vec<_>>(),
        [("a", 1)]
    );
    roster.on_chat(&chat("a", "r", "final"));
    roster.on_agent(&lifecycle("a", "r", "model"));
    roster.on_agent(&lifecycle("a", "r", "end"));
    assert_eq!(roster.active().count(), 0, "what comes after the end begins nothing");
    assert_eq!(
        roster.stale(),
        Some(Stale::Unnamed),
        "the row has changed, and no event brings it"
    );
}

#[test]
fn a_run_in_a_session_not_listed_yet_is_known_with_its_row() {
    let mut roster = SessionRoster::default();
    roster.on_asked();
    roster.on_list(&list(json!({"ts": 5, "sessions": []})), 0);
    roster.on_chat(&chat("new", "r", "delta"));
    assert_eq!(roster.stale(), Some(Stale::Unnamed));
    roster.on_asked();
    roster.on_list(&list(json!({"ts": 6, "sessions": rows(&["new"])})), 0);
    assert!(roster.get("new").unwrap().active);
    roster.on_restarted();
    assert!(!roster.get("new").unwrap().active, "no run outlives its process");
}

#[test]
fn a_run_whose_end_may_be_lost_is_over_unless_something_says_that_it_goes_on() {
    type Loss = fn(&mut SessionRoster);
    for lose in [SessionRoster::on_gap as Loss, SessionRoster::on_line_down] {
        let mut roster = SessionRoster::default();
        roster.on_asked();
        roster.on_list(&list(json!({"ts": 5, "sessions": rows(&["a", "b", "c"])})), 0);
        for key in ["a", "b", "c"] {
            roster.on_chat(&chat(key, "r", "delta"));
        }
        lose(&mut roster);
        roster.on_asked();
        assert_eq!(roster.active().count(), 3, "nothing is known to have ended");
        roster.on_chat(&chat("b", "r", "delta"));
        let mut fresh = rows(&["a", "b", "c"]);
        fresh[2]["hasActiveRun"] = json!(true);
        roster.on_list(&list(json!({"ts": 6, "sessions": fresh})), 0);
        let active: Vec<_> = roster.active().map(|(key, _)| key).collect();
        assert_eq!(active, ["b", "c"], "one went on, and one the list names");
    }
}

#[test]
fn a_run_that_begins_does_not_vouch_for_another_whose_end_was_lost() {
    for overtaken in [false, true] {
        let mut roster = SessionRoster::default();
        roster.on_asked();
        roster.on_list(&list(json!({"ts": 5, "sessions": rows(&["a"])})), 0);
        roster.on_chat(&chat("a", "ended unheard", "delta"));
        roster.on_line_down();
        roster.on_asked();
        roster.on_chat(&chat("a", "next", "delta"));
        if overtaken {
            let row = &rows(&["a"])[0];
            roster.on_changed(&changed(
                &json!({"sessionKey": "a", "reason": "patch", "ts": 7, "session": row}),
            ));
        }
        roster.on_list(&list(json!({"ts": 6, "sessions": rows(&["a"])})), 0);
        assert_eq!(
            roster.get("a").unwrap().runs,
            ["next"],
            "overtaken by an event: {overtaken}"
        );
        roster.on_chat(&chat("a", "next", "final"));
        assert_eq!(roster.active().count(), 0);
    }
}

#[test]
fn a_run_of_a_session_that_was_never_listed_may_end_unheard_too() {
    let mut roster = SessionRoster::default();
    roster.on_asked();
    roster.on_list(&list(json!({"ts": 5, "sessions": []})), 0);
    roster.on_chat(&chat("new", "ended unheard", "delta"));
    roster.on_chat(&chat("other", "goes on", "delta"));
    roster.on_line_down();
    roster.on_asked();
    roster.on_chat(&chat("other", "goes on", "delta"));
    roster.on_list(&list(json!({"ts": 6, "sessions": rows(&["new", "other"])})), 0);
    let active: Vec<_> = roster.active().map(|(key, _)| key).collect();
    assert_eq!(active, ["other"]);
}

#[test]
fn a_reset_ends_what_runs_whether_an_event_or_only_a_list_tells_of_it() {
    let listed = |roster: &mut SessionRoster, session: &str| {
        roster.on_asked();
        roster.on_list(
            &list(json!({"ts": 5, "sessions": [{"key": "a", "sessionId": session}]})),
            0,
        );
    };
    let reset = changed(&json!({"sessionKey": "a", "reason": "reset", "ts": 7}));
    for (known, told) in [(true, true), (false, true), (true, false)] {
        let mut roster = SessionRoster::default();
        if known {
            listed(&mut roster, "first");
        }
        roster.on_chat(&chat("a", "r", "delta"));
        if told {
            roster.on_changed(&reset);
        }
        listed(&mut roster, "second");
        assert_eq!(roster.active().count(), 0, "known: {known}, told: {told}");
    }
}

#[test]
fn a_row_that_names_no_session_ends_nothing() {
    let mut roster = SessionRoster::default();
    roster.on_asked();
    roster.on_list(
        &list(json!({"ts": 5, "sessions": [{"key": "a", "sessionId": "first"}]})),
        0,
    );
    roster.on_chat(&chat("a", "r", "delta"));
    roster.on_changed(&changed(
        &json!({"sessionKey": "a", "reason": "patch", "ts": 7, "session": {"key": "a"}}),
    ));
    assert_eq!(roster.get("a").unwrap().runs, ["r"]);
}

#[test]
fn a_clone_is_a_moment_that_stays_as_it_is() {
    let mut roster = SessionRoster::default();
    roster.on_asked();
    roster.on_list(&list(json!({"ts": 5, "sessions": rows(&["a", "b"])})), 0);
    let before = roster.clone();
    roster.on_chat(&chat("a", "r", "delta"));
    roster.on_changed(&changed(&json!({"sessionKey": "b", "reason": "delete", "ts": 7})));
    assert_eq!((before.len(), before.active().count()), (2, 0));
    assert_eq!((roster.len(), roster.active().count()), (1, 1));
}

#[test]
fn more_sessions_than_are_kept_leave_out_the_oldest() {
    let all: Vec<Value> = (0..SESSIONS_KEPT + 5)
        .map(|at| json!({"key": format!("s{at}"), "updatedAt": at}))
        .collect();
    let mut roster = SessionRoster::default();
    roster.on_asked();
    roster.on_list(&list(json!({"ts": 5, "sessions": all})), 0);
    assert_eq!((roster.len(), roster.is_cut()), (SESSIONS_KEPT, true));
    assert!(roster.get("s4").is_none() && roster.get("s5").is_some());
}

#[test]
fn a_recorded_roster_follows_its_events_to_what_the_next_list_says() {
    let lines = corpus::read(&corpus::fixtures());
    let mut roster = SessionRoster::default();
    let (mut lists, mut events, mut ran) = (0, 0, false);
    for line in lines.iter().filter(|line| line.place.starts_with("2026.9.6/sessions")) {
        let payload = &line.frame["payload"];
        if line.frame["event"] == "sessions.changed" {
            events += 1;
            roster.on_changed(&changed(payload));
            ran |= roster.active().count() > 0;
        }
        if payload["sessions"].is_array() {
            let mut reply = payload.clone();
            corpus::drop_cut_items(&mut reply);
            let known: Vec<_> = roster
                .iter()
                .map(|(key, entry)| (key.to_owned(), entry.active))
                .collect();
            roster.on_asked();
            let reply = list(reply);
            roster.on_list(&reply, 0);
            if events > 0 {
                let fresh: Vec<_> = roster
                    .iter()
                    .map(|(key, entry)| (key.to_owned(), entry.active))
                    .collect();
                assert_eq!(known, fresh, "{}", line.place);
                lists += 1;
            }
        }
    }
    assert!(
        lists > 1 && events > 10 && ran && roster.is_empty(),
        "{lists} {events} {ran} {roster:?}"
    );
}

/// What happens on the gateway, or on the way from it.
#[derive(Clone, Copy, Debug)]
enum Step {
    Patch(u8),
    Delete(u8),
    Start(u8),
    Stop(u8),
    /// The next event is lost, and the line says so.
    Lose,
    /// A list is asked for; its answer is made at once, and comes after the next event.
    Ask,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..5_u8).prop_map(Step::Patch),
        1 => (0..5_u8).prop_map(Step::Delete),
        3 => (0..5_u8).prop_map(Step::Start),
        3 => (0..5_u8).prop_map(Step::Stop),
        1 => Just(Step::Lose),
        2 => Just(Step::Ask),
        1 => Just(Step::Restart),
    ]
}

/// A gateway's sessions: label and run of each.
#[derive(Default)]
struct Gateway {
    ts: u64,
    sessions: BTreeMap<String, (u64, Option<u64>)>,
}

impl Gateway {
    fn row(&self, key: &str) -> Value {
        let (label, run) = &self.sessions[key];
        let ids: Vec<String> = run.iter().map(ToString::to_string).collect();
        json!({"key": key, "label": label.to_string(), "updatedAt": label, "hasActiveRun": run.is_some(), "activeRunIds": ids})
    }

    fn list(&self) -> SessionsListReply {
        let rows: Vec<Value> = self.sessions.keys().map(|key| self.row(key)).collect();
        list(json!({"ts": self.ts, "sessions": rows}))
    }

    /// Does it, and gives the event.
    fn act(&mut self, step: Step, rows: bool) -> Option<Value> {
        let (key, event) = match step {
            Step::Patch(at) => (at, json!({"reason": "patch"})),
            Step::Delete(at) => (at, json!({"reason": "delete"})),
            Step::Start(at) => (at, json!({"phase": "start", "runId": self.ts.to_string()})),
            Step::Stop(at) => (at, json!({"phase": "end"})),
            _ => return None,
        };
        let key = format!("agent:main:{key}");
        let mut event = event;
        event["sessionKey"] = json!(key);
        event["ts"] = json!(self.ts);
        let entry = self.sessions.entry(key.clone()).or_default();
        match step {
            Step::Start(_) => entry.1 = Some(self.ts),
            Step::Stop(_) => event["runId"] = json!(entry.1.take().unwrap_or_default().to_string()),
            _ => {}
        }
        entry.0 = self.ts;
        if let Step::Delete(_) = step {
            self.sessions.remove(&key);
        } else if rows {
            event["session"] = self.row(&key);
        }
        Some(event)
    }
}

proptest! {
    #[test]
    fn a_roster_that_does_not_call_itself_stale_says_what_a_fresh_list_says(
        steps in proptest::collection::vec(step(), 0..60),
        rows in any::<bool>(),
        same_ms in any::<bool>(),
    ) {
        let mut gateway = Gateway { ts: 100, ..Gateway::default() };
        let mut roster = SessionRoster::default();
        let (mut lose, mut answer): (bool, Option<SessionsListReply>) = (false, None);
        for step in steps {
            gateway.ts += u64::from(!same_ms);
            match step {
                Step::Lose => lose = true,
                Step::Ask => {
                    roster.on_asked();
                    answer = Some(gateway.list());
                }
                Step::Restart => {
                    answer = None;
                    roster.on_line_down();
                    gateway.ts += 5_000;
                    gateway.sessions.values_mut().for_each(|(_, run)| *run = None);
                    roster.on_restarted();
                }
                step => {
                    let event = gateway.act(step, rows);
                    if std::mem::take(&mut lose) {
                        roster.on_gap();
                    } else if let Some(event) = event {
                        roster.on_changed(&changed(&event));
                    }
                    if let Some(reply) = answer.take() {
                        roster.on_list(&reply, 0);
                    }
                }
            }
            let fresh: Vec<_> = gateway.sessions.keys().map(|key| (key.clone(), gateway.row(key))).collect();
            if roster.stale().is_none() && answer.is_none() && !lose {
                let known: Vec<_> = roster.iter().map(|(key, entry)| (key.to_owned(), serde_json::to_value(&entry.row).unwrap())).collect();
                prop_assert_eq!(&known, &fresh);
                for (key, entry) in roster.iter() {
                    prop_assert_eq!(entry.active, gateway.sessions[key].1.is_some());
                }
            }
        }
        gateway.ts += 1;
        roster.on_asked();
        roster.on_list(&gateway.list(), 0);
        prop_assert_eq!((roster.stale(), roster.len()), (None, gateway.sessions.len()));
    }
}
