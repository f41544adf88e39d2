//! The known facts about methods: the effect of a second send, the scope they need, the number of their answers.
//!
//! Sources: names and answers as seen on 2026.3.13 and 2026.9.6 and in the method lists of nine releases of 2026; scopes and
//! `idempotencyKey` from the gateway's published schema of generation 4. The effect of a method that is sent twice stands in no
//! schema: it was observed, and a row without an observation says [`Effect::SideEffect`].

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use rustc_hash::FxHashMap;

use self::Effect::{Idempotent, Keyed, ReadOnly, SideEffect};
use crate::connect::Scope;
use crate::{MethodName, RawJson};

/// The effect of sending a request again when its first answer was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Changes nothing: send it as often as needed.
    ReadOnly,
    /// `params.idempotencyKey` (required) tells the gateway that it is the same one: send it again with the same key, on the same
    /// life of the gateway, within [`KEY_MEMORY_SECONDS`]. A restart forgets the keys.
    Keyed,
    /// Sets something to a value: the second time changes nothing more and succeeds as well. Still not the same as `ReadOnly`: when
    /// another client has written in between, the second one overwrites it.
    Idempotent,
    /// May happen twice, or the second one fails although the first one worked: never send it again by itself.
    SideEffect,
}

/// How many responses a request gets under its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answers {
    /// One.
    One,
    /// Up to two: `status: "accepted"` at once, and the outcome when the run ends. A repeated key gets only the second.
    Two,
}

/// A row of the method table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodSpec {
    /// The name on the wire.
    pub name: &'static str,
    /// The effect of a second send.
    pub effect: Effect,
    /// The scope it needs; `None` where that depends on the params. Releases of generation 3 may ask for another one.
    pub scope: Option<Scope>,
    /// How often it answers.
    pub answers: Answers,
    /// The first of the nine measured releases that has it, where some lack it.
    pub since: Option<&'static str>,
}

impl MethodSpec {
    /// Its name, as requests have it.
    pub fn method_name(&self) -> MethodName {
        MethodName::known(self.name)
    }

    /// Whether a request may go out a second time without asking anyone: it changes nothing, or its key sees to it.
    pub fn may_resend(&self) -> bool {
        matches!(self.effect, ReadOnly | Keyed)
    }
}

/// How long a gateway remembers idempotency keys, in seconds: 5 min and at most 1000 keys, in memory (both generations).
pub const KEY_MEMORY_SECONDS: u64 = 300;

/// The row of a method, if there is one.
pub fn method(name: &str) -> Option<&'static MethodSpec> {
    /// The rows by name: every call looks its method up, and comparing eight names costs more than hashing one.
    static BY_NAME: LazyLock<FxHashMap<&'static str, &'static MethodSpec>> =
        LazyLock::new(|| METHODS.iter().map(|row| (row.name, row)).collect());
    BY_NAME.get(name).copied()
}

/// All rows, sorted by name.
pub fn methods() -> &'static [MethodSpec] {
    METHODS
}

/// The effect of a second send of this method; an unknown method is a [`Effect::SideEffect`].
pub fn effect(name: &str) -> Effect {
    method(name).map_or(SideEffect, |row| row.effect)
}

const READ: Option<Scope> = Some(Scope::Read);
const WRITE: Option<Scope> = Some(Scope::Write);
const ADMIN: Option<Scope> = Some(Scope::Admin);
const APPROVALS: Option<Scope> = Some(Scope::Approvals);
const PAIRING: Option<Scope> = Some(Scope::Pairing);

const fn row(name: &'static str, effect: Effect, scope: Option<Scope>) -> MethodSpec {
    MethodSpec {
        name,
        effect,
        scope,
        answers: Answers::One,
        since: None,
    }
}

impl MethodSpec {
    const fn two(mut self) -> Self {
        self.answers = Answers::Two;
        self
    }

    const fn since(mut self, release: &'static str) -> Self {
        self.since = Some(release);
        self
    }
}

