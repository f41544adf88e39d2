//! What each step of a run changes and sends, in the shape of the release.

use serde_json::{Value, json};

use super::{Run, Status, frames, history};
use crate::gateway::clock;
use crate::gateway::events::{Audience, Event};
use crate::gateway::halves;
use crate::gateway::journal::SideEffect;
use crate::gateway::methods::sessions::{agent_of, row_of};
use crate::gateway::profile::at::{R6_11, R8_2, R9_6};
use crate::gateway::profile::{FailedRun, Profile, SecondSend, Silence};
use crate::gateway::server::Server;
use crate::gateway::state::State;

/// Transcript rows kept per session; the real limit is the disk.
const ROWS: usize = 10_000;

fn lifecycle(profile: &Profile, run: &mut Run, data: &Value, now_ms: u64) -> Event {
    Event::new("agent", frames::agent(profile, run, "lifecycle", data, now_ms))
}

pub(super) fn lifecycle_error(profile: &Profile, run: &mut Run, text: &str, now_ms: u64) -> Event {
    lifecycle(
        profile,
        run,
        &json!({"phase": "error", "error": text, "endedAt": now_ms}),
        now_ms,
    )
}

fn status(profile: &Profile, run: &mut Run, phase: &str, now_ms: u64) -> Vec<Event> {
    if !profile.chat_status {
        return Vec::new();
    }
    let agent = frames::agent(profile, run, "run_status", &json!({"phase": phase}), now_ms);
    vec![
        Event::new("chat", frames::status(profile, run, phase)),
        Event::new("agent", agent),
    ]
}

/// The text is in: it is written down at once, but for the first one of a session up to 4.15, whose transcript begins with its
/// first answer.
pub(super) fn enter(profile: &Profile, state: &mut State, run: &mut Run, now_ms: u64) -> Vec<Event> {
    let mut sent = status(profile, run, "preparing_workspace", now_ms);
    sent.extend(status(profile, run, "preparing_context", now_ms));
    if profile.rows_at_once || has_answer(state, run) {
        sent.extend(note_user(profile, state, run));
    }
    sent
}

fn has_answer(state: &State, run: &Run) -> bool {
    let session = state.sessions.get(&run.session);
    session.is_some_and(|session| session.rows.iter().any(|row| row["role"] == "assistant"))
}

fn note_user(profile: &Profile, state: &mut State, run: &mut Run) -> Option<Event> {
    run.noted = true;
    let row = history::user_row(profile, &mut state.random, run);
    push_row(profile, state, run, &row)
}

fn push_row(profile: &Profile, state: &mut State, run: &Run, row: &Value) -> Option<Event> {
    let session = state.sessions.get_mut(&run.session)?;
    if session.rows.len() == ROWS {
        session.rows.remove(0);
    }
    session.rows.push(row.clone());
    let (seq, session_id) = (session.rows.len(), session.id.clone());
    let mut message = row.clone();
    if profile.history_meta {
        message["__openclaw"]["seq"] = json!(seq);
    }
    let payload = json!({
        "sessionKey": run.session, "agentId": agent_of(&run.session), "message": message,
        "messageId": state.random.uuid(), "messageSeq": seq, "sessionId": session_id,
    });
    profile
        .session_subscriptions
        .then(|| Event::new("session.message", payload).to(Audience::MessageSubscribers(run.session.clone())))
}

fn changed(profile: &Profile, state: &State, run: &Run, phase: &str, now_ms: u64) -> Option<Event> {
    let mut payload = json!({
        "sessionKey": run.session, "agentId": agent_of(&run.session), "phase": phase, "runId": run.id, "ts": now_ms,
    });
    if let Some(session) = state.sessions.get(&run.session).filter(|_| profile.session_rows) {
        let active = run.active().then_some(run.id.as_str());
        payload["session"] = row_of(profile, state, &run.session, session, active);
    }
    profile
        .session_subscriptions
        .then(|| Event::new("sessions.changed", payload).to(Audience::SessionSubscribers))
}

pub(super) fn begin(profile: &Profile, state: &mut State, run: &mut Run, now_ms: u64) -> Vec<Event> {
    let mut sent = vec![lifecycle(
        profile,
        run,
        &json!({"phase": "start", "startedAt": now_ms}),
        now_ms,
    )];
    sent.extend(status(profile, run, "starting_model", now_ms));
    sent.extend(changed(profile, state, run, "start", now_ms));
    if profile.index >= R9_6 {
        let data = json!({"phase": "model", "provider": "fake", "model": "fake-1"});
        sent.push(lifecycle(profile, run, &data, now_ms));
    }
    sent
}

