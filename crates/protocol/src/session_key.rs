//! Session keys, agent ids, and the identities that this project gives to its agents.
//!
//! These strings are the contract with the gateway: they are made of UUIDs and never of a name that a person can change.

mod space;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

pub use space::{GLOBAL_SESSION, SessionKeySpace, SessionSpellings};

/// Longest session key that gateways accept, in characters (schema of generation 4).
pub const SESSION_KEY_LIMIT: usize = 512;
/// Longest agent id taken, in characters. The longest one made here has 47; the limit only keeps paths and log lines sane.
pub const AGENT_ID_LIMIT: usize = 128;

/// Why a text is no session key or agent id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Nothing in it.
    #[error("it is empty")]
    Empty,
    /// Over the limit.
    #[error("it is longer than {0} characters")]
    TooLong(usize),
    /// A blank, a control character, or (in an agent id) a separator.
    #[error("it holds a blank, a control character or a separator")]
    BadCharacter,
}

/// A conversation on a gateway, for example `agent:main:main`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionKey(Arc<str>);

/// An agent on a gateway, for example `main`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AgentId(Arc<str>);

fn check(text: &str, limit: usize, is_bad: impl Fn(char) -> bool) -> Result<(), KeyError> {
    if text.is_empty() {
        return Err(KeyError::Empty);
    }
    if text.chars().nth(limit).is_some() {
        return Err(KeyError::TooLong(limit));
    }
    if text.chars().any(|c| c.is_control() || is_bad(c)) {
        Err(KeyError::BadCharacter)
    } else {
        Ok(())
    }
}

impl SessionKey {
    /// Takes a key as it stands; gateways make `agent:<default agent>:<key>` of one without a prefix.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        // Blanks inside are legal: channel keys hold names of groups.
        check(text, SESSION_KEY_LIMIT, |_| false)?;
        if text.trim() != text {
            return Err(KeyError::BadCharacter);
        }
        Ok(Self(text.into()))
    }

    /// The main session of an agent: `agent:<id>:main`.
    pub fn main_of(agent: &AgentId) -> Self {
        Self(format!("agent:{agent}:main").into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The agent: second part of `agent:<id>:<rest>`. `None` for a key without that prefix.
    pub fn agent_id(&self) -> Option<AgentId> {
        AgentId::parse(agent_id_of(&self.0)?).ok()
    }
}

/// The agent in the text of a session key, `agent:<id>:<rest>`.
pub fn agent_id_of(session_key: &str) -> Option<&str> {
    let (id, _rest) = session_key.strip_prefix("agent:")?.split_once(':')?;
    (!id.is_empty()).then_some(id)
}

impl AgentId {
    /// The agent `main`: the default agent of a gateway whose configuration names no other.
    pub(crate) fn main() -> Self {
        Self("main".into())
    }

    /// Takes an id as it stands. It must not hold `:` (it is part of session keys) nor `/`, `\` or be `.` or `..` (it is part of
    /// paths).
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        check(text, AGENT_ID_LIMIT, |c| {
            c.is_whitespace() || matches!(c, ':' | '/' | '\\')
        })?;
        if matches!(text, "." | "..") {
            Err(KeyError::BadCharacter)
        } else {
            Ok(Self(text.into()))
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Lower-case; every run of characters other than `a-z0-9` becomes one `-`; none at the ends. This is how gateways make an agent's
/// id of its name.
pub fn slug(text: &str) -> String {
    let mut slug = String::with_capacity(text.len());
    for c in text.chars().flat_map(char::to_lowercase) {
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    if slug.ends_with('-') {
        slug.pop();
    }
    slug
}

/// Which of our agents it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AgentIdentity {
    /// A gateway's own agent, by the gateway's UUID: `mc-gateway-<uuid>`.
    GatewayMain(Uuid),
    /// A board's lead, by the board's UUID: `lead-<uuid>`.
    BoardLead(Uuid),
    /// A board's worker, by the agent's UUID: `mc-<uuid>`.
    Worker(Uuid),
}

impl AgentIdentity {
    /// The agent id on the gateway.
    pub fn agent_id(&self) -> AgentId {
        AgentId(
            match self {
                Self::GatewayMain(gateway) => format!("mc-gateway-{gateway}"),
                Self::BoardLead(board) => format!("lead-{board}"),
                Self::Worker(agent) => format!("mc-{agent}"),
            }
            .into(),
        )
    }

    /// The key of its session: `agent:<agent id>:main`.
    pub fn session_key(&self) -> SessionKey {
        SessionKey::main_of(&self.agent_id())
    }

    /// Its workspace on the gateway's host: `<root>/workspace-<slug of the agent id>`, where the gateway's own agent goes without
    /// its `mc-`.
    pub fn workspace_path(&self, root: &str) -> String {
        let id = self.agent_id();
        let name = match self {
            Self::GatewayMain(_) => id.as_str().trim_start_matches("mc-"),
            Self::BoardLead(_) | Self::Worker(_) => id.as_str(),
        };
        format!("{}/workspace-{}", root.trim_end_matches('/'), slug(name))
    }

    /// Recognises an agent id that was made here: exact, in the same letters.
    pub fn of(agent: &AgentId) -> Option<Self> {
        let text = agent.as_str();
        let (make, uuid): (fn(Uuid) -> Self, &str) = if let Some(rest) = text.strip_prefix("mc-gateway-") {
            (Self::GatewayMain, rest)
        } else if let Some(rest) = text.strip_prefix("lead-") {
            (Self::BoardLead, rest)
        } else {
            (Self::Worker, text.strip_prefix("mc-")?)
        };
        let identity = make(Uuid::try_parse(uuid).ok()?);
        // Uuid reads more spellings than the one that is written.
        (identity.agent_id() == *agent).then_some(identity)
    }

    /// Recognises a session key that was made here.
    pub fn of_session(key: &SessionKey) -> Option<Self> {
        let identity = Self::of(&key.agent_id()?)?;
        (identity.session_key() == *key).then_some(identity)
    }
}

macro_rules! text_type {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = KeyError;

            fn from_str(text: &str) -> Result<Self, KeyError> {
                Self::parse(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

text_type!(SessionKey);
text_type!(AgentId);
