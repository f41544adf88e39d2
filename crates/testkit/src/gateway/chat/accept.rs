//! `chat.send`, `chat.abort`, `chat.inject` and `agent`: what becomes of a text.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::{ChatPlan, Run, Status, commands, forget, frames, holder};
use crate::gateway::clock;
use crate::gateway::events::Event;
use crate::gateway::journal::SideEffect;
use crate::gateway::methods::Call;
use crate::gateway::methods::sessions::{agent_of, ensure, full_key};
use crate::gateway::profile::SecondSend;
use crate::gateway::roster;
use crate::gateway::server::{Answer, Effect, Later};
use crate::gateway::spelling::Spelling;
use crate::gateway::wire::WireError;

/// 6.11: the same text within this time after a final is taken for a repetition.
const CONTENT_DEDUPE: Duration = Duration::from_secs(2);
/// 4.15, 5.12, 7.1: a text within this time after a final is put back (0.3 s was, 1 s was not).
const LANE_BUSY: Duration = Duration::from_millis(500);
/// Until the bare final of a text that was put back, and until it runs after all.
const PUT_BACK: Duration = Duration::from_millis(100);

pub(crate) fn send(call: &mut Call<'_>) -> Answer {
    let attached = call.params["attachments"]
        .as_array()
        .is_some_and(|list| !list.is_empty());
    if call.required("message").trim().is_empty() && !attached {
        return WireError::invalid("message or attachment required").into();
    }
    let key = full_key(call, &call.required("sessionKey"));
    let id = call.required("idempotencyKey");
    if let Some(refused) = refuse_agent(call, &key) {
        return refused;
    }
    // Before the key is looked at, and never remembered under it.
    if commands::is_stop(&call.server.profile, &call.required("message")) {
        call.server.effect(SideEffect::CommandDone { key: id });
        return stop(call, &key, None, "stop");
    }
    forget(call.state);
    if let Some(answer) = repeated(call, &id, &key) {
        return answer;
    }
    if let Some(older) = same_content(call, &key) {
        return Answer::ok(json!({"runId": older, "status": "in_flight"}));
    }
    let answer = started(&id);
    match commands::answer_to(&call.required("message")) {
        Some(said) => commands::carry_out(call, id, &key, said, answer),
        None => accept(call, id, &key, answer),
    }
}

fn started(id: &str) -> Answer {
    Answer::ok(json!({"runId": id, "status": "started"}))
}

fn refuse_agent(call: &Call<'_>, key: &str) -> Option<Answer> {
    let profile = &call.server.profile;
    let agent = agent_of(key);
    let known = profile.runs_unknown_agents || roster::find(profile, &call.state.config, agent).is_some();
    (!known).then(|| WireError::invalid(format!("Agent \"{agent}\" no longer exists in configuration")).into())
}

/// The answer to a key that the dedupe memory holds.
fn repeated(call: &Call<'_>, id: &str, key: &str) -> Option<Answer> {
    let run = call.state.runs.get(id)?;
    let v4 = call.server.profile.v4();
    if call.server.profile.key_conflicts_refused && (run.message != call.required("message") || run.session != key) {
        let message = "This message ID was already used for different input. Check the conversation history and use \
                       a new message ID to send again.";
        return Some(
            WireError::invalid(message)
                .details(json!({"reason": "chat-request-conflict"}))
                .into(),
        );
    }
    let ended = run.ended.map(|(_, ms)| ms);
    Some(Answer::ok(match &run.status {
        Status::Running => json!({"runId": id, "status": "in_flight"}),
        Status::Aborted(stop) if v4 => {
            json!({"runId": id, "status": "timeout", "summary": "aborted", "stopReason": stop, "endedAt": ended})
        }
        Status::Failed(summary) if v4 => json!({"runId": id, "status": "error", "summary": summary}),
        _ => json!({"runId": id, "status": "ok"}),
    }))
}

fn same_content(call: &Call<'_>, key: &str) -> Option<String> {
    let session = call
        .state
        .sessions
        .get(key)
        .filter(|_| call.server.profile.dedupes_content)?;
    let recent = session
        .last_final
        .is_some_and(|at| clock::now().saturating_duration_since(at) < CONTENT_DEDUPE);
    let (text, run) = session.last_text.as_ref()?;
    (recent && *text == call.required("message")).then(|| run.clone())
}

