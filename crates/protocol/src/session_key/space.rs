//! How one gateway spells the keys of its sessions.
//!
//! A session has one key on a gateway, and callers may name it by others. The rules of gateways for keys, by the releases that they
//! were seen on:
//!
//! | a caller says | the gateway's key | seen on |
//! |---|---|---|
//! | `agent:main:Test1`, `AGENT:Main:Test1` | `agent:main:test1` | 2026.3.13, 2026.9.6 |
//! | `agent:main:matrix:channel:!AbC:srv` | `agent:main:matrix:channel:!abc:srv` | 2026.3.13 |
//! | the same, and `signal:group:AbC` | the letters of the room and of the group as they stand | 2026.9.6 |
//! | `weird` | `agent:<default agent>:weird` | all nine releases of 2026 |
//! | `main`, `Main`, the configured `session.mainKey` | `agent:<default agent>:<main key>` | all nine releases of 2026 |
//! | `main`, in events | `main`, although lists say `agent:main:main` | 2026.1.30 |
//! | any of these main sessions, with `session.scope: "global"` | `global` | 2026.3.13, 2026.9.6 |
//! | `global`, `Global`, `unknown` | `global`, `unknown`: no agent is put before them | 2026.3.13, 2026.9.6 |
//!
//! The default agent, the main key and the scope stand in `hello-ok.snapshot.sessionDefaults`. Events, the rows of
//! `sessions.list`, and the answers of `sessions.resolve`, `sessions.patch`, `sessions.reset`, `sessions.delete` and
//! `sessions.messages.subscribe` carry the gateway's key. The answer of `chat.history` repeats the caller's.

use crate::HelloOk;

/// The session that all main sessions are with `session.scope: "global"`.
pub const GLOBAL_SESSION: &str = "global";
/// The session of events that belong to no other session.
const UNKNOWN_SESSION: &str = "unknown";
/// The last part of a main session's key, unless configured otherwise; an alias of the configured one on all releases.
const MAIN: &str = "main";

/// The rules by which one gateway makes its own key of a session's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionKeySpace {
    default_agent: Option<Box<str>>,
    main_key: Box<str>,
    global: bool,
}

impl Default for SessionKeySpace {
    fn default() -> Self {
        Self::unknown()
    }
}

impl SessionKeySpace {
    /// That of a gateway that was not met yet. A key without an agent then names the sessions of that name of all agents.
    pub fn unknown() -> Self {
        Self {
            default_agent: None,
            main_key: MAIN.into(),
            global: false,
        }
    }

    /// That of the gateway that said this.
    pub fn of(hello: &HelloOk) -> Self {
        let Some(defaults) = &hello.snapshot.session_defaults else {
            return Self::unknown();
        };
        let said = |text: &Option<String>| text.as_deref().map(lower).filter(|text| !text.is_empty());
        let main_session = said(&defaults.main_session_key);
        let agent_of_main = main_session.as_deref().and_then(super::agent_id_of).map(Into::into);
        let main_of_main = main_session.as_deref().and_then(parts).map(|(_, rest)| Box::from(rest));
        Self {
            default_agent: said(&defaults.default_agent_id).or(agent_of_main),
            main_key: said(&defaults.main_key).or(main_of_main).unwrap_or_else(|| MAIN.into()),
            global: defaults.scope.as_deref() == Some(GLOBAL_SESSION)
                || main_session.as_deref() == Some(GLOBAL_SESSION),
        }
    }

    /// Whether all agents share one main session, `global`. `sessions.list` leaves it out unless `includeGlobal` is set.
    pub const fn is_global(&self) -> bool {
        self.global
    }

    /// The agent of keys that name none; nothing where the gateway names none.
    pub fn default_agent(&self) -> Option<&str> {
        self.default_agent.as_deref()
    }

    /// The key of the default agent's main session.
    pub fn main_session(&self) -> String {
        let main = self.spellings(MAIN);
        if main.any_agent {
            format!("agent:{MAIN}:{}", main.canonical)
        } else {
            main.canonical.into()
        }
    }

