//! The idempotency key of a call, which is one of its parameters.

use std::collections::BTreeMap;

use crate::RawJson;

/// The parameter that carries the key, in every method that takes one (all nine releases).
pub const IDEMPOTENCY_KEY: &str = "idempotencyKey";

/// The parameters are not an object, so they can't carry an idempotency key.
#[derive(Debug, thiserror::Error)]
#[error("the parameters of a method with an idempotency key are an object")]
pub struct NotAnObject;

/// Adds an idempotency key to parameters: `given`, else the key that they have already, else `fresh`. All other parameters
/// keep their text.
///
/// # Errors
/// When `params` is neither an object nor `null`.
pub fn with_idempotency_key(
    params: &RawJson,
    given: Option<&str>,
    fresh: impl FnOnce() -> String,
) -> Result<RawJson, NotAnObject> {
    let mut object: BTreeMap<String, RawJson> = if params.as_str() == "null" {
        BTreeMap::new()
    } else {
        params.decode().map_err(|_| NotAnObject)?
    };
    let is_missing = !object.contains_key(IDEMPOTENCY_KEY);
    let key = given.map(str::to_owned).or_else(|| is_missing.then(fresh));
    if let Some(key) = key {
        let key = RawJson::from_value(&key).map_err(|_| NotAnObject)?;
        object.insert(IDEMPOTENCY_KEY.into(), key);
    }
    RawJson::from_value(&object).map_err(|_| NotAnObject)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyed(params: &str, given: Option<&str>) -> Result<String, NotAnObject> {
        let params = RawJson::parse(params).unwrap();
        with_idempotency_key(&params, given, || "fresh".into()).map(|params| params.as_str().to_owned())
    }

    #[test]
    fn a_key_is_made_only_where_none_is_given() {
        assert_eq!(keyed("null", None).unwrap(), r#"{"idempotencyKey":"fresh"}"#);
        assert_eq!(
            keyed(r#"{"idempotencyKey":"mine"}"#, None).unwrap(),
            r#"{"idempotencyKey":"mine"}"#
        );
        assert_eq!(
            keyed(r#"{"idempotencyKey":"mine"}"#, Some("given")).unwrap(),
            r#"{"idempotencyKey":"given"}"#
        );
    }

    #[test]
    fn other_parameters_keep_their_text() {
        let params = r#"{"a":"\ud83d","b":1e999}"#;
        assert_eq!(
            keyed(params, Some("k")).unwrap(),
            r#"{"a":"\ud83d","b":1e999,"idempotencyKey":"k"}"#
        );
    }

    #[test]
    fn parameters_that_are_no_object_are_refused() {
        assert!(keyed("[1]", None).unwrap_err().to_string().contains("object"));
    }
}
