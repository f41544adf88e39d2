//! The methods of the simulation: since which release, with which scope and parameters.

use crate::gateway::builder::Options;
use crate::gateway::params::Kind::{Any, Flag, List, Name, Text, Whole};
use crate::gateway::params::{Field, may, need, since};
use crate::gateway::profile::Profile;
use crate::gateway::profile::at::{R1_30, R2_26, R3_13, R4_15, R5_12, R6_11, R7_1, R8_2, R9_6};

/// What a caller needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    Nothing,
    Read,
    Write,
    Admin,
    Pairing,
    /// The role `node`.
    Node,
}

impl Needs {
    pub(crate) fn scope(self) -> Option<&'static str> {
        match self {
            Self::Nothing | Self::Node => None,
            Self::Read => Some("operator.read"),
            Self::Write => Some("operator.write"),
            Self::Admin => Some("operator.admin"),
            Self::Pairing => Some("operator.pairing"),
        }
    }
}

/// One method.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spec {
    pub(crate) name: &'static str,
    pub(crate) needs: Needs,
    /// Position of the first release that has it.
    pub(crate) from: usize,
    /// Position of the last release that has it.
    pub(crate) until: usize,
    /// Listed in `features.methods`; some methods answer without being listed.
    pub(crate) listed: bool,
    /// `None`: odd parameters are ignored.
    pub(crate) fields: Option<&'static [Field]>,
}

const fn method(name: &'static str, needs: Needs, from: usize, fields: &'static [Field]) -> Spec {
    Spec {
        name,
        needs,
        from,
        until: R9_6,
        listed: true,
        fields: Some(fields),
    }
}

const fn unlisted(mut spec: Spec) -> Spec {
    spec.listed = false;
    spec
}

const fn until(until: usize, mut spec: Spec) -> Spec {
    spec.until = until;
    spec
}

/// Advertised and permitted, but without behaviour: answered `UNAVAILABLE` unless scripted.
const fn named(name: &'static str, needs: Needs, from: usize) -> Spec {
    Spec {
        name,
        needs,
        from,
        until: R9_6,
        listed: true,
        fields: None,
    }
}

use Needs::{Admin, Node, Nothing, Pairing, Read, Write};

