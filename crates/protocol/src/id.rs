//! Small identifiers: of a call on the wire, of a connection in a line's life, of a gateway in the registry, and of a place in a trace
//! that was begun elsewhere.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The id of one request, unique for the life of a line.
///
/// Gateways don't detect a repeated id: both requests are run and both answered (2026.3.13, 2026.9.6). So ids are
/// counted and never used again, not even after a reconnect. On the wire an id is its decimal digits as a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(u64);

impl CallId {
    /// An id by its number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Reads an id that came back in an answer; `None` when it can't be one of ours (`"invalid"`, `"007"`).
    pub fn parse(text: &str) -> Option<Self> {
        let canonical = text == "0" || (text.starts_with(|c: char| c.is_ascii_digit()) && !text.starts_with('0'));
        if canonical { text.parse().ok().map(Self) } else { None }
    }

    /// The id's number.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// How many digits it has on the wire.
    pub(crate) fn digits(self) -> usize {
        self.0.checked_ilog10().map_or(1, |log| log as usize + 1)
    }
}

/// Which connection of a line: 1 for the first that reached hello-ok, then counted up.
///
/// Everything that belongs to one connection is tagged with its generation, so that nothing of an old one can be
/// taken for the new one's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(u64);

impl Generation {
    /// A generation by its number; 0 means that the line was never up.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The generation after this one.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The generation's number.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name under which a gateway is kept in the registry. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct GatewayId(Arc<str>);

/// A text that can't name a gateway.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a gateway id is 1 to {} characters of letters, digits, '.', '-' and '_'",
    GatewayId::MAX_LEN
)]
pub struct InvalidGatewayId;

impl GatewayId {
    /// The longest id taken, in bytes: a UUID with room for a prefix.
    pub const MAX_LEN: usize = 64;

    /// Checks an id. The character set is that of file names and metric labels, since an id becomes both.
    ///
    /// # Errors
    /// [`InvalidGatewayId`] when the text is empty, too long or has other characters.
    pub fn new(id: impl AsRef<str>) -> Result<Self, InvalidGatewayId> {
        let id = id.as_ref();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        if id.is_empty() || id.len() > Self::MAX_LEN || !id.bytes().all(plain) {
            return Err(InvalidGatewayId);
        }
        Ok(Self(id.into()))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for GatewayId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for GatewayId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for GatewayId {
    type Err = InvalidGatewayId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl<'de> Deserialize<'de> for GatewayId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(text).map_err(serde::de::Error::custom)
    }
}

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

    #[test]
    fn only_the_digits_that_we_write_are_read_as_an_id() {
        assert_eq!(CallId::parse("0"), Some(CallId::new(0)));
        assert_eq!(CallId::parse("42"), Some(CallId::new(42)));
        for text in ["", "invalid", "042", "+1", "-1", " 1", "1 ", "99999999999999999999"] {
            assert_eq!(CallId::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_gateway_id_is_fit_for_a_file_name() {
        assert!(GatewayId::new("mc-1_a.b").is_ok());
        for text in ["", "a/b", "a b", "ä", &"x".repeat(65)] {
            assert!(GatewayId::new(text).is_err(), "{text:?}");
        }
    }
}

#[cfg(test)]
mod trace_tests {
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
