//! The templates that come with the program. They lie in a folder of the same shape as a user's.

/// Name and source of every shipped template.
pub(crate) const TEMPLATES: [(&str, &str); 26] = [
    ("IDENTITY.md", include_str!("../templates/IDENTITY.md.j2")),
    ("MEMORY.md", include_str!("../templates/MEMORY.md.j2")),
    ("TOOLS.md", include_str!("../templates/TOOLS.md.j2")),
    ("USER.md", include_str!("../templates/USER.md.j2")),
    ("main/AGENTS.md", include_str!("../templates/main/AGENTS.md.j2")),
    ("main/SOUL.md", include_str!("../templates/main/SOUL.md.j2")),
    ("main/HEARTBEAT.md", include_str!("../templates/main/HEARTBEAT.md.j2")),
    ("main/BOOTSTRAP.md", include_str!("../templates/main/BOOTSTRAP.md.j2")),
    ("lead/AGENTS.md", include_str!("../templates/lead/AGENTS.md.j2")),
    ("lead/SOUL.md", include_str!("../templates/lead/SOUL.md.j2")),
    ("lead/HEARTBEAT.md", include_str!("../templates/lead/HEARTBEAT.md.j2")),
    ("lead/BOOTSTRAP.md", include_str!("../templates/lead/BOOTSTRAP.md.j2")),
    ("worker/AGENTS.md", include_str!("../templates/worker/AGENTS.md.j2")),
    ("worker/SOUL.md", include_str!("../templates/worker/SOUL.md.j2")),
    (
        "worker/HEARTBEAT.md",
        include_str!("../templates/worker/HEARTBEAT.md.j2"),
    ),
    (
        "worker/BOOTSTRAP.md",
        include_str!("../templates/worker/BOOTSTRAP.md.j2"),
    ),
    ("shared/api.md", include_str!("../templates/shared/api.md.j2")),
    ("shared/routine.md", include_str!("../templates/shared/routine.md.j2")),
    ("shared/safety.md", include_str!("../templates/shared/safety.md.j2")),
    (WAKE, include_str!("../templates/messages/wake.j2")),
    (CLEANUP, include_str!("../templates/messages/cleanup.j2")),
    ("messages/nudge", include_str!("../templates/messages/nudge.j2")),
    ("messages/ask-user", include_str!("../templates/messages/ask-user.j2")),
    (
        "messages/lead-question",
        include_str!("../templates/messages/lead-question.j2"),
    ),
    (
        "messages/lead-handoff",
        include_str!("../templates/messages/lead-handoff.j2"),
    ),
    (
        "messages/onboarding",
        include_str!("../templates/messages/onboarding.j2"),
    ),
];

/// The greeting that wakes an agent.
pub(crate) const WAKE: &str = "messages/wake";
/// What the main agent is told when an agent was deleted.
pub(crate) const CLEANUP: &str = "messages/cleanup";
