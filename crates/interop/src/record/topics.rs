//! The recorded topics: one function for each file of fixtures.
//!
//! A refusal by the gateway is a recorded answer like any other; only a fault of the connection
//! ends a recording.

use std::time::Duration;

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::{
    RecordError,
    cast::{operator, supervisor},
    tape::{STEP, Tape},
};
use crate::{
    device::SignatureForm,
    process::RealGateway,
    wire::{ConnectAs, Wire, WireError},
};

/// How long a recording waits for events that still come after the last awaited one.
const SETTLE: Duration = Duration::from_millis(1500);
/// A model error on 2026.4.15 and 5.12 brings no terminal chat event at all.
const END_OF_RUN: Duration = Duration::from_secs(30);
/// In-process restarts of 2026.3.13 come 2 s after the patch that caused them.
const RESTART: Duration = Duration::from_secs(6);

type Done = Result<(), RecordError>;

/// Calls `method`; the answer, also a refusal, is on the tape.
pub(super) async fn say(wire: &mut Wire, method: &str, params: Value) -> Result<Value, WireError> {
    let answer = wire.call(method, params, STEP).await?;
    Ok(answer.unwrap_or_default())
}

/// Waits until nothing has come for a moment.
pub(super) async fn settle(wire: &mut Wire) {
    // Both a time-out and a close are fine: all received frames are on the tape.
    drop(wire.closed(SETTLE).await);
}

/// Waits for a frame that may never come.
async fn maybe(wire: &mut Wire, within: Duration, fits: impl Fn(&Value) -> bool) {
    drop(wire.frame("an event", within, fits).await);
}

fn ends(frame: &Value, run: &str) -> bool {
    let payload = &frame["payload"];
    let ended = matches!(payload["state"].as_str(), Some("final" | "error" | "aborted"));
    frame["event"] == "chat" && payload["runId"] == run && ended
}

/// Challenge, accepted and refused connects.
pub(super) async fn handshake(tape: &Tape, gateway: &mut RealGateway) -> Done {
    let token = gateway.token().expose_secret().to_owned();
    let device = operator();
    let backend = || ConnectAs::backend().token(&token);
    let cli = || ConnectAs::cli().token(&token);
    let narrow = || cli().scopes(&["operator.read"]);
    let cases = [
        ("backend-device-v3", backend().device(&device, SignatureForm::V3)),
        ("backend-device-v2", backend().device(&device, SignatureForm::V2)),
        ("backend-no-device", backend()),
        ("cli-device", narrow().device(&device, SignatureForm::V3)),
        ("cli-device-more-scopes", cli().device(&device, SignatureForm::V3)),
        (
            "wrong-token",
            ConnectAs::backend().token("not-the-token-of-this-gateway"),
        ),
        ("no-token", ConnectAs::backend()),
        (
            "no-token-device",
            ConnectAs::backend().device(&device, SignatureForm::V3),
        ),
        ("protocol-1-to-2", backend().range(1, 2)),
        ("protocol-3-only", backend().range(3, 3)),
        ("protocol-4-only", backend().range(4, 4)),
        ("protocol-5-to-6", backend().range(5, 6)),
    ];
    let mut device_token = None;
    for (conn, who) in &cases {
        let hello = connect_once(tape, conn, gateway.url(), who).await?;
        device_token = hello["auth"]["deviceToken"]
            .as_str()
            .map(str::to_owned)
            .or(device_token);
    }
    let old = device_token.unwrap_or_default();
    let with_old = ConnectAs::cli().device_token(&old);
    let who = with_old.device(&device, SignatureForm::V3);
    connect_once(tape, "device-token", gateway.url(), &who).await?;
    first_frame_is_no_connect(tape, gateway).await?;
    second_connect(tape, gateway).await
}

