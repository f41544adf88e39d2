//! Event names.

use crate::names::wire_names;

wire_names! {
    /// The name of an event. Generation 4 sends many that were not asked for; those without a use here are `Other`.
    pub enum EventName {
        Challenge = "connect.challenge",
        Tick = "tick",
        Shutdown = "shutdown",
        Health = "health",
        Presence = "presence",
        Chat = "chat",
        ChatMetadataChanged = "chat.metadata.changed",
        Agent = "agent",
        SessionMessage = "session.message",
        SessionTool = "session.tool",
        SessionOperation = "session.operation",
        SessionsChanged = "sessions.changed",
        ConfigChanged = "config.changed",
        Cron = "cron",
        Task = "task",
        SkillsChanged = "skills.changed",
        PluginsChanged = "plugins.changed",
        Heartbeat = "heartbeat",
        UpdateAvailable = "update.available",
        GatewaySuspension = "gateway.suspension",
        PairRequested = "device.pair.requested",
        PairResolved = "device.pair.resolved",
        NodePairRequested = "node.pair.requested",
        NodePairResolved = "node.pair.resolved",
        ExecApprovalRequested = "exec.approval.requested",
        ExecApprovalResolved = "exec.approval.resolved",
        PluginApprovalRequested = "plugin.approval.requested",
        PluginApprovalResolved = "plugin.approval.resolved",
        QuestionRequested = "question.requested",
        QuestionResolved = "question.resolved",
    }
}
