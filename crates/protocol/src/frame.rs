//! Frames: the contents of one WebSocket message, decoded once.
//!
//! The envelope is read with borrowed fields and the payload stays raw, so that a frame that only has to be
//! matched to its call or handed to subscribers is never parsed twice (about 1 µs a frame, measured, against a
//! full `serde_json::Value`).

mod quick;

use std::borrow::Cow;
use std::fmt;

use bytestring::ByteString;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::json::decode;
use crate::{CallId, ErrorCode, GatewayError, RawJson, TraceParent};

/// One inbound frame.
///
/// The three kinds are those seen from all nine releases of 2026; anything else is [`Frame::Other`], never an error.
#[derive(Debug)]
pub enum Frame<'a> {
    /// `{"type":"res"}`: the answer to a request.
    Response(Response<'a>),
    /// `{"type":"event"}`.
    Event(EventFrame<'a>),
    /// A kind of frame that this client has no use for, by its `type`.
    Other(Cow<'a, str>),
}

/// The answer to a request.
#[derive(Debug)]
pub struct Response<'a> {
    /// The id as it came. A gateway that could not read a request's id answers with `"invalid"` (2026.3.13, 2026.9.6).
    pub id: Cow<'a, str>,
    /// The payload, or the gateway's error.
    pub outcome: Result<Payload<'a>, GatewayError>,
}

/// An event.
#[derive(Debug)]
pub struct EventFrame<'a> {
    /// Its name, for example `chat`.
    pub name: Cow<'a, str>,
    /// Its payload.
    pub payload: Payload<'a>,
    /// Position in the gateway's sequence; counted per connection from protocol 4 on, per gateway process before.
    /// Some events have none (`connect.challenge`, targeted ones up to 2026.7.1).
    pub seq: Option<u64>,
}

/// A payload that still lies in its frame; `None` inside where the frame had none or `null`.
#[derive(Clone, Copy)]
pub struct Payload<'a>(Option<&'a str>);

impl<'a> Payload<'a> {
    /// The JSON text; `null` where there is no payload.
    pub fn as_str(&self) -> &'a str {
        self.0.unwrap_or("null")
    }

    /// Takes the payload out of its frame, for a reader that is waiting for it: without copying where it is most of the frame, or
    /// the frame is small. `frame` is the text that was decoded.
    pub fn to_owned_in(&self, frame: &ByteString) -> RawJson {
        self.0.map_or_else(RawJson::null, |raw| RawJson::part_of(frame, raw))
    }

    /// As [`to_owned_in`](Self::to_owned_in), for a queue in which it may wait long: a payload of at most
    /// [`RawJson::COPIED`] bytes is copied, so that it keeps neither its frame in memory nor the buffer that the frame was read into
    /// together with others.
    pub fn to_kept_in(&self, frame: &ByteString) -> RawJson {
        match self.0 {
            None => RawJson::null(),
            Some(raw) if raw.len() <= RawJson::COPIED => RawJson::copy_of(raw),
            Some(raw) => RawJson::part_of(frame, raw),
        }
    }
}

impl fmt::Debug for Payload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.as_str().len())
    }
}

/// Why a text is not a frame. The text itself is not repeated: it may carry secrets.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Not JSON, or not an object with a `type`.
    #[error("frame is not a JSON object with a type (at byte {column})")]
    Malformed {
        /// Where reading stopped, in bytes from the start of the line.
        column: usize,
    },
    /// A frame of a known type lacks a field that it can't do without.
    #[error("{kind} frame has no {field}")]
    Incomplete {
        /// The frame's type.
        kind: &'static str,
        /// The field's name.
        field: &'static str,
    },
}

impl<'a> Frame<'a> {
    /// Decodes the text of one WebSocket message.
    ///
    /// # Errors
    /// [`FrameError`] for a text that is no frame. The socket can be kept: gateways answer nothing to such a text
    /// either, and none of the measured releases sends one.
    pub fn decode(text: &'a str) -> Result<Self, FrameError> {
        quick::decode(text).map_or_else(|| decode_any(text), Ok)
    }
}

/// Decodes a frame of any form.
pub(crate) fn decode_any(text: &str) -> Result<Frame<'_>, FrameError> {
    let envelope: Envelope<'_> =
        serde_json::from_str(text).map_err(|error| FrameError::Malformed { column: error.column() })?;
    envelope.into_frame()
}

/// The union of the members of the three kinds of frame.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, rename = "type")]
    kind: LossyText<'a>,
    #[serde(borrow)]
    id: Option<LossyText<'a>>,
    ok: Option<bool>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    event: Option<LossyText<'a>>,
    #[serde(borrow)]
    seq: Option<&'a RawValue>,
}

/// A string that borrows where it can, with U+FFFD in the place of half a character.
struct LossyText<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for LossyText<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = <&'de RawValue>::deserialize(deserializer)?.get();
        let plain = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        match plain {
            Some(plain) if !plain.contains('\\') => Ok(Self(Cow::Borrowed(plain))),
            _ => decode(json).map(|text| Self(Cow::Owned(text))).map_err(Error::custom),
        }
    }
}

