//! JSON kept as the text it came in: parsed by the reader that needs it, never copied.

mod legible;
mod marked;

use std::fmt;
use std::io;

use bytestring::ByteString;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

pub use self::legible::{MAX_DEPTH, decode, decode_with, legible};
pub use self::marked::{marked, marked_half, unmarked, unmarked_for_people};

/// One JSON value as text, cheap to clone and to send between threads.
///
/// An answer's payload is a slice of the frame that carried it, where it is most of the frame or the frame is small: then holding it
/// keeps the frame in memory. `Debug` shows only the length: a payload may carry anything, secrets included.
#[derive(Clone, PartialEq, Eq)]
pub struct RawJson(ByteString);

impl RawJson {
    /// Serialises a value.
    ///
    /// # Errors
    /// When the value can't be written as JSON (a map with keys that aren't strings, for example).
    pub fn from_value<T: Serialize + ?Sized>(value: &T) -> Result<Self, serde_json::Error> {
        // Without room to spare the text is taken as it is; with some, `ByteString` would put a count beside it.
        let mut on_stack = OnStack::new();
        match serde_json::to_writer(&mut on_stack, value) {
            Ok(()) => Ok(Self(on_stack.text().into())),
            Err(error) if error.is_io() => {
                serde_json::to_string(value).map(|text| Self(String::from(text.into_boxed_str()).into()))
            }
            Err(error) => Err(error),
        }
    }

    /// Takes a text that has to be exactly one JSON value.
    ///
    /// # Errors
    /// When the text is not JSON; the error names line and column.
    pub fn parse(text: impl Into<String>) -> Result<Self, serde_json::Error> {
        let text = text.into();
        serde_json::from_str::<&RawValue>(&text)?;
        Ok(Self(text.into()))
    }

    /// The JSON value `null`.
    pub const fn null() -> Self {
        Self(ByteString::from_static("null"))
    }

    /// Longest payload that is copied where it may wait long, in bytes: a copy takes half a microsecond at most.
    pub const COPIED: usize = 16 * 1024;
    /// A part of a frame of at most this length is never copied: it keeps little memory alive.
    const SMALL_FRAME: usize = 4 * 1024;

    /// A part of a frame: without copying where it makes up three quarters of the frame or the frame is small. A copy where it does
    /// not lie inside `frame`.
    pub(crate) fn part_of(frame: &ByteString, part: &str) -> Self {
        let (whole, piece) = (frame.as_bytes().as_ptr_range(), part.as_bytes().as_ptr_range());
        let inside = whole.start <= piece.start && piece.end <= whole.end;
        let most = frame.len() <= Self::SMALL_FRAME || part.len() >= frame.len() / 4 * 3;
        if inside && most {
            Self(frame.slice_ref(part))
        } else {
            Self::copy_of(part)
        }
    }

    /// The same text in memory of its own.
    pub(crate) fn copy_of(text: &str) -> Self {
        Self(text.into())
    }

    /// The JSON text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads the value as a type; half a character is read as U+FFFD, as by [`decode`].
    ///
    /// # Errors
    /// When the JSON does not have that type's shape.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        decode(&self.0)
    }
}

/// A short text while it is written, so that it is put on the heap once and not as often as it outgrows its place there.
struct OnStack {
    bytes: [u8; Self::ROOM],
    len: usize,
}

impl OnStack {
    /// The parameters of most requests are shorter.
    const ROOM: usize = 256;

    const fn new() -> Self {
        Self {
            bytes: [0; Self::ROOM],
            len: 0,
        }
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).expect("serde_json writes text")
    }
}

impl io::Write for OnStack {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let end = self.len + bytes.len();
        let room = self.bytes.get_mut(self.len..end).ok_or(io::ErrorKind::WriteZero)?;
        room.copy_from_slice(bytes);
        self.len = end;
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for RawJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawJson({} bytes)", self.0.len())
    }
}

impl Serialize for RawJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RawJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self(String::from(Box::<str>::from(raw)).into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_inside_a_frame_is_not_copied() {
        let frame = ByteString::from(r#"{"payload":{"a":1}}"#);
        let payload = RawJson::part_of(&frame, &frame[11..18]);
        assert_eq!(payload.as_str(), r#"{"a":1}"#);
        assert_eq!(payload.as_str().as_ptr(), frame[11..].as_ptr());
    }

    #[test]
    fn a_small_part_of_a_large_frame_is_copied() {
        let lies_in =
            |frame: &ByteString, part: &RawJson| frame.as_bytes().as_ptr_range().contains(&part.as_str().as_ptr());
        for (junk, payload, slice) in [
            (4_000, 50, true),
            (5_000, 50, false),
            (5_000, 14_000, false),
            (5_000, 16_000, true),
        ] {
            let frame = ByteString::from(format!("{}{}", "x".repeat(junk), "1".repeat(payload)));
            let part = RawJson::part_of(&frame, &frame[junk..]);
            assert_eq!(part.as_str(), &frame[junk..]);
            assert_eq!(lies_in(&frame, &part), slice, "{junk} {payload}");
        }
    }

    #[test]
    fn a_value_from_elsewhere_is_copied() {
        let frame = ByteString::from("{}");
        assert_eq!(RawJson::part_of(&frame, "[1]").as_str(), "[1]");
    }

    #[test]
    fn a_value_is_written_whole_however_long_it_is() {
        for length in [0, 1, 253, 254, 255, 256, 257, 10_000] {
            let text = "x".repeat(length);
            assert_eq!(RawJson::from_value(&text).unwrap().as_str(), format!("\"{text}\""));
        }
    }

    #[test]
    fn a_value_that_is_no_json_is_refused() {
        assert!(RawJson::from_value(&std::collections::BTreeMap::from([((1, 2), 3)])).is_err());
    }

    #[test]
    fn text_that_is_not_one_json_value_is_refused() {
        for text in ["", "{", "1 2", "{\"a\":}"] {
            assert!(RawJson::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn debug_shows_the_length_and_never_the_text() {
        let json = RawJson::parse(r#"{"token":"s3cret"}"#).unwrap();
        assert_eq!(format!("{json:?}"), "RawJson(18 bytes)");
    }
}