static METHODS: &[MethodSpec] = &[
    // Two answers; needs one of two scopes by what it is asked for.
    row("agent", Keyed, None).two(),
    row("agent.identity.get", ReadOnly, READ),
    // Only waits; from any connection.
    row("agent.wait", ReadOnly, WRITE),
    // The second one fails with "already exists": look into agents.list.
    row("agents.create", SideEffect, ADMIN).since("2026.2.26"),
    // The second one fails with "not found".
    row("agents.delete", SideEffect, ADMIN).since("2026.2.26"),
    row("agents.files.get", ReadOnly, READ).since("2026.2.26"),
    row("agents.files.list", ReadOnly, READ).since("2026.2.26"),
    // Writes to one agent must not overlap on 2026.3.13 and 2026.4.15.
    row("agents.files.set", Idempotent, ADMIN).since("2026.2.26"),
    row("agents.list", ReadOnly, READ),
    row("agents.update", Idempotent, ADMIN).since("2026.2.26"),
    row("agents.workspace.get", ReadOnly, READ),
    row("agents.workspace.list", ReadOnly, READ),
    row("channels.status", ReadOnly, READ),
    // Without a runId, a second one may stop the next run.
    row("chat.abort", SideEffect, WRITE),
    row("chat.history", ReadOnly, READ),
    // Answers, but no release lists it.
    row("chat.inject", SideEffect, ADMIN),
    row("chat.message.get", ReadOnly, READ),
    row("chat.metadata", ReadOnly, READ),
    // The same key with other text is refused from generation 4 on and ignored before.
    row("chat.send", Keyed, WRITE),
    row("commands.list", ReadOnly, READ),
    row("config.apply", SideEffect, ADMIN),
    row("config.get", ReadOnly, READ),
    // The second one conflicts on baseHash, counts against the write limit, and may restart the gateway again.
    row("config.patch", SideEffect, ADMIN),
    row("config.schema", ReadOnly, READ),
    row("config.schema.lookup", ReadOnly, READ).since("2026.3.13"),
    row("config.set", SideEffect, ADMIN),
    row("cron.add", SideEffect, ADMIN),
    row("cron.get", ReadOnly, READ).since("2026.5.12"),
    row("cron.list", ReadOnly, READ),
    row("cron.remove", SideEffect, ADMIN),
    row("cron.run", SideEffect, ADMIN),
    row("cron.runs", ReadOnly, READ),
    row("cron.scratch.get", ReadOnly, ADMIN).since("2026.8.2"),
    // Every write counts the revision up.
    row("cron.scratch.set", SideEffect, ADMIN).since("2026.8.2"),
    row("cron.status", ReadOnly, READ),
    row("cron.update", SideEffect, ADMIN),
    row("device.pair.approve", SideEffect, PAIRING),
    row("device.pair.list", ReadOnly, PAIRING),
    row("device.pair.reject", SideEffect, PAIRING),
    row("device.pair.remove", SideEffect, PAIRING),
    row("device.pair.rename", SideEffect, PAIRING),
    row("device.token.revoke", SideEffect, PAIRING),
    // Every call makes a new token.
    row("device.token.rotate", SideEffect, PAIRING),
    row("diagnostics.lanes", ReadOnly, READ),
    row("diagnostics.stability", ReadOnly, READ),
    row("doctor.memory.status", ReadOnly, READ),
    row("exec.approval.get", ReadOnly, APPROVALS),
    row("exec.approval.list", ReadOnly, APPROVALS).since("2026.4.15"),
    row("exec.approval.request", SideEffect, APPROVALS),
    row("exec.approval.resolve", SideEffect, APPROVALS),
    // What a second wait gets was not seen.
    row("exec.approval.waitDecision", SideEffect, APPROVALS),
    // Makes the file if there is none.
    row("exec.approvals.get", Idempotent, ADMIN),
    // Goes through to a node.
    row("exec.approvals.node.get", SideEffect, ADMIN),
    row("exec.approvals.node.set", SideEffect, ADMIN),
    row("exec.approvals.set", SideEffect, ADMIN),
    row("gateway.identity.get", ReadOnly, READ).since("2026.3.13"),
    row("gateway.restart.preflight", ReadOnly, READ).since("2026.5.12"),
    row("gateway.restart.request", SideEffect, ADMIN).since("2026.5.12"),
    row("gateway.suspend.prepare", SideEffect, ADMIN),
    row("gateway.suspend.resume", SideEffect, ADMIN),
    row("gateway.suspend.status", ReadOnly, READ),
    row("health", ReadOnly, READ),
    row("last-heartbeat", ReadOnly, READ),
    row("logs.tail", ReadOnly, READ),
    row("message.action", Keyed, WRITE),
    row("models.authStatus", ReadOnly, READ),
    row("models.list", ReadOnly, READ),
    row("node.describe", ReadOnly, READ),
    row("node.invoke", Keyed, None),
    row("node.list", ReadOnly, READ),
    row("node.pair.approve", SideEffect, PAIRING),
    row("node.pair.list", ReadOnly, PAIRING),
    row("node.pair.reject", SideEffect, PAIRING),
    row("node.pair.remove", SideEffect, PAIRING),
    row("node.rename", SideEffect, PAIRING),
    row("poll", Keyed, WRITE),
    row("secrets.reload", SideEffect, ADMIN),
    row("send", Keyed, WRITE),
    row("sessions.abort", SideEffect, WRITE).since("2026.4.15"),
    row("sessions.compact", SideEffect, ADMIN),
    // `idempotencyKey` is optional and not known to every release.
    row("sessions.create", SideEffect, None).since("2026.4.15"),
    // A missing session is `deleted: false`, not an error.
    row("sessions.delete", Idempotent, None),
    row("sessions.describe", ReadOnly, READ).since("2026.5.12"),
    row("sessions.diff", ReadOnly, READ),
    row("sessions.files.get", ReadOnly, READ),
    row("sessions.files.list", ReadOnly, READ),
    row("sessions.fork", SideEffect, WRITE),
    // Answers, but no release lists it.
    row("sessions.get", ReadOnly, READ),
    row("sessions.list", ReadOnly, READ),
    // Lasts as long as the connection.
    row("sessions.messages.subscribe", Idempotent, READ).since("2026.4.15"),
    row("sessions.messages.unsubscribe", Idempotent, READ).since("2026.4.15"),
    // Creates the session if there is none: this is the "ensure".
    row("sessions.patch", Idempotent, None),
    row("sessions.preview", ReadOnly, READ),
    row("sessions.recover", SideEffect, WRITE),
    // Generation 3 makes a new session id each time.
    row("sessions.reset", SideEffect, ADMIN),
    // Answers, but no release lists it.
    row("sessions.resolve", ReadOnly, READ),
    row("sessions.rewind", SideEffect, ADMIN),
    row("sessions.search", ReadOnly, READ),
    // `idempotencyKey` is optional and not known to every release.
    row("sessions.send", SideEffect, WRITE).since("2026.4.15"),
    // Lasts as long as the connection.
    row("sessions.subscribe", Idempotent, READ).since("2026.4.15"),
    // Gone again from 2026.8.2 on.
    row("sessions.unsubscribe", Idempotent, READ).since("2026.4.15"),
    row("sessions.usage", ReadOnly, READ),
    row("set-heartbeats", Idempotent, ADMIN),
    row("skills.detail", ReadOnly, READ),
    row("skills.install", SideEffect, ADMIN),
    row("skills.search", ReadOnly, READ),
    row("skills.status", ReadOnly, READ),
    row("skills.update", SideEffect, ADMIN),
    row("status", ReadOnly, READ),
    row("system-event", SideEffect, ADMIN),
    row("system-presence", ReadOnly, READ),
    row("system.info", ReadOnly, READ),
    row("tasks.cancel", SideEffect, WRITE),
    row("tasks.get", ReadOnly, READ),
    row("tasks.list", ReadOnly, READ).since("2026.5.12"),
    row("tools.catalog", ReadOnly, READ).since("2026.2.26"),
    row("tools.effective", ReadOnly, READ).since("2026.4.15"),
    row("tools.invoke", SideEffect, WRITE),
    row("update.run", SideEffect, ADMIN),
    row("usage.cost", ReadOnly, READ),
    row("usage.status", ReadOnly, READ),
    row("wake", SideEffect, WRITE),
];

