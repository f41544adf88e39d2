//! The sessions of all agents.

use serde::Serialize;
use serde_json::Value;

use super::request;
use crate::RawJson;
use crate::open::{Extra, open_object};

request! {
    /// the sessions that the gateway knows, those changed last first.
    SessionsList: Default = "sessions.list" => SessionsListReply {
        optional {
            /// At most so many; unless given, 100 in generation 4 and all in generation 3.
            limit: u32,
            /// Leaves out so many first (from 2026.6 on; refused by older releases).
            offset: u32,
            /// Only those that changed within so many minutes.
            active_minutes: u32,
            /// Only those of this agent.
            agent_id: String,
            /// Only the one with this label.
            label: String,
            /// Only those in which this text is found.
            search: String,
            /// Also a title made of the first message.
            include_derived_titles: bool,
            /// Also the beginning of the last message.
            include_last_message: bool,
            /// Also the session [`global`](crate::GLOBAL_SESSION), where all agents share one main session. With an
            /// [`agent_id`](Self::agent_id) 2026.3.13 leaves it out all the same.
            include_global: bool,
        }
    }
}

open_object! {
    /// The answer to `sessions.list`.
    pub struct SessionsListReply {
        rows {
            /// The sessions.
            sessions: SessionRow = "sessions",
        }
        optional {
            /// The gateway's clock, in ms since 1970.
            ts: u64 = "ts",
            /// Where they are kept on the gateway's host, or `(multiple)`.
            path: String = "path",
            /// How many are in this answer.
            count: u64 = "count",
            /// The settings of a session without settings of its own: model, provider...
            defaults: Value = "defaults",
            /// How many there are (generation 4).
            total_count: u64 = "totalCount",
            /// The limit that was applied (generation 4).
            limit_applied: u64 = "limitApplied",
            /// Whether more follow (generation 4).
            has_more: bool = "hasMore",
            /// The offset at which they do (generation 4; `null`, and so nothing here, when none follow).
            next_offset: u64 = "nextOffset",
        }
    }
}

impl SessionsListReply {
    /// Reads the answer of `sessions.list`; one that is nothing but a list of sessions is taken, too.
    ///
    /// # Errors
    /// When it has neither shape.
    pub fn read(answer: &RawJson) -> Result<Self, serde_json::Error> {
        if answer.as_str().trim_start().starts_with('[') {
            let rows: Vec<Value> = answer.decode()?;
            let rows = rows.into_iter().filter_map(|row| serde_json::from_value(row).ok());
            return Ok(Self::of_rows(rows.collect()));
        }
        answer.decode()
    }

    fn of_rows(sessions: Vec<SessionRow>) -> Self {
        Self {
            sessions,
            ts: None,
            path: None,
            count: None,
            defaults: None,
            total_count: None,
            limit_applied: None,
            has_more: None,
            next_offset: None,
            extra: Extra::default(),
        }
    }
}

open_object! {
    /// One session.
    pub struct SessionRow {
        required {
            /// Its key, for example `agent:main:main`.
            key: String = "key",
        }
        optional {
            /// `direct`, `group`, `global`...
            kind: String = "kind",
            /// Its agent (generation 4; in generation 3 it stands in the key only).
            agent_id: String = "agentId",
            /// Its label, unique on the gateway.
            label: String = "label",
            /// The name shown.
            display_name: String = "displayName",
            /// Its transcript.
            session_id: String = "sessionId",
            /// In ms since 1970.
            updated_at: u64 = "updatedAt",
            /// The provider of its model.
            model_provider: String = "modelProvider",
            /// Its model, without the provider.
            model: String = "model",
            /// Tokens in its context.
            total_tokens: u64 = "totalTokens",
            /// Tokens that its context may hold.
            context_tokens: u64 = "contextTokens",
        }
    }
}

request! {
    /// has the gateway send `sessions.changed` over this connection (from 2026.4.15 on; seen to 2026.9.6).
    ///
    /// Lasts as long as the connection. With a parameter of `sessions.list` the answer also carries the list, by the documentation of 2026.9.6; older releases may refuse
    /// parameters. `sessions.unsubscribe` takes it back from 2026.4.15 to 2026.7 only.
    SessionsSubscribe: Default = "sessions.subscribe" => SessionsSubscribeReply {
        optional {
            /// List at most so many.
            limit: u32,
            /// List only those that changed within so many minutes.
            active_minutes: u32,
            /// List only those of this agent.
            agent_id: String,
            /// List also the session [`global`](crate::GLOBAL_SESSION), where all agents share one main session.
            include_global: bool,
        }
    }
}

open_object! {
    /// The answer to `sessions.subscribe`.
    pub struct SessionsSubscribeReply {
        optional {
            /// Always true so far.
            subscribed: bool = "subscribed",
            /// The sessions, where parameters asked for them and the release gives them.
            list: SessionsListReply = "list",
        }
    }
}

