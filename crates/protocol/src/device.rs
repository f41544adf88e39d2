//! The device identity: the key pair by which every gateway knows this client.
//!
//! At each connect the device signs a text, which the gateway checks. The file that keeps the identity is `device.json`, in the layout
//! of the reference client.

#[cfg(test)]
mod tests;

use std::fmt;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{
    DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _, KeypairBytes,
};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::connect::{ClientInfo, DeviceBlock, Role, Scope};
use crate::text::Secret;

/// An Ed25519 key pair with the names that gateways know it by. `Debug` shows the id only; the key is wiped when dropped.
#[derive(Clone)]
pub struct DeviceIdentity {
    key: SigningKey,
    id: Box<str>,
    public_key: Box<str>,
}

impl DeviceIdentity {
    /// The identity of a 32-byte seed (the private key); a new one is made from 32 random bytes.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self::from_key(SigningKey::from_bytes(&seed))
    }

    fn from_key(key: SigningKey) -> Self {
        let public = key.verifying_key();
        Self {
            id: device_id_of(&public),
            public_key: base64url(public.as_bytes()),
            key,
        }
    }

    /// `device.id`: the lower-case hex SHA-256 of the 32 raw bytes of the public key.
    pub fn device_id(&self) -> &str {
        &self.id
    }

    /// `device.publicKey`: the 32 raw bytes, base64url without padding.
    pub fn public_key_base64url(&self) -> &str {
        &self.public_key
    }
}

impl PartialEq for DeviceIdentity {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for DeviceIdentity {}

impl fmt::Debug for DeviceIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceIdentity")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

fn device_id_of(public: &VerifyingKey) -> Box<str> {
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(public.as_bytes()) {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex.into()
}

fn base64url(bytes: &[u8]) -> Box<str> {
    BASE64_URL_SAFE_NO_PAD.encode(bytes).into()
}

/// 2026.3.13 and 2026.9.6 send and take keys and signatures without padding.
fn from_base64url<const N: usize>(text: &str) -> Option<[u8; N]> {
    BASE64_URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

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

/// The only `version` there is.
const VERSION: u64 = 1;

/// The members of a `device.json`: `version`, `deviceId`, `publicKeyPem`, `privateKeyPem`, `createdAtMs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceFile {
    /// The key pair.
    pub identity: DeviceIdentity,
    /// When it was made, in ms since 1970.
    pub created_at_ms: u64,
}

/// Why a text is not a `device.json`. The text itself is never repeated: it holds a private key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceFileError {
    /// Not JSON, or not an object.
    #[error("it is not a JSON object (line {line}, column {column})")]
    NotAnObject {
        /// Where reading stopped, from 1; 0 when the text is JSON of another kind.
        line: usize,
        /// See `line`.
        column: usize,
    },
    /// A member is missing or has the wrong type.
    #[error("{0} is missing or not of its type")]
    Field(&'static str),
    /// Another `version`.
    #[error("version is {0}, known is 1")]
    Version(u64),
    /// A key cannot be read.
    #[error("{0} is not an Ed25519 key in PEM form")]
    Key(&'static str),
    /// The public key is not the private key's.
    #[error("publicKeyPem does not belong to privateKeyPem")]
    PublicKeyMismatch,
    /// The device id is not the public key's.
    #[error("deviceId does not belong to the keys")]
    DeviceIdMismatch,
    /// The keys could not be written as PEM.
    #[error("the keys cannot be written")]
    Encode,
}

impl DeviceFile {
    /// Reads the text of a `device.json`. Unknown members are read over.
    pub fn parse(text: &str) -> Result<Self, DeviceFileError> {
        let map: Map<String, Value> = serde_json::from_str(text).map_err(|error| DeviceFileError::NotAnObject {
            line: error.line(),
            column: error.column(),
        })?;
        let version = map
            .get("version")
            .and_then(Value::as_u64)
            .ok_or(DeviceFileError::Field("version"))?;
        if version != VERSION {
            return Err(DeviceFileError::Version(version));
        }
        let private = text_of(&map, "privateKeyPem")?;
        let key = SigningKey::from_pkcs8_pem(private.trim()).map_err(|_| DeviceFileError::Key("privateKeyPem"))?;
        let public = VerifyingKey::from_public_key_pem(text_of(&map, "publicKeyPem")?.trim())
            .map_err(|_| DeviceFileError::Key("publicKeyPem"))?;
        if public != key.verifying_key() {
            return Err(DeviceFileError::PublicKeyMismatch);
        }
        let identity = DeviceIdentity::from_key(key);
        if text_of(&map, "deviceId")? != identity.device_id() {
            return Err(DeviceFileError::DeviceIdMismatch);
        }
        let created_at_ms = map
            .get("createdAtMs")
            .and_then(Value::as_u64)
            .ok_or(DeviceFileError::Field("createdAtMs"))?;
        Ok(Self {
            identity,
            created_at_ms,
        })
    }

    /// The text of the file, to be written with mode 0600.
    ///
    /// The private key is written without the public one inside (PKCS#8 version 1), as the reference client writes it and as
    /// every OpenSSL reads it.
    pub fn render(&self) -> Result<Secret, DeviceFileError> {
        let key = &self.identity.key;
        let pair = KeypairBytes {
            secret_key: key.to_bytes(),
            public_key: None,
        };
        let private = pair.to_pkcs8_pem(LineEnding::LF).map_err(|_| DeviceFileError::Encode)?;
        let public = key
            .verifying_key()
            .to_public_key_pem(LineEnding::LF)
            .map_err(|_| DeviceFileError::Encode)?;
        let text = serde_json::to_string_pretty(&json!({
            "version": VERSION,
            "deviceId": self.identity.device_id(),
            "publicKeyPem": public,
            "privateKeyPem": *private,
            "createdAtMs": self.created_at_ms,
        }))
        .map_err(|_| DeviceFileError::Encode)?;
        Ok(Secret::new(text + "\n"))
    }
}

fn text_of<'a>(map: &'a Map<String, Value>, field: &'static str) -> Result<&'a str, DeviceFileError> {
    map.get(field)
        .and_then(Value::as_str)
        .ok_or(DeviceFileError::Field(field))
}
