//! `sessions.*`.

use serde_json::{Value, json};

use super::Call;
use crate::gateway::chat;
use crate::gateway::events::{Audience, Event};
use crate::gateway::journal::SideEffect;
use crate::gateway::profile::Profile;
use crate::gateway::profile::at::R2_26;
use crate::gateway::roster;
use crate::gateway::server::{Answer, Effect};
use crate::gateway::spelling::{GLOBAL, Spelling};
use crate::gateway::state::{Session, State};
use crate::gateway::wire::WireError;

/// Rows of `sessions.list` when no limit is asked for (9.6).
const DEFAULT_LIMIT: usize = 100;

/// The gateway's own key of the session that a caller names.
pub(crate) fn full_key(call: &Call<'_>, key: &str) -> String {
    Spelling::new(&call.server.profile, &call.state.config).canonical(key)
}

/// The agent part of a full key.
pub(crate) fn agent_of(key: &str) -> &str {
    key.split(':').nth(1).unwrap_or("main")
}

/// The session, made if it is not there.
pub(crate) fn ensure<'a>(call: &'a mut Call<'_>, key: &str, precreated: bool) -> &'a mut Session {
    let now_ms = call.server.clock.wall_ms();
    let State { sessions, random, .. } = &mut *call.state;
    sessions.entry(key.to_owned()).or_insert_with(|| Session {
        id: random.uuid(),
        revision: random.uuid(),
        created_ms: now_ms,
        updated_ms: now_ms,
        label: None,
        model: None,
        thinking: None,
        rows: Vec::new(),
        precreated,
        turns: 0,
        last_final: None,
        last_text: None,
    })
}

fn entry(profile: &Profile, session: &Session) -> Value {
    let mut entry = json!({"sessionId": session.id, "updatedAt": session.updated_ms});
    if profile.v4() {
        entry["lifecycleRevision"] = json!(session.revision);
        entry["createdAt"] = json!(session.created_ms);
    }
    if let Some(label) = &session.label {
        entry["label"] = json!(label);
    }
    if let Some((provider, model)) = session.model.as_deref().and_then(|model| model.split_once('/')) {
        entry["providerOverride"] = json!(provider);
        entry["modelOverride"] = json!(model);
    }
    if let Some(thinking) = &session.thinking {
        entry["thinkingLevel"] = json!(thinking);
    }
    entry
}

fn model(profile: &Profile, state: &State, key: &str, session: &Session) -> (String, String) {
    let configured = roster::find(profile, &state.config, agent_of(key));
    let model = session
        .model
        .clone()
        .or_else(|| configured.and_then(|agent| agent.model().map(str::to_owned)));
    let model = model.unwrap_or_else(|| "fake/fake-1".into());
    let (provider, name) = model.split_once('/').unwrap_or(("fake", &model));
    (provider.to_owned(), name.to_owned())
}

/// A row of `sessions.list`.
fn row(call: &Call<'_>, key: &str, session: &Session) -> Value {
    let active = chat::active_run(call.state, key);
    let profile = &call.server.profile;
    let mut row = row_of(profile, call.state, key, session, active.as_deref());
    if profile.lists_ended_runs {
        row["hasActiveRun"] = json!(active.is_some() || chat::ended_lately(call.state, key));
        row["activeRunIds"] = Value::Null;
    }
    row
}

/// The same, for a session in which this run is active.
pub(crate) fn row_of(profile: &Profile, state: &State, key: &str, session: &Session, active: Option<&str>) -> Value {
    let (provider, model) = model(profile, state, key, session);
    let mut row = json!({
        "key": key,
        "kind": if key == GLOBAL { GLOBAL } else { "direct" },
        "updatedAt": session.updated_ms,
        "sessionId": session.id,
        "totalTokensFresh": false,
        "modelProvider": provider,
        "model": model,
    });
    if let Some(label) = &session.label {
        row["label"] = json!(label);
        row["displayName"] = json!(label);
    }
    if profile.v4() {
        row["agentId"] = json!(agent_of(key));
    }
    if profile.session_rows {
        row["hasActiveRun"] = json!(active.is_some());
        row["activeRunIds"] = json!(active.into_iter().collect::<Vec<_>>());
    }
    row
}

