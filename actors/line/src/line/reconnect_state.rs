//! The state that a line keeps from one connection to the next.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rand::SeedableRng as _;
use rand::rngs::Xoshiro256PlusPlus;
use windlass_protocol::connection::{Backoff, BootIdentity, Continuity};
use windlass_protocol::{
    Auth, Challenge, CloseClass, ConnectParams, ConnectRefusal, CredentialKind, CredentialPlan,
    DEVICE_TOKEN_RETRY_DELAY, DeviceFault, EndpointTrust, HelloOk, Pause, RawJson, RefusalKind, Role, Secret,
    SignatureInput, SignatureVersion, StoreAction,
};

use crate::line::DisconnectReason;
use crate::{GatewaySpec, TlsPolicy};

/// The part of a line that learns: how far its backoff is, which credentials work, which gateway process it last met.
pub(crate) struct ReconnectState {
    pub(crate) backoff: Backoff,
    /// For waits, nothing secret: a tenth of the size of one that could be used for keys.
    pub(crate) rng: Xoshiro256PlusPlus,
    /// Nothing until the device's token was read.
    plan: Option<CredentialPlan>,
    /// 2026.1.30 takes v2 signatures only, and says so only by refusing.
    signature: SignatureVersion,
    boot: Option<BootIdentity>,
    restart_announced: bool,
    up_since: Option<Instant>,
    /// The gateway closed for a policy, and no healthy stretch came since.
    closed_by_policy: bool,
    /// The connection that ended last was up and closed for a policy: the next attempt tells whether that is a refusal.
    try_at_once: bool,
}

impl ReconnectState {
    pub(crate) fn new(spec: &GatewaySpec, seed: u64) -> Self {
        Self {
            backoff: Backoff::new(spec.backoff),
            rng: Xoshiro256PlusPlus::seed_from_u64(seed),
            plan: None,
            signature: SignatureVersion::V3,
            boot: None,
            restart_announced: false,
            up_since: None,
            closed_by_policy: false,
            try_at_once: false,
        }
    }

    /// The gateway is reached in another way from now on: known facts about credentials no longer hold.
    pub(crate) fn forget(&mut self, spec: &GatewaySpec) {
        self.plan = None;
        self.backoff = Backoff::new(spec.backoff);
        self.signature = SignatureVersion::V3;
    }

    /// Whether the device's token was read since the gateway is reached in this way.
    pub(crate) const fn has_credentials(&self) -> bool {
        self.plan.is_some()
    }

    /// The device's token was read.
    pub(crate) fn has_read(&mut self, spec: &GatewaySpec, token: Option<Secret>) {
        self.plan = Some(plan(spec, token));
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
        let auth = self.plan.as_ref().and_then(CredentialPlan::choose);
        let device = spec.device.as_ref().map(|device| {
            let input = SignatureInput {
                client: &spec.client,
                role: &Role::Operator,
                scopes: &spec.scopes,
                token: auth.as_ref().and_then(Auth::signature_token),
                // The gateway's own clock: then the skew between the two shards does not matter.
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
        self.plan.as_ref().map_or(CredentialKind::None, CredentialPlan::kind)
    }

    /// A hello-ok came at `now`. Tells whether the gateway is the one met before (`None` the first time), and the order for the
    /// device's token.
    pub(crate) fn on_hello(&mut self, hello: &HelloOk, now: Instant) -> (Option<Continuity>, StoreAction) {
        let plan = self.plan.as_mut();
        let action = plan.map_or(StoreAction::Keep, |plan| plan.on_hello(hello));
        self.up_since = Some(now);
        let boot = BootIdentity::new(hello, now);
        let announced = std::mem::take(&mut self.restart_announced);
        let before = self.boot.replace(boot.clone());
        (before.map(|before| boot.since(&before, announced)), action)
    }

    /// The gateway said that it goes down.
    pub(crate) const fn expect_restart(&mut self) {
        self.restart_announced = true;
    }

    /// A connection, or an attempt at one, ended. Returns the order for the device's token.
    pub(crate) fn on_end(&mut self, exit: &DisconnectReason, now: Instant) -> StoreAction {
        self.restart_announced |= exit.announces_restart();
        let uptime = self.up_since.take().map(|since| now.saturating_duration_since(since));
        if let Some(uptime) = uptime {
            self.backoff.after_uptime(uptime);
        }
        self.judge_policy_close(exit, uptime);
        match (exit, &mut self.plan) {
            (DisconnectReason::Closed(reason), Some(plan)) => plan.on_close(reason),
            _ => StoreAction::Keep,
        }
    }

    /// A close for a policy says that a person has to act, if it is the answer to `connect`. Of a line that was up it says
    /// nothing: the next attempt tells. So it is one more end the first time, and a refusal if it comes again before the line
    /// was up for a healthy stretch.
    fn judge_policy_close(&mut self, exit: &DisconnectReason, uptime: Option<Duration>) {
        let by_policy = matches!(exit, DisconnectReason::Closed(reason) if reason.class() == CloseClass::PolicyRefused);
        let healthy = uptime.is_some_and(|uptime| self.backoff.is_healthy(uptime));
        let before = self.closed_by_policy && !healthy;
        self.try_at_once = by_policy && uptime.is_some() && !before;
        if by_policy || healthy {
            self.closed_by_policy = by_policy;
        }
    }

    /// After how long other credentials are tried, if a refusal leaves some, and the order for the device's token.
    pub(crate) fn second_chance(
        &mut self,
        exit: &DisconnectReason,
        spec: &GatewaySpec,
    ) -> (Option<Duration>, StoreAction) {
        if std::mem::take(&mut self.try_at_once) {
            return (Some(Duration::ZERO), StoreAction::Keep);
        }
        let DisconnectReason::Refused(refusal, _) = exit else {
            return (None, StoreAction::Keep);
        };
        if self.may_be_too_old_for_v3(refusal, spec) {
            self.signature = SignatureVersion::V2;
            return (Some(Duration::ZERO), StoreAction::Keep);
        }
        let Some(plan) = &mut self.plan else {
            return (None, StoreAction::Keep);
        };
        let after = plan.on_refusal(refusal);
        let delay = (after.pause != refusal.pause()).then_some(match after.pause {
            Pause::Retry { after: Some(delay) } => delay,
            Pause::Retry { after: None } | Pause::SlowPoll { .. } => DEVICE_TOKEN_RETRY_DELAY,
        });
        (delay, after.store)
    }

    fn may_be_too_old_for_v3(&self, refusal: &ConnectRefusal, spec: &GatewaySpec) -> bool {
        spec.device.is_some()
            && self.signature == SignatureVersion::V3
            && matches!(
                refusal.kind(),
                RefusalKind::DeviceSignature(DeviceFault::SignatureInvalid)
            )
    }
}

fn plan(spec: &GatewaySpec, device_token: Option<Secret>) -> CredentialPlan {
    let configured = Auth::configured(spec.token.clone(), spec.password.clone());
    let pinned = matches!(spec.tls, TlsPolicy::Pinned(_));
    let trusted = spec.endpoint.is_loopback() || (spec.endpoint.is_secure() && pinned);
    let trust = if trusted {
        EndpointTrust::Trusted
    } else {
        EndpointTrust::Untrusted
    };
    CredentialPlan::new(configured, device_token, trust)
}

fn millis(wall: SystemTime) -> u64 {
    let since = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