async fn connect_once(tape: &Tape, conn: &str, url: &str, who: &ConnectAs<'_>) -> Result<Value, RecordError> {
    let mut wire = tape.open(conn, url).await?;
    let answer = wire.connect(who, STEP).await?;
    if let Ok(hello) = answer {
        wire.close(STEP).await?;
        return Ok(hello);
    }
    wire.closed(STEP).await?;
    Ok(Value::Null)
}

async fn first_frame_is_no_connect(tape: &Tape, gateway: &RealGateway) -> Done {
    let mut wire = tape.open("first-frame-is-no-connect", gateway.url()).await?;
    wire.event("connect.challenge", STEP).await?;
    wire.request("health", Value::Null).await?;
    wire.closed(STEP).await?;
    Ok(())
}

async fn second_connect(tape: &Tape, gateway: &RealGateway) -> Done {
    let mut wire = supervisor(tape, "second-connect", gateway).await?;
    say(&mut wire, "connect", json!({"minProtocol": 3, "maxProtocol": 4})).await?;
    wire.close(STEP).await?;
    Ok(())
}

/// Plain questions, and the errors that any method can give.
pub(super) async fn rpc(tape: &Tape, gateway: &mut RealGateway) -> Done {
    let mut wire = supervisor(tape, "supervisor", gateway).await?;
    for method in [
        "health",
        "status",
        "system-presence",
        "models.list",
        "gateway.identity.get",
    ] {
        say(&mut wire, method, Value::Null).await?;
    }
    say(&mut wire, "cron.list", json!({"includeDisabled": true})).await?;
    say(&mut wire, "no.such.method", Value::Null).await?;
    say(&mut wire, "agents.list", json!({"noSuchKey": true})).await?;
    // A number as id is told back as a number; a missing one is answered with `invalid`.
    wire.send(&json!({"type": "req", "id": 7, "method": "health"})).await?;
    wire.frame("the refusal", STEP, |frame| frame["id"] == 7).await?;
    wire.send(&json!({"type": "req", "method": "health"})).await?;
    drop(wire.response("invalid", STEP).await?);
    say(&mut wire, "last-heartbeat", Value::Null).await?;
    settle(&mut wire).await;
    wire.close(STEP).await?;

    let device = operator();
    let who = ConnectAs::backend()
        .token(gateway.token().expose_secret())
        .scopes(&["operator.read"])
        .device(&device, SignatureForm::V2);
    let mut reader = tape.open("reader", gateway.url()).await?;
    drop(reader.connect(&who, STEP).await?);
    say(
        &mut reader,
        "agents.create",
        json!({"name": "x", "workspace": "/tmp/x"}),
    )
    .await?;
    say(&mut reader, "no.such.method", Value::Null).await?;
    reader.close(STEP).await?;
    Ok(())
}

/// The roster and the files of an agent.
pub(super) async fn agents(tape: &Tape, gateway: &mut RealGateway) -> Done {
    let mut wire = supervisor(tape, "supervisor", gateway).await?;
    let workspace = gateway.state_dir().join("workspace-alpha");
    let agent = "alpha-one";
    let create = json!({"name": "Alpha One", "workspace": workspace});
    let file = |name: &str| json!({"agentId": agent, "name": name});
    let set = |name: &str| json!({"agentId": agent, "name": name, "content": "# Be good\n"});
    let steps = [
        ("agents.list", Value::Null),
        ("agents.create", create.clone()),
        ("agents.create", create),
        ("agents.list", Value::Null),
        ("agents.update", json!({"agentId": agent, "name": "Alpha Two"})),
        ("agents.update", json!({"agentId": "nobody", "name": "Nobody"})),
        ("agents.files.list", json!({"agentId": agent})),
        ("agents.files.get", file("SOUL.md")),
        ("agents.files.set", set("SOUL.md")),
        ("agents.files.get", file("SOUL.md")),
        ("agents.files.set", set("TOOLS.md")),
        ("agents.files.set", set("IDENTITY.md")),
        ("agents.files.set", set("MEMORY-x.md")),
        ("agents.files.list", json!({"agentId": agent})),
        ("agents.files.list", json!({"agentId": "nobody"})),
        ("agents.delete", json!({"agentId": agent})),
        ("agents.delete", json!({"agentId": agent})),
        ("agents.list", Value::Null),
    ];
    for (method, params) in steps {
        say(&mut wire, method, params).await?;
    }
    settle(&mut wire).await;
    wire.close(STEP).await?;
    Ok(())
}

