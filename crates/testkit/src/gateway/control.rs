//! What a test does to a gateway: restarts, closes, cuts, approvals.

use std::sync::Arc;

use serde_json::{Value, json};

use super::chat;
use super::clock;
use super::events::{self, Event};
use super::journal::SideEffect;
use super::server::Server;
use super::state::State;
use crate::net::link::{Cut, Link};

/// How a gateway goes down and comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RestartKind {
    /// `shutdown` event, close 1012, new boot id; idempotency keys are forgotten, as all measured releases do.
    Clean,
    /// As [`Clean`](Self::Clean), but idempotency keys are still known: no release does this, it tells the two
    /// reasons for a repeated execution apart.
    KeepMemory,
    /// No event and no close frame: the sockets just end (1006 at the client).
    Crash,
}

/// Goes down and is up again at once. Runs that are under way are interrupted, not waited for.
pub(crate) fn restart(server: &Arc<Server>, kind: RestartKind) {
    if kind == RestartKind::Crash {
        cut_all(server, Cut::Reset);
    } else {
        announce(
            server,
            &json!({"reason": "gateway restarting", "restartExpectedMs": 1500}),
        );
        close_all(server, 1012, "service restart");
    }
    reboot(server, kind == RestartKind::KeepMemory);
    chat::resume(server);
}

/// The event before a final stop.
pub(crate) fn announce_stop(server: &Server) {
    let payload = if server.profile.shutdown_null {
        json!({"reason": "gateway stopping", "restartExpectedMs": null})
    } else {
        json!({"reason": "gateway stopping"})
    };
    announce(server, &payload);
}

fn announce(server: &Server, payload: &Value) {
    server.emit(&Event::new("shutdown", payload.clone()));
}

/// A new process life: what was in memory only is gone.
pub(crate) fn reboot(server: &Arc<Server>, keep_memory: bool) {
    let mut state = server.state();
    state.boot_id = state.random.uuid();
    state.booted = clock::now();
    state.seq = 0;
    state.draining = false;
    state.settling.clear();
    interrupt(server, &mut state, keep_memory);
    drop(state);
    server.effect(SideEffect::Restarted);
}

fn interrupt(server: &Server, state: &mut State, keep_memory: bool) {
    let ids: Vec<String> = state.run_order.iter().cloned().collect();
    for id in ids {
        let Some(run) = state.runs.get(&id) else { continue };
        // Those who wait are on sockets that are gone; dropping the run ends its task and their wait.
        if run.active() {
            // What is not in the transcript yet is not found there.
            if server.profile.resumes_runs && run.noted {
                let run = run.clone();
                state.interrupted.push(run);
            }
            if let Some(run) = state.runs.remove(&id) {
                run.over.send_replace(true);
            }
            state.run_order.retain(|known| *known != id);
        }
    }
    if !keep_memory {
        state.runs.clear();
        state.run_order.clear();
    }
}

/// Sends a close to everyone; nobody gets an event after it.
pub(crate) fn close_all(server: &Server, code: u16, reason: &str) {
    for conn in server.state().conns.values_mut() {
        conn.peer = None;
        if !conn.outbox.close(code, reason) {
            conn.link.send_modify(|link| link.cut = Some(Cut::Drop));
        }
    }
}

pub(crate) fn close_device(server: &Server, device_id: &str, code: u16, reason: &str) {
    for conn in server.state().conns.values_mut() {
        if conn
            .peer
            .as_ref()
            .is_some_and(|peer| peer.device_id.as_deref() == Some(device_id))
        {
            conn.peer = None;
            conn.outbox.close(code, reason);
        }
    }
}

/// Ends one connection without a close frame.
pub(crate) fn cut(server: &Server, no: u64, how: Cut) {
    if let Some(conn) = server.state().conns.get_mut(&no) {
        conn.peer = None;
        conn.link.send_modify(|link| link.cut = Some(how));
    }
}

pub(crate) fn cut_all(server: &Server, how: Cut) {
    for conn in server.state().conns.values_mut() {
        conn.peer = None;
        conn.link.send_modify(|link| link.cut = Some(how));
    }
}

/// Changes the switches of all connections, and of the coming ones if `lasting`.
pub(crate) fn relink(server: &Server, lasting: bool, change: impl Fn(&mut Link)) {
    let mut state = server.state();
    if lasting {
        change(&mut state.link);
    }
    for conn in state.conns.values() {
        conn.link.send_modify(&change);
    }
}

/// Approves or rejects a pairing request: what the method answers, and the event.
pub(crate) fn decide(server: &Server, state: &mut State, request_id: &str, approve: bool) -> Option<(Value, Event)> {
    let now_ms = server.clock.wall_ms();
    let (answer, device_id) = if approve {
        let State { devices, random, .. } = state;
        let device = devices.approve(request_id, random, now_ms)?;
        let id = device["deviceId"].clone();
        (device, id)
    } else {
        let id = json!(state.devices.reject(request_id)?.device_id);
        (id.clone(), id)
    };
    let decision = if approve { "approved" } else { "rejected" };
    server.effect(SideEffect::PairingResolved {
        request_id: request_id.to_owned(),
        decision: decision.to_owned(),
    });
    let payload = json!({"requestId": request_id, "deviceId": device_id, "decision": decision, "ts": now_ms});
    Some((answer, Event::new("device.pair.resolved", payload)))
}

/// The next event of every connection takes its number and is not sent.
pub(crate) fn withhold(server: &Server) {
    for conn in server.state().conns.values_mut() {
        conn.withhold = true;
    }
}

/// Sends an event whose audience is one connection, with the number it would have as a broadcast.
pub(crate) fn emit_to(server: &Server, no: u64, event: &Event) {
    let mut state = server.state();
    let others: Vec<(u64, Option<super::state::Peer>)> = state
        .conns
        .iter_mut()
        .filter(|(other, _)| **other != no)
        .map(|(other, conn)| (*other, conn.peer.take()))
        .collect();
    events::deliver(&server.profile, &mut state, event);
    for (other, peer) in others {
        if let Some(conn) = state.conns.get_mut(&other) {
            conn.peer = peer;
        }
    }
}
