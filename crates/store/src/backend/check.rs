//! Checks of single fields. Each error names the field and never shows its value.

use serde::Serialize;

use crate::error::StoreError;
use crate::limits::JSON_BYTES;

/// A text that is required: not blank, within `limit` characters, without control characters.
pub fn name(field: &'static str, text: &str, limit: usize) -> Result<(), StoreError> {
    if text.trim().is_empty() {
        return Err(StoreError::invalid(field, "is empty"));
    }
    if text.chars().any(char::is_control) {
        return Err(StoreError::invalid(field, "holds a control character"));
    }
    chars(field, text, limit)
}

/// A text within `limit` characters.
pub fn chars(field: &'static str, text: &str, limit: usize) -> Result<(), StoreError> {
    if text.chars().nth(limit).is_some() {
        return Err(StoreError::invalid(field, format!("is longer than {limit} characters")));
    }
    Ok(())
}

/// A text within `limit` bytes.
pub fn bytes(field: &'static str, text: &str, limit: usize) -> Result<(), StoreError> {
    if text.len() > limit {
        return Err(StoreError::invalid(field, format!("is longer than {limit} bytes")));
    }
    Ok(())
}

/// A text that may be absent, within `limit` characters.
pub fn optional(field: &'static str, text: Option<&String>, limit: usize) -> Result<(), StoreError> {
    text.map_or(Ok(()), |text| chars(field, text, limit))
}

/// A free-form member.
pub fn json(field: &'static str, value: &impl Serialize) -> Result<(), StoreError> {
    let bytes = serde_json::to_vec(value).map_err(|_| StoreError::invalid(field, "can't be written as JSON"))?;
    if bytes.len() > JSON_BYTES {
        return Err(StoreError::invalid(
            field,
            format!("is longer than {JSON_BYTES} bytes of JSON"),
        ));
    }
    Ok(())
}
