//! The text that a device signs at each connect, and the check that a gateway makes.

use std::fmt::Write as _;

use ed25519_dalek::{Signature, Signer as _, VerifyingKey};

use super::{DeviceIdentity, base64url, device_id_of, from_base64url};
use crate::connect::{ClientInfo, DeviceBlock, Role, Scope};
use crate::secret::Secret;

/// How far `signedAt` may be from the gateway's clock, in ms (both generations). Signing with the challenge's `ts` keeps within it
/// in spite of wrong clocks.
pub const SIGNATURE_SKEW_MS: u64 = 120_000;

/// The layout of the signed payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignatureVersion {
    /// Nine fields; taken by all nine releases of 2026 measured.
    V2,
    /// The same and platform and device family; refused by 2026.1.30, preferred by all later ones.
    V3,
}

/// The signed values besides the device id.
#[derive(Clone, Copy, Debug)]
pub struct SignatureInput<'a> {
    /// `connect.client`.
    pub client: &'a ClientInfo,
    /// `connect.role`.
    pub role: &'a Role,
    /// `connect.scopes`, in the order sent.
    pub scopes: &'a [Scope],
    /// `device.signedAt`, in ms since 1970: best the challenge's `ts`.
    pub signed_at_ms: u64,
    /// [`Auth::signature_token`](crate::Auth::signature_token) of the credentials sent.
    pub token: Option<&'a Secret>,
    /// The challenge's nonce.
    pub nonce: &'a str,
}

/// Why a device block does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// `publicKey` is not an Ed25519 key in base64url.
    #[error("the device's public key cannot be read")]
    PublicKey,
    /// `id` is not the hash of `publicKey`.
    #[error("the device id does not belong to the public key")]
    DeviceId,
    /// `signature` is not that of the v3 nor of the v2 payload.
    #[error("the device signature does not fit")]
    Signature,
}

/// The text that a device signs. It contains the token.
pub fn signed_payload(version: SignatureVersion, device_id: &str, input: &SignatureInput<'_>) -> Secret {
    let client = input.client;
    let tag = match version {
        SignatureVersion::V2 => "v2",
        SignatureVersion::V3 => "v3",
    };
    let scopes: Vec<&str> = input.scopes.iter().map(Scope::as_str).collect();
    let mut text = [
        tag,
        device_id,
        client.id.as_str(),
        client.mode.as_str(),
        input.role.as_str(),
        &scopes.join(","),
    ]
    .join("|");
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "|{}|{}|{}",
        input.signed_at_ms,
        input.token.map_or("", Secret::expose),
        input.nonce
    );
    if version == SignatureVersion::V3 {
        let family = client.device_family.as_deref().unwrap_or_default();
        let _ = write!(text, "|{}|{}", normalised(&client.platform), normalised(family));
    }
    Secret::new(text)
}

/// Only ASCII letters are lowered: the gateway does the same, and any other folding would change the signed text.
fn normalised(text: &str) -> String {
    text.trim().to_ascii_lowercase()
}

impl DeviceIdentity {
    /// The `connect.device` block.
    pub fn sign(&self, input: &SignatureInput<'_>, version: SignatureVersion) -> DeviceBlock {
        let payload = signed_payload(version, self.device_id(), input);
        let signature = self.key.sign(payload.expose().as_bytes());
        DeviceBlock {
            id: self.device_id().to_owned(),
            public_key: self.public_key_base64url().to_owned(),
            signature: base64url(&signature.to_bytes()).into(),
            signed_at: input.signed_at_ms,
            nonce: input.nonce.to_owned(),
        }
    }
}

/// Checks a device block as gateways do: v3 first, then v2. The checker expects the nonce and `signedAt` of `input`, so a
/// block for another challenge fails; how old it may be ([`SIGNATURE_SKEW_MS`]) is for the caller to check.
pub fn verify(block: &DeviceBlock, input: &SignatureInput<'_>) -> Result<SignatureVersion, VerifyError> {
    let key = from_base64url(&block.public_key)
        .and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok())
        .ok_or(VerifyError::PublicKey)?;
    if *device_id_of(&key) != *block.id {
        return Err(VerifyError::DeviceId);
    }
    let signature = from_base64url(&block.signature)
        .map(|bytes| Signature::from_bytes(&bytes))
        .ok_or(VerifyError::Signature)?;
    [SignatureVersion::V3, SignatureVersion::V2]
        .into_iter()
        .find(|version| {
            let payload = signed_payload(*version, &block.id, input);
            key.verify_strict(payload.expose().as_bytes(), &signature).is_ok()
        })
        .ok_or(VerifyError::Signature)
}
