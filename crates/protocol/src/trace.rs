//! Where a call belongs in a trace that was begun elsewhere.

use std::fmt;
use std::str::FromStr;

/// A W3C trace context as it travels: `00-<trace>-<parent>-<flags>`, all lower-case hexadecimal.
///
/// Requests have a field `traceparent` for it from 2026.8.2 on (read in the schema of that release and of 2026.9.1). The
/// frames of 2026.5.12, 2026.6.11 and 2026.7.1 are closed and don't have it, protocol 4 though they speak: see
/// [`HelloOk::takes_traceparent`](crate::HelloOk::takes_traceparent).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TraceParent(Box<str>);

/// A text that is no trace context.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a traceparent is `00-`, 32 hexadecimal digits, `-`, 16 of them, `-`, 2 of them; neither id is all zeros")]
pub struct InvalidTraceParent;

impl TraceParent {
    /// Checks a text.
    ///
    /// # Errors
    /// [`InvalidTraceParent`] for anything but version 00 of the W3C's format.
    pub fn new(text: &str) -> Result<Self, InvalidTraceParent> {
        let parts: Vec<_> = text.split('-').collect();
        let hex =
            |part: &str, len| part.len() == len && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let id = |part: &str, len| hex(part, len) && part.bytes().any(|byte| byte != b'0');
        match parts[..] {
            ["00", trace, parent, flags] if id(trace, 32) && id(parent, 16) && hex(flags, 2) => Ok(Self(text.into())),
            _ => Err(InvalidTraceParent),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for TraceParent {
    type Err = InvalidTraceParent;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn only_what_the_w3c_wrote_down_is_a_trace_context() {
        assert_eq!(TraceParent::new(GOOD).unwrap().as_str(), GOOD);
        for text in [
            "",
            "00",
            &GOOD[..54],
            &format!("{GOOD}-more"),
            &GOOD.to_uppercase(),
            &GOOD.replacen("00-", "01-", 1),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473\"-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceParent::new(text), Err(InvalidTraceParent), "{text}");
        }
    }
}
