//! Device signatures as a gateway checks them.
//!
//! Uses `ed25519-dalek` directly rather than the protocol crate's `device` module: the simulation is the
//! oracle for that module and must not share its mistakes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signature, Verifier as _, VerifyingKey};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::profile::Profile;
use super::wire::WireError;

/// A signature is good for this long on either side of the gateway's clock (both generations: 120 s).
const SKEW_MS: u64 = 120_000;

/// What the signature must cover besides the device block itself.
pub(crate) struct Signed<'a> {
    pub(crate) params: &'a Value,
    /// `auth.token`, else `auth.deviceToken`, else `auth.bootstrapToken`, else empty.
    pub(crate) token: &'a str,
    pub(crate) nonce: &'a str,
    pub(crate) now_ms: u64,
}

/// Checks the device block of `connect`; gives the device id.
pub(crate) fn verify(profile: &Profile, signed: &Signed<'_>) -> Result<String, WireError> {
    let device = &signed.params["device"];
    let text = |key: &str| device[key].as_str().unwrap_or_default();
    let key = public_key(text("publicKey")).ok_or_else(|| {
        refused(
            "device public key invalid",
            "DEVICE_AUTH_PUBLIC_KEY_INVALID",
            "device-public-key",
        )
    })?;
    if device_id(&key) != text("id") {
        return Err(refused(
            "device id mismatch",
            "DEVICE_AUTH_DEVICE_ID_MISMATCH",
            "device-id-mismatch",
        ));
    }
    let signed_at = device["signedAt"].as_u64().unwrap_or_default();
    if signed_at.abs_diff(signed.now_ms) > SKEW_MS {
        return Err(refused(
            "device signature expired",
            "DEVICE_AUTH_SIGNATURE_EXPIRED",
            "device-signature-stale",
        ));
    }
    // 2026.1.30 still takes version 1, which has no nonce; everyone else requires it in the schema.
    if !text("nonce").is_empty() && text("nonce") != signed.nonce {
        return Err(refused(
            "device nonce mismatch",
            "DEVICE_AUTH_NONCE_MISMATCH",
            "device-nonce-mismatch",
        ));
    }
    let good = Signature::try_from(URL_SAFE_NO_PAD.decode(text("signature")).unwrap_or_default().as_slice()).is_ok_and(
        |signature| {
            payloads(profile, signed, signed_at)
                .iter()
                .any(|payload| key.verify(payload.as_bytes(), &signature).is_ok())
        },
    );
    if good {
        return Ok(text("id").to_owned());
    }
    Err(if profile.v3_signature {
        refused(
            "device signature invalid",
            "DEVICE_AUTH_SIGNATURE_INVALID",
            "device-signature",
        )
    } else {
        // 2026.1.30 gives no details.
        WireError::invalid("device signature invalid")
    })
}

fn refused(message: &str, code: &str, reason: &str) -> WireError {
    WireError::invalid(message).details(serde_json::json!({"code": code, "reason": reason}))
}

fn public_key(text: &str) -> Option<VerifyingKey> {
    let raw: [u8; 32] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
    VerifyingKey::from_bytes(&raw).ok()
}

fn device_id(key: &VerifyingKey) -> String {
    use std::fmt::Write as _;
    Sha256::digest(key.as_bytes())
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

/// The texts that this release takes a signature of, best first.
fn payloads(profile: &Profile, signed: &Signed<'_>, signed_at: u64) -> Vec<String> {
    let Signed { params, token, .. } = signed;
    let client = |key: &str| params["client"][key].as_str().unwrap_or_default();
    let scopes: Vec<&str> = params["scopes"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let nonce = params["device"]["nonce"].as_str().unwrap_or_default();
    let core = format!(
        "{}|{}|{}|{}|{}|{signed_at}|{token}",
        params["device"]["id"].as_str().unwrap_or_default(),
        client("id"),
        client("mode"),
        params["role"].as_str().unwrap_or("operator"),
        scopes.join(","),
    );
    let mut texts = Vec::new();
    if nonce.is_empty() {
        texts.push(format!("v1|{core}"));
        return texts;
    }
    if profile.v3_signature {
        let plain = |key: &str| client(key).trim().to_ascii_lowercase();
        texts.push(format!(
            "v3|{core}|{nonce}|{}|{}",
            plain("platform"),
            plain("deviceFamily")
        ));
    }
    texts.push(format!("v2|{core}|{nonce}"));
    texts
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Signed, verify};
    use crate::gateway::profile::Profile;

    /// Signatures of a published test vector, whose keys real gateways of both generations took.
    const V3: &str = "iHZFB9Ziz7GZwqFVvCJnHpzjirbv0xLmidVsCLkGts2CbDjHUxp5sOeEo0cnUU8-HFNyKvy735gVe8fq4S_uBA";
    const V2: &str = "gizQidrDIRkGQ55xbwCPUqllILFpJV81rGxXOBSCk0xKPuXMWGKuV6RJhtUBsWyZ1Y-t_qy6CWknuelkK1eUBQ";
    const NONCE: &str = "11111111-2222-4333-8444-555555555555";
    const ID: &str = "56475aa75463474c0285df5dbf2bcab73da651358839e9b77481b2eab107708c";

    fn check(release: &str, signature: &str, late_ms: u64) -> Result<String, String> {
        let profile = Profile::of(release).expect("known");
        let signed_at = 1_795_350_900_000_u64;
        let params = json!({
            "client": {"id": "gateway-client", "mode": "backend", "platform": "Linux", "deviceFamily": "Server"},
            "role": "operator",
            "scopes": ["operator.read", "operator.write", "operator.admin"],
            "device": {
                "id": ID,
                "publicKey": "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg",
                "signature": signature,
                "signedAt": signed_at,
                "nonce": NONCE,
            },
        });
        let token = "test-token-0123456789abcdef";
        let signed = Signed {
            params: &params,
            token,
            nonce: NONCE,
            now_ms: signed_at + late_ms,
        };
        verify(&profile, &signed).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn the_known_signatures_are_taken_within_two_minutes() {
        assert_eq!(check("2026.9.6", V3, 0).as_deref(), Ok(ID));
        assert_eq!(check("2026.3.13", V2, 120_000).as_deref(), Ok(ID));
        assert_eq!(check("2026.9.6", V2, 120_001).unwrap_err(), "device signature expired");
        assert_eq!(check("2026.1.30", V2, 0).as_deref(), Ok(ID));
        assert_eq!(check("2026.1.30", V3, 0).unwrap_err(), "device signature invalid");
    }
}
