//! Every inbound frame decodes, and what is typed comes out again as it went in.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use windlass_protocol::{
    CloseClass, CloseCode, CloseReason, ErrorCode, EventKeys, EventName, Frame, GatewayError, HelloOk, RefusalKind,
    TypedEvent,
};

use crate::corpus::{self, Line, is_placeholder};

/// What a run over a corpus has looked at.
#[derive(Debug, Default)]
struct Seen {
    frames: usize,
    hellos: usize,
    errors: usize,
    closes: usize,
    placeholders: usize,
    foreign_ids: usize,
    typed: BTreeMap<String, usize>,
    untyped: BTreeMap<String, usize>,
}

fn check_corpus(folder: &Path) -> Seen {
    let mut seen = Seen::default();
    for line in corpus::read(folder) {
        match line.dir.as_str() {
            "in" if line.frame.is_object() => check_frame(&line, &mut seen),
            "close" => check_close(&line, &mut seen),
            _ => {}
        }
    }
    println!("{}: {seen:#?}", folder.display());
    seen
}

fn check_frame(line: &Line, seen: &mut Seen) {
    seen.frames += 1;
    let text = line.frame.to_string();
    if line.frame.get("id").is_some_and(|id| !id.is_string()) {
        // The echo of an id that was no text: recordings of broken requests have it, requests of ours never.
        assert!(Frame::decode(&text).is_err(), "{}", line.place);
        seen.foreign_ids += 1;
        return;
    }
    match Frame::decode(&text) {
        Ok(Frame::Response(response)) => {
            assert_eq!(line.frame["id"], *response.id, "{}", line.place);
            match response.outcome {
                Ok(payload) => check_payload(line, payload.as_str(), seen),
                Err(error) => check_error(line, &error, seen),
            }
        }
        Ok(Frame::Event(event)) => {
            assert_eq!(
                line.frame.get("seq").and_then(Value::as_u64),
                event.seq,
                "{}",
                line.place
            );
            check_event(line, &event.name, event.payload.as_str(), seen);
        }
        Ok(Frame::Other(kind)) => panic!("{}: a frame of kind {kind}", line.place),
        Err(error) => panic!("{}: {error}", line.place),
    }
}

fn check_payload(line: &Line, payload: &str, seen: &mut Seen) {
    let mut value: Value = serde_json::from_str(payload).unwrap();
    assert_eq!(value, line.frame["payload"], "{}", line.place);
    seen.placeholders += corpus::drop_cut_items(&mut value);
    if !HelloOk::is_hello(&value) {
        return;
    }
    seen.hellos += 1;
    let hello: HelloOk =
        serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{}: {error}", line.place));
    assert!((3..=4).contains(&hello.protocol), "{}", line.place);
    let mut wire = hello.to_wire().unwrap();
    for part in ["features", "snapshot", "policy", "auth"] {
        // What was cut out of the recording stands in `extra`; nothing else may.
        if let Some(left) = hello.extra.get(part) {
            assert!(is_placeholder(left), "{}: {part} was not understood", line.place);
            seen.placeholders += 1;
        }
    }
    assert_eq!(wire.take(), value, "{}", line.place);
    assert_no_secret_in(&format!("{hello:?}"), &value, &line.place);
}

fn assert_no_secret_in(text: &str, hello: &Value, place: &str) {
    for secret in ["deviceToken", "recoveryScope"] {
        if let Some(secret) = hello["auth"][secret].as_str() {
            assert!(!text.contains(secret), "{place}: Debug shows a secret");
        }
    }
}

fn check_error(line: &Line, error: &GatewayError, seen: &mut Seen) {
    seen.errors += 1;
    assert_eq!(
        serde_json::to_value(error).unwrap(),
        line.frame["error"],
        "{}",
        line.place
    );
    assert!(
        !matches!(error.code, ErrorCode::Other(_)),
        "{}: unknown code {}",
        line.place,
        error.code
    );
    let shown = error.to_string();
    assert!(
        shown.chars().count() < 600 && !shown.contains(char::is_control),
        "{}",
        line.place
    );
    assert_ne!(
        RefusalKind::of(error),
        RefusalKind::Unauthorized,
        "{}: an unknown auth code",
        line.place
    );
}

fn check_event(line: &Line, name: &str, payload: &str, seen: &mut Seen) {
    let mut value: Value = serde_json::from_str(payload).unwrap();
    seen.placeholders += corpus::drop_cut_items(&mut value);
    let payload = value.to_string();
    let event = TypedEvent::decode(name, &payload).unwrap_or_else(|error| panic!("{}: {error}: {error:?}", line.place));
    let keys = EventKeys::parse(&payload);
    assert_eq!(
        keys.session_key.as_deref(),
        value.get("sessionKey").and_then(Value::as_str),
        "{}",
        line.place
    );
    assert_eq!(
        keys.run_id.as_deref(),
        value.get("runId").and_then(Value::as_str),
        "{}",
        line.place
    );
    let Some(again) = event.to_value() else {
        *seen.untyped.entry(name.to_owned()).or_default() += 1;
        return;
    };
    assert!(
        !matches!(EventName::from(name), EventName::Other(_)),
        "{}: {name}",
        line.place
    );
    assert_eq!(again.unwrap(), value, "{}", line.place);
    *seen.typed.entry(name.to_owned()).or_default() += 1;
    for member in event.misfits() {
        let left = &value[member];
        if is_placeholder(left) {
            seen.placeholders += 1;
        } else {
            assert!(left.is_null(), "{}: {name}.{member} is {left}", line.place);
        }
    }
}

fn check_close(line: &Line, seen: &mut Seen) {
    seen.closes += 1;
    let code = line.frame["code"].as_u64().and_then(|code| u16::try_from(code).ok());
    let code = code.unwrap_or_else(|| panic!("{}: no close code", line.place));
    let close = CloseReason::new(CloseCode(code), line.frame["reason"].as_str().unwrap_or_default());
    assert_ne!(close.class(), CloseClass::Unknown, "{}: {close}", line.place);
}

#[test]
fn every_frame_of_our_recordings_decodes_and_loses_nothing() {
    let seen = check_corpus(&corpus::fixtures());
    assert!(seen.hellos > 0 && seen.errors > 0 && seen.closes > 0, "{seen:?}");
}

#[test]
fn the_handwritten_recording_has_every_typed_event_and_one_without_a_type() {
    let seen = check_corpus(&corpus::fixtures());
    for name in TypedEvent::NAMES {
        assert!(seen.typed.contains_key(*name), "no sample of {name}");
    }
    assert!(!seen.untyped.is_empty());
}

#[test]
#[ignore = "needs WINDLASS_TRANSCRIPTS"]
fn every_frame_of_further_recordings_decodes_and_loses_nothing() {
    let seen = check_corpus(&corpus::transcripts());
    assert!(
        seen.frames > 0 && seen.hellos > 0 && seen.errors > 0 && seen.closes > 0,
        "{seen:?}"
    );
}
