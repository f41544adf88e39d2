//! Refusals of a gateway: an error answer, a close, an HTTP answer to the upgrade.

use std::time::Duration;

use windlass_protocol::time::{PAUSE_MAX, Pause};
use windlass_protocol::{
    Advice, Advise, CloseCode, CloseReason, ConnectRefusal, GatewayError, KEPT_MESSAGE_BYTES, UpgradeRefusal,
};

use crate::shared::{assert_fit_to_show, object, text};

/// Every refusal has a class, a bounded pause, and a text that can be shown. An error is read exactly if it is an object, and it is
/// written as it is stored.
pub(super) fn run(data: &[u8]) {
    upgrade(data);
    let Some(text) = text(data) else { return };
    close(text);
    let read = windlass_protocol::json::decode::<GatewayError>(text);
    assert_eq!(read.is_ok(), object(text).is_some());
    if let Ok(error) = read {
        answer(&error);
    }
}

fn answer(error: &GatewayError) {
    assert!(error.message.len() <= KEPT_MESSAGE_BYTES);
    let refusal = ConnectRefusal::from(error);
    let _ = (error.class(), error.missing_scope(), error.is_protocol_mismatch());
    assert_bounded(refusal.pause());
    for shown in [error.to_string(), refusal.to_string()] {
        assert_fit_to_show(&shown);
    }
    assert_advice(&error.advice());
    assert_advice(&refusal.advice());
    let written = serde_json::to_string(error).expect("JSON is written");
    let again: GatewayError = serde_json::from_str(&written).expect("what we write, we read");
    assert_eq!((&again.code, &again.message), (&error.code, &error.message));
    assert_eq!(again.class(), error.class());
    assert_eq!(ConnectRefusal::new(again).kind(), refusal.kind());
}

fn close(text: &str) {
    // The code is a number of two bytes before the reason.
    let code = text
        .bytes()
        .take(2)
        .fold(0_u16, |code, byte| code << 8 | u16::from(byte));
    for code in [code, 1002, 1008, 1012, 1013] {
        let reason = CloseReason::new(CloseCode(code), text);
        assert_bounded(reason.class().pause());
        assert_eq!(reason.can_reconnect(), reason.class().can_reconnect());
        assert_fit_to_show(&reason.to_string());
        assert_advice(&reason.class().advice());
    }
}

fn upgrade(data: &[u8]) {
    let (status, body) = data.split_at(data.len().min(2));
    let status = status.iter().fold(0_u16, |status, byte| status << 8 | u16::from(*byte));
    for status in [status, 301, 403, 429, 503] {
        let header = std::str::from_utf8(body).ok();
        let refusal = UpgradeRefusal::new(status, body).with_retry_after(header);
        assert_bounded(refusal.pause());
        assert_fit_to_show(&refusal.to_string());
        assert_advice(&refusal.advice());
    }
}

fn assert_advice(advice: &Advice) {
    assert!(!advice.summary.is_empty() && !advice.next_step.is_empty());
    assert_fit_to_show(&advice.to_string());
}

fn assert_bounded(pause: Pause) {
    let wait = match pause {
        Pause::Retry { after } => after.unwrap_or(Duration::ZERO),
        Pause::SlowPoll { every } => every,
    };
    assert!(wait <= PAUSE_MAX, "{wait:?}");
}
