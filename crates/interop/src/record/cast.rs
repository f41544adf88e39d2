//! The devices and clients of the recordings.
//!
//! The devices' seeds are fixed and public: they open nothing but the scratch gateways that are
//! gone when the recording ends, and they let the fixtures be signed again after the gateway's
//! token was replaced.

use secrecy::ExposeSecret as _;
use serde_json::Value;

use super::tape::{STEP, Tape};
use crate::{
    device::{Device, SignatureForm, SignedFields},
    process::RealGateway,
    wire::{ConnectAs, Wire, WireError},
};

/// The supervisor's own device.
pub(super) fn operator() -> Device {
    Device::from_seed([11; 32])
}

/// A device that asks to be paired and is let in.
pub(super) fn guest() -> Device {
    Device::from_seed([12; 32])
}

/// A device that asks to be paired and is turned away.
pub(super) fn stranger() -> Device {
    Device::from_seed([13; 32])
}

/// Opens a recorded connection as the supervisor with every scope and tool events.
pub(super) async fn supervisor(tape: &Tape, conn: &str, gateway: &RealGateway) -> Result<Wire, WireError> {
    let device = operator();
    // V2: the form that every measured release accepts.
    let who = ConnectAs::backend()
        .token(gateway.token().expose_secret())
        .device(&device, SignatureForm::V2)
        .cap("tool-events");
    let mut wire = tape.open(conn, gateway.url()).await?;
    // A refusal is on the tape and shows in everything that follows.
    drop(wire.connect(&who, STEP).await?);
    Ok(wire)
}

/// Signs the `connect` frame `stand_in` as its device did, if `original` was signed by one of the
/// cast: the stand-in carries another token, so the original's signature does not fit it.
pub(super) fn sign_again(original: &Value, stand_in: &mut Value) {
    let signed = &original["params"]["device"];
    let Some(id) = signed["id"].as_str() else {
        return;
    };
    let cast = [operator(), guest(), stranger()];
    let Some(device) = cast.iter().find(|device| device.id() == id) else {
        return;
    };
    let forms = [SignatureForm::V2, SignatureForm::V3];
    let form = forms
        .into_iter()
        .find(|&form| signed["signature"].as_str() == Some(&sign(device, form, original)));
    if let Some(form) = form {
        let signature = sign(device, form, stand_in);
        stand_in["params"]["device"]["signature"] = signature.into();
    }
}

fn sign(device: &Device, form: SignatureForm, frame: &Value) -> String {
    let params = &frame["params"];
    let text = |value: &'_ Value| value.as_str().unwrap_or_default().to_owned();
    let scopes = params["scopes"].as_array();
    let scopes: Vec<String> = scopes.into_iter().flatten().map(text).collect();
    let auth = &params["auth"];
    let token = auth["token"].as_str().or(auth["deviceToken"].as_str());
    let fields = SignedFields {
        client_id: &text(&params["client"]["id"]),
        client_mode: &text(&params["client"]["mode"]),
        role: &text(&params["role"]),
        scopes: &scopes,
        signed_at_ms: params["device"]["signedAt"].as_u64().unwrap_or_default(),
        token: token.unwrap_or_default(),
        nonce: &text(&params["device"]["nonce"]),
        platform: &text(&params["client"]["platform"]),
    };
    device.sign(form, &fields)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn connect(token: &str) -> Value {
        json!({"method": "connect", "params": {
            "client": {"id": "cli", "mode": "cli", "platform": "linux"},
            "role": "operator", "scopes": ["operator.read"], "auth": {"token": token},
            "device": {"id": operator().id(), "signedAt": 7, "nonce": "n"},
        }})
    }

    #[test]
    fn a_replaced_token_gets_a_signature_that_fits_it() {
        for form in [SignatureForm::V2, SignatureForm::V3] {
            let mut original = connect("the real token");
            original["params"]["device"]["signature"] = sign(&operator(), form, &original).into();
            let mut stand_in = original.clone();
            stand_in["params"]["auth"]["token"] = json!("another");
            sign_again(&original, &mut stand_in);
            let expected = sign(&operator(), form, &connect("another"));
            assert_eq!(stand_in["params"]["device"]["signature"], json!(expected));
        }
    }

    #[test]
    fn a_signature_that_never_fitted_stays_as_it_was() {
        let mut original = connect("the real token");
        original["params"]["device"]["signature"] = json!("wrong on purpose");
        let mut stand_in = original.clone();
        sign_again(&original, &mut stand_in);
        assert_eq!(stand_in, original);
    }
}
