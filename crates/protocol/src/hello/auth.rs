//! The rights that a hello grants.

use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::connect::{Role, Scope};
use crate::open::{Extra, take};
use crate::secret::{Exposed, Secret};

/// `hello.auth`. Its `Serialize` writes `***` for the secrets, so that a hello can be shown as JSON.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HelloAuth {
    /// `token`, `device-token`... (seen on 2026.9.6).
    pub method: Option<String>,
    /// The role granted.
    pub role: Option<Role>,
    /// The scopes granted; may be fewer than asked for, down to none.
    pub scopes: Option<Vec<Scope>>,
    /// A token for this device, to be stored; issued when the device was paired.
    pub device_token: Option<Secret>,
    /// When the device token was issued, in ms since 1970.
    pub issued_at_ms: Option<u64>,
    /// Lets the same client take its place again (from 2026.8 on).
    pub recovery_scope: Option<Secret>,
    /// Everything else, as it came.
    pub extra: Extra,
}

impl HelloAuth {
    /// The block as a gateway sends it, secrets included.
    pub(super) fn to_wire(&self) -> Result<Value, serde_json::Error> {
        self.write(serde_json::value::Serializer, Secrets::Exposed)
    }

    fn write<S: Serializer>(&self, serializer: S, secrets: Secrets) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(method) = &self.method {
            map.serialize_entry("method", method)?;
        }
        if let Some(role) = &self.role {
            map.serialize_entry("role", role)?;
        }
        if let Some(scopes) = &self.scopes {
            map.serialize_entry("scopes", scopes)?;
        }
        for (key, secret) in [
            ("deviceToken", &self.device_token),
            ("recoveryScope", &self.recovery_scope),
        ] {
            if let Some(secret) = secret {
                map.serialize_entry(key, &Shown(secret, secrets))?;
            }
        }
        if let Some(at) = self.issued_at_ms {
            map.serialize_entry("issuedAtMs", &at)?;
        }
        for (key, value) in self.extra.iter() {
            match (secrets, value) {
                // A newer release may add a secret here, and this block has hardly anything else in texts.
                (Secrets::Hidden, Value::String(_)) => map.serialize_entry(key, HIDDEN)?,
                _ => map.serialize_entry(key, value)?,
            }
        }
        map.end()
    }
}

/// The text in place of a secret.
const HIDDEN: &str = "***";

#[derive(Clone, Copy)]
enum Secrets {
    Hidden,
    Exposed,
}

struct Shown<'a>(&'a Secret, Secrets);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.1 {
            Secrets::Hidden => serializer.serialize_str(HIDDEN),
            Secrets::Exposed => Exposed(self.0).serialize(serializer),
        }
    }
}

impl Serialize for HelloAuth {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.write(serializer, Secrets::Hidden)
    }
}

impl<'de> Deserialize<'de> for HelloAuth {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut map = Map::deserialize(deserializer)?;
        Ok(Self {
            method: take(&mut map, "method"),
            role: take(&mut map, "role"),
            scopes: take(&mut map, "scopes"),
            device_token: take(&mut map, "deviceToken"),
            issued_at_ms: take(&mut map, "issuedAtMs"),
            recovery_scope: take(&mut map, "recoveryScope"),
            extra: map.into(),
        })
    }
}
