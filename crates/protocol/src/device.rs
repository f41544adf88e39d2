//! The device identity: the key pair by which every gateway knows this client.

mod file;
mod signature;
#[cfg(test)]
mod tests;

use std::fmt;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ed25519_dalek::{SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};

pub use self::file::{DeviceFile, DeviceFileError};
pub use self::signature::{SIGNATURE_SKEW_MS, SignatureInput, SignatureVersion, VerifyError, signed_payload, verify};

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