/// Every method that the simulation knows.
pub(crate) const METHODS: &[Spec] = &[
    named("health", Nothing, R1_30),
    method("status", Read, R1_30, &[]),
    method("system-presence", Read, R1_30, &[]),
    method("system-event", Admin, R1_30, &[need("text", Text)]),
    method("gateway.identity.get", Read, R3_13, &[]),
    method("gateway.restart.preflight", Read, R5_12, &[]),
    method(
        "gateway.restart.request",
        Admin,
        R5_12,
        &[may("reason", Text), since(R5_12, "restartDelayMs", Whole)],
    ),
    method(
        "models.list",
        Read,
        R1_30,
        &[
            since(R5_12, "agentId", Name),
            since(R5_12, "view", Text),
            since(R5_12, "refresh", Flag),
        ],
    ),
    method("agents.list", Read, R1_30, &[]),
    method(
        "agents.create",
        Admin,
        R2_26,
        &[
            need("name", Name),
            may("workspace", Name),
            may("emoji", Text),
            may("avatar", Text),
            since(R4_15, "model", Name),
        ],
    ),
    method(
        "agents.update",
        Admin,
        R2_26,
        &[
            need("agentId", Name),
            may("name", Name),
            may("workspace", Name),
            may("model", Name),
            may("avatar", Text),
            since(R4_15, "emoji", Text),
        ],
    ),
    method(
        "agents.delete",
        Admin,
        R2_26,
        &[need("agentId", Name), may("deleteFiles", Flag)],
    ),
    method("agents.files.list", Read, R2_26, &[need("agentId", Name)]),
    method(
        "agents.files.get",
        Read,
        R2_26,
        &[need("agentId", Name), need("name", Name)],
    ),
    method(
        "agents.files.set",
        Admin,
        R2_26,
        &[
            need("agentId", Name),
            need("name", Name),
            need("content", Text),
            since(R9_6, "expectedHash", Any),
        ],
    ),
    method("config.get", Read, R1_30, &[]),
    method("config.schema", Admin, R1_30, &[]),
    method(
        "config.patch",
        Admin,
        R1_30,
        &[
            need("raw", Name),
            may("baseHash", Name),
            may("sessionKey", Text),
            may("note", Text),
            may("restartDelayMs", Whole),
            since(R5_12, "replacePaths", List),
        ],
    ),
    method(
        "sessions.list",
        Read,
        R1_30,
        &[
            may("limit", Whole),
            may("activeMinutes", Whole),
            may("includeGlobal", Flag),
            may("includeUnknown", Flag),
            may("label", Name),
            may("spawnedBy", Name),
            may("agentId", Name),
            may("search", Text),
            may("includeDerivedTitles", Flag),
            may("includeLastMessage", Flag),
            since(R6_11, "offset", Whole),
        ],
    ),
    method(
        "sessions.patch",
        Write,
        R1_30,
        &[
            need("key", Name),
            may("label", Name),
            may("model", Name),
            may("thinkingLevel", Name),
            may("verboseLevel", Name),
            may("reasoningLevel", Name),
            may("elevatedLevel", Name),
            may("execHost", Name),
            may("sendPolicy", Text),
            since(R5_12, "archived", Flag),
            since(R5_12, "pinned", Flag),
        ],
    ),
    method(
        "sessions.reset",
        Admin,
        R1_30,
        &[need("key", Name), may("reason", Text), since(R5_12, "agentId", Name)],
    ),
    method(
        "sessions.delete",
        Admin,
        R1_30,
        &[
            need("key", Name),
            may("deleteTranscript", Flag),
            since(R5_12, "agentId", Name),
        ],
    ),
    method("sessions.describe", Read, R5_12, &[need("key", Name)]),
    unlisted(method("sessions.resolve", Read, R1_30, &[need("key", Name)])),
    method(
        "sessions.subscribe",
        Read,
        R4_15,
        &[
            since(R9_6, "limit", Whole),
            since(R9_6, "offset", Whole),
            since(R9_6, "activeMinutes", Whole),
            since(R9_6, "agentId", Name),
            since(R9_6, "label", Name),
        ],
    ),
    until(R7_1, method("sessions.unsubscribe", Read, R4_15, &[])),
    method(
        "sessions.messages.subscribe",
        Read,
        R4_15,
        &[need("key", Name), since(R5_12, "agentId", Name)],
    ),
    method(
        "sessions.messages.unsubscribe",
        Read,
        R4_15,
        &[need("key", Name), since(R5_12, "agentId", Name)],
    ),
    method(
        "chat.send",
        Write,
        R1_30,
        &[
            need("sessionKey", Name),
            need("message", Text),
            need("idempotencyKey", Name),
            may("thinking", Text),
            may("deliver", Flag),
            may("attachments", List),
            may("timeoutMs", Whole),
            since(R5_12, "agentId", Name),
            since(R5_12, "sessionId", Name),
            since(R5_12, "queueMode", Text),
        ],
    ),
    method(
        "chat.history",
        Read,
        R1_30,
        &[
            need("sessionKey", Name),
            may("limit", Whole),
            since(R5_12, "agentId", Name),
            since(R7_1, "offset", Whole),
            since(R9_6, "cursor", Name),
            since(R9_6, "messageId", Name),
            since(R9_6, "sessionId", Name),
        ],
    ),
    method(
        "chat.abort",
        Write,
        R1_30,
        &[
            need("sessionKey", Name),
            may("runId", Name),
            since(R5_12, "agentId", Name),
        ],
    ),
    unlisted(method(
        "chat.inject",
        Admin,
        R1_30,
        &[need("sessionKey", Name), need("message", Name), may("label", Text)],
    )),
    method(
        "agent",
        Write,
        R1_30,
        &[
            need("message", Name),
            need("idempotencyKey", Name),
            may("agentId", Name),
            may("sessionKey", Text),
            may("sessionId", Text),
            may("thinking", Text),
            may("deliver", Flag),
            may("channel", Text),
            may("to", Text),
            may("timeout", Whole),
            may("lane", Text),
            may("label", Name),
            may("extraSystemPrompt", Text),
        ],
    ),
    method(
        "agent.wait",
        Write,
        R1_30,
        &[need("runId", Name), may("timeoutMs", Whole)],
    ),
    method("device.pair.list", Pairing, R1_30, &[]),
    method("device.pair.approve", Pairing, R1_30, &[need("requestId", Name)]),
    method("device.pair.reject", Pairing, R1_30, &[need("requestId", Name)]),
    method("device.pair.remove", Pairing, R2_26, &[need("deviceId", Name)]),
    method(
        "device.token.revoke",
        Pairing,
        R1_30,
        &[need("deviceId", Name), need("role", Name)],
    ),
    method(
        "cron.list",
        Read,
        R1_30,
        &[
            may("includeDisabled", Flag),
            since(R5_12, "agentId", Name),
            since(R5_12, "query", Text),
            since(R5_12, "limit", Whole),
            since(R5_12, "offset", Whole),
        ],
    ),
    method("cron.scratch.get", Read, R8_2, &[may("id", Name), may("jobId", Name)]),
    method(
        "cron.scratch.set",
        Admin,
        R8_2,
        &[
            may("id", Name),
            may("jobId", Name),
            need("content", Text),
            may("expectedRevision", Whole),
        ],
    ),
    named("node.invoke.result", Node, R1_30),
    named("node.event", Node, R1_30),
    named("logs.tail", Read, R1_30),
    named("channels.status", Read, R1_30),
    named("usage.status", Read, R1_30),
    named("usage.cost", Read, R1_30),
    named("tools.catalog", Read, R2_26),
    named("skills.status", Read, R1_30),
    named("config.set", Admin, R1_30),
    named("config.apply", Admin, R1_30),
    named("config.schema.lookup", Read, R3_13),
    named("sessions.preview", Read, R1_30),
    named("sessions.compact", Admin, R1_30),
    named("sessions.create", Write, R4_15),
    named("sessions.send", Write, R4_15),
    named("sessions.abort", Write, R4_15),
    named("agent.identity.get", Read, R1_30),
    named("cron.status", Read, R1_30),
    named("cron.add", Admin, R1_30),
    named("cron.update", Admin, R1_30),
    named("cron.remove", Admin, R1_30),
    named("cron.run", Admin, R1_30),
    named("device.token.rotate", Pairing, R1_30),
    named("exec.approval.resolve", Admin, R1_30),
    named("exec.approval.list", Admin, R4_15),
    named("tasks.list", Read, R5_12),
    named("update.run", Admin, R1_30),
];

