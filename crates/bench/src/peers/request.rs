//! The one request that all clients make, and its answer as the hand-written ones read it.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio_tungstenite::tungstenite::Bytes;

/// A method that reads.
pub(super) const METHOD: &str = "chat.history";

/// Its parameters; serialised by each client for each request.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Params {
    session_key: &'static str,
    limit: u32,
}

pub(super) const PARAMS: Params = Params {
    session_key: "agent:main:main",
    limit: 50,
};

/// The request as a frame.
pub(super) fn encode(id: u64) -> String {
    let params = serde_json::to_string(&PARAMS).expect("the parameters are plain");
    let mut frame = String::with_capacity(128);
    let _ = write!(
        frame,
        r#"{{"type":"req","id":"{id}","method":"{METHOD}","params":{params}}}"#
    );
    frame
}

#[derive(Deserialize)]
struct Envelope<'a> {
    id: &'a str,
    ok: bool,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

/// The id and the payload of an answer; nothing for any other frame, or one that says no.
pub(super) fn decode(frame: &Bytes) -> Option<(u64, Bytes)> {
    let envelope: Envelope<'_> = serde_json::from_slice(frame).ok()?;
    let payload = envelope.payload.filter(|_| envelope.ok)?;
    Some((envelope.id.parse().ok()?, frame.slice_ref(payload.get().as_bytes())))
}
