//! The first exchange: `connect.challenge`, `connect`, `hello-ok` or a refusal.

use serde_json::{Value, json};

use super::device::{self, Signed};
use super::hello;
use super::pairing::{Paired, PendingPairing};
use super::profile::{MismatchDetails, Profile};
use super::server::Server;
use super::state::{Peer, State};
use super::wire::WireError;

/// What the HTTP upgrade told about the caller.
#[derive(Clone, Debug, Default)]
pub(crate) struct Upgrade {
    pub(crate) origin: Option<String>,
    pub(crate) host: Option<String>,
    /// Came through a proxy that says so.
    pub(crate) forwarded: bool,
}

/// A refused handshake: the error of the response, then this close.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) error: Box<WireError>,
    pub(crate) code: u16,
    pub(crate) reason: String,
}

impl From<WireError> for Refusal {
    fn from(error: WireError) -> Self {
        let reason = error.message().to_owned();
        Self {
            error: Box::new(error),
            code: 1008,
            reason,
        }
    }
}

/// How the caller proved itself.
pub(crate) struct Admission {
    pub(crate) peer: Peer,
    pub(crate) method: &'static str,
    /// Issued or renewed, with its time of issue.
    pub(crate) device_token: Option<(String, u64)>,
}

pub(crate) fn challenge(profile: &Profile, nonce: &str, ts: u64) -> Value {
    let mut payload = json!({"nonce": nonce, "ts": ts});
    if profile.challenge_capabilities {
        payload["capabilities"] = json!(["model-catalog-snapshot"]);
    }
    payload
}

/// Decides a `connect`. On success the payload of `hello-ok` and the peer; nothing is registered yet.
pub(crate) fn connect(
    server: &Server,
    state: &mut State,
    upgrade: &Upgrade,
    nonce: &str,
    params: &Value,
) -> Result<(Value, Peer), Refusal> {
    let profile = &server.profile;
    super::params::check_connect(profile, params)
        .map_err(|complaint| WireError::invalid(format!("invalid connect params: {complaint}")))?;
    if state.starting_until.is_some_and(|until| super::clock::now() < until) {
        let error = WireError::new("UNAVAILABLE", "gateway starting; retry shortly")
            .retry_after_ms(500)
            .details(json!({"reason": "startup-sidecars"}));
        return Err(Refusal {
            error: Box::new(error),
            code: 1013,
            reason: "gateway starting".into(),
        });
    }
    protocol(profile, params)?;
    let role = params["role"].as_str().unwrap_or("operator");
    if !matches!(role, "operator" | "node") {
        return Err(WireError::invalid("invalid role").into());
    }
    let admission = admit(server, state, upgrade, nonce, params)?;
    let payload = hello::payload(server, state, &admission);
    Ok((payload, admission.peer))
}

fn protocol(profile: &Profile, params: &Value) -> Result<(), Refusal> {
    let (min, max) = (
        params["minProtocol"].as_u64().unwrap_or(0),
        params["maxProtocol"].as_u64().unwrap_or(0),
    );
    let own = profile.generation.number();
    // A probe may be one generation behind (2026.9.6).
    let probe = profile.v4() && params["client"]["mode"] == "probe" && (3..=own).any(|p| min <= p && p <= max);
    if (min <= own && own <= max) || probe {
        return Ok(());
    }
    let details = match profile.mismatch {
        MismatchDetails::Expected => json!({"expectedProtocol": own}),
        MismatchDetails::WithProbe => json!({"expectedProtocol": own, "minimumProbeProtocol": 3}),
        MismatchDetails::Coded => json!({
            "code": "PROTOCOL_MISMATCH",
            "clientMinProtocol": min,
            "clientMaxProtocol": max,
            "expectedProtocol": own,
            "minimumProbeProtocol": 3,
        }),
    };
    let error = WireError::invalid("protocol mismatch").details(details);
    Err(Refusal {
        error: Box::new(error),
        code: 1002,
        reason: "protocol mismatch".into(),
    })
}

fn admit(
    server: &Server,
    state: &mut State,
    upgrade: &Upgrade,
    nonce: &str,
    params: &Value,
) -> Result<Admission, WireError> {
    let profile = &server.profile;
    let has_device = params.get("device").is_some_and(|device| !device.is_null());
    if params["client"]["id"] == "openclaw-control-ui" {
        control_ui(server, upgrade, params, has_device)?;
    }
    let device_id = if has_device {
        let token = ["token", "deviceToken", "bootstrapToken"]
            .iter()
            .find_map(|key| params["auth"][*key].as_str())
            .unwrap_or_default();
        let signed = Signed {
            params,
            token,
            nonce,
            now_ms: server.clock.wall_ms(),
        };
        Some(device::verify(profile, &signed)?)
    } else {
        None
    };
    let method = authenticate(
        profile,
        state,
        server.options.password.as_deref(),
        params,
        device_id.as_deref(),
    )?;
    let mut peer = peer(params, device_id);
    if peer.mode == "probe" && profile.v4() {
        peer.scopes.clear();
    }
    let remote = server.options.remote || upgrade.forwarded;
    let device_token = match peer.device_id.clone() {
        None => {
            if remote || !keeps_scopes(profile, &peer, server.options.insecure_control_ui) {
                peer.scopes.clear();
            }
            None
        }
        Some(id) => pair(server, state, &peer, &id, params, remote, method)?,
    };
    Ok(Admission {
        peer,
        method,
        device_token,
    })
}

