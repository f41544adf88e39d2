//! Handlers. Each takes the locked state and the parameters, changes the state and says what follows.

mod agents;
mod basics;
mod config;
mod cron;
mod devices;
mod files;
pub(crate) mod sessions;
pub(crate) mod table;

use std::sync::Arc;

use serde_json::{Value, json};

use super::chat;
use super::requests::role_refused;
use super::server::{Answer, Server};
use super::state::{Peer, State};
use super::wire::WireError;
use table::{Needs, Spec};

/// What a handler works with.
pub(crate) struct Call<'a> {
    pub(crate) server: &'a Arc<Server>,
    pub(crate) state: &'a mut State,
    pub(crate) conn: u64,
    pub(crate) peer: &'a Peer,
    pub(crate) params: &'a Value,
}

impl Call<'_> {
    /// A text parameter.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.params[key].as_str()
    }

    /// A text parameter that the check made sure of.
    pub(crate) fn required(&self, key: &str) -> String {
        self.text(key).unwrap_or_default().to_owned()
    }
}

/// Runs a request through the checks of its release and its handler.
pub(crate) fn handle(server: &Arc<Server>, conn: u64, method: &str, params: &Value) -> Answer {
    let profile = &server.profile;
    let Some(peer) = server.state().conns.get(&conn).and_then(|conn| conn.peer.clone()) else {
        return WireError::new("UNAVAILABLE", "connection is closing").into();
    };
    if method == "connect" {
        return WireError::invalid("connect is only valid as the first request").into();
    }
    let spec = table::find(profile, method);
    if let Some(refused) = refuse_role(server, conn, &peer, spec) {
        return refused;
    }
    // Protocol 3 takes a method that it does not know for one that needs admin.
    let scope = match spec {
        Some(spec) => spec.needs.scope(),
        None => (!profile.v4()).then_some("operator.admin"),
    };
    if let Some(scope) = scope
        && !peer.may(scope)
    {
        return missing_scope(server, scope).into();
    }
    let Some(spec) = spec else {
        return WireError::invalid(format!("unknown method: {method}")).into();
    };
    let mut state = server.state();
    if state.draining {
        return draining(method).into();
    }
    if let Some(fields) = spec.fields
        && let Err(complaint) = super::params::check(profile, fields, params)
    {
        return WireError::invalid(format!("invalid {method} params: {complaint}")).into();
    }
    dispatch(
        &mut Call {
            server,
            state: &mut state,
            conn,
            peer: &peer,
            params,
        },
        method,
    )
}

fn refuse_role(server: &Server, conn: u64, peer: &Peer, spec: Option<&Spec>) -> Option<Answer> {
    let for_nodes = spec.is_some_and(|spec| spec.needs == Needs::Node);
    ((peer.role == "node") != for_nodes && spec.is_some()).then(|| role_refused(server, conn, &peer.role))
}

fn missing_scope(server: &Server, scope: &str) -> WireError {
    let message = format!("missing scope: {scope}");
    if server.profile.v4() {
        WireError::new("FORBIDDEN", message)
            .details(json!({"code": "MISSING_SCOPE", "missingScope": scope, "requiredScopes": [scope]}))
    } else {
        WireError::invalid(message)
    }
}

fn draining(method: &str) -> WireError {
    WireError::new("UNAVAILABLE", format!("{method} unavailable during gateway restart"))
        .retry_after_ms(1000)
        .details(json!({"method": method, "reason": "gateway-restarting", "phase": "accepting"}))
}

fn dispatch(call: &mut Call<'_>, method: &str) -> Answer {
    match method {
        "health" => basics::health(call),
        "status" => basics::status(call),
        "system-presence" => basics::presence(call),
        "system-event" => basics::system_event(call),
        "gateway.identity.get" => basics::identity(),
        "gateway.restart.preflight" => Answer::ok(basics::preflight(call.state)),
        "gateway.restart.request" => basics::restart(call),
        "models.list" => basics::models(),
        "agents.list" => agents::list(call),
        "agents.create" => agents::create(call),
        "agents.update" => agents::update(call),
        "agents.delete" => agents::delete(call),
        "agents.files.list" => files::list(call),
        "agents.files.get" => files::get(call),
        "agents.files.set" => files::set(call),
        "config.get" => config::get(call),
        "config.schema" => config::schema(call),
        "config.patch" => config::patch(call),
        "sessions.list" => sessions::list(call),
        "sessions.patch" => sessions::patch(call),
        "sessions.reset" => sessions::reset(call),
        "sessions.delete" => sessions::delete(call),
        "sessions.describe" => sessions::describe(call),
        "sessions.resolve" => sessions::resolve(call),
        "sessions.subscribe" => sessions::subscribe(call, true),
        "sessions.unsubscribe" => sessions::subscribe(call, false),
        "sessions.messages.subscribe" => sessions::subscribe_messages(call, true),
        "sessions.messages.unsubscribe" => sessions::subscribe_messages(call, false),
        "chat.send" => chat::send(call),
        "chat.history" => chat::history(call),
        "chat.abort" => chat::abort(call),
        "chat.inject" => chat::inject(call),
        "agent" => chat::agent(call),
        "agent.wait" => chat::agent_wait(call),
        "device.pair.list" => Answer::ok(call.state.devices.to_json()),
        "device.pair.approve" => devices::approve(call),
        "device.pair.reject" => devices::reject(call),
        "device.pair.remove" => devices::remove(call),
        "device.token.revoke" => devices::revoke(call),
        "cron.list" => cron::list(call),
        "cron.scratch.get" => cron::scratch_get(call),
        "cron.scratch.set" => cron::scratch_set(call),
        other => WireError::new("UNAVAILABLE", format!("{other} is not simulated: script an answer"))
            .retryable(false)
            .into(),
    }
}
