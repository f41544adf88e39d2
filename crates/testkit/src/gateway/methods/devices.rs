//! `device.pair.*` and `device.token.revoke`.

use serde_json::json;

use super::Call;
use crate::gateway::control;
use crate::gateway::server::{Answer, Effect};
use crate::gateway::wire::WireError;

pub(super) fn approve(call: &mut Call<'_>) -> Answer {
    let request_id = call.required("requestId");
    match control::decide(call.server, call.state, &request_id, true) {
        Some((device, event)) => {
            Answer::ok(json!({"requestId": request_id, "device": device})).then(Effect::Emit(event))
        }
        None => unknown(),
    }
}

pub(super) fn reject(call: &mut Call<'_>) -> Answer {
    let request_id = call.required("requestId");
    match control::decide(call.server, call.state, &request_id, false) {
        Some((device_id, event)) => {
            Answer::ok(json!({"requestId": request_id, "deviceId": device_id})).then(Effect::Emit(event))
        }
        None => unknown(),
    }
}

fn unknown() -> Answer {
    WireError::invalid("unknown requestId").into()
}

pub(super) fn remove(call: &mut Call<'_>) -> Answer {
    let device_id = call.required("deviceId");
    if !call.state.devices.remove(&device_id) {
        return WireError::invalid("unknown deviceId").into();
    }
    gone(call, device_id.clone(), Answer::ok(json!({"deviceId": device_id})))
}

pub(super) fn revoke(call: &mut Call<'_>) -> Answer {
    let device_id = call.required("deviceId");
    if !call.state.devices.revoke(&device_id) {
        return WireError::invalid("unknown deviceId/role").into();
    }
    let payload = json!({"deviceId": device_id, "role": call.text("role"), "revokedAtMs": call.server.clock.wall_ms()});
    gone(call, device_id, Answer::ok(payload))
}

/// 9.6 closes the device's sockets at once; 3.13 leaves them open.
fn gone(call: &Call<'_>, device_id: String, answer: Answer) -> Answer {
    if !call.server.profile.v4() {
        return answer;
    }
    answer.then(Effect::CloseDevice {
        device_id,
        code: 4001,
        reason: "device removed",
    })
}
