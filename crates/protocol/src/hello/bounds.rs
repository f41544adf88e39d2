//! How large the parts of a hello-ok may be.
//!
//! A line keeps its hello for as long as the connection lasts, and a tree of JSON takes up to ninety times the memory of its text. So
//! a part that is larger than any gateway sends is left out before a tree is made of it.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::HelloOk;
use crate::device_token::DEVICE_TOKEN_MAX;
use crate::json::{decode, decode_with};
use crate::text::printable;

/// Most text, in bytes, of a member that stands here. Of 2026.9.6: `server` 227 in all, `policy` 265.
const MEMBER: usize = 8 * 1024;
/// Of a list of names. 2026.9.6 lists 466 methods in 10 kB.
const NAMES: usize = 128 * 1024;
/// Of presence and health, which grow with the clients and agents of a gateway. No line keeps them.
const STATE: usize = 256 * 1024;
/// Of all members of one object that this release has no field for, together.
const UNKNOWN: usize = 8 * 1024;
/// Of a secret, with its quotes.
const SECRET: usize = DEVICE_TOKEN_MAX + 2;

/// The members of an object that have a field, and how long their texts may be.
type Bounds = &'static [(&'static str, usize)];

const PARTS: &[(&str, Bounds)] = &[
    (
        "server",
        &[("version", 256), ("connId", 256), ("buildId", 256), ("bootId", 256)],
    ),
    (
        "features",
        &[("methods", NAMES), ("events", NAMES), ("capabilities", NAMES)],
    ),
    (
        "snapshot",
        &[
            ("uptimeMs", MEMBER),
            ("stateVersion", MEMBER),
            ("sessionDefaults", MEMBER),
            ("authMode", MEMBER),
            ("appliedConfigHash", MEMBER),
            ("suspension", MEMBER),
            ("presence", STATE),
            ("health", STATE),
        ],
    ),
    (
        "policy",
        &[
            ("maxPayload", MEMBER),
            ("maxBufferedBytes", MEMBER),
            ("tickIntervalMs", MEMBER),
        ],
    ),
    (
        "auth",
        &[
            ("method", MEMBER),
            ("role", MEMBER),
            ("scopes", MEMBER),
            ("deviceToken", SECRET),
            ("issuedAtMs", MEMBER),
            ("recoveryScope", SECRET),
        ],
    ),
];

/// A hello-ok, and the members that could not be taken.
#[derive(Debug)]
pub struct BoundedHello {
    /// Without them.
    pub hello: HelloOk,
    /// Their names, for example `snapshot.health`. At most sixteen are named.
    pub left_out: Vec<String>,
}

/// Names that are told at most.
const TOLD: usize = 16;

impl BoundedHello {
    /// Reads a hello-ok as it stands on the wire. No part of it costs more memory than a large gateway's has.
    ///
    /// # Errors
    /// When it is no hello-ok, or lacks a member that a line needs.
    pub fn read(text: &str) -> Result<Self, serde_json::Error> {
        decode_with(text, Self::read_once)
    }

    fn read_once(text: &str) -> Result<Self, serde_json::Error> {
        let mut left_out = LeftOut(Vec::new());
        let whole = Members {
            bounds: |name: &str| {
                part(name).map_or((MEMBER, name == "type" || name == "protocol"), |_| (usize::MAX, true))
            },
            left_out: &mut left_out,
            of: "",
        };
        let mut map = Map::new();
        for (name, raw) in members(text, whole)? {
            let value = match part(&name) {
                Some(bounds) if raw.get().starts_with('{') => Some(part_of(raw.get(), &name, bounds, &mut left_out)?),
                Some(_) if raw.get().len() > MEMBER => None,
                _ => tree_of(raw),
            };
            match value {
                Some(value) => drop(map.insert(name.into_owned(), value)),
                None => left_out.tell("", &name),
            }
        }
        let hello = serde_json::from_value(Value::Object(map))?;
        Ok(Self {
            hello,
            left_out: left_out.0,
        })
    }
}

fn part(name: &str) -> Option<Bounds> {
    PARTS.iter().find(|(part, _)| *part == name).map(|(_, bounds)| *bounds)
}

fn part_of(text: &str, name: &str, bounds: Bounds, left_out: &mut LeftOut) -> Result<Value, serde_json::Error> {
    let found = Members {
        bounds: |member: &str| match bounds.iter().find(|(known, _)| *known == member) {
            Some((_, most)) => (*most, true),
            None => (MEMBER, false),
        },
        left_out,
        of: name,
    };
    let mut map = Map::new();
    for (member, raw) in members(text, found)? {
        match tree_of(raw) {
            Some(value) => drop(map.insert(member.into_owned(), value)),
            None => left_out.tell(name, &member),
        }
    }
    Ok(Value::Object(map))
}

/// Nothing where it is no JSON.
fn tree_of(raw: &RawValue) -> Option<Value> {
    decode(raw.get()).ok()
}

struct LeftOut(Vec<String>);

impl LeftOut {
    fn tell(&mut self, of: &str, name: &str) {
        const SHOWN: usize = 64;
        if self.0.len() < TOLD {
            let (name, dot) = (printable(name, SHOWN), if of.is_empty() { "" } else { "." });
            self.0.push(format!("{of}{dot}{name}"));
        }
    }
}