/// Configuration, with the restart that a patch causes on old releases.
pub(super) async fn config(tape: &Tape, gateway: &mut RealGateway) -> Done {
    let mut wire = supervisor(tape, "supervisor", gateway).await?;
    let got = say(&mut wire, "config.get", Value::Null).await?;
    let raw = json!({"agents": {"defaults": {"heartbeat": {"every": "30m", "target": "none"}}}});
    let patch = |hash: &Value| json!({"raw": raw.to_string(), "baseHash": hash});
    say(&mut wire, "config.patch", patch(&json!("no-such-hash"))).await?;
    let odd = json!({"raw": "{\"noSuchKey\": 1}", "baseHash": got["hash"]});
    say(&mut wire, "config.patch", odd).await?;
    say(&mut wire, "config.patch", patch(&got["hash"])).await?;
    // No more patches before this one: most releases allow three in a minute, refused ones
    // included. Up to 2026.3 the accepted patch ends the connection; later ones send an event or nothing.
    let closed = wire.closed(RESTART).await.is_ok();
    if !closed {
        wire.close(STEP).await?;
    }
    gateway.wait_ready().await?;
    let mut wire = supervisor(tape, "after", gateway).await?;
    let got = say(&mut wire, "config.get", Value::Null).await?;
    // Without the hash; refused by the rate limit where that is three in a minute.
    say(&mut wire, "config.patch", json!({"raw": raw.to_string()})).await?;
    say(&mut wire, "config.patch", patch(&got["hash"])).await?;
    wire.close(STEP).await?;
    Ok(())
}

/// Session rows and subscriptions.
pub(super) async fn sessions(tape: &Tape, gateway: &mut RealGateway) -> Done {
    let mut wire = supervisor(tape, "supervisor", gateway).await?;
    let key = "agent:main:fixture-session";
    let label = "Fixture session";
    let steps = [
        ("sessions.list", json!({"limit": 5})),
        ("sessions.subscribe", json!({})),
        ("sessions.messages.subscribe", json!({"key": key})),
        ("sessions.patch", json!({"key": key, "label": label})),
        ("sessions.patch", json!({"key": "agent:main:other", "label": label})),
        ("sessions.patch", json!({"key": key, "model": "fake/fake-2"})),
        ("sessions.patch", json!({"key": key, "model": "fake/no-such-model"})),
        ("sessions.describe", json!({"key": key})),
        ("sessions.resolve", json!({"key": key})),
        ("sessions.list", json!({"limit": 5})),
        ("sessions.reset", json!({"key": key})),
    ];
    for (method, params) in steps {
        say(&mut wire, method, params).await?;
    }
    turn(&mut wire, key, "fixture-session-1", "hello there").await?;
    settle(&mut wire).await;
    for (method, params) in [
        ("sessions.list", json!({"limit": 5})),
        ("sessions.unsubscribe", json!({})),
        ("sessions.delete", json!({"key": key, "deleteTranscript": true})),
        ("sessions.delete", json!({"key": key})),
        ("sessions.delete", json!({"key": "agent:main:main"})),
    ] {
        say(&mut wire, method, params).await?;
    }
    settle(&mut wire).await;
    wire.close(STEP).await?;
    Ok(())
}

/// Sends `text` and waits for the end of its run.
async fn turn(wire: &mut Wire, key: &str, run: &str, text: &str) -> Done {
    let params = json!({"sessionKey": key, "message": text, "idempotencyKey": run});
    say(wire, "chat.send", params).await?;
    maybe(wire, END_OF_RUN, |frame| ends(frame, run)).await;
    Ok(())
}

