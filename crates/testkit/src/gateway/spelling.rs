//! What a gateway makes of the keys of its sessions. Written from what real gateways do, and not from what Windlass expects of them.

use serde_json::Value;

use super::profile::Profile;
use super::profile::at::R1_30;
use super::roster;

/// The session of all agents, with `session.scope: "global"`.
pub(crate) const GLOBAL: &str = "global";

/// The rules of one gateway, as it is configured.
pub(crate) struct Spelling<'a> {
    profile: &'a Profile,
    config: &'a Value,
}

impl<'a> Spelling<'a> {
    pub(crate) const fn new(profile: &'a Profile, config: &'a Value) -> Self {
        Self { profile, config }
    }

    /// Whether all agents share one main session.
    pub(crate) fn is_global(&self) -> bool {
        self.config.pointer("/session/scope").and_then(Value::as_str) == Some(GLOBAL)
    }

    /// The last part of main sessions' keys.
    pub(crate) fn main_key(&self) -> String {
        let configured = self.config.pointer("/session/mainKey").and_then(Value::as_str);
        configured.unwrap_or("main").to_lowercase()
    }

    /// The key of the default agent's main session.
    pub(crate) fn main_session(&self) -> String {
        self.canonical("main")
    }

    /// The gateway's own key of the session that a caller names.
    pub(crate) fn canonical(&self, key: &str) -> String {
        let key = key.trim();
        let folded = key.to_lowercase();
        if folded == GLOBAL || folded == "unknown" {
            return folded;
        }
        let prefixed = folded.starts_with("agent:");
        let full = if prefixed {
            key.to_owned()
        } else {
            format!("agent:{}:{key}", roster::default_id(self.profile, self.config))
        };
        let full = self.cased(&full);
        let mut parts = full.splitn(3, ':').skip(1);
        let (agent, rest) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        match rest == "main" || rest == self.main_key() {
            true if self.is_global() => GLOBAL.to_owned(),
            true => format!("agent:{agent}:{}", self.main_key()),
            false => full,
        }
    }

    /// The key under which events show it: 1.30 shows a key without an agent as it came, in lower case.
    pub(crate) fn shown(&self, key: &str) -> String {
        let folded = key.trim().to_lowercase();
        if self.profile.index == R1_30 && !folded.starts_with("agent:") {
            folded
        } else {
            self.canonical(key)
        }
    }

    /// In lower case, but for the ids of rooms where the release keeps them.
    fn cased(&self, key: &str) -> String {
        let folded = key.to_lowercase();
        if !self.profile.keeps_room_ids {
            return folded;
        }
        let room = ["matrix:channel:", "matrix:group:"]
            .iter()
            .find_map(|kind| folded.find(kind).map(|at| at + kind.len()));
        // The part before the room's id is ASCII, so that it has as many bytes in either case.
        match room {
            Some(at) if key.is_char_boundary(at) && key[..at].is_ascii() => format!("{}{}", &folded[..at], &key[at..]),
            _ => folded,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn canonical(release: &str, config: &Value, key: &str) -> String {
        let profile = Profile::of(release).expect("listed");
        Spelling::new(&profile, config).canonical(key)
    }

    #[test]
    fn keys_are_spelled_as_real_gateways_spelled_them() {
        let usual = json!({});
        for (key, older, newer) in [
            ("agent:main:Test1", "agent:main:test1", "agent:main:test1"),
            ("AGENT:Main:Test2", "agent:main:test2", "agent:main:test2"),
            ("Main", "agent:main:main", "agent:main:main"),
            ("Weird Key", "agent:main:weird key", "agent:main:weird key"),
            ("Global", "global", "global"),
            ("agent:main:global", "agent:main:global", "agent:main:global"),
            (
                "matrix:channel:!AbC:srv.org",
                "agent:main:matrix:channel:!abc:srv.org",
                "agent:main:matrix:channel:!AbC:srv.org",
            ),
        ] {
            assert_eq!(canonical("2026.3.13", &usual, key), older);
            assert_eq!(canonical("2026.9.6", &usual, key), newer);
        }
        let global = json!({"session": {"scope": "global", "mainKey": "home"}});
        for key in ["main", "home", "agent:main:Main", "agent:main:home"] {
            assert_eq!(canonical("2026.9.6", &global, key), "global", "{key}");
        }
        assert_eq!(canonical("2026.9.6", &global, "agent:main:Test1"), "agent:main:test1");
    }
}