pub(super) fn list(call: &Call<'_>) -> Answer {
    let v4 = call.server.profile.v4();
    let agent = call.text("agentId");
    let label = call.text("label");
    // 3.13 leaves it out of the sessions of any agent, too.
    let global = call.params["includeGlobal"] == true && (v4 || agent.is_none());
    let mut rows: Vec<(&String, &Session)> = call
        .state
        .sessions
        .iter()
        .filter(|(key, session)| {
            agent.is_none_or(|agent| agent_of(key) == agent)
                && (global || *key != GLOBAL)
                && label.is_none_or(|label| session.label.as_deref() == Some(label))
        })
        .collect();
    rows.sort_by_key(|(_, session)| std::cmp::Reverse(session.updated_ms));
    let asked = call.params["limit"]
        .as_u64()
        .map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let limit = asked.unwrap_or(if v4 { DEFAULT_LIMIT } else { usize::MAX });
    let offset = usize::try_from(call.params["offset"].as_u64().unwrap_or(0)).unwrap_or(usize::MAX);
    let total = rows.len();
    let shown: Vec<Value> = rows
        .into_iter()
        .skip(offset)
        .take(limit)
        .map(|(key, session)| row(call, key, session))
        .collect();
    let more = offset.saturating_add(shown.len()) < total;
    let mut payload = json!({
        "ts": call.server.clock.wall_ms(),
        "path": "(multiple)",
        "count": shown.len(),
        "defaults": {"modelProvider": "fake", "model": "fake-1", "contextTokens": 128_000},
    });
    if v4 {
        payload["totalCount"] = json!(total);
        payload["limitApplied"] = json!(limit);
        payload["hasMore"] = json!(more);
        payload["nextOffset"] = if more { json!(offset + shown.len()) } else { Value::Null };
    }
    payload["sessions"] = Value::Array(shown);
    Answer::ok(payload)
}

pub(super) fn patch(call: &mut Call<'_>) -> Answer {
    let profile = call.server.profile.clone();
    let key = full_key(call, &call.required("key"));
    let text = |name: &str| call.params[name].as_str().map(str::to_owned);
    let (label, model_wanted, thinking) = (text("label"), text("model"), text("thinkingLevel"));
    if let Some(label) = &label {
        let taken = call
            .state
            .sessions
            .iter()
            .any(|(other, session)| *other != key && session.label.as_ref() == Some(label));
        if taken {
            return WireError::invalid(format!("label already in use: {label}")).into();
        }
    }
    // 3.13 stores whatever it is told.
    if let Some(wanted) = &model_wanted
        && profile.v4()
        && wanted.split_once('/').is_some_and(|(provider, _)| provider != "fake")
    {
        let provider = wanted.split('/').next().unwrap_or_default();
        let message = format!("Unknown provider \"{provider}\". Use /models to list providers.");
        return WireError::invalid(message).into();
    }
    let now_ms = call.server.clock.wall_ms();
    let session = ensure(call, &key, true);
    session.updated_ms = now_ms;
    session.label = label.or(session.label.take());
    session.model = model_wanted.or(session.model.take());
    session.thinking = thinking.or(session.thinking.take());
    let session = session.clone();
    call.server.effect(SideEffect::SessionPatched { key: key.clone() });
    let mut payload =
        json!({"ok": true, "path": "/srv/gateway/sessions", "key": key, "entry": entry(&profile, &session)});
    if profile.index >= R2_26 {
        let (provider, model) = model(&profile, call.state, &key, &session);
        payload["resolved"] = json!({"modelProvider": provider, "model": model});
    }
    changed(call, &key, "patch", Answer::ok(payload))
}

/// Adds the `sessions.changed` event for those who asked for it.
fn changed(call: &Call<'_>, key: &str, reason: &str, answer: Answer) -> Answer {
    if !call.server.profile.session_subscriptions {
        return answer;
    }
    let mut payload = json!({
        "sessionKey": key, "agentId": agent_of(key), "reason": reason, "ts": call.server.clock.wall_ms(),
    });
    if let Some(session) = call
        .state
        .sessions
        .get(key)
        .filter(|_| call.server.profile.session_rows)
    {
        payload["session"] = row(call, key, session);
    }
    answer.then(Effect::Emit(
        Event::new("sessions.changed", payload).to(Audience::SessionSubscribers),
    ))
}