    /// An agent's id as the gateway spells it: in lower case (2026.3.13, 2026.9.6).
    pub fn agent(&self, id: &str) -> Box<str> {
        lower(id)
    }

    /// The keys under which this gateway may show the session that `key` names.
    pub fn spellings(&self, key: &str) -> SessionSpellings {
        let key = key.trim();
        let folded = lower(key);
        if matches!(&*folded, GLOBAL_SESSION | UNKNOWN_SESSION) {
            return SessionSpellings::of(folded);
        }
        let (agent, rest) = match parts(&folded) {
            Some((agent, rest)) => (Some(agent), rest),
            None => (self.default_agent.as_deref(), &*folded),
        };
        let is_main = rest == MAIN || rest == &*self.main_key;
        let canonical = match agent {
            _ if is_main && self.global => GLOBAL_SESSION.into(),
            None => preserving(key),
            Some(agent) if is_main => format!("agent:{agent}:{}", self.main_key).into(),
            Some(_) if parts(&folded).is_some() => preserving(key),
            Some(agent) => format!("agent:{agent}:{}", preserving(key)).into(),
        };
        let mut spellings = SessionSpellings::of(canonical);
        spellings.any_agent = agent.is_none() && &*spellings.canonical != GLOBAL_SESSION;
        // What 2026.1.30 may show instead.
        if agent == self.default_agent.as_deref() && !matches!(rest, GLOBAL_SESSION | UNKNOWN_SESSION) {
            spellings.also(rest);
            if is_main && agent.is_none() {
                spellings.also(GLOBAL_SESSION);
            }
            if is_main {
                spellings.also(MAIN);
                spellings.also(&self.main_key);
            }
        }
        spellings
    }

    /// Whether `theirs`, a key as the gateway spells it, is the session that `ours` names.
    pub fn same(&self, ours: &str, theirs: &str) -> bool {
        ours == theirs || self.spellings(ours).include(theirs)
    }
}

/// The keys under which a gateway may show one session: as newer releases spell it, and as older ones do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSpellings {
    canonical: Box<str>,
    identity: Box<str>,
    /// Those that are neither of the two.
    others: Vec<Box<str>>,
    /// The agent is not known: the key is the part behind `agent:<id>:`.
    any_agent: bool,
}

impl SessionSpellings {
    fn of(canonical: Box<str>) -> Self {
        Self {
            identity: lower(&canonical),
            canonical,
            others: Vec::new(),
            any_agent: false,
        }
    }

    fn also(&mut self, key: &str) {
        if self.iter().all(|known| known != key) {
            self.others.push(key.into());
        }
    }

    /// All of them, the one of the newest release first.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let others = self.others.iter().map(|key| &**key);
        [&*self.canonical, &*self.identity].into_iter().chain(others)
    }

    /// Whether a key of the gateway's is one of them. Costs some comparisons and no allocation.
    pub fn include(&self, theirs: &str) -> bool {
        let bare = parts(theirs).filter(|_| self.any_agent).map(|(_, rest)| rest);
        self.iter().any(|known| known == theirs || Some(known) == bare)
    }

    /// Whether the agent is not known, so that the sessions of this name of all agents are meant.
    pub const fn is_of_any_agent(&self) -> bool {
        self.any_agent
    }

    /// The key as the newest release spells it.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// One text for all keys that may name this session, on any release. Two Matrix rooms with ids that differ in nothing but
    /// case share it.
    pub fn identity(&self) -> &str {
        &self.identity
    }
}

fn lower(text: &str) -> Box<str> {
    text.trim().to_lowercase().into()
}

/// Agent and rest of `agent:<id>:<rest>`, both there.
fn parts(key: &str) -> Option<(&str, &str)> {
    let (agent, rest) = key.strip_prefix("agent:")?.split_once(':')?;
    (!agent.is_empty() && !rest.is_empty()).then_some((agent, rest))
}

