//! The gateway's answer to an accepted `connect`, and the rights that it grants.

mod bounds;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::connect::{Role, Scope};
use crate::event::StateVersion;
use crate::open::{Extra, need, open_object, take};
use crate::text::{Exposed, Secret};

pub use bounds::BoundedHello;

/// `policy.maxPayload` of every release since 2026.2 (2026.1.30: 524288), used when a hello has none.
pub const DEFAULT_MAX_PAYLOAD: u64 = 26_214_400;
/// `policy.maxBufferedBytes` of every release since 2026.2, used when a hello has none.
pub const DEFAULT_MAX_BUFFERED_BYTES: u64 = 52_428_800;
/// `policy.tickIntervalMs` of all nine releases of 2026 measured, used when a hello has none.
pub const DEFAULT_TICK_INTERVAL_MS: u64 = 30_000;
/// Bounds for [`Policy::tick_interval`]: a watchdog under a second would fire on a slow network, one of many minutes would not
/// notice a dead line.
pub const TICK_INTERVAL_BOUNDS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// `hello-ok`. Only `type`, `protocol` and `server.{version, connId}` are required; everything else is kept even if its shape is
/// new, because a line that cannot come up is worse than a member that is not understood.
///
/// `Serialize` writes `***` for the secrets in [`auth`](Self::auth); [`to_wire`](Self::to_wire) writes all of it.
#[derive(Clone, Debug, PartialEq)]
pub struct HelloOk {
    /// The generation that is spoken from here on.
    pub protocol: u32,
    /// The server that answers.
    pub server: ServerInfo,
    /// The methods and events that it offers.
    pub features: Arc<Features>,
    /// Its state at this moment.
    pub snapshot: Snapshot,
    /// The limits that it sets for clients.
    pub policy: Policy,
    /// The granted rights. 2026.3.13 and 2026.4 leave them out unless they issue a device token.
    pub auth: Option<HelloAuth>,
    /// Everything else, as it came.
    pub extra: Extra,
}

open_object! {
    /// `hello.server`.
    pub struct ServerInfo {
        required {
            /// The release; 2026.1 and 2026.2 say "dev".
            version: String = "version",
            /// This connection.
            conn_id: String = "connId",
        }
        optional {
            /// The build (from 2026.8 on).
            build_id: String = "buildId",
            /// This life of the gateway process: another one after a restart (from 2026.8 on).
            boot_id: String = "bootId",
        }
    }
}

open_object! {
    /// `hello.features`. A name that is missing here may still work (`sessions.get` does, and no release lists it).
    pub struct Features: Default {
        optional {
            /// Method names.
            methods: Vec<String> = "methods",
            /// Event names.
            events: Vec<String> = "events",
            /// Capability names (from 2026.7 on).
            capabilities: Vec<String> = "capabilities",
        }
    }
}

open_object! {
    /// `hello.snapshot`. It also names absolute paths on the gateway's host.
    pub struct Snapshot: Default {
        optional {
            /// Time since the gateway started, in ms.
            uptime_ms: u64 = "uptimeMs",
            /// Versions of the presence and health below.
            state_version: StateVersion = "stateVersion",
            /// How session keys are made here.
            session_defaults: SessionDefaults = "sessionDefaults",
            /// `token`, `password`, `none`...
            auth_mode: String = "authMode",
            /// The configuration in force (from 2026.8 on).
            applied_config_hash: String = "appliedConfigHash",
            /// Whether the gateway is taking work.
            suspension: Suspension = "suspension",
            /// The connected clients.
            presence: Vec<Value> = "presence",
            /// As method `health` answers; may be empty right after a start.
            health: Value = "health",
        }
    }
}

open_object! {
    /// `hello.snapshot.suspension`.
    pub struct Suspension: Default {
        optional {
            /// `accepting`, `preparing`, `draining`, `prepared`.
            phase: String = "phase",
        }
    }
}

open_object! {
    /// `hello.snapshot.sessionDefaults`.
    pub struct SessionDefaults: Default {
        optional {
            /// The agent of a session key that names none.
            default_agent_id: String = "defaultAgentId",
            /// The last part of a main session's key.
            main_key: String = "mainKey",
            /// The default agent's main session.
            main_session_key: String = "mainSessionKey",
            /// `per-sender`, `global`...
            scope: String = "scope",
        }
    }
}