/// Turns of every kind, seen by the sender and by another connection.
pub(super) async fn chat(tape: &Tape, gateway: &mut RealGateway) -> Done {
    let mut wire = supervisor(tape, "sender", gateway).await?;
    let note = json!({"agentId": "main", "name": "AGENTS.md", "content": "A file to read.\n"});
    say(&mut wire, "agents.files.set", note).await?;
    let key = "agent:main:fixture-chat";
    let mut watcher = supervisor(tape, "watcher", gateway).await?;
    turn(&mut wire, key, "fixture-echo", "good morning").await?;
    maybe(&mut watcher, SETTLE, |frame| ends(frame, "fixture-echo")).await;
    watcher.close(STEP).await?;
    settle(&mut wire).await;
    let again = json!({"sessionKey": key, "message": "good morning", "idempotencyKey": "fixture-echo"});
    say(&mut wire, "chat.send", again).await?;
    let order = "TOOL:read:{\"path\":\"AGENTS.md\"}";
    turn(&mut wire, key, "fixture-tool", order).await?;
    settle(&mut wire).await;
    turn(&mut wire, key, "fixture-failed", "HTTP:400").await?;
    settle(&mut wire).await;
    aborted_turn(&mut wire, key, "fixture-aborted").await?;
    settle(&mut wire).await;
    for (method, params) in [
        ("chat.history", json!({"sessionKey": key, "limit": 20})),
        (
            "chat.send",
            json!({"sessionKey": key, "message": "", "idempotencyKey": "fixture-empty"}),
        ),
        ("chat.send", json!({"sessionKey": key, "message": "no key"})),
        ("chat.abort", json!({"sessionKey": key, "runId": "no-such-run"})),
        ("chat.history", json!({"sessionKey": "agent:main:no-such-session"})),
    ] {
        say(&mut wire, method, params).await?;
    }
    wire.close(STEP).await?;
    Ok(())
}

async fn aborted_turn(wire: &mut Wire, key: &str, run: &str) -> Done {
    let params = json!({"sessionKey": key, "message": "SLOW:40:250", "idempotencyKey": run});
    say(wire, "chat.send", params).await?;
    let delta = |frame: &Value| {
        let payload = &frame["payload"];
        frame["event"] == "chat" && payload["runId"] == run && payload["state"] == "delta"
    };
    maybe(wire, END_OF_RUN, delta).await;
    let abort = json!({"sessionKey": key, "runId": run});
    say(wire, "chat.abort", abort).await?;
    maybe(wire, END_OF_RUN, |frame| ends(frame, run)).await;
    Ok(())
}

/// The method `agent` with its two answers, and `agent.wait`.
pub(super) async fn agent(tape: &Tape, gateway: &mut RealGateway) -> Done {
    let mut wire = supervisor(tape, "supervisor", gateway).await?;
    for (run, text) in [("fixture-agent", "good evening"), ("fixture-agent-failed", "HTTP:400")] {
        let params = json!({
            "message": text, "sessionKey": "agent:main:fixture-agent", "idempotencyKey": run,
        });
        let id = wire.request("agent", params).await?;
        drop(wire.response(&id, STEP).await?);
        drop(wire.response(&id, STEP).await?);
        settle(&mut wire).await;
        say(&mut wire, "agent.wait", json!({"runId": run, "timeoutMs": 1000})).await?;
    }
    let unknown = json!({"runId": "no-such-run", "timeoutMs": 200});
    say(&mut wire, "agent.wait", unknown).await?;
    wire.close(STEP).await?;
    Ok(())
}

/// SIGTERM while idle: the `shutdown` event and the close.
pub(super) async fn shutdown(tape: &Tape, gateway: &mut RealGateway) -> Done {
    let mut wire = supervisor(tape, "supervisor", gateway).await?;
    settle(&mut wire).await;
    gateway.terminate()?;
    wire.closed(STEP).await?;
    gateway.wait_exit(STEP).await?;
    Ok(())
}