/// In lower case but for the ids of Signal groups and Matrix rooms and threads (2026.9.6).
fn preserving(key: &str) -> Box<str> {
    let mut out = String::with_capacity(key.len());
    if let Some(at) = matrix_room(key) {
        let (head, room) = key.split_at(at);
        out.push_str(&head.to_lowercase());
        match rfind_ignoring_case(room, THREAD) {
            Some(thread) => {
                out.push_str(&room[..thread]);
                out.push_str(THREAD);
                out.push_str(&room[thread + THREAD.len()..]);
            }
            None => out.push_str(room),
        }
        return out.into();
    }
    let mut rest = key;
    while let Some(at) = signal_group(rest) {
        let (head, tail) = rest.split_at(at);
        let (group, after) = tail.split_at(tail.find(':').unwrap_or(tail.len()));
        out.push_str(&head.to_lowercase());
        out.push_str(group.trim());
        rest = after;
    }
    out.push_str(&rest.to_lowercase());
    out.into()
}

const THREAD: &str = ":thread:";

/// Where a Matrix room's id begins, in a key that is one's.
fn matrix_room(key: &str) -> Option<usize> {
    let mut rest = key;
    while let Some(after) = strip_ignoring_case(rest, "agent:") {
        rest = after.split_once(':')?.1;
    }
    rest = rest.trim_start_matches(':');
    let room = ["matrix:channel:", "matrix:group:"]
        .iter()
        .find_map(|kind| strip_ignoring_case(rest, kind))?;
    (!room.is_empty()).then_some(key.len() - room.len())
}

/// Where the id of a Signal group begins.
fn signal_group(key: &str) -> Option<usize> {
    const KIND: &str = "signal:group:";
    let mut from = 0;
    while let Some(at) = find_ignoring_case(&key[from..], KIND) {
        let (start, end) = (from + at, from + at + KIND.len());
        let begins = start == 0 || key.as_bytes()[start - 1] == b':';
        if begins && key[end..].chars().next().is_some_and(|c| c != ':') {
            return Some(end);
        }
        from = end;
    }
    None
}

fn strip_ignoring_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}

/// `needle` is ASCII, so that it begins and ends between characters.
fn find_ignoring_case(text: &str, needle: &str) -> Option<usize> {
    let found = |window: &[u8]| window.eq_ignore_ascii_case(needle.as_bytes());
    text.as_bytes().windows(needle.len()).position(found)
}

