//! Checks frames against the official JSON schema of the gateway's protocol (generation 4). Feature `schema`.
//!
//! The schema is not part of this crate: its path comes from the environment variable [`VARIABLE`] or from the
//! caller. Use it to check what a client really sent:
//!
//! ```no_run
//! use windlass_testkit::SimGateway;
//! use windlass_testkit::schema::Schema;
//!
//! # fn check(sim: &SimGateway) -> Result<(), Box<dyn std::error::Error>> {
//! let schema = Schema::from_env()?.expect("WINDLASS_SCHEMA names the schema's file");
//! for frame in sim.journal().frames() {
//!     schema.check_request(&frame.text)?;
//! }
//! # Ok(()) }
//! ```
//!
//! The schema that could be had is of 2026.9.1, the wire was measured on 2026.9.6: what the latter adds is listed in
//! one table here and taken away before checking.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jsonschema::Validator;
use serde_json::{Map, Value, json};

/// Names the schema file.
pub const VARIABLE: &str = "WINDLASS_SCHEMA";

/// Violations shown in one error; the first ones say what is wrong.
const SHOWN: usize = 4;

/// Keys seen on the wire of 2026.9.6 that the schema of 2026.9.1 does not know, per definition.
const ADDITIONS: &[(&str, &[(&str, &str)])] = &[
    ("AgentEvent", &[("", "sessionKey"), ("", "agentId"), ("", "sessionId")]),
    ("AgentsFilesGetResult", &[("/file", "hash")]),
    ("AgentsFilesSetParams", &[("", "expectedHash")]),
    ("AgentsFilesSetResult", &[("/file", "hash")]),
    ("EventFrame", &[("", "recipientProfileId")]),
    ("HelloOk", &[("/auth", "method")]),
];

/// The schema could not be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file could not be read.
    #[error("cannot read the schema {}", path.display())]
    Read {
        /// Where it should be.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file is no JSON.
    #[error("the schema is not JSON")]
    Parse(#[from] serde_json::Error),
    /// The file has no `definitions`.
    #[error("the schema has no definitions")]
    NoDefinitions,
}

/// A frame does not conform.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{definition}: {}", complaints.join("; "))]
pub struct Violation {
    /// The definition that it breaks.
    pub definition: String,
    /// Place and complaint, the first few.
    pub complaints: Vec<String>,
}

/// The official schema, compiled piece by piece as it is needed.
#[derive(Debug)]
pub struct Schema {
    definitions: Map<String, Value>,
    compiled: Mutex<HashMap<String, Arc<Validator>>>,
}

impl Schema {
    /// The schema that [`VARIABLE`] names, `None` if it is not set.
    ///
    /// # Errors
    ///
    /// When the variable is set and the file cannot be used.
    pub fn from_env() -> Result<Option<Self>, LoadError> {
        std::env::var_os(VARIABLE)
            .map(|path| Self::load(Path::new(&path)))
            .transpose()
    }

    /// Reads a schema file.
    ///
    /// # Errors
    ///
    /// When it cannot be read or is no such schema.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        let text = std::fs::read_to_string(path).map_err(|source| LoadError::Read {
            path: path.to_owned(),
            source,
        })?;
        let mut root: Value = serde_json::from_str(&text)?;
        match root.get_mut("definitions").map(Value::take) {
            Some(Value::Object(definitions)) => Ok(Self {
                definitions,
                compiled: Mutex::default(),
            }),
            _ => Err(LoadError::NoDefinitions),
        }
    }

    /// True if there is such a definition.
    pub fn has(&self, definition: &str) -> bool {
        self.definitions.contains_key(definition)
    }

    /// Checks a value against one definition.
    ///
    /// # Errors
    ///
    /// The violation; also when there is no such definition.
    pub fn check(&self, definition: &str, value: &Value) -> Result<(), Violation> {
        let violation = |complaints: Vec<String>| {
            Err(Violation {
                definition: definition.to_owned(),
                complaints,
            })
        };
        let Some(validator) = self.validator(definition) else {
            return violation(vec!["no such definition, or one that does not compile".into()]);
        };
        let value = without_additions(definition, value);
        let complaints: Vec<String> = validator
            .iter_errors(&value)
            .take(SHOWN)
            .map(|error| format!("at {}: {error}", error.instance_path()))
            .collect();
        if complaints.is_empty() {
            Ok(())
        } else {
            violation(complaints)
        }
    }

    /// Checks a request: the frame, and its parameters if the schema defines them.
    ///
    /// # Errors
    ///
    /// The first violation.
    pub fn check_request(&self, text: &str) -> Result<(), Violation> {
        let frame = parse(text)?;
        self.check("RequestFrame", &frame)?;
        let definition = format!("{}Params", pascal(frame["method"].as_str().unwrap_or_default()));
        match frame.get("params") {
            Some(params) if self.has(&definition) => self.check(&definition, params),
            _ => Ok(()),
        }
    }

    /// Checks an event: the frame, and its payload if the schema defines it.
    ///
    /// # Errors
    ///
    /// The first violation.
    pub fn check_event(&self, text: &str) -> Result<(), Violation> {
        let frame = parse(text)?;
        self.check("EventFrame", &frame)?;
        let definition = format!("{}Event", pascal(frame["event"].as_str().unwrap_or_default()));
        if self.has(&definition) {
            self.check(&definition, &frame["payload"])
        } else {
            Ok(())
        }
    }

    /// Checks a response: the frame, and its payload if it succeeded and the schema defines the result of `method`.
    ///
    /// # Errors
    ///
    /// The first violation.
    pub fn check_response(&self, method: &str, text: &str) -> Result<(), Violation> {
        let frame = parse(text)?;
        self.check("ResponseFrame", &frame)?;
        if frame["ok"] != true {
            return self.check("ErrorShape", &frame["error"]);
        }
        let definition = match method {
            "connect" => "HelloOk".to_owned(),
            "config.schema" => "ConfigSchemaResponse".to_owned(),
            method => format!("{}Result", pascal(method)),
        };
        // The first answer of `agent` and those of `chat.history` without a cursor have no definition.
        if self.has(&definition) {
            self.check(&definition, &frame["payload"])
        } else {
            Ok(())
        }
    }

    fn validator(&self, definition: &str) -> Option<Arc<Validator>> {
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(validator) = compiled.get(definition) {
            return Some(Arc::clone(validator));
        }
        let validator = Arc::new(jsonschema::draft7::new(&self.excerpt(definition)?).ok()?);
        compiled.insert(definition.to_owned(), Arc::clone(&validator));
        Some(validator)
    }

    /// The definition with only those that it refers to: compiling all 877 each time would take seconds.
    fn excerpt(&self, definition: &str) -> Option<Value> {
        let mut wanted = vec![definition.to_owned()];
        let mut found = BTreeSet::new();
        while let Some(name) = wanted.pop() {
            if found.insert(name.clone()) {
                references(self.definitions.get(&name)?, &mut wanted);
            }
        }
        let kept: Map<String, Value> = found
            .into_iter()
            .filter_map(|name| Some((name.clone(), self.definitions.get(&name)?.clone())))
            .collect();
        Some(json!({"$ref": format!("#/definitions/{definition}"), "definitions": kept}))
    }
}

