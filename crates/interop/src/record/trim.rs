//! Makes frames short without making them false.
//!
//! Long arrays lose their later elements and long strings their ends; nothing changes its type,
//! and no key disappears.

use serde_json::Value;

/// The number of elements that an array keeps: all scopes of a connection, and enough elements of
/// any other list to show their kind.
const ITEMS: usize = 6;
/// Characters that a string keeps. Identifiers, signatures and messages are shorter.
const CHARS: usize = 160;

/// How much is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Arrays and strings.
    Short,
    /// Strings only: the one frame of a release that lists all its methods and events.
    KeepLists,
}

/// Shortens `value` in place.
pub(super) fn trim(value: &mut Value, cut: Cut) {
    match value {
        Value::String(text) => {
            if let Some((at, _)) = text.char_indices().nth(CHARS) {
                text.truncate(at);
            }
        }
        Value::Array(items) => {
            if cut == Cut::Short {
                items.truncate(ITEMS);
            }
            for item in items {
                trim(item, cut);
            }
        }
        Value::Object(fields) => {
            for field in fields.values_mut() {
                trim(field, cut);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn long_arrays_and_strings_are_cut_and_stay_what_they_are() {
        let items: Vec<Value> = (0..20).map(|n| json!({"n": n})).collect();
        let mut value = json!({"items": items, "text": "ä".repeat(1000), "short": "x", "n": 1});
        trim(&mut value, Cut::Short);
        assert_eq!(value["items"].as_array().map(Vec::len), Some(ITEMS));
        assert_eq!(value["items"][5], json!({"n": 5}));
        assert_eq!(value["text"], json!("ä".repeat(CHARS)));
        assert_eq!((&value["short"], &value["n"]), (&json!("x"), &json!(1)));
    }

    #[test]
    fn lists_can_be_kept_whole() {
        let mut value = json!({"methods": vec!["m"; 300], "text": "x".repeat(1000)});
        trim(&mut value, Cut::KeepLists);
        assert_eq!(value["methods"].as_array().map(Vec::len), Some(300));
        assert_eq!(value["text"], json!("x".repeat(CHARS)));
    }

    #[test]
    fn what_is_nested_deep_is_cut_too() {
        let mut value = json!([[[vec![0; 20]]]]);
        trim(&mut value, Cut::Short);
        assert_eq!(value, json!([[[vec![0; ITEMS]]]]));
    }
}