type ObjectMembers<'a> = Vec<(Cow<'a, str>, &'a RawValue)>;

fn members<'a, B: Fn(&str) -> (usize, bool)>(
    text: &'a str,
    members: Members<'_, B>,
) -> Result<ObjectMembers<'a>, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let parts = reader.deserialize_map(members)?;
    reader.end()?;
    Ok(parts)
}

/// Takes the members of an object that are within their bounds, as text.
struct Members<'l, B> {
    /// How long the text of a member of this name may be, and whether it has a field.
    bounds: B,
    left_out: &'l mut LeftOut,
    /// Where the object stands.
    of: &'l str,
}

impl<'de, B: Fn(&str) -> (usize, bool)> Visitor<'de> for Members<'_, B> {
    type Value = ObjectMembers<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut parts, mut others, mut unknown) = (ObjectMembers::new(), ObjectMembers::new(), 0);
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            let raw: &RawValue = map.next_value()?;
            let (most, known) = (self.bounds)(&name);
            let length = raw.get().len();
            if known {
                // Written twice, the last one counts, and one is kept.
                parts.retain(|(before, _)| *before != name);
            } else {
                unknown += name.len() + length;
            }
            match (known, length <= most) {
                (true, true) => parts.push((name, raw)),
                (false, true) if unknown <= UNKNOWN => others.push((name, raw)),
                _ => self.left_out.tell(self.of, &name),
            }
        }
        parts.append(&mut others);
        Ok(parts)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hello(part: &str, value: Value) -> String {
        let mut hello = json!({"type": "hello-ok", "protocol": 4, "server": {"version": "2026.9.6", "connId": "c"},
            "features": {}, "snapshot": {}, "policy": {}, "auth": {}});
        match part.split_once('.') {
            Some((part, member)) => hello[part][member] = value,
            None => hello[part] = value,
        }
        hello.to_string()
    }

    #[test]
    fn a_part_that_is_too_large_is_left_out_and_the_rest_is_read() {
        let large = "x".repeat(STATE);
        for part in [
            "snapshot.health",
            "snapshot.presence",
            "snapshot.configPath",
            "features.methods",
            "features.newer",
            "policy.tickIntervalMs",
            "auth.deviceToken",
            "auth.recoveryScope",
            "server.buildId",
            "newer",
            "features",
            "auth",
        ] {
            let read = BoundedHello::read(&hello(part, json!([large]))).unwrap();
            assert_eq!(read.left_out, [part]);
            assert!(read.hello.to_wire().unwrap().to_string().len() < 1000, "{part}");
        }
    }

    #[test]
    fn what_no_tree_holds_is_read_with_something_in_its_place() {
        let deep = "[".repeat(200) + &"]".repeat(200);
        for odd in [deep.as_str(), "1e999", r#""cut \ud83d""#, r#"{"cut \ud83d":0}"#] {
            for part in ["snapshot.presence", "snapshot.newer", "newer"] {
                let text = hello(part, json!(["here"])).replace("\"here\"", odd);
                let read = BoundedHello::read(&text).unwrap();
                assert_eq!(read.left_out.len(), 0, "{part} {odd}");
            }
        }
        let key = hello("newer", json!(1)).replace("newer", r"cut \ud83d");
        assert!(
            BoundedHello::read(&key)
                .unwrap()
                .hello
                .extra
                .contains_key("cut \u{fffd}")
        );
    }

    #[test]
    fn a_hello_that_lacks_what_was_too_large_is_refused() {
        let error = BoundedHello::read(&hello("server.connId", json!("x".repeat(MEMBER)))).unwrap_err();
        assert!(error.to_string().contains("connId"), "{error}");
        assert!(BoundedHello::read("[]").is_err() && BoundedHello::read("{}").is_err());
    }

    #[test]
    fn many_members_are_as_bounded_as_large_ones() {
        let many: Map<_, _> = (0..100_000).map(|n| (n.to_string(), json!({}))).collect();
        for part in ["snapshot", "auth"] {
            let mut value = hello(part, Value::Object(many.clone()));
            let read = BoundedHello::read(&value).unwrap();
            assert_eq!(read.left_out.len(), TOLD);
            value = read.hello.to_wire().unwrap().to_string();
            assert!(value.len() < 2 * UNKNOWN, "{}", value.len());
        }
    }

    #[test]
    fn a_hello_within_bounds_loses_nothing() {
        for part in ["snapshot.health", "snapshot.newer", "auth.deviceToken", "newer"] {
            let text = hello(part, json!("x".repeat(4000)));
            let read = BoundedHello::read(&text).unwrap();
            assert_eq!(
                (read.left_out.len(), read.hello.to_wire().unwrap()),
                (0, with_defaults(&text))
            );
        }
        let twice = hello("newer", json!(1)).replace("\"protocol\":4", "\"protocol\":3,\"protocol\":4");
        assert_eq!(BoundedHello::read(&twice).unwrap().hello.protocol, 4);
    }

    fn with_defaults(text: &str) -> Value {
        serde_json::from_str::<HelloOk>(text).unwrap().to_wire().unwrap()
    }
}
