//! Requests after the hello: scripted answers, the handlers, and answers that come later.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::freeze::Fate;
use super::journal::Entry;
use super::script::Rule;
use super::server::{Answer, Effect, Later, Server};
use super::state::Outbox;
use super::wire::{self, WireError};
use super::{chat, control, methods};
use crate::net::link::Cut;

/// After so many calls that the role forbids, the socket is closed. Both generations have such a guard; the
/// number is not measured.
const ROLE_REFUSALS: u32 = 10;

/// Runs one request; what has to wait goes to `pending`, which ends with the connection.
pub(crate) async fn handle(
    server: &Arc<Server>,
    no: u64,
    outbox: &Outbox,
    pending: &mut JoinSet<()>,
    id: &str,
    method: &str,
    params: &Value,
) {
    match server.rules.freezer.fate(no, method) {
        Fate::Pass => {}
        Fate::Ignore => return,
        Fate::ExecuteOnly(reached) => {
            let answer = execute(server, no, method, params);
            server.perform(answer.effects);
            return reached.tell(method);
        }
    }
    let id = json!(id);
    let Some(rule) = server.rules.take(method) else {
        let answer = execute(server, no, method, params);
        return finish(server, outbox, pending, &id, answer).await;
    };
    match rule {
        Rule::Reply(payload) => outbox.answer(wire::response(&id, &Ok(payload))).await,
        Rule::Fail(error) => outbox.answer(wire::response(&id, &Err(error))).await,
        Rule::BigAnswer(bytes) => {
            let payload = json!({"padding": "x".repeat(bytes)});
            outbox.answer(wire::response(&id, &Ok(payload))).await;
        }
        Rule::InvalidId => {
            let error = WireError::invalid("invalid request frame: must have required property 'id'");
            outbox.answer(wire::response(&json!("invalid"), &Err(error))).await;
        }
        Rule::RawText(text) => outbox.answer(text).await,
        Rule::DropBeforeExecution => control::cut(server, no, Cut::Drop),
        executed => {
            let answer = execute(server, no, method, params);
            after_execution(server, no, outbox, pending, (&id, method), answer, executed).await;
        }
    }
}

async fn after_execution(
    server: &Arc<Server>,
    no: u64,
    outbox: &Outbox,
    pending: &mut JoinSet<()>,
    (id, method): (&Value, &str),
    answer: Answer,
    rule: Rule,
) {
    let text = wire::response(id, &answer.result);
    match rule {
        Rule::NeverAnswer => server.perform(answer.effects),
        Rule::FailAfter(error) => {
            outbox.answer(wire::response(id, &Err(error))).await;
            server.perform(answer.effects);
        }
        Rule::DropBeforeAnswer => {
            control::cut(server, no, Cut::Drop);
            server.perform(answer.effects);
        }
        Rule::Delay(delay) => {
            server.perform(answer.effects);
            let outbox = outbox.clone();
            pending.spawn(async move {
                tokio::time::sleep(delay).await;
                outbox.answer(text).await;
            });
        }
        Rule::Hold => {
            server.perform(answer.effects);
            let (outbox, mut gate) = (outbox.clone(), server.rules.gate(method));
            pending.spawn(async move {
                // An error means that the gateway is gone.
                let _ = gate.changed().await;
                outbox.answer(text).await;
            });
        }
        Rule::CloseAfter(code, reason) => {
            finish(server, outbox, pending, id, answer).await;
            outbox.close(code, &reason);
        }
        Rule::UnknownId => {
            let other = json!(server.state().random.uuid());
            finish(server, outbox, pending, &other, answer).await;
        }
        Rule::Duplicate => {
            outbox.answer(text).await;
            finish(server, outbox, pending, id, answer).await;
        }
        // The rules without execution were dealt with before.
        _ => finish(server, outbox, pending, id, answer).await,
    }
}

