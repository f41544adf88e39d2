//! Changing a gateway's configuration over a line that may break because of it.

use serde_json::{Value, json};
use windlass::{CallError, protocol::ErrorClass};

use super::{ANSWER, Bench};
use crate::scenario::Failure;

/// Attempts at one change. More than one is needed when the configuration changed in between, or
/// the gateway restarted before it answered.
const ATTEMPTS: usize = 4;

/// The result of a change.
#[derive(Debug)]
pub(in super::super) enum Patched {
    /// It stands; this was the answer, unless the line broke before it.
    Done(Option<Value>),
    /// The gateway does not know such a setting.
    Refused(String),
}

/// Makes `change` part of the configuration.
pub(in super::super) async fn patch_config(bench: &Bench, change: &Value) -> Result<Patched, Failure> {
    let mut last = String::new();
    for attempt in 1..=ATTEMPTS {
        let config = bench.ask("config.get", json!({})).await?;
        if attempt > 1 && contains(&config["parsed"], change) {
            return Ok(Patched::Done(None));
        }
        let params = json!({"raw": change.to_string(), "baseHash": config["hash"]});
        let end = bench.gateway.call("config.patch", params).timeout(ANSWER).await;
        match end {
            Ok(answer) => return Ok(Patched::Done(Some(answer.decode()?))),
            Err(CallError::OutcomeUnknown(unknown)) => last = unknown.to_string(),
            Err(CallError::Rejected(rejected)) if rejected.error.message.contains("config changed since") => {
                last.clone_from(&rejected.error.message);
            }
            Err(CallError::Rejected(rejected)) if rejected.error.class() == ErrorClass::Rejected => {
                return Ok(Patched::Refused(rejected.error.to_string()));
            }
            Err(other) => return Err(Failure::from_error(&other)),
        }
    }
    Err(Failure::new(format!(
        "the configuration could not be changed in {ATTEMPTS} attempts: {last}"
    )))
}

/// Whether all of `part` stands in `whole`.
fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => part
            .iter()
            .all(|(key, part)| whole.get(key).is_some_and(|whole| contains(whole, part))),
        (whole, part) => whole == part,
    }
}
