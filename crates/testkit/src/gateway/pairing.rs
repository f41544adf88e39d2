//! Paired devices and requests that wait for approval.

use serde_json::{Value, json};

use super::random::Random;

/// A device that was approved, by a person or silently.
#[derive(Clone, Debug)]
pub(crate) struct Paired {
    pub(crate) device_id: String,
    pub(crate) public_key: String,
    pub(crate) client_id: String,
    pub(crate) mode: String,
    pub(crate) platform: String,
    pub(crate) role: String,
    pub(crate) scopes: Vec<String>,
    /// `None` once revoked.
    pub(crate) token: Option<String>,
    pub(crate) at_ms: u64,
    pub(crate) issued_ms: u64,
}

/// A device that waits for approval.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PendingPairing {
    /// Id to approve or reject; the same on every retry while it is pending.
    pub request_id: String,
    /// The device.
    pub device_id: String,
    /// Scopes that it asked for.
    pub scopes: Vec<String>,
    pub(crate) public_key: String,
    pub(crate) client_id: String,
    pub(crate) mode: String,
    pub(crate) platform: String,
    pub(crate) role: String,
    pub(crate) at_ms: u64,
    pub(crate) repair: bool,
}

/// Both lists; on disk, so they survive restarts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Devices {
    pub(crate) paired: Vec<Paired>,
    pub(crate) pending: Vec<PendingPairing>,
}

impl Devices {
    pub(crate) fn find(&self, device_id: &str) -> Option<&Paired> {
        self.paired.iter().find(|device| device.device_id == device_id)
    }

    /// True if `token` is the live token of this device.
    pub(crate) fn knows(&self, device_id: &str, token: &str) -> bool {
        self.find(device_id)
            .is_some_and(|device| device.token.as_deref() == Some(token))
    }

    /// Moves a pending request to the paired devices; gives the record as `device.pair.approve` shows it.
    pub(crate) fn approve(&mut self, request_id: &str, random: &mut Random, now_ms: u64) -> Option<Value> {
        let at = self
            .pending
            .iter()
            .position(|pending| pending.request_id == request_id)?;
        let pending = self.pending.remove(at);
        self.paired.retain(|device| device.device_id != pending.device_id);
        let device = Paired {
            device_id: pending.device_id,
            public_key: pending.public_key,
            client_id: pending.client_id,
            mode: pending.mode,
            platform: pending.platform,
            role: pending.role,
            scopes: pending.scopes,
            token: Some(random.token()),
            at_ms: now_ms,
            issued_ms: now_ms,
        };
        let shown = device.to_json();
        self.paired.push(device);
        Some(shown)
    }

    pub(crate) fn reject(&mut self, request_id: &str) -> Option<PendingPairing> {
        let at = self
            .pending
            .iter()
            .position(|pending| pending.request_id == request_id)?;
        Some(self.pending.remove(at))
    }

    pub(crate) fn remove(&mut self, device_id: &str) -> bool {
        let before = self.paired.len();
        self.paired.retain(|device| device.device_id != device_id);
        self.paired.len() != before
    }

    pub(crate) fn revoke(&mut self, device_id: &str) -> bool {
        match self.paired.iter_mut().find(|device| device.device_id == device_id) {
            Some(device) => device.token.take().is_some(),
            None => false,
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "pending": self.pending.iter().map(PendingPairing::to_json).collect::<Vec<_>>(),
            "paired": self.paired.iter().map(Paired::to_json).collect::<Vec<_>>(),
        })
    }
}

impl Paired {
    fn to_json(&self) -> Value {
        let tokens = self.token.iter().map(|_| {
            let mut scopes = self.scopes.clone();
            scopes.sort();
            json!({"role": self.role, "scopes": scopes, "createdAtMs": self.issued_ms})
        });
        json!({
            "deviceId": self.device_id,
            "publicKey": self.public_key,
            "platform": self.platform,
            "clientId": self.client_id,
            "clientMode": self.mode,
            "role": self.role,
            "roles": [self.role],
            "scopes": self.scopes,
            "createdAtMs": self.at_ms,
            "approvedAtMs": self.at_ms,
            "tokens": tokens.collect::<Vec<_>>(),
        })
    }
}

impl PendingPairing {
    /// The form of `device.pair.list` and of the `device.pair.requested` event.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "requestId": self.request_id,
            "deviceId": self.device_id,
            "publicKey": self.public_key,
            "platform": self.platform,
            "clientId": self.client_id,
            "clientMode": self.mode,
            "role": self.role,
            "roles": [self.role],
            "scopes": self.scopes,
            "remoteIp": "203.0.113.9",
            "silent": false,
            "isRepair": self.repair,
            "ts": self.at_ms,
        })
    }
}