/// The method as this release has it.
pub(crate) fn find(profile: &Profile, name: &str) -> Option<&'static Spec> {
    METHODS
        .iter()
        .find(|spec| spec.name == name && (spec.from..=spec.until).contains(&profile.index))
}

/// `features.methods`.
pub(crate) fn advertised(profile: &Profile, options: &Options) -> Vec<String> {
    let own = METHODS
        .iter()
        .filter(|spec| spec.listed && (spec.from..=spec.until).contains(&profile.index))
        .map(|spec| spec.name.to_owned());
    own.chain(options.extra_methods.iter().cloned())
        .filter(|name| !options.hidden_methods.contains(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{METHODS, find};
    use crate::gateway::profile::Profile;

    #[test]
    fn methods_come_and_go_with_the_releases_that_were_measured() {
        let has = |release: &str, name: &str| find(&Profile::of(release).expect("known"), name).is_some();
        assert!(!has("2026.1.30", "agents.create") && has("2026.2.26", "agents.create"));
        assert!(has("2026.7.1", "sessions.unsubscribe") && !has("2026.8.2", "sessions.unsubscribe"));
        assert!(!has("2026.3.13", "sessions.subscribe") && has("2026.4.15", "sessions.subscribe"));
        assert!(!has("2026.7.1", "cron.scratch.set") && has("2026.9.6", "cron.scratch.set"));
    }

    #[test]
    fn no_method_is_listed_twice() {
        let mut names: Vec<_> = METHODS.iter().map(|spec| spec.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), METHODS.len());
    }
}