impl<'a> Envelope<'a> {
    fn into_frame(self) -> Result<Frame<'a>, FrameError> {
        match &*self.kind.0 {
            "res" => self.into_response().map(Frame::Response),
            "event" => self.into_event().map(Frame::Event),
            _ => Ok(Frame::Other(self.kind.0)),
        }
    }

    fn into_response(self) -> Result<Response<'a>, FrameError> {
        let missing = |field| FrameError::Incomplete { kind: "res", field };
        let id = self.id.ok_or_else(|| missing("id"))?.0;
        let outcome = if self.ok.ok_or_else(|| missing("ok"))? {
            Ok(Payload(self.payload.map(RawValue::get)))
        } else {
            Err(read_error(self.error.ok_or_else(|| missing("error"))?))
        };
        Ok(Response { id, outcome })
    }

    fn into_event(self) -> Result<EventFrame<'a>, FrameError> {
        let name = self.event.ok_or(FrameError::Incomplete {
            kind: "event",
            field: "event",
        })?;
        Ok(EventFrame {
            name: name.0,
            payload: Payload(self.payload.map(RawValue::get)),
            seq: self.seq.and_then(|seq| seq.get().parse().ok()),
        })
    }
}

/// An error of an unknown shape still ends its call: better now, without its reasons, than at the deadline.
fn read_error(error: &RawValue) -> GatewayError {
    decode(error.get()).unwrap_or_else(|_| {
        GatewayError::new(
            ErrorCode::from("UNREADABLE"),
            "the gateway answered with an error of an unknown shape",
        )
    })
}

/// Writes one request frame.
///
/// `params` may be left out (2026.3.13, 2026.9.6). No other top-level field is sent: the object is closed, and an
/// unknown one is refused.
pub fn encode_request(id: CallId, method: &MethodName, params: Option<&RawJson>) -> String {
    let request = RequestFrame {
        id,
        method,
        params,
        trace: None,
    };
    let mut text = String::with_capacity(request.len());
    // A string takes everything.
    let _ = request.write_onto(&mut text);
    text
}

/// One request frame that is to be written.
pub(crate) struct RequestFrame<'a> {
    pub(crate) id: CallId,
    pub(crate) method: &'a MethodName,
    pub(crate) params: Option<&'a RawJson>,
    /// Its place in a trace; only for gateways that take one.
    pub(crate) trace: Option<&'a TraceParent>,
}

impl RequestFrame<'_> {
    const HEAD: &'static str = r#"{"type":"req","id":""#;
    const METHOD: &'static str = r#"","method":""#;
    const PARAMS: &'static str = r#","params":"#;
    const TRACE: &'static str = r#","traceparent":""#;

    /// How many bytes it has.
    pub(crate) fn len(&self) -> usize {
        let params = self
            .params
            .map_or(0, |params| Self::PARAMS.len() + params.as_str().len());
        let trace = self
            .trace
            .map_or(0, |trace| Self::TRACE.len() + trace.as_str().len() + 1);
        let envelope = Self::HEAD.len() + Self::METHOD.len() + r#""}"#.len();
        envelope + self.id.digits() + self.method.as_str().len() + params + trace
    }

    /// Appends it to `text`.
    ///
    /// # Errors
    /// Those of `text`.
    pub(crate) fn write_onto(&self, text: &mut impl fmt::Write) -> fmt::Result {
        text.write_str(Self::HEAD)?;
        text.write_str(itoa::Buffer::new().format(self.id.number()))?;
        text.write_str(Self::METHOD)?;
        text.write_str(self.method.as_str())?;
        text.write_str("\"")?;
        if let Some(params) = self.params {
            text.write_str(Self::PARAMS)?;
            text.write_str(params.as_str())?;
        }
        if let Some(trace) = self.trace {
            text.write_str(Self::TRACE)?;
            text.write_str(trace.as_str())?;
            text.write_str("\"")?;
        }
        text.write_str("}")
    }
}

/// The name of a gateway method, known to need no escaping in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MethodName(Cow<'static, str>);

/// A text that can't be a method's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a method name is 1 to {} characters of letters, digits, '.', '-' and '_'",
    MethodName::MAX_LEN
)]
pub struct InvalidMethodName;

impl MethodName {
    /// The longest name taken, in bytes; the longest advertised by 2026.9.6 has 39.
    pub const MAX_LEN: usize = 128;

    /// Checks a name.
    ///
    /// # Errors
    /// [`InvalidMethodName`] when it is empty, too long, or has characters that no method has.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Result<Self, InvalidMethodName> {
        let name = name.into();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        if name.is_empty() || name.len() > Self::MAX_LEN || !name.bytes().all(plain) {
            return Err(InvalidMethodName);
        }
        Ok(Self(name))
    }

    /// A name of the method table; a test checks them all.
    pub(crate) const fn known(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MethodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests;