/// `agent` stream `tool` goes only to the connection that sent the text and has the cap; 9.6 gives session
/// subscribers `session.tool` instead.
pub(super) fn tool(profile: &Profile, state: &mut State, run: &mut Run, now_ms: u64) -> Vec<Event> {
    let listens = state
        .conns
        .get(&run.sender)
        .and_then(|conn| conn.peer.as_ref())
        .is_some_and(|peer| peer.caps.iter().any(|cap| cap == "tool-events"));
    let steps = [
        json!({"phase": "start", "name": "session_status", "toolCallId": "call_fake_1", "args": {}}),
        json!({"phase": "result", "name": "session_status", "toolCallId": "call_fake_1", "isError": false}),
    ];
    let mut sent = Vec::new();
    for data in steps {
        let payload = frames::agent(profile, run, "tool", &data, now_ms);
        if profile.session_subscriptions {
            let to = Audience::MessageSubscribers(run.session.clone());
            sent.push(Event::new("session.tool", payload.clone()).to(to));
        }
        if listens && profile.tool_events {
            sent.push(Event::new("agent", payload).to(Audience::Only(run.sender)));
        }
    }
    sent
}

/// One piece of the answer. Up to 4.15 the last delta comes after the lifecycle's end, and the two oldest
/// releases send no delta but the first.
pub(super) fn assistant(
    profile: &Profile,
    run: &mut Run,
    piece: &str,
    (first, last): (bool, bool),
    now_ms: u64,
) -> Vec<Event> {
    run.text = halves::joined(&format!("{}{piece}", run.text));
    let mut data = json!({"text": run.text, "delta": piece});
    if profile.chat_status {
        data["itemId"] = json!(format!("{}:1", run.id));
    }
    let mut sent = vec![Event::new(
        "agent",
        frames::agent(profile, run, "assistant", &data, now_ms),
    )];
    let shown = if profile.full_last_delta {
        profile.v4() || !last
    } else {
        first && !last
    };
    if shown {
        sent.push(Event::new("chat", frames::delta(profile, run, piece, now_ms)));
    }
    sent
}

pub(super) fn complete(
    server: &Server,
    profile: &Profile,
    state: &mut State,
    run: &mut Run,
    now_ms: u64,
) -> Vec<Event> {
    let mut sent = Vec::new();
    if profile.index >= R8_2 {
        let usage = frames::agent(profile, run, "usage", &json!({"outputTokens": 20}), now_ms);
        sent.push(Event::new("agent", usage));
    }
    if profile.index >= R6_11 {
        sent.push(lifecycle(
            profile,
            run,
            &json!({"phase": "finishing", "endedAt": now_ms}),
            now_ms,
        ));
    }
    sent.push(lifecycle(
        profile,
        run,
        &json!({"phase": "end", "endedAt": now_ms}),
        now_ms,
    ));
    if profile.full_last_delta && !profile.v4() {
        sent.push(Event::new("chat", frames::delta(profile, run, "", now_ms)));
    }
    sent.push(Event::new("chat", frames::whole_final(profile, run, now_ms)));
    sent.extend(rows_at_end(profile, state, run, None, now_ms));
    sent.extend(settle(server, profile, state, run, Status::Ok, now_ms));
    sent
}

fn rows_at_end(profile: &Profile, state: &mut State, run: &mut Run, error: Option<&str>, now_ms: u64) -> Vec<Event> {
    let mut sent = Vec::new();
    if !run.noted {
        sent.extend(note_user(profile, state, run));
    }
    let row = history::assistant_row(profile, &mut state.random, run, error, now_ms);
    sent.extend(push_row(profile, state, run, &row));
    sent
}

