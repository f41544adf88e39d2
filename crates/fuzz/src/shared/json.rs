//! JSON values: compared, and with secrets put into them.

use serde_json::{Map, Value};

use super::CANARY;

/// The text as a JSON object.
pub(crate) fn object(text: &str) -> Option<Map<String, Value>> {
    windlass_protocol::json::decode(text).ok()
}

/// Puts [`CANARY`] under each of these names.
pub(crate) fn plant(map: &mut Map<String, Value>, names: &[&str]) {
    for name in names {
        map.insert((*name).to_owned(), Value::from(CANARY));
    }
}

/// Whether two values are the same but for the last digit of a fraction: serde_json reads fractions fast and not quite
/// exactly, so that one that was read and written may be read as its neighbour.
pub(crate) fn alike(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || near(one.as_f64(), other.as_f64()),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| alike(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let same = |(key, one): (&String, &Value)| other.get(key).is_some_and(|other| alike(one, other));
            one.len() == other.len() && one.iter().all(same)
        }
        (one, other) => one == other,
    }
}

fn near(one: Option<f64>, other: Option<f64>) -> bool {
    let (Some(one), Some(other)) = (one, other) else {
        return false;
    };
    (one - other).abs() <= one.abs().max(other.abs()) * 1e-12
}
