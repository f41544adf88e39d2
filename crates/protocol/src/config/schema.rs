//! The members that a gateway's own schema of its configuration accepts.
//!
//! Gateways answer `config.schema` with a draft-7 schema of up to 2 MB, most of it about channels and plugins. Only the three
//! parts that provisioning writes into are kept. The walk reads the keywords of such schemas (`properties`,
//! `additionalProperties`, `items`, `anyOf`, `oneOf`, `allOf`, `$ref`, `enum`, `const`, `type`); any other keyword
//! refuses nothing, so that a schema that is not understood is no obstacle: the gateway has the last word anyway.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::json::decode_with;
use serde_json::{Map, Value};

use super::RosterForm;

/// How far references are followed. Real schemas go one step; a circle would never end.
const REF_DEPTH: usize = 16;

/// The parts of a configuration's schema that provisioning writes into.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigSchema {
    root: Value,
}

/// The verdict of a schema on a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Acceptance {
    /// It is refused.
    Refused,
    /// It is taken, as any other name would be.
    Open,
    /// It is taken by name.
    Named,
}

impl ConfigSchema {
    /// Reads the answer to `config.schema`, or the schema itself.
    ///
    /// # Errors
    /// When the text is no JSON object.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        decode_with(text, Self::read)
    }

    fn read(text: &str) -> Result<Self, serde_json::Error> {
        let outer: BTreeMap<String, &RawValue> = serde_json::from_str(text)?;
        let schema = match outer.get("schema") {
            Some(inner) => serde_json::from_str(inner.get())?,
            None => outer,
        };
        let root = pruned(&schema, &["agents", "channels", "tools"], |name, part| match name {
            "channels" => pruned(&serde_json::from_str(part.get())?, &["defaults"], |_, part| {
                serde_json::from_str(part.get())
            }),
            _ => serde_json::from_str(part.get()),
        })?;
        Ok(Self { root })
    }

    /// In which form the gateway takes agents; nothing where it says neither.
    pub fn roster_form(&self) -> Option<RosterForm> {
        let entries = self.accepts(&["agents", "entries"]);
        let list = self.accepts(&["agents", "list"]);
        match entries.max(list) {
            Acceptance::Named if entries >= list => Some(RosterForm::Entries),
            Acceptance::Named => Some(RosterForm::List),
            Acceptance::Open | Acceptance::Refused => None,
        }
    }

    /// The verdict on a member, by its path. `*` as a step is an item of an array.
    pub fn accepts(&self, path: &[&str]) -> Acceptance {
        self.node(path).1
    }

    /// Removes from `value`, which is to stand at `path`, the members that the schema refuses, and adds their dotted paths to
    /// `refused`. Nothing is left where the schema refuses the whole.
    pub fn retain(&self, path: &[&str], value: Value, refused: &mut Vec<String>) -> Option<Value> {
        let (node, acceptance) = self.node(path);
        if acceptance == Acceptance::Refused {
            refused.push(path.join("."));
            return None;
        }
        Walk { root: &self.root }.retain(&node, value, &path.join("."), refused)
    }

    fn node(&self, path: &[&str]) -> (Node<'_>, Acceptance) {
        let walk = Walk { root: &self.root };
        let mut node = Node::Schema(&self.root);
        let mut acceptance = Acceptance::Named;
        for step in path {
            match walk.child(&node, step) {
                Some((next, found)) => {
                    node = next;
                    acceptance = acceptance.min(found);
                }
                None => return (Node::Anything, Acceptance::Refused),
            }
        }
        (node, acceptance)
    }
}

/// An object's schema with only those properties; everything beside `properties` stays, definitions included.
fn pruned(
    schema: &BTreeMap<String, &RawValue>,
    wanted: &[&str],
    read: impl Fn(&str, &RawValue) -> Result<Value, serde_json::Error>,
) -> Result<Value, serde_json::Error> {
    let mut kept = Map::new();
    for (key, part) in schema {
        if key != "properties" {
            kept.insert(key.clone(), serde_json::from_str(part.get())?);
            continue;
        }
        let all: BTreeMap<String, &RawValue> = serde_json::from_str(part.get())?;
        let mut properties = Map::new();
        for (name, part) in all.iter().filter(|(name, _)| wanted.contains(&name.as_str())) {
            properties.insert(name.clone(), read(name, part)?);
        }
        kept.insert(key.clone(), Value::Object(properties));
    }
    Ok(Value::Object(kept))
}

/// A place in a schema.
#[derive(Clone)]
enum Node<'a> {
    /// Nothing is said: everything is taken.
    Anything,
    Schema(&'a Value),
    All(Vec<Node<'a>>),
    Any(Vec<Node<'a>>),
}

/// The verdict of a schema on a member: `None` where it refuses the member.
type Member<'a> = Option<(Node<'a>, Acceptance)>;

/// A walk over a schema, with the targets of its references.
struct Walk<'a> {
    root: &'a Value,
}