/// The model said nothing, on the releases that ask it again a second time.
pub(super) fn silent(server: &Server, profile: &Profile, state: &mut State, run: &mut Run, now_ms: u64) -> Vec<Event> {
    const WHY: &str = "\u{26a0}\u{fe0f} Agent couldn't generate a response. Please try again.";
    if profile.silence != Silence::Fails {
        let ended = json!({"phase": "end", "endedAt": now_ms});
        let mut sent = vec![lifecycle(profile, run, &ended, now_ms)];
        sent.push(Event::new("chat", frames::silent_final(profile, run)));
        if profile.silence == Silence::BareFinalAndRow {
            super::NO_REPLY.clone_into(&mut run.text);
            sent.extend(rows_at_end(profile, state, run, None, now_ms));
            run.text.clear();
        } else if !run.noted {
            sent.extend(note_user(profile, state, run));
        }
        sent.extend(settle(server, profile, state, run, Status::Ok, now_ms));
        return sent;
    }
    let ended = json!({
        "phase": "error", "aborted": false, "error": WHY, "endedAt": now_ms, "terminalReply": {"disposition": "silent"},
    });
    let mut sent = vec![lifecycle(profile, run, &ended, now_ms)];
    let mut aborted = frames::aborted(profile, run, "stop", now_ms);
    let mut error = frames::error(profile, run, WHY);
    for (event, absent) in [(&mut aborted, "message"), (&mut error, "agentId")] {
        if let Some(event) = event.as_object_mut() {
            event.remove(absent);
        }
    }
    sent.extend([aborted, error].map(|payload| Event::new("chat", payload)));
    if !run.noted {
        sent.extend(note_user(profile, state, run));
    }
    let failed = Status::Failed(WHY.to_owned());
    sent.extend(settle(server, profile, state, run, failed, now_ms));
    sent
}

/// The first of two error events.
pub(super) fn first_error(profile: &Profile, run: &mut Run, text: &str, now_ms: u64) -> Vec<Event> {
    run.failing = true;
    let lifecycle = lifecycle_error(profile, run, text, now_ms);
    let mut first = frames::error(profile, run, text);
    first["errorDetail"] = json!({"provider": "fake", "model": "fake-1", "failoverReason": "format"});
    vec![lifecycle, Event::new("chat", first)]
}

pub(super) fn failed(
    server: &Server,
    profile: &Profile,
    state: &mut State,
    run: &mut Run,
    text: &str,
    now_ms: u64,
) -> Vec<Event> {
    let mut sent = Vec::new();
    match profile.failed_run {
        FailedRun::BareFinal => {
            sent.push(lifecycle(
                profile,
                run,
                &json!({"phase": "end", "endedAt": now_ms}),
                now_ms,
            ));
            sent.push(Event::new("chat", frames::bare_final(profile, run)));
        }
        FailedRun::Error => {
            sent.push(lifecycle_error(profile, run, text, now_ms));
            sent.push(Event::new("chat", frames::error(profile, run, text)));
        }
        FailedRun::NoTerminal => sent.push(lifecycle_error(profile, run, text, now_ms)),
        FailedRun::ErrorTwice => {
            if !run.failing {
                sent.extend(first_error(profile, run, text, now_ms));
            }
            let mut second = frames::error(profile, run, text);
            if let Some(second) = second.as_object_mut() {
                second.remove("agentId");
            }
            sent.push(Event::new("chat", second));
        }
    }
    sent.extend(rows_at_end(profile, state, run, Some(text), now_ms));
    sent.extend(settle(
        server,
        profile,
        state,
        run,
        Status::Failed(text.to_owned()),
        now_ms,
    ));
    sent
}

/// The run is over: the lane is free, joined texts get their bare finals.
fn settle(
    server: &Server,
    profile: &Profile,
    state: &mut State,
    run: &mut Run,
    status: Status,
    now_ms: u64,
) -> Vec<Event> {
    let phase = if matches!(status, Status::Failed(_)) {
        "error"
    } else {
        "end"
    };
    run.end(status, now_ms);
    server.effect(SideEffect::RunEnded { key: run.id.clone() });
    if let Some(session) = state.sessions.get_mut(&run.session) {
        session.turns += 1;
        session.updated_ms = now_ms;
        session.last_final = Some(clock::now());
        session.last_text = Some((run.message.clone(), run.id.clone()));
    }
    let mut sent: Vec<Event> = changed(profile, state, run, phase, now_ms).into_iter().collect();
    for id in std::mem::take(&mut run.joined) {
        let Some(mut joined) = state.runs.remove(&id) else {
            continue;
        };
        if joined.active() {
            sent.push(Event::new("chat", frames::bare_final(profile, &mut joined)));
            let mut row = history::user_row(profile, &mut state.random, &joined);
            if profile.second_send == SecondSend::JoinsByName {
                row["__openclaw"]["steerTargetRunId"] = json!(run.id);
            }
            sent.extend(push_row(profile, state, &joined, &row));
            joined.end(Status::HandedOn, now_ms);
            server.effect(SideEffect::RunEnded { key: id.clone() });
        }
        state.runs.insert(id, joined);
    }
    sent
}