fn keeps_scopes(profile: &Profile, peer: &Peer, insecure_control_ui: bool) -> bool {
    match peer.client_id.as_str() {
        "openclaw-control-ui" => insecure_control_ui,
        _ if peer.mode == "backend" => profile.backend_scopes,
        _ => profile.cli_scopes,
    }
}

fn control_ui(server: &Server, upgrade: &Upgrade, params: &Value, has_device: bool) -> Result<(), WireError> {
    let refused = |reason: &str| {
        WireError::invalid(
            "origin not allowed (open the Control UI from the gateway host or allow it in \
             gateway.controlUi.allowedOrigins)",
        )
        .details(json!({"code": "CONTROL_UI_ORIGIN_NOT_ALLOWED", "reason": reason}))
    };
    let Some(origin) = &upgrade.origin else {
        return Err(refused("origin missing or invalid"));
    };
    let host = origin.split_once("://").map(|(_, host)| host);
    if host.is_none() || host != upgrade.host.as_deref() {
        return Err(refused("origin not allowed"));
    }
    let profile = &server.profile;
    if !has_device && (profile.v4() || !server.options.insecure_control_ui) {
        let message = "control ui requires device identity (use HTTPS or localhost secure context)";
        return Err(WireError::invalid(message).details(json!({"code": "CONTROL_UI_DEVICE_IDENTITY_REQUIRED"})));
    }
    if profile.v4() && params["client"]["buildId"] != hello::build_id(profile) {
        let message = "protocol mismatch: Control UI updated; reload this page to continue";
        return Err(WireError::new("UNAVAILABLE", message).retryable(false).details(json!({
            "code": "PROTOCOL_MISMATCH",
            "gatewayBuildId": hello::build_id(profile),
            "reloadRequired": true,
        })));
    }
    Ok(())
}

/// A gateway in password mode looks at the password alone, whatever token stands beside it.
fn by_password(expected: &str, given: Option<&str>) -> Result<&'static str, WireError> {
    let (code, reason) = match given {
        Some(given) if given == expected => return Ok("password"),
        Some(_) => ("AUTH_PASSWORD_MISMATCH", "password_mismatch"),
        None => ("AUTH_PASSWORD_MISSING", "password_missing"),
    };
    let words = reason.replace('_', " ");
    Err(
        WireError::invalid(format!("unauthorized: gateway {words}")).details(json!({
            "code": code,
            "authReason": reason,
            "canRetryWithDeviceToken": false,
        })),
    )
}

fn authenticate(
    profile: &Profile,
    state: &State,
    password: Option<&str>,
    params: &Value,
    device_id: Option<&str>,
) -> Result<&'static str, WireError> {
    let auth = |key: &str| params["auth"][key].as_str().filter(|value| !value.is_empty());
    if let Some(expected) = password {
        return by_password(expected, auth("password"));
    }
    let Some(expected) = state.token.as_deref() else {
        return Ok("none");
    };
    // Protocol 4 takes the token in the password field too.
    let shared = auth("token").or_else(|| auth("password").filter(|_| profile.v4()));
    if shared == Some(expected) {
        return Ok("token");
    }
    if let Some(device_id) = device_id
        && [auth("deviceToken"), auth("token")]
            .into_iter()
            .flatten()
            .any(|token| state.devices.knows(device_id, token))
    {
        return Ok("device-token");
    }
    if shared.is_none() && auth("deviceToken").is_none() {
        return Err(match (device_id, auth("password")) {
            (None, None) => WireError::new("NOT_PAIRED", "device identity required")
                .details(json!({"code": "DEVICE_IDENTITY_REQUIRED"})),
            _ => {
                WireError::invalid("unauthorized: gateway token missing (provide gateway auth token)").details(json!({
                    "code": "AUTH_TOKEN_MISSING",
                    "authReason": "token_missing",
                    "canRetryWithDeviceToken": false,
                    "recommendedNextStep": "update_auth_configuration",
                }))
            }
        });
    }
    let (hint, retry, step) = match (device_id.is_some(), profile.v4()) {
        (true, true) => (
            "use this gateway's gateway.auth.token or pair the device",
            true,
            "retry_with_device_token",
        ),
        (true, false) => (
            "set gateway.remote.token to match gateway.auth.token",
            true,
            "retry_with_device_token",
        ),
        (false, _) => ("provide gateway auth token", false, "update_auth_credentials"),
    };
    Err(
        WireError::invalid(format!("unauthorized: gateway token mismatch ({hint})")).details(json!({
            "code": "AUTH_TOKEN_MISMATCH",
            "authReason": "token_mismatch",
            "canRetryWithDeviceToken": retry,
            "recommendedNextStep": step,
        })),
    )
}