request! {
    /// has the gateway send `session.message` and `session.tool` of one session over this connection (from 2026.4.15 on).
    ///
    /// Lasts as long as the connection, or until `sessions.messages.unsubscribe` with the same key.
    SessionsMessagesSubscribe = "sessions.messages.subscribe" => SessionsMessagesSubscribeReply {
        required {
            /// Which session.
            key: String,
        }
        optional {
            /// Its agent (from 2026.5 on; refused by older releases).
            agent_id: String,
        }
    }
}

open_object! {
    /// The answer to `sessions.messages.subscribe` and `sessions.messages.unsubscribe`.
    pub struct SessionsMessagesSubscribeReply {
        required {
            /// The session's full key.
            key: String = "key",
        }
        optional {
            /// Whether its messages are sent now.
            subscribed: bool = "subscribed",
        }
    }
}

/// The change that [`SessionsPatch`] makes to one property.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Change(Option<String>);

impl Change {
    /// Takes the property away, so that the default holds again (`null` on the wire; seen to work on 2026.3.13 and 2026.9.6).
    pub const REMOVE: Self = Self(None);
}

impl<T: Into<String>> From<T> for Change {
    fn from(text: T) -> Self {
        Self(Some(text.into()))
    }
}

request! {
    /// sets properties of a session, and makes the session if there is none, even for an agent that does not exist.
    ///
    /// On 2026.6.11 a session that was made by this breaks at its second turn: there, let `chat.send` make it first.
    SessionsPatch = "sessions.patch" => SessionsPatchReply {
        required {
            /// Which one; `weird` is taken as `agent:main:weird`.
            key: String,
        }
        optional {
            /// Its label; refused if another session has it.
            label: Change,
            /// Its model, as `provider/model`. An unknown one is refused by generation 4 and stored by generation 3.
            model: Change,
            /// How much the model thinks: `off`, `low`...
            thinking_level: Change,
        }
    }
}

open_object! {
    /// The answer to `sessions.patch`.
    pub struct SessionsPatchReply {
        required {
            /// The session's full key.
            key: String = "key",
            /// The session as it is now.
            entry: SessionEntry = "entry",
        }
        optional {
            /// Always true so far.
            ok: bool = "ok",
            /// Where it is kept on the gateway's host.
            path: String = "path",
            /// The model that it will use (not on 2026.1).
            resolved: ResolvedModel = "resolved",
        }
    }
}

open_object! {
    /// A session as the gateway stores it.
    pub struct SessionEntry {
        required {
            /// Its transcript.
            session_id: String = "sessionId",
        }
        optional {
            /// In ms since 1970.
            updated_at: u64 = "updatedAt",
            /// In ms since 1970 (generation 4).
            created_at: u64 = "createdAt",
            /// Its label.
            label: String = "label",
            /// Its own model, without the provider.
            model_override: String = "modelOverride",
            /// The provider of its own model.
            provider_override: String = "providerOverride",
            /// How much its model thinks.
            thinking_level: String = "thinkingLevel",
            /// Changes when the session is reset (generation 4, which keeps the session id then).
            lifecycle_revision: String = "lifecycleRevision",
        }
    }
}

open_object! {
    /// Which model a session will use.
    pub struct ResolvedModel {
        optional {
            /// The provider.
            model_provider: String = "modelProvider",
            /// The model, without the provider.
            model: String = "model",
        }
    }
}

request! {
    /// empties a session, and makes it if there is none.
    ///
    /// Generation 3 gives it another session id; generation 4 keeps the id and changes the lifecycle revision.
    SessionsReset = "sessions.reset" => SessionsResetReply {
        required {
            /// Which one.
            key: String,
        }
    }
}

open_object! {
    /// The answer to `sessions.reset`.
    pub struct SessionsResetReply {
        required {
            /// The session's full key.
            key: String = "key",
            /// The session as it is now.
            entry: SessionEntry = "entry",
        }
        optional {
            /// Always true so far.
            ok: bool = "ok",
            /// The model that it will use (from 2026.9 on).
            resolved: ResolvedModel = "resolved",
        }
    }
}

request! {
    /// deletes a session. From 2026.8 on an agent's main session can't be deleted, before only the default agent's.
    SessionsDelete = "sessions.delete" => SessionsDeleteReply {
        required {
            /// Which one.
            key: String,
        }
        optional {
            /// Whether its transcript goes too; it does unless told otherwise.
            delete_transcript: bool,
        }
    }
}

open_object! {
    /// The answer to `sessions.delete`.
    pub struct SessionsDeleteReply {
        required {
            /// The session's full key.
            key: String = "key",
        }
        optional {
            /// Always true so far.
            ok: bool = "ok",
            /// Whether there was one.
            deleted: bool = "deleted",
            /// Where its transcript was put on the gateway's host.
            archived: Vec<String> = "archived",
        }
    }
}

request! {
    /// one session (from 2026.5 on).
    SessionsDescribe = "sessions.describe" => SessionsDescribeReply {
        required {
            /// Which one.
            key: String,
        }
    }
}

open_object! {
    /// The answer to `sessions.describe`.
    pub struct SessionsDescribeReply {
        optional {
            /// The session; absent where there is none.
            session: SessionRow = "session",
        }
    }
}