/// Takes the text in and decides which way it goes.
fn accept(call: &mut Call<'_>, id: String, key: &str, answer: Answer) -> Answer {
    let profile = call.server.profile.clone();
    let message = call.required("message");
    let now = clock::now();
    let session = ensure(call, key, false);
    let breaks = profile.precreated_sessions_break && session.precreated && session.turns >= 1;
    let busy = profile.requeues_early_sends
        && session
            .last_final
            .is_some_and(|at| now.saturating_duration_since(at) < LANE_BUSY);
    let run = new_run(call, id.clone(), key, &message);
    let effect = SideEffect::ChatRun {
        key: id.clone(),
        session: key.to_owned(),
        message,
    };
    if breaks {
        return broken(call, run, answer);
    }
    if busy {
        return put_back(call, run, answer);
    }
    let holder = holder(call.state, key);
    if holder.is_some_and(|run| run.failing) {
        return dropped(call, run, answer);
    }
    let lane = holder.map(|run| run.id.clone());
    if let Some(lane) = &lane
        && profile.second_send == SecondSend::RunsAfter
    {
        return run_after(call, run, lane, answer);
    }
    remember(call, run);
    call.server.effect(effect);
    if let Some(lane) = lane {
        // The text joins the run that is under way, which will also end this one.
        if let Some(first) = call.state.runs.get_mut(&lane) {
            first.joined.push(id);
        }
        return answer;
    }
    answer.then(Effect::StartRun(id))
}

pub(super) fn new_run(call: &mut Call<'_>, id: String, key: &str, message: &str) -> Run {
    let shown_as = match call.text("sessionKey") {
        Some(asked) => Spelling::new(&call.server.profile, &call.state.config).shown(asked),
        None => key.to_owned(),
    };
    let session_id = ensure(call, key, false).id.clone();
    let plan: ChatPlan = call
        .state
        .next_plans
        .pop_front()
        .unwrap_or_else(|| call.state.plan.clone());
    let plan = plan.for_text(message);
    Run {
        id,
        session: key.to_owned(),
        shown_as,
        session_id,
        message: message.to_owned(),
        came_ms: call.server.clock.wall_ms(),
        sender: call.conn,
        sender_label: call.peer.client_id.clone(),
        plan,
        status: Status::Running,
        text: String::new(),
        seq: 0,
        joined: Vec::new(),
        waiting: Vec::new(),
        noted: false,
        failing: false,
        ended: None,
        over: Arc::new(watch::Sender::new(false)),
    }
}

pub(super) fn remember(call: &mut Call<'_>, run: Run) {
    call.state.run_order.push_back(run.id.clone());
    call.state.runs.insert(run.id.clone(), run);
    forget(call.state);
}

/// 6.11: the session conflicts with itself; the user row stays, the run does not happen.
fn broken(call: &mut Call<'_>, mut run: Run, answer: Answer) -> Answer {
    /// Seen 0.03 s after `started`.
    const AFTER: Duration = Duration::from_millis(30);
    let text = format!("Error: reply session initialization conflicted for {}", run.session);
    let payload = frames::error(&call.server.profile, &mut run, &text);
    let now_ms = call.server.clock.wall_ms();
    let row = super::history::user_row(&call.server.profile, &mut call.state.random, &run);
    run.end(Status::Failed(text), now_ms);
    if let Some(session) = call.state.sessions.get_mut(&run.session) {
        session.rows.push(row);
    }
    remember(call, run);
    answer.then(Effect::EmitAfter(AFTER, Event::new("chat", payload)))
}

/// 6.11, 7.1, while a run fails: the user row stays, a bare final comes, and nothing runs.
fn dropped(call: &mut Call<'_>, mut run: Run, answer: Answer) -> Answer {
    /// Seen 0.05 s after the second error event.
    const AFTER: Duration = Duration::from_millis(210);
    let bare = frames::bare_final(&call.server.profile, &mut run);
    let now_ms = call.server.clock.wall_ms();
    let row = super::history::user_row(&call.server.profile, &mut call.state.random, &run);
    run.end(Status::HandedOn, now_ms);
    if let Some(session) = call.state.sessions.get_mut(&run.session) {
        session.rows.push(row);
    }
    remember(call, run);
    answer.then(Effect::EmitAfter(AFTER, Event::new("chat", bare)))
}

/// 4.15, 5.12, 7.1: a bare final for this id, and the text runs later under an id that the client never saw.
fn put_back(call: &mut Call<'_>, mut run: Run, answer: Answer) -> Answer {
    let other = Run {
        id: call.state.random.uuid(),
        over: Arc::new(watch::Sender::new(false)),
        ..run.clone()
    };
    let later = other.id.clone();
    let bare = frames::bare_final(&call.server.profile, &mut run);
    run.end(Status::HandedOn, call.server.clock.wall_ms());
    remember(call, run);
    call.server.effect(SideEffect::ChatRun {
        key: later.clone(),
        session: other.session.clone(),
        message: other.message.clone(),
    });
    let mut other = other;
    other.plan.first_after += PUT_BACK * 2;
    remember(call, other);
    answer
        .then(Effect::EmitAfter(PUT_BACK, Event::new("chat", bare)))
        .then(Effect::StartRun(later))
}