impl<'a> Walk<'a> {
    /// Where a member is described.
    fn child(&self, node: &Node<'a>, key: &str) -> Member<'a> {
        match node {
            Node::Anything => Some((Node::Anything, Acceptance::Open)),
            Node::Schema(schema) => self.member(schema, key, REF_DEPTH),
            Node::All(parts) => all(parts.iter().map(|part| self.child(part, key))),
            Node::Any(parts) => any(parts.iter().map(|part| self.child(part, key))),
        }
    }

    fn member(&self, schema: &'a Value, key: &str, depth: usize) -> Member<'a> {
        let object = match schema {
            Value::Object(object) if depth > 0 => object,
            Value::Bool(false) => return None,
            _ => return Some((Node::Anything, Acceptance::Open)),
        };
        // In draft 7 nothing beside a reference counts.
        if let Some(target) = object.get("$ref") {
            return match self.target(target) {
                Some(target) => self.member(target, key, depth - 1),
                None => Some((Node::Anything, Acceptance::Open)),
            };
        }
        let parts = |name: &str| object.get(name).and_then(Value::as_array);
        let mut found = vec![own_member(object, key)];
        for part in parts("allOf").into_iter().flatten() {
            found.push(self.member(part, key, depth - 1));
        }
        for choice in ["anyOf", "oneOf"].into_iter().filter_map(parts) {
            found.push(any(choice.iter().map(|part| self.member(part, key, depth - 1))));
        }
        all(found.into_iter())
    }

    fn target(&self, reference: &Value) -> Option<&'a Value> {
        self.root.pointer(reference.as_str()?.strip_prefix('#')?)
    }

    fn retain(&self, node: &Node<'a>, value: Value, path: &str, refused: &mut Vec<String>) -> Option<Value> {
        match value {
            Value::Object(members) => {
                let mut kept = Map::new();
                for (key, value) in members {
                    let place = format!("{path}.{key}");
                    let Some((inner, _)) = self.child(node, &key) else {
                        refused.push(place);
                        continue;
                    };
                    if let Some(value) = self.retain(&inner, value, &place, refused) {
                        kept.insert(key, value);
                    }
                }
                Some(Value::Object(kept))
            }
            Value::Array(items) => {
                let Some((inner, _)) = self.child(node, "*") else {
                    refused.push(path.to_owned());
                    return None;
                };
                let place = format!("{path}.*");
                let kept = items
                    .into_iter()
                    .filter_map(|item| self.retain(&inner, item, &place, refused));
                Some(Value::Array(kept.collect()))
            }
            value if self.takes(node, &value) => Some(value),
            _ => {
                refused.push(path.to_owned());
                None
            }
        }
    }

    fn takes(&self, node: &Node<'a>, value: &Value) -> bool {
        match node {
            Node::Anything => true,
            Node::Schema(schema) => self.allows(schema, value, REF_DEPTH),
            Node::All(parts) => parts.iter().all(|part| self.takes(part, value)),
            Node::Any(parts) => parts.iter().any(|part| self.takes(part, value)),
        }
    }

    /// Whether type and enumeration leave room for the value. Everything else about values is left to the gateway.
    fn allows(&self, schema: &'a Value, value: &Value, depth: usize) -> bool {
        let object = match schema {
            Value::Object(object) if depth > 0 => object,
            other => return *other != Value::Bool(false),
        };
        if let Some(target) = object.get("$ref") {
            let target = self.target(target);
            return target.is_none_or(|target| self.allows(target, value, depth - 1));
        }
        let parts = |key: &str| object.get(key).and_then(Value::as_array);
        parts("enum").is_none_or(|values| values.contains(value))
            && object.get("const").is_none_or(|only| only == value)
            && takes_type(object, type_of(value))
            && parts("allOf").is_none_or(|parts| parts.iter().all(|part| self.allows(part, value, depth - 1)))
            && ["anyOf", "oneOf"]
                .into_iter()
                .filter_map(parts)
                .all(|choice| choice.iter().any(|part| self.allows(part, value, depth - 1)))
    }
}

/// Each has to take it; the one that names it says most.
fn all<'a>(members: impl Iterator<Item = Member<'a>>) -> Member<'a> {
    let mut parts = Vec::new();
    let mut best = Acceptance::Open;
    for member in members {
        let (node, acceptance) = member?;
        best = best.max(acceptance);
        if !matches!(node, Node::Anything) {
            parts.push(node);
        }
    }
    let node = if parts.is_empty() {
        Node::Anything
    } else {
        Node::All(parts)
    };
    Some((node, best))
}

/// One that takes it is enough.
fn any<'a>(members: impl Iterator<Item = Member<'a>>) -> Member<'a> {
    let (parts, found): (Vec<_>, Vec<_>) = members.flatten().unzip();
    let best = found.into_iter().max()?;
    Some((Node::Any(parts), best))
}

/// The verdict of `properties`, `additionalProperties` and `items`.
fn own_member<'a>(object: &'a Map<String, Value>, key: &str) -> Member<'a> {
    let open = Some((Node::Anything, Acceptance::Open));
    let named =
        |schema: &'a Value| (*schema != Value::Bool(false)).then_some((Node::Schema(schema), Acceptance::Named));
    if key == "*" {
        return match object.get("items") {
            _ if !takes_type(object, "array") => None,
            Some(items @ Value::Object(_)) => named(items),
            _ => open,
        };
    }
    if !takes_type(object, "object") {
        return None;
    }
    if let Some(schema) = object.get("properties").and_then(|properties| properties.get(key)) {
        return named(schema);
    }
    // Patterns are not tried: whatever has some may take the name.
    if object.contains_key("patternProperties") {
        return open;
    }
    match object.get("additionalProperties") {
        Some(Value::Bool(false)) => None,
        Some(others @ Value::Object(_)) => named(others),
        _ => open,
    }
}

fn takes_type(object: &Map<String, Value>, wanted: &str) -> bool {
    // A whole number is a number.
    let fits = |name: &Value| name == wanted || (wanted == "integer" && name == "number");
    match object.get("type") {
        Some(Value::Array(names)) => names.iter().any(fits),
        Some(name @ Value::String(_)) => fits(name),
        _ => true,
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
