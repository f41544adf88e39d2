//! The contents of a workspace: eight contents, three roles, and the rendered texts.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// The longest file or scratch, in UTF-16 units: the limit that 2026.9.6 reports for a scratch (`maxBytes` 262144).
pub const MAX_FILE: usize = 262_144;

/// One text of an agent's workspace. Where it is kept is the [`Layout`](crate::Layout)'s affair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Content {
    /// How it works: routine, memory, safety, reporting.
    Agents,
    /// How it behaves.
    Soul,
    /// Its connections: the `KEY=value` lines.
    Tools,
    /// Its identity.
    Identity,
    /// Whom it works for.
    User,
    /// Its work at each heartbeat.
    Heartbeat,
    /// Its memory: an ordered, empty start.
    Memory,
    /// Its work at the first run, once.
    Bootstrap,
}

impl Content {
    /// Every content, in the order in which an agent meets them.
    pub const ALL: [Self; 8] = [
        Self::Agents,
        Self::Soul,
        Self::Tools,
        Self::Identity,
        Self::User,
        Self::Heartbeat,
        Self::Memory,
        Self::Bootstrap,
    ];

    /// The file that classic gateways keep it in (all eight were listed by the releases 2026.2.26 to 2026.7.1).
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Agents => "AGENTS.md",
            Self::Soul => "SOUL.md",
            Self::Tools => "TOOLS.md",
            Self::Identity => "IDENTITY.md",
            Self::User => "USER.md",
            Self::Heartbeat => "HEARTBEAT.md",
            Self::Memory => "MEMORY.md",
            Self::Bootstrap => "BOOTSTRAP.md",
        }
    }

    /// The content of this file name (exact, as on the wire).
    pub fn of_file(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|content| content.file_name() == name)
    }

    /// Whether an update without `overwrite` keeps the gateway's copy: the files that the agent itself writes (USER.md,
    /// MEMORY.md). The main agent's USER.md is managed here and always written.
    pub fn kept_on_update(self, role: TemplateRole) -> bool {
        match self {
            Self::Memory => true,
            Self::User => role != TemplateRole::Main,
            _ => false,
        }
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.file_name())
    }
}

/// A name that is no content's file name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a workspace file: AGENTS, SOUL, TOOLS, IDENTITY, USER, HEARTBEAT, MEMORY or BOOTSTRAP, each .md")]
pub struct UnknownContent(pub String);

impl FromStr for Content {
    type Err = UnknownContent;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::of_file(name).ok_or_else(|| UnknownContent(name.chars().take(60).collect()))
    }
}

/// The role of an agent, by which its templates are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TemplateRole {
    /// A gateway's main agent: speaks for the gateway and carries questions to the user.
    Main,
    /// A board's lead: delegates and reviews.
    Lead,
    /// A board's worker.
    Worker,
}

impl TemplateRole {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Main, Self::Lead, Self::Worker];

    /// `main`, `lead` or `worker`: the name of its template folder.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Lead => "lead",
            Self::Worker => "worker",
        }
    }

    /// The contents that an agent of this role always has. BOOTSTRAP.md is standing for leads only, but every role
    /// has a template for it: [`Layout::place`](crate::Layout::place) includes it for whom the caller asks.
    pub fn contents(self) -> &'static [Content] {
        match self {
            Self::Lead => &Content::ALL,
            Self::Main | Self::Worker => &Content::ALL[..Content::ALL.len() - 1],
        }
    }
}

impl fmt::Display for TemplateRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The rendered texts of an agent, none of them empty. `Debug` shows names and sizes, no text.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Rendered(BTreeMap<Content, String>);

impl Rendered {
    /// One content's text; none when it rendered to nothing.
    pub fn get(&self, content: Content) -> Option<&str> {
        self.0.get(&content).map(String::as_str)
    }

    /// Every content that has a text.
    pub fn iter(&self) -> impl Iterator<Item = (Content, &str)> {
        self.0.iter().map(|(content, text)| (*content, text.as_str()))
    }
}

/// For a caller that renders by other means; blank texts are left out.
impl FromIterator<(Content, String)> for Rendered {
    fn from_iter<I: IntoIterator<Item = (Content, String)>>(texts: I) -> Self {
        Self(texts.into_iter().filter(|(_, text)| !text.trim().is_empty()).collect())
    }
}

impl fmt::Debug for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.0.iter().map(|(content, text)| (content, text.len())))
            .finish()
    }
}