/// The parameter that carries the key, in every method that takes one (all nine releases).
pub const IDEMPOTENCY_KEY: &str = "idempotencyKey";

/// The parameters are not an object, so they can't carry an idempotency key.
#[derive(Debug, thiserror::Error)]
#[error("the parameters of a method with an idempotency key are an object")]
pub struct NotAnObject;

/// Adds an idempotency key to parameters: `given`, else the key that they have already, else `fresh`. All other parameters
/// keep their text.
///
/// # Errors
/// When `params` is neither an object nor `null`.
pub fn with_idempotency_key(
    params: &RawJson,
    given: Option<&str>,
    fresh: impl FnOnce() -> String,
) -> Result<RawJson, NotAnObject> {
    let mut object: BTreeMap<String, RawJson> = if params.as_str() == "null" {
        BTreeMap::new()
    } else {
        params.decode().map_err(|_| NotAnObject)?
    };
    let is_missing = !object.contains_key(IDEMPOTENCY_KEY);
    let key = given.map(str::to_owned).or_else(|| is_missing.then(fresh));
    if let Some(key) = key {
        let key = RawJson::from_value(&key).map_err(|_| NotAnObject)?;
        object.insert(IDEMPOTENCY_KEY.into(), key);
    }
    RawJson::from_value(&object).map_err(|_| NotAnObject)
}

#[cfg(test)]
mod idempotency_tests {
    use super::*;

    fn keyed(params: &str, given: Option<&str>) -> Result<String, NotAnObject> {
        let params = RawJson::parse(params).unwrap();
        with_idempotency_key(&params, given, || "fresh".into()).map(|params| params.as_str().to_owned())
    }

    #[test]
    fn a_key_is_made_only_where_none_is_given() {
        assert_eq!(keyed("null", None).unwrap(), r#"{"idempotencyKey":"fresh"}"#);
        assert_eq!(
            keyed(r#"{"idempotencyKey":"mine"}"#, None).unwrap(),
            r#"{"idempotencyKey":"mine"}"#
        );
        assert_eq!(
            keyed(r#"{"idempotencyKey":"mine"}"#, Some("given")).unwrap(),
            r#"{"idempotencyKey":"given"}"#
        );
    }

    #[test]
    fn other_parameters_keep_their_text() {
        let params = r#"{"a":"\ud83d","b":1e999}"#;
        assert_eq!(
            keyed(params, Some("k")).unwrap(),
            r#"{"a":"\ud83d","b":1e999,"idempotencyKey":"k"}"#
        );
    }

    #[test]
    fn parameters_that_are_no_object_are_refused() {
        assert!(keyed("[1]", None).unwrap_err().to_string().contains("object"));
    }
}
