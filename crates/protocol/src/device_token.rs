//! Which credentials the next connect uses, and when a device token is stored or removed.
//!
//! The rules are those of the reference client, with one addition marked below:
//!
//! * a device token that a hello carries is stored;
//! * with neither a token nor a password configured, the stored one is used;
//! * when a configured token is refused with `AUTH_TOKEN_MISMATCH` and a device token is stored, there is one more try after
//!   [`DEVICE_TOKEN_RETRY_DELAY`] that sends both, but only where the line to the gateway is trusted;
//! * (added) when that try succeeds, later connects go on sending both, so that not every reconnect begins with a failed login
//!   that the gateway counts;
//! * `AUTH_DEVICE_TOKEN_MISMATCH`, or close 1008 with "device token mismatch", forgets the stored token. `AUTH_TOKEN_MISMATCH` does
//!   not, even when the device token was all that was sent: the gateway may just not be the one that issued it.
//!
//! This is a pure state machine: the owner of the storage carries out the returned [`StoreAction`].

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::close::{CloseClass, CloseReason};
use crate::connect::Auth;
use crate::connect::CredentialKind;
use crate::hello::HelloOk;
use crate::refusal::{ConnectRefusal, RefusalKind};
use crate::text::Secret;
use crate::time::Pause;

/// Longest device token that is taken, in bytes. All nine releases of 2026 issue 43; a signed one of a later release may have a
/// thousand or two.
pub const DEVICE_TOKEN_MAX: usize = 4 * 1024;
/// The pause before the one retry with the device token, as the reference client has it.
pub const DEVICE_TOKEN_RETRY_DELAY: Duration = Duration::from_millis(250);

/// Whether a device token may be sent beside a refused token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndpointTrust {
    /// Loopback, or `wss` with a pinned certificate: no other server can be listening.
    Trusted,
    /// Anything else: a wrong host that refuses our token must not be handed the device's own.
    Untrusted,
}

/// The order for the stored device token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum StoreAction {
    /// Nothing.
    Keep,
    /// Store this one in place of any other.
    Save(Secret),
    /// Delete it.
    Forget,
}

/// How to go on after a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct AfterRefusal {
    /// When to try again.
    pub pause: Pause,
    /// The order for the stored device token.
    pub store: StoreAction,
}

/// The credentials of one gateway over all its connections.
#[derive(Clone, Debug)]
pub struct CredentialPlan {
    configured: Option<Auth>,
    stored: Option<Secret>,
    trust: EndpointTrust,
    retry: DeviceTokenRetry,
}

/// Where the one retry with the device token stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DeviceTokenRetry {
    /// Not tried.
    Unused,
    /// The next connect (and every later one, once it has worked) sends both.
    Both,
    /// Tried in vain.
    Spent,
}

impl CredentialPlan {
    /// Begins with the configured and the stored credentials. An empty secret counts as none.
    pub fn new(configured: Option<Auth>, stored: Option<Secret>, trust: EndpointTrust) -> Self {
        let configured = configured.filter(|auth| !is_empty(auth));
        let stored = stored.filter(may_be_kept);
        Self {
            configured,
            stored,
            trust,
            retry: DeviceTokenRetry::Unused,
        }
    }

    /// The credentials of the next connect; `None` sends no `auth` at all.
    pub fn choose(&self) -> Option<Auth> {
        match (&self.configured, &self.stored) {
            // A gateway that refused the token looks at no password.
            (Some(Auth::Token(token) | Auth::TokenAndPassword { token, .. }), Some(stored))
                if self.retry == DeviceTokenRetry::Both =>
            {
                Some(Auth::TokenAndDeviceToken {
                    token: token.clone(),
                    device_token: stored.clone(),
                })
            }
            (Some(configured), _) => Some(configured.clone()),
            (None, Some(stored)) => Some(Auth::DeviceToken(stored.clone())),
            (None, None) => None,
        }
    }

    /// Which credentials the next connect sends.
    pub fn kind(&self) -> CredentialKind {
        self.choose().as_ref().map_or(CredentialKind::None, Auth::kind)
    }

    /// The gateway accepted: takes over the device token that it may have issued.
    pub fn on_hello(&mut self, hello: &HelloOk) -> StoreAction {
        if self.retry == DeviceTokenRetry::Spent {
            self.retry = DeviceTokenRetry::Unused;
        }
        match hello.auth.as_ref().and_then(|auth| auth.device_token.as_ref()) {
            Some(issued) if !may_be_kept(issued) => StoreAction::Keep,
            Some(issued) if self.stored.as_ref() != Some(issued) => {
                self.stored = Some(issued.clone());
                StoreAction::Save(issued.clone())
            }
            _ => StoreAction::Keep,
        }
    }

    /// The gateway refused the credentials of [`choose`](Self::choose).
    pub fn on_refusal(&mut self, refusal: &ConnectRefusal) -> AfterRefusal {
        let mut pause = refusal.pause();
        let store = match refusal.kind() {
            RefusalKind::DeviceTokenMismatch => self.forget(),
            RefusalKind::TokenMismatch { .. } => {
                if let Some(delay) = self.next_try() {
                    pause = Pause::Retry { after: Some(delay) };
                }
                StoreAction::Keep
            }
            _ => StoreAction::Keep,
        };
        // Without the refused device token there may be something else to try, and trying it once is no hammering.
        if store == StoreAction::Forget && self.configured.is_some() {
            pause = Pause::BACKOFF;
        }
        AfterRefusal { pause, store }
    }

    /// The connection was closed, before or after hello.
    pub fn on_close(&mut self, close: &CloseReason) -> StoreAction {
        match close.class() {
            CloseClass::DeviceTokenMismatch => self.forget(),
            _ => StoreAction::Keep,
        }
    }

    /// The delay before the one retry, if there is one left.
    fn next_try(&mut self) -> Option<Duration> {
        let may = matches!(self.configured, Some(Auth::Token(_) | Auth::TokenAndPassword { .. }))
            && self.stored.is_some()
            && self.trust == EndpointTrust::Trusted
            && self.retry == DeviceTokenRetry::Unused;
        self.retry = if may {
            DeviceTokenRetry::Both
        } else {
            DeviceTokenRetry::Spent
        };
        may.then_some(DEVICE_TOKEN_RETRY_DELAY)
    }

    fn forget(&mut self) -> StoreAction {
        self.retry = DeviceTokenRetry::Unused;
        if self.stored.take().is_some() {
            StoreAction::Forget
        } else {
            StoreAction::Keep
        }
    }
}

fn may_be_kept(token: &Secret) -> bool {
    !token.is_empty() && token.expose().len() <= DEVICE_TOKEN_MAX
}

fn is_empty(auth: &Auth) -> bool {
    match auth {
        Auth::Token(secret) | Auth::Password(secret) | Auth::DeviceToken(secret) | Auth::BootstrapToken(secret) => {
            secret.is_empty()
        }
        Auth::TokenAndPassword { token, password } => token.is_empty() && password.is_empty(),
        Auth::TokenAndDeviceToken { token, device_token } => token.is_empty() && device_token.is_empty(),
    }
}