open_object! {
    /// `hello.policy`.
    pub struct Policy {
        defaulted {
            /// Largest frame that the gateway takes, in bytes: 524288 on 2026.1.30, 26214400 since. More is answered with close
            /// 1009.
            max_payload: u64 = "maxPayload" or DEFAULT_MAX_PAYLOAD,
            /// How much the gateway queues for a client that does not read, in bytes.
            max_buffered_bytes: u64 = "maxBufferedBytes" or DEFAULT_MAX_BUFFERED_BYTES,
            /// How often the gateway sends `tick`, in ms, as it stands on the wire: see [`Policy::tick_interval`].
            tick_interval_ms: u64 = "tickIntervalMs" or DEFAULT_TICK_INTERVAL_MS,
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_payload: DEFAULT_MAX_PAYLOAD,
            max_buffered_bytes: DEFAULT_MAX_BUFFERED_BYTES,
            tick_interval_ms: DEFAULT_TICK_INTERVAL_MS,
            extra: Extra::default(),
        }
    }
}

impl Policy {
    /// Time between two `tick` events, within [`TICK_INTERVAL_BOUNDS`].
    pub fn tick_interval(&self) -> Duration {
        let (min, max) = TICK_INTERVAL_BOUNDS;
        Duration::from_millis(self.tick_interval_ms).clamp(min, max)
    }
}

impl Features {
    /// Whether the gateway lists this method. `false` is no proof that it has none.
    pub fn lists_method(&self, name: &str) -> bool {
        lists(self.methods.as_deref(), name)
    }

    /// Whether the gateway lists this event.
    pub fn lists_event(&self, name: &str) -> bool {
        lists(self.events.as_deref(), name)
    }

    /// Whether the gateway has this capability.
    pub fn has_capability(&self, name: &str) -> bool {
        lists(self.capabilities.as_deref(), name)
    }
}

fn lists(names: Option<&[String]>, name: &str) -> bool {
    names.is_some_and(|names| names.iter().any(|n| n == name))
}

const TAG: &str = "hello-ok";

impl HelloOk {
    /// Whether a response payload is a hello, by its `type`.
    pub fn is_hello(payload: &Value) -> bool {
        payload.get("type").and_then(Value::as_str) == Some(TAG)
    }

    /// Whether requests may carry a [`TraceParent`](crate::TraceParent). No gateway says so: it is told by `bootId`, which came
    /// with the same release (2026.8.2; 2026.5.12 to 2026.7.1 refuse a request with a field that they don't know).
    pub const fn takes_traceparent(&self) -> bool {
        self.server.boot_id.is_some()
    }

    /// The hello as a gateway sends it, secrets included. For simulated gateways and lossless copies only.
    pub fn to_wire(&self) -> Result<Value, serde_json::Error> {
        let mut value = serde_json::to_value(self)?;
        if let (Some(auth), Some(map)) = (&self.auth, value.as_object_mut()) {
            map.insert("auth".to_owned(), auth.to_wire()?);
        }
        Ok(value)
    }

    /// The way this client was let in (from 2026.9 on), else the way the gateway demands: `token`, `password`, `none`.
    pub fn auth_method(&self) -> Option<&str> {
        let method = self.auth.as_ref().and_then(|auth| auth.method.as_deref());
        method.or(self.snapshot.auth_mode.as_deref())
    }

    /// The scopes that the gateway granted, if it names them.
    pub fn granted_scopes(&self) -> Option<&[Scope]> {
        self.auth.as_ref()?.scopes.as_deref()
    }
}

impl<'de> Deserialize<'de> for HelloOk {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut map = Map::deserialize(deserializer)?;
        let tag: String = need(&mut map, "type")?;
        if tag != TAG {
            return Err(serde::de::Error::custom(format_args!("type: not {TAG}")));
        }
        Ok(Self {
            protocol: need(&mut map, "protocol")?,
            server: need(&mut map, "server")?,
            features: Arc::new(take_or_empty(&mut map, "features")),
            snapshot: take_or_empty(&mut map, "snapshot"),
            policy: take_or_empty(&mut map, "policy"),
            auth: take(&mut map, "auth"),
            extra: map.into(),
        })
    }
}

/// An open object decodes from any object, so only something that is none stays behind in `map`.
fn take_or_empty<T: Default + serde::de::DeserializeOwned>(map: &mut Map<String, Value>, key: &str) -> T {
    take(map, key).unwrap_or_default()
}

impl Serialize for HelloOk {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", TAG)?;
        map.serialize_entry("protocol", &self.protocol)?;
        map.serialize_entry("server", &self.server)?;
        // One that was no object has stayed in `extra`.
        if !self.extra.contains_key("features") {
            map.serialize_entry("features", &self.features)?;
        }
        if !self.extra.contains_key("snapshot") {
            map.serialize_entry("snapshot", &self.snapshot)?;
        }
        if !self.extra.contains_key("policy") {
            map.serialize_entry("policy", &self.policy)?;
        }
        if let Some(auth) = &self.auth {
            map.serialize_entry("auth", auth)?;
        }
        for (key, value) in self.extra.iter() {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

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
    fn to_wire(&self) -> Result<Value, serde_json::Error> {
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