/// 3.13: a bare final for this id, and the text runs under another one when the run under way is over.
fn run_after(call: &mut Call<'_>, mut run: Run, first: &str, answer: Answer) -> Answer {
    let other = Run {
        id: call.state.random.uuid(),
        over: Arc::new(watch::Sender::new(false)),
        ..run.clone()
    };
    let bare = frames::bare_final(&call.server.profile, &mut run);
    run.end(Status::HandedOn, call.server.clock.wall_ms());
    remember(call, run);
    if let Some(first) = call.state.runs.get_mut(first) {
        first.waiting.push(other.id.clone());
    }
    remember(call, other);
    answer.then(Effect::EmitAfter(PUT_BACK, Event::new("chat", bare)))
}

pub(crate) fn agent(call: &mut Call<'_>) -> Answer {
    let key = match (call.text("sessionKey"), call.text("agentId")) {
        (Some(key), _) => full_key(call, key),
        (None, Some(agent)) => full_key(call, &format!("agent:{agent}:main")),
        (None, None) => full_key(call, "main"),
    };
    let id = call.required("idempotencyKey");
    if let Some(refused) = refuse_agent(call, &key) {
        return refused;
    }
    forget(call.state);
    if let Some(run) = call.state.runs.get(&id) {
        // Answered once, with the final, when the run is over.
        return if run.active() {
            Answer::ok(json!({"runId": id, "status": "in_flight"}))
        } else {
            Answer::ok(super::wait::final_payload(&call.server.profile, run))
        };
    }
    let mut payload = json!({"runId": id, "status": "accepted", "acceptedAt": call.server.clock.wall_ms()});
    if call.server.profile.v4() {
        payload["sessionKey"] = json!(key);
        payload["agentId"] = json!(agent_of(&key));
    }
    let answer = Answer::ok(payload).later(Later::AndFinal { run: id.clone() });
    accept(call, id, &key, answer)
}

pub(crate) fn abort(call: &mut Call<'_>) -> Answer {
    let key = full_key(call, &call.required("sessionKey"));
    let only = call.text("runId").map(str::to_owned);
    stop(call, &key, only.as_deref(), "rpc")
}

/// Ends what runs in a session, or one run of it.
fn stop(call: &mut Call<'_>, key: &str, only: Option<&str>, why: &'static str) -> Answer {
    let ids: Vec<String> = call
        .state
        .runs
        .values()
        .filter(|run| run.active() && run.session == key && only.is_none_or(|only| only == run.id))
        .map(|run| run.id.clone())
        .collect();
    let answer = Answer::ok(json!({"ok": true, "aborted": !ids.is_empty(), "runIds": ids}));
    let ended: Vec<Value> = ids.iter().flat_map(|id| abort_run(call, id, why)).collect();
    ended.into_iter().fold(answer, |answer, payload| {
        answer.then(Effect::Emit(Event::new("chat", payload)))
    })
}

/// Ends what runs in a session that is reset or deleted. Protocol 3 sends no terminal event for it.
pub(crate) fn abort_session(call: &mut Call<'_>, key: &str, stop: &'static str) -> Vec<Effect> {
    let active = call
        .state
        .runs
        .values()
        .filter(|run| run.active() && run.session == key);
    let ids: Vec<String> = active.map(|run| run.id.clone()).collect();
    let events = ids
        .iter()
        .flat_map(|id| abort_run(call, id, stop))
        .collect::<Vec<Value>>();
    if call.server.profile.replaced_runs_end_silently {
        return Vec::new();
    }
    events
        .into_iter()
        .map(|payload| Effect::Emit(Event::new("chat", payload)))
        .collect()
}

/// Payloads of the events that end a run: its own, and bare finals for the texts that had joined it.
fn abort_run(call: &mut Call<'_>, id: &str, stop: &'static str) -> Vec<Value> {
    let now_ms = call.server.clock.wall_ms();
    let profile = &call.server.profile;
    let Some(run) = call.state.runs.get_mut(id).filter(|run| run.active()) else {
        return Vec::new();
    };
    let mut sent = vec![frames::aborted(profile, run, stop, now_ms)];
    run.end(Status::Aborted(stop), now_ms);
    call.server.effect(SideEffect::RunEnded { key: id.to_owned() });
    let mut with_it = std::mem::take(&mut run.joined);
    with_it.append(&mut run.waiting);
    for joined in with_it {
        let Some(run) = call.state.runs.get_mut(&joined).filter(|run| run.active()) else {
            continue;
        };
        sent.push(frames::bare_final(profile, run));
        run.end(Status::HandedOn, now_ms);
        call.server.effect(SideEffect::RunEnded { key: joined });
    }
    sent
}

pub(crate) fn inject(call: &mut Call<'_>) -> Answer {
    let key = full_key(call, &call.required("sessionKey"));
    let message = call.required("message");
    let now_ms = call.server.clock.wall_ms();
    let id = call.state.random.uuid();
    let session = ensure(call, &key, true);
    session.rows.push(json!({
        "role": "assistant", "content": [{"type": "text", "text": message}], "timestamp": now_ms,
    }));
    Answer::ok(json!({"ok": true, "messageId": id}))
}
