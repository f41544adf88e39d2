//! The gateway's configuration.

use serde_json::Value;

use super::request;
use crate::open::open_object;

request! {
    /// the configuration, secrets replaced by `__OPENCLAW_REDACTED__`; sent back like that, they stay as they are.
    ConfigGet: Default = "config.get" => ConfigGetReply {}
}

open_object! {
    /// The answer to `config.get`.
    pub struct ConfigGetReply {
        optional {
            /// The base that a write has to name. Absent where there is no file yet.
            hash: String = "hash",
            /// Where it lies on the gateway's host.
            path: String = "path",
            /// Whether there is a file.
            exists: bool = "exists",
            /// Whether it can be used as it stands.
            valid: bool = "valid",
            /// As it stands in the file.
            parsed: Value = "parsed",
            /// With the parts that it includes from other files, and without the gateway's defaults.
            resolved: Value = "resolved",
            /// With the gateway's defaults.
            config: Value = "config",
        }
    }
}

request! {
    /// changes the configuration by a merge patch: objects are merged, `null` removes, arrays of objects with an `id` are
    /// merged by it (replaced on 2026.1.30).
    ///
    /// Restarts the gateway up to 2026.3, and later where a changed part of it needs that. Limited to 3 in 60 s up to 2026.7
    /// and to 30 since (2026.1.30: not at all); refused ones count. A patch that changes nothing counts too, and restarts.
    ConfigPatch = "config.patch" => ConfigPatchReply {
        required {
            /// The patch, an object as JSON text.
            raw: String,
            /// The `hash` of the configuration that it was made for; another one is refused.
            base_hash: String,
        }
        optional {
            /// Its purpose, kept by the gateway for people.
            note: String,
            /// How long a restart waits, in ms; 2000 unless given.
            restart_delay_ms: u64,
        }
    }
}

open_object! {
    /// The answer to `config.patch`.
    pub struct ConfigPatchReply {
        optional {
            /// Always true so far.
            ok: bool = "ok",
            /// Where the configuration lies on the gateway's host.
            path: String = "path",
            /// The restart that follows, where one does (up to 2026.3).
            restart: ConfigRestart = "restart",
            /// The new base for the next write (from 2026.8 on).
            hash: String = "hash",
            /// Dotted paths of the changed members (2026.9.6).
            changed_paths: Vec<String> = "changedPaths",
            /// Whether nothing changed (from 2026.8 on).
            noop: bool = "noop",
            /// The gateway's record of the write.
            sentinel: Value = "sentinel",
        }
    }
}

open_object! {
    /// A restart that follows a write.
    pub struct ConfigRestart {
        optional {
            /// When, in ms from now.
            delay_ms: u64 = "delayMs",
            /// Whether it was arranged.
            ok: bool = "ok",
            /// Whether another restart that was due already does for this one.
            coalesced: bool = "coalesced",
        }
    }
}

impl ConfigPatchReply {
    /// Whether the gateway restarts because of it: by `restart` up to 2026.3, by the record's `requiresRestart` from 2026.6 on.
    pub fn restarts(&self) -> bool {
        let required = "/payload/stats/requiresRestart";
        let by_record = self.sentinel.as_ref().and_then(|sentinel| sentinel.pointer(required));
        self.restart.is_some() || by_record.and_then(Value::as_bool) == Some(true)
    }
}

request! {
    /// the JSON schema of the configuration (draft 7), plugins included: 0.4 MB on 2026.3.13, 2.1 MB on 2026.9.6.
    ConfigSchemaGet: Default = "config.schema" => Value {}
}