fn rfind_ignoring_case(text: &str, needle: &str) -> Option<usize> {
    let found = |window: &[u8]| window.eq_ignore_ascii_case(needle.as_bytes());
    text.as_bytes().windows(needle.len()).rposition(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn space(defaults: &Value) -> SessionKeySpace {
        let hello = json!({
            "type": "hello-ok", "protocol": 4, "server": {"version": "2026.9.6", "connId": "c"},
            "features": {}, "snapshot": {"sessionDefaults": defaults}, "policy": {},
        });
        SessionKeySpace::of(&serde_json::from_value(hello).expect("a hello"))
    }

    fn usual() -> SessionKeySpace {
        space(
            &json!({"defaultAgentId": "main", "mainKey": "main", "mainSessionKey": "agent:main:main", "scope": "per-sender"}),
        )
    }

    #[test]
    fn keys_in_other_spellings_name_the_session_that_the_gateway_shows() {
        for (ours, theirs) in [
            ("agent:main:Test1", "agent:main:test1"),
            ("AGENT:Main:Test2", "agent:main:test2"),
            ("Main", "agent:main:main"),
            ("MAIN", "agent:main:main"),
            ("Weird Key", "agent:main:weird key"),
            ("Global", "global"),
            ("agent:main:global", "agent:main:global"),
            ("cron:Job2", "agent:main:cron:job2"),
            ("main:Foo", "agent:main:main:foo"),
            ("agent:other:X", "agent:other:x"),
            ("agent:main:a:thread:ThreadX", "agent:main:a:thread:threadx"),
            ("agent:main:Ünïcode É İ ẞ Σ", "agent:main:ünïcode é i̇ ß σ"),
        ] {
            let spellings = usual().spellings(ours);
            assert_eq!(spellings.canonical(), theirs, "{ours}");
            assert!(usual().same(ours, theirs), "{ours}");
        }
        assert!(!usual().same("main", "agent:other:main") && !usual().same("global", "agent:main:global"));
    }

    #[test]
    fn ids_of_matrix_and_signal_are_found_as_both_generations_spell_them() {
        for (ours, newer, older) in [
            (
                "agent:Main:Matrix:Channel:!AbC:srv.org",
                "agent:main:matrix:channel:!AbC:srv.org",
                "agent:main:matrix:channel:!abc:srv.org",
            ),
            (
                "matrix:group:!XyZ:Server.Org:THREAD:$TopIc",
                "agent:main:matrix:group:!XyZ:Server.Org:thread:$TopIc",
                "agent:main:matrix:group:!xyz:server.org:thread:$topic",
            ),
            (
                "agent:main:signal:group:AbC+/=:Thread:T",
                "agent:main:signal:group:AbC+/=:thread:t",
                "agent:main:signal:group:abc+/=:thread:t",
            ),
        ] {
            let spellings = usual().spellings(ours);
            assert_eq!((spellings.canonical(), spellings.identity()), (newer, older), "{ours}");
            assert!(spellings.include(newer) && spellings.include(older));
        }
        assert!(!usual().same("matrix:channel:!AbC:srv", "agent:main:matrix:channel:!ABC:srv"));
    }

    #[test]
    fn one_session_stands_for_all_main_sessions_where_the_scope_is_global() {
        let global =
            space(&json!({"defaultAgentId": "ops", "mainKey": "home", "mainSessionKey": "global", "scope": "global"}));
        for ours in [
            "main",
            "home",
            "Global",
            "agent:ops:main",
            "agent:ops:Home",
            "agent:other:main",
        ] {
            assert!(global.same(ours, "global"), "{ours}");
        }
        assert!(global.is_global() && global.main_session() == "global");
        assert!(global.same("agent:ops:Test1", "agent:ops:test1") && !global.same("agent:ops:global", "global"));
    }

    #[test]
    fn the_main_session_is_the_one_that_the_gateway_names() {
        let named = space(&json!({"mainSessionKey": "agent:boss:home", "defaultAgentId": "boss"}));
        assert_eq!(named.main_session(), "agent:boss:home");
        for ours in ["main", "home", "agent:boss:main", "agent:boss:home"] {
            assert!(named.same(ours, "agent:boss:home"), "{ours}");
        }
        assert_eq!(
            space(&json!({"defaultAgentId": "boss"})).main_session(),
            "agent:boss:main"
        );
        assert_eq!(space(&json!(null)).main_session(), "agent:main:main");
    }

    #[test]
    fn without_a_hello_a_short_key_names_the_sessions_of_all_agents() {
        let unknown = SessionKeySpace::unknown();
        assert!(unknown.same("Weird", "agent:main:weird") && unknown.same("weird", "agent:other:weird"));
        assert!(unknown.same("agent:Main:X", "agent:main:x") && !unknown.same("agent:main:x", "agent:other:x"));
    }

    proptest! {
        /// A key that the gateway made stays as it is, so that a shown key can be asked for.
        #[test]
        fn what_a_gateway_shows_names_itself(key in "(agent:[a-z]{1,3}:)?(matrix:channel:|signal:group:)?[!a-zA-Z][!a-zA-Zİß: +]{0,12}[a-z]") {
            let space = usual();
            let once = space.spellings(&key);
            for shown in [once.canonical(), once.identity()] {
                let twice = space.spellings(shown);
                prop_assert!(twice.include(shown), "{shown:?}");
                prop_assert_eq!(twice.identity(), once.identity());
            }
        }

        #[test]
        fn no_text_is_too_odd_to_be_a_key(key in ".{0,40}") {
            let _ = usual().spellings(&key).include(&key);
            let _ = SessionKeySpace::unknown().spellings(&key).include(&key);
        }
    }
}