fn execute(server: &Arc<Server>, no: u64, method: &str, params: &Value) -> Answer {
    let answer = methods::handle(server, no, method, params);
    if answer.result.is_ok() {
        server.record(Entry::Executed {
            conn: no,
            method: method.to_owned(),
        });
    }
    answer
}

/// Answers now, or starts the task that will.
async fn finish(server: &Arc<Server>, outbox: &Outbox, pending: &mut JoinSet<()>, id: &Value, answer: Answer) {
    let Answer { result, effects, later } = answer;
    let (server, outbox, id) = (Arc::clone(server), outbox.clone(), id.clone());
    match later {
        Later::Now => {
            outbox.answer(wire::response(&id, &result)).await;
            server.perform(effects);
        }
        Later::After(delay) => {
            server.perform(effects);
            pending.spawn(async move {
                tokio::time::sleep(delay).await;
                outbox.answer(wire::response(&id, &result)).await;
            });
        }
        Later::Wait { run, timeout } => {
            pending.spawn(async move {
                let payload = chat::wait(&server, &run, timeout).await;
                outbox.answer(wire::response(&id, &Ok(payload))).await;
            });
        }
        Later::AndFinal { run } => {
            outbox.answer(wire::response(&id, &result)).await;
            server.perform(effects);
            pending.spawn(async move {
                let text = chat::agent_final(&server, &run, &id).await;
                outbox.answer(text).await;
            });
        }
    }
}

/// Scripted handling of `connect`; `true` means that the ordinary handling goes on.
pub(crate) async fn scripted_connect(server: &Arc<Server>, no: u64, outbox: &Outbox, id: &str, rule: Rule) -> bool {
    let id = json!(id);
    match rule {
        Rule::Reply(payload) => outbox.answer(wire::response(&id, &Ok(payload))).await,
        Rule::Fail(error) | Rule::FailAfter(error) => {
            let reason = error.message().to_owned();
            outbox.answer(wire::response(&id, &Err(error))).await;
            outbox.close(1008, &reason);
        }
        Rule::CloseAfter(code, reason) => {
            outbox.close(code, &reason);
        }
        Rule::RawText(text) => outbox.answer(text).await,
        Rule::InvalidId | Rule::UnknownId => {
            let error = WireError::invalid("invalid request frame");
            outbox.answer(wire::response(&json!("invalid"), &Err(error))).await;
        }
        Rule::BigAnswer(bytes) => {
            outbox
                .answer(wire::response(&id, &Ok(json!({"padding": "x".repeat(bytes)}))))
                .await;
        }
        Rule::DropBeforeAnswer | Rule::DropBeforeExecution => control::cut(server, no, Cut::Drop),
        Rule::Delay(delay) => {
            tokio::time::sleep(delay).await;
            return true;
        }
        Rule::Hold => {
            let mut gate = server.rules.gate("connect");
            return gate.changed().await.is_ok();
        }
        Rule::NeverAnswer => {}
        Rule::Duplicate => return true,
    }
    false
}

/// Counts a call that the role forbids; the answer closes the socket when it was one too many.
pub(crate) fn role_refused(server: &Server, no: u64, role: &str) -> Answer {
    let mut state = server.state();
    let count = state.conns.get_mut(&no).map_or(0, |conn| {
        conn.role_refusals += 1;
        conn.role_refusals
    });
    let answer = Answer::from(WireError::invalid(format!("unauthorized role: {role}")));
    if count < ROLE_REFUSALS {
        return answer;
    }
    if let Some(conn) = state.conns.get(&no) {
        // Queued behind the answers that are waiting; this one is not given any more.
        conn.outbox.close(1008, "repeated unauthorized calls");
    }
    answer
}

/// Shorthand for effects that come a little later, as hot reloads do.
pub(crate) fn soon(event: super::events::Event) -> Effect {
    /// A config write is noticed after about 0.25 s (9.6).
    const RELOAD: Duration = Duration::from_millis(250);
    Effect::EmitAfter(RELOAD, event)
}
