//! A device identity for the raw client.
//!
//! Written from the measured facts alone and independent of the product's own signing, so that
//! the two can be held against each other. The key is made from a seed that the caller gives: a
//! scenario's devices live as long as its scratch gateway.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer as _, SigningKey};
use sha2::{Digest as _, Sha256};

use crate::hex::hex;

/// Form of the signed text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureForm {
    /// Accepted by all nine measured releases.
    V2,
    /// With platform and device family; 2026.1.30 refuses it.
    V3,
}

/// The fields that a device signs in a `connect`.
#[derive(Clone, Debug)]
pub struct SignedFields<'a> {
    /// `client.id`.
    pub client_id: &'a str,
    /// `client.mode`.
    pub client_mode: &'a str,
    /// `role`.
    pub role: &'a str,
    /// `scopes` in the order of the request.
    pub scopes: &'a [String],
    /// Milliseconds since the Unix epoch, within 120 s of the gateway's clock.
    pub signed_at_ms: u64,
    /// The token that `auth` carries, empty when it carries none.
    pub token: &'a str,
    /// The challenge's nonce.
    pub nonce: &'a str,
    /// `client.platform`.
    pub platform: &'a str,
}

/// An Ed25519 key that names itself by its public half.
#[derive(Clone)]
pub struct Device {
    key: SigningKey,
}

impl Device {
    /// The device of `seed`.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self {
            key: SigningKey::from_bytes(&seed),
        }
    }

    /// `device.id`: the SHA-256 of the public key in lower-case hex.
    pub fn id(&self) -> String {
        hex(&Sha256::digest(self.key.verifying_key().as_bytes()))
    }

    /// `device.publicKey`: the raw public key in base64url without padding.
    pub fn public_key(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.key.verifying_key().as_bytes())
    }

    /// `device.signature` over `fields` in `form`.
    pub fn sign(&self, form: SignatureForm, fields: &SignedFields<'_>) -> String {
        let text = self.signed_text(form, fields);
        URL_SAFE_NO_PAD.encode(self.key.sign(text.as_bytes()).to_bytes())
    }

    fn signed_text(&self, form: SignatureForm, fields: &SignedFields<'_>) -> String {
        let scopes = fields.scopes.join(",");
        let signed_at = fields.signed_at_ms.to_string();
        let id = self.id();
        let common = [
            id.as_str(),
            fields.client_id,
            fields.client_mode,
            fields.role,
            &scopes,
            &signed_at,
            fields.token,
            fields.nonce,
        ]
        .join("|");
        match form {
            SignatureForm::V2 => format!("v2|{common}"),
            // This client sends no device family: the last field is empty.
            SignatureForm::V3 => {
                format!("v3|{common}|{}|", fields.platform.trim().to_ascii_lowercase())
            }
        }
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device").field("id", &self.id()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counting_seed() -> [u8; 32] {
        std::array::from_fn(|at| u8::try_from(at).expect("32 fits"))
    }

    #[test]
    fn the_identity_is_the_one_that_real_gateways_accepted() {
        let device = Device::from_seed(counting_seed());
        let id = "56475aa75463474c0285df5dbf2bcab73da651358839e9b77481b2eab107708c";
        assert_eq!(device.id(), id);
        assert_eq!(device.public_key(), "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg");
    }

    #[test]
    fn the_signature_is_the_one_that_real_gateways_accepted() {
        let scopes = ["operator.read".to_owned()];
        let fields = SignedFields {
            client_id: "gateway-client",
            client_mode: "backend",
            role: "operator",
            scopes: &scopes,
            signed_at_ms: 1,
            token: "",
            nonce: "n-1",
            platform: "linux",
        };
        let signature = Device::from_seed(counting_seed()).sign(SignatureForm::V3, &fields);
        assert_eq!(
            signature,
            "PaN5XEnP6geSNmiVCJfzYFqwLAYPlnzsYX9a5vGlucokt4D1s6zqcxLMPB1GnrJHDHT0RgAj0ovLZEvH2GnHAg"
        );
    }

    #[test]
    fn debug_output_holds_no_key() {
        let text = format!("{:?}", Device::from_seed(counting_seed()));
        assert!(text.starts_with("Device { id: "), "{text}");
        assert!(!text.to_lowercase().contains("key"), "{text}");
    }
}