fn parse(text: &str) -> Result<Value, Violation> {
    serde_json::from_str(text).map_err(|error| Violation {
        definition: "JSON".into(),
        complaints: vec![error.to_string()],
    })
}

fn references(schema: &Value, found: &mut Vec<String>) {
    match schema {
        Value::Object(object) => {
            let name = object
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|to| to.strip_prefix("#/definitions/"));
            found.extend(name.map(str::to_owned));
            object.values().for_each(|value| references(value, found));
        }
        Value::Array(rows) => rows.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

fn without_additions(definition: &str, value: &Value) -> Value {
    let mut value = value.clone();
    let additions = ADDITIONS
        .iter()
        .filter(|(name, _)| *name == definition)
        .flat_map(|(_, keys)| *keys);
    for (place, key) in additions {
        if let Some(Value::Object(object)) = value.pointer_mut(place) {
            object.remove(*key);
        }
    }
    value
}

/// `agents.files.get` becomes `AgentsFilesGet`, the way definitions are named.
fn pascal(name: &str) -> String {
    name.split(['.', '-', '_'])
        .flat_map(|word| {
            let mut letters = word.chars();
            letters
                .next()
                .into_iter()
                .flat_map(char::to_uppercase)
                .chain(letters)
                .collect::<Vec<char>>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{pascal, without_additions};
    use serde_json::json;

    #[test]
    fn definitions_are_named_after_methods_and_events() {
        assert_eq!(pascal("agents.files.get"), "AgentsFilesGet");
        assert_eq!(pascal("chat"), "Chat");
        assert_eq!(pascal("device.pair.requested"), "DevicePairRequested");
    }

    #[test]
    fn what_a_later_release_added_is_taken_away_before_checking() {
        let value = json!({"file": {"name": "a", "hash": "h"}});
        assert_eq!(
            without_additions("AgentsFilesGetResult", &value),
            json!({"file": {"name": "a"}})
        );
        assert_eq!(without_additions("Other", &value), value);
    }
}