pub(super) fn reset(call: &mut Call<'_>) -> Answer {
    let profile = call.server.profile.clone();
    let key = full_key(call, &call.required("key"));
    let aborted = chat::abort_session(call, &key, "restart");
    let (id, revision) = (call.state.random.uuid(), call.state.random.uuid());
    let now_ms = call.server.clock.wall_ms();
    let session = ensure(call, &key, true);
    session.rows.clear();
    session.updated_ms = now_ms;
    // Protocol 4 keeps the id and changes the revision.
    if profile.v4() {
        session.revision = revision;
    } else {
        session.id = id;
    }
    // Only `sessions.delete` repairs a session that breaks (6.11).
    session.turns = session.turns.min(1);
    let entry = entry(&profile, session);
    call.server.effect(SideEffect::SessionReset { key: key.clone() });
    let answer = Answer::ok(json!({"ok": true, "key": key, "entry": entry}));
    changed(call, &key, "reset", aborted.into_iter().fold(answer, Answer::then))
}

pub(super) fn delete(call: &mut Call<'_>) -> Answer {
    let profile = &call.server.profile;
    let key = full_key(call, &call.required("key"));
    // By the key alone: neither the session nor its agent need be there.
    let main = Spelling::new(profile, &call.state.config).main_session();
    if key == main || (profile.main_sessions_kept && key.ends_with(":main") && key.split(':').count() == 3) {
        return WireError::invalid(format!("Cannot delete the main session ({key}).")).into();
    }
    if profile.active_sessions_kept && chat::is_active(call.state, &key) {
        let message = format!("Session {key} is still active; try again in a moment.");
        return WireError::new("UNAVAILABLE", message).into();
    }
    let aborted = chat::abort_session(call, &key, "aborted");
    let gone = call.state.sessions.remove(&key);
    let archive = call.params["deleteTranscript"].as_bool().unwrap_or(true);
    let archived = gone
        .as_ref()
        .filter(|session| archive && !session.rows.is_empty())
        .map(|session| &session.id);
    let archived: Vec<String> = archived
        .map(|id| format!("/srv/gateway/sessions/{id}.jsonl.deleted"))
        .into_iter()
        .collect();
    let answer = Answer::ok(json!({"ok": true, "key": key, "deleted": gone.is_some(), "archived": archived}));
    if gone.is_none() {
        return answer;
    }
    call.server.effect(SideEffect::SessionDeleted { key: key.clone() });
    changed(call, &key, "delete", aborted.into_iter().fold(answer, Answer::then))
}

pub(super) fn resolve(call: &Call<'_>) -> Answer {
    let key = full_key(call, &call.required("key"));
    if !call.state.sessions.contains_key(&key) {
        return WireError::invalid(format!("No session found: {key}")).into();
    }
    let mut payload = json!({"ok": true, "key": key});
    if call.server.profile.v4() {
        payload["agentId"] = json!(agent_of(&key));
    }
    Answer::ok(payload)
}

pub(super) fn describe(call: &Call<'_>) -> Answer {
    let key = full_key(call, &call.required("key"));
    let session = call.state.sessions.get(&key).map(|session| row(call, &key, session));
    Answer::ok(json!({ "session": session }))
}

/// With parameters of `sessions.list` (9.6) the answer has the list too.
pub(super) fn subscribe(call: &mut Call<'_>, on: bool) -> Answer {
    if let Some(conn) = call.state.conns.get_mut(&call.conn) {
        conn.sessions = on;
    }
    let mut payload = json!({"subscribed": on});
    if on
        && call.params.as_object().is_some_and(|params| !params.is_empty())
        && let Ok(list) = list(call).result
    {
        payload["list"] = list;
    }
    Answer::ok(payload)
}

pub(super) fn subscribe_messages(call: &mut Call<'_>, on: bool) -> Answer {
    let key = full_key(call, &call.required("key"));
    if let Some(conn) = call.state.conns.get_mut(&call.conn) {
        if on {
            conn.messages.insert(key.clone());
        } else {
            conn.messages.remove(&key);
        }
    }
    Answer::ok(json!({"subscribed": on, "key": key}))
}
