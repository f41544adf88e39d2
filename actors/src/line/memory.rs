//! What a line remembers from one connection to the next.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rand::SeedableRng as _;
use rand::rngs::Xoshiro256PlusPlus;
use windlass_protocol::connection::{Backoff, BootIdentity, Continuity};
use windlass_protocol::{
    Auth, Challenge, ConnectParams, ConnectRefusal, CredentialKind, CredentialPlan, DEVICE_TOKEN_RETRY_DELAY,
    DeviceFault, EndpointTrust, HelloOk, Pause, RawJson, RefusalKind, Role, SignatureInput, SignatureVersion,
    StoreAction,
};

use crate::connection::Exit;
use crate::tokens::{DeviceTokenStore, TokenKey};
use crate::{GatewaySpec, TlsPolicy};

/// The part of a line that learns: how far its backoff is, which credentials work, which gateway process it last met.
pub(crate) struct Memory {
    pub(crate) backoff: Backoff,
    /// For waits, nothing secret: a tenth of the size of one that could be used for keys.
    pub(crate) rng: Xoshiro256PlusPlus,
    key: TokenKey,
    tokens: Arc<dyn DeviceTokenStore>,
    plan: CredentialPlan,
    /// 2026.1.30 takes v2 signatures only, and says so only by refusing.
    signature: SignatureVersion,
    boot: Option<BootIdentity>,
    restart_announced: bool,
    up_since: Option<Instant>,
}

impl Memory {
    pub(crate) fn new(spec: &GatewaySpec, tokens: Arc<dyn DeviceTokenStore>, seed: u64) -> Self {
        Self {
            backoff: Backoff::new(spec.backoff),
            rng: Xoshiro256PlusPlus::seed_from_u64(seed),
            key: spec.token_key(),
            plan: plan(spec, &*tokens),
            tokens,
            signature: SignatureVersion::V3,
            boot: None,
            restart_announced: false,
            up_since: None,
        }
    }

    /// The gateway is reached in another way from now on: what was learnt about credentials no longer holds.
    pub(crate) fn forget(&mut self, spec: &GatewaySpec) {
        self.key = spec.token_key();
        self.plan = plan(spec, &*self.tokens);
        self.backoff = Backoff::new(spec.backoff);
        self.signature = SignatureVersion::V3;
    }

    /// The number of the attempt that begins, since the line was last up for a healthy stretch.
    pub(crate) const fn attempt(&self) -> u32 {
        self.backoff.attempt() + 1
    }

    /// Whether a connection of this line reached hello-ok and has not ended.
    pub(crate) const fn is_up(&self) -> bool {
        self.up_since.is_some()
    }

    /// The parameters of `connect`, signed for this challenge.
    pub(crate) fn connect_params(
        &self,
        spec: &GatewaySpec,
        challenge: &Challenge,
        wall: SystemTime,
    ) -> Result<RawJson, String> {
        let auth = self.plan.choose();
        let device = spec.device.as_ref().map(|device| {
            let input = SignatureInput {
                client: &spec.client,
                role: &Role::Operator,
                scopes: &spec.scopes,
                token: auth.as_ref().and_then(Auth::signature_token),
                // The gateway's own clock: then the skew between the two machines does not matter.
                signed_at_ms: challenge.ts.unwrap_or_else(|| millis(wall)),
                nonce: &challenge.nonce,
            };
            device.sign(&input, self.signature)
        });
        let mut params = ConnectParams::operator(spec.client.clone(), spec.scopes.clone());
        params.caps.clone_from(&spec.caps);
        RawJson::from_value(&params.with_auth(auth).with_device(device)).map_err(|error| error.to_string())
    }

    /// Which credentials [`connect_params`](Self::connect_params) has in it.
    pub(crate) fn sends(&self) -> CredentialKind {
        self.plan.kind()
    }

    /// A hello-ok came at `now`. Tells whether the gateway is the one met before; nothing the first time.
    pub(crate) fn met(&mut self, hello: &HelloOk, now: Instant) -> Option<Continuity> {
        let action = self.plan.on_hello(hello);
        self.keep(action);
        self.up_since = Some(now);
        let boot = BootIdentity::new(hello, now);
        let announced = std::mem::take(&mut self.restart_announced);
        let before = self.boot.replace(boot.clone())?;
        Some(boot.since(&before, announced))
    }

    /// The gateway said that it goes down.
    pub(crate) const fn expect_restart(&mut self) {
        self.restart_announced = true;
    }

    /// A connection, or an attempt at one, ended.
    pub(crate) fn ended(&mut self, exit: &Exit, now: Instant) {
        self.restart_announced |= exit.announces_restart();
        if let Some(since) = self.up_since.take() {
            self.backoff.after_uptime(now.saturating_duration_since(since));
        }
        if let Exit::Closed(reason) = exit {
            let action = self.plan.on_close(reason);
            self.keep(action);
        }
    }

    /// After how long other credentials are tried, if a refusal leaves some.
    pub(crate) fn second_chance(&mut self, exit: &Exit, spec: &GatewaySpec) -> Option<Duration> {
        let Exit::Refused(refusal, _) = exit else { return None };
        if self.may_be_too_old_for_v3(refusal, spec) {
            self.signature = SignatureVersion::V2;
            return Some(Duration::ZERO);
        }
        let after = self.plan.on_refusal(refusal);
        self.keep(after.store);
        (after.pause != refusal.pause()).then_some(match after.pause {
            Pause::Retry { after: Some(delay) } => delay,
            Pause::Retry { after: None } | Pause::SlowPoll { .. } => DEVICE_TOKEN_RETRY_DELAY,
        })
    }

    fn may_be_too_old_for_v3(&self, refusal: &ConnectRefusal, spec: &GatewaySpec) -> bool {
        spec.device.is_some()
            && self.signature == SignatureVersion::V3
            && matches!(
                refusal.kind(),
                RefusalKind::DeviceSignature(DeviceFault::SignatureInvalid)
            )
    }

    fn keep(&self, action: StoreAction) {
        let done = match action {
            StoreAction::Keep => Ok(()),
            StoreAction::Save(token) => self.tokens.store(&self.key, &token),
            StoreAction::Forget => self.tokens.clear(&self.key),
        };
        if let Err(error) = done {
            tracing::warn!(gateway = %self.key.gateway, %error, "the line goes on, but the device may have to be paired again");
        }
    }
}

fn plan(spec: &GatewaySpec, tokens: &dyn DeviceTokenStore) -> CredentialPlan {
    let configured = Auth::configured(spec.token.clone(), spec.password.clone());
    let pinned = matches!(spec.tls, TlsPolicy::Pinned(_));
    let trusted = spec.endpoint.is_loopback() || (spec.endpoint.is_secure() && pinned);
    let trust = if trusted {
        EndpointTrust::Trusted
    } else {
        EndpointTrust::Untrusted
    };
    CredentialPlan::new(configured, tokens.load(&spec.token_key()), trust)
}

fn millis(wall: SystemTime) -> u64 {
    let since = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
