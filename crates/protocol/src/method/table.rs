//! The rows, sorted by name.

use super::Effect::{Idempotent, Keyed, ReadOnly, SideEffect};
use super::{Answers, Effect, MethodSpec};
use crate::connect::Scope;

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

pub(super) static METHODS: &[MethodSpec] = &[
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
