//! The file that keeps a device identity: `device.json`, in the layout of the reference client.

use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{
    DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _, KeypairBytes,
};
use ed25519_dalek::{SigningKey, VerifyingKey};
use serde_json::{Map, Value, json};

use super::DeviceIdentity;
use crate::secret::Secret;

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
