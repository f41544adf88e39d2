//! Facts that only the text of an error or of a failed run has.
//!
//! Releases up to 2026.4 answer some refusals with a code as general as `INVALID_REQUEST` and no details, and report failed runs by
//! a text alone. A text is looked into only when the answer has no `details.code`.

/// "missing scope: operator.write" (seen on 2026.3.13, without details): the scope.
pub(crate) fn missing_scope(message: &str) -> Option<&str> {
    let scope = message.strip_prefix("missing scope: ")?.split_whitespace().next()?;
    let is_name = scope.len() <= 80 && scope.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_:".contains(&b));
    is_name.then_some(scope)
}

/// "protocol mismatch" (seen on 2026.3.13 with `details.expectedProtocol` only).
pub(crate) fn is_protocol_mismatch(message: &str) -> bool {
    message.starts_with("protocol mismatch")
}

/// "device signature invalid" (seen on 2026.1.30, which knows only the v2 payload, without details).
pub(crate) fn is_device_signature_invalid(message: &str) -> bool {
    message == "device signature invalid"
}

/// "Error: Session file path must be within sessions directory" (2026.2.12): how every run of an agent but the first one fails.
pub(crate) fn runs_main_only(message: &str) -> bool {
    message.contains("Session file path must be within sessions directory")
}