fn peer(params: &Value, device_id: Option<String>) -> Peer {
    let client = |key: &str| params["client"][key].as_str().unwrap_or_default().to_owned();
    let list = |key: &str| -> Vec<String> {
        params[key]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    };
    Peer {
        client_id: client("id"),
        mode: client("mode"),
        version: client("version"),
        platform: client("platform"),
        role: params["role"].as_str().unwrap_or("operator").to_owned(),
        scopes: list("scopes"),
        caps: list("caps"),
        device_id,
    }
}

/// Pairing rules for a device whose signature is good.
fn pair(
    server: &Server,
    state: &mut State,
    peer: &Peer,
    device_id: &str,
    params: &Value,
    remote: bool,
    method: &str,
) -> Result<Option<(String, u64)>, WireError> {
    let profile = &server.profile;
    let now_ms = server.clock.wall_ms();
    let known = state.devices.find(device_id).cloned();
    let covered = known
        .as_ref()
        .is_some_and(|device| device.token.is_some() && peer.scopes.iter().all(|s| device.scopes.contains(s)));
    if covered {
        return Ok(known.and_then(|device| Some((device.token?, device.issued_ms))));
    }
    if method == "device-token" {
        return Err(scopes_beyond_token(profile));
    }
    if remote {
        return Err(pairing_required(
            server,
            state,
            peer,
            device_id,
            params,
            known.is_some(),
        ));
    }
    if peer.mode == "backend" && !profile.backend_paired {
        return Ok(None);
    }
    let token = state.random.token();
    state.devices.remove(device_id);
    state.devices.paired.push(Paired {
        device_id: device_id.to_owned(),
        public_key: params["device"]["publicKey"].as_str().unwrap_or_default().to_owned(),
        client_id: peer.client_id.clone(),
        mode: peer.mode.clone(),
        platform: peer.platform.clone(),
        role: peer.role.clone(),
        scopes: peer.scopes.clone(),
        token: Some(token.clone()),
        at_ms: known.map_or(now_ms, |device| device.at_ms),
        issued_ms: now_ms,
    });
    Ok(Some((token, now_ms)))
}

/// Asking for more than the device token covers; the code is in the client's list of 2026.9.6, the rest is not measured.
fn scopes_beyond_token(profile: &Profile) -> WireError {
    let code = if profile.v4() {
        "AUTH_SCOPE_MISMATCH"
    } else {
        "AUTH_TOKEN_MISMATCH"
    };
    WireError::invalid("unauthorized: device token does not cover the requested scopes")
        .details(json!({"code": code, "canRetryWithDeviceToken": false}))
}

fn pairing_required(
    server: &Server,
    state: &mut State,
    peer: &Peer,
    device_id: &str,
    params: &Value,
    repair: bool,
) -> WireError {
    let pending = state
        .devices
        .pending
        .iter()
        .find(|pending| pending.device_id == device_id)
        .cloned();
    let pending = pending.unwrap_or_else(|| {
        let pending = PendingPairing {
            request_id: state.random.uuid(),
            device_id: device_id.to_owned(),
            scopes: peer.scopes.clone(),
            public_key: params["device"]["publicKey"].as_str().unwrap_or_default().to_owned(),
            client_id: peer.client_id.clone(),
            mode: peer.mode.clone(),
            platform: peer.platform.clone(),
            role: peer.role.clone(),
            at_ms: server.clock.wall_ms(),
            repair,
        };
        state.devices.pending.push(pending.clone());
        let event = super::events::Event::new("device.pair.requested", pending.to_json());
        super::events::deliver(&server.profile, state, &event);
        pending
    });
    if !server.profile.v4() {
        let details = json!({"code": "PAIRING_REQUIRED", "requestId": pending.request_id, "reason": "not-paired"});
        return WireError::new("NOT_PAIRED", "pairing required").details(details);
    }
    WireError::new("NOT_PAIRED", "pairing required: device is not approved yet").details(json!({
        "code": "PAIRING_REQUIRED",
        "reason": "not-paired",
        "requestId": pending.request_id,
        "remediationHint": "Approve this device from the pending pairing requests.",
        "deviceId": device_id,
        "requestedRole": peer.role,
        "requestedScopes": peer.scopes,
    }))
}
