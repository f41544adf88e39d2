use std::time::Duration;

use serde_json::json;

use super::*;
use crate::connect::{SecretOrigin, SecretPlace};
use crate::error::{ErrorCode, GatewayError};

/// Everything that can be advised on, one line each.
fn golden() -> String {
    let mut lines = Vec::new();
    let mut line =
        |name: String, advice: Advice| lines.push(format!("{name}: {} | {}", advice.summary, advice.next_step));
    for (kind, name) in refusals() {
        line(name, kind.advice());
    }
    for (name, advice) in handshakes() {
        line(name, advice);
    }
    for (name, advice) in logins() {
        line(name, advice);
    }
    for class in closes() {
        line(format!("{class:?}"), class.advice());
    }
    for status in [200, 302, 401, 404, 429, 502, 503] {
        line(format!("HTTP {status}"), UpgradeRefusal::new(status, b"").advice());
    }
    let proxy = br#"{"error":{"type":"proxy_attribution_required"}}"#;
    line("HTTP 403".into(), UpgradeRefusal::new(403, b"").advice());
    line("HTTP 403 proxy".into(), UpgradeRefusal::new(403, proxy).advice());
    for value in errors() {
        let error: GatewayError = serde_json::from_value(value).unwrap();
        line(
            format!("call {}", error.to_string().trim_end_matches('.')),
            error.advice(),
        );
    }
    lines.join("\n") + "\n"
}

/// Faults between the upgrade and hello-ok, and refusals that have no kind of their own.
fn handshakes() -> Vec<(String, Advice)> {
    let within = Duration::from_secs(15);
    let faults = [
        HandshakeFault::Protocol(7),
        HandshakeFault::Protocol(2),
        HandshakeFault::NoChallenge { within },
        HandshakeFault::NoHello { within },
        HandshakeFault::Unexpected("a second connect.challenge".into()),
        HandshakeFault::Credentials("it is over 64 KiB".into()),
    ];
    let faults = faults
        .into_iter()
        .map(|fault| (format!("handshake {fault:?}"), fault.advice()));
    let refusals = [
        json!({"code": "UNAVAILABLE", "message": "too many clients"}),
        json!({"code": "UNAVAILABLE", "message": "closed for good", "retryable": false}),
        json!({"code": "LATER_CODE", "message": "something new"}),
    ];
    let refusals = refusals.into_iter().map(|value| {
        let error: GatewayError = serde_json::from_value(value).unwrap();
        (format!("connect {error}"), ConnectRefusal::new(error).advice())
    });
    faults.chain(refusals).collect()
}

fn refusals() -> Vec<(RefusalKind, String)> {
    use RefusalKind as Kind;
    let mut kinds = vec![
        Kind::TokenMissing,
        Kind::TokenMismatch {
            may_use_device_token: true,
        },
        Kind::DeviceTokenMismatch,
        Kind::BootstrapTokenInvalid,
        Kind::PasswordMissing,
        Kind::PasswordMismatch,
        Kind::ProxyIdentityRequired,
        Kind::Unauthorized,
        Kind::RateLimited,
        Kind::PairingRequired {
            request_id: Some("req-1".into()),
        },
        Kind::PairingRequired { request_id: None },
        Kind::DeviceIdentityRequired { control_ui: false },
        Kind::DeviceIdentityRequired { control_ui: true },
        Kind::ProtocolMismatch { expected: Some(2) },
        Kind::ProtocolMismatch { expected: Some(5) },
        Kind::ProtocolMismatch { expected: None },
        Kind::ClientBuildMismatch,
        Kind::OriginNotAllowed,
        Kind::ScopeMismatch {
            missing: Some("operator.admin".into()),
        },
        Kind::ScopeMismatch { missing: None },
        Kind::ClientRefused,
        Kind::Starting,
        Kind::Other,
    ];
    kinds.extend(
        [
            DeviceFault::NonceMismatch,
            DeviceFault::NonceRequired,
            DeviceFault::SignatureInvalid,
            DeviceFault::SignatureExpired,
            DeviceFault::IdMismatch,
            DeviceFault::PublicKeyInvalid,
            DeviceFault::Other,
        ]
        .map(Kind::DeviceSignature),
    );
    kinds
        .into_iter()
        .map(|kind| (kind.clone(), format!("{kind:?}")))
        .collect()
}

/// Refused logins with known credentials and origins.
fn logins() -> Vec<(String, Advice)> {
    use CredentialKind as Sent;
    let mismatch = RefusalKind::TokenMismatch {
        may_use_device_token: false,
    };
    let origins = |place: SecretPlace| CredentialOrigins {
        token: Some(SecretOrigin::new(place).named_by("gateways.lab.token_env, windlass.toml:3")),
        password: Some(SecretOrigin::new(SecretPlace::File("/run/secrets/password".into()))),
        how_to_give: Some("type it with --ask-token".into()),
    };
    let unnamed = |place| CredentialOrigins {
        token: Some(SecretOrigin::new(place)),
        ..CredentialOrigins::default()
    };
    let variable = origins(SecretPlace::Variable("LAB_TOKEN".into()));
    let none = CredentialOrigins {
        how_to_give: Some("set WINDLASS_TOKEN, or type it with --ask-token".into()),
        ..CredentialOrigins::default()
    };
    let rows = [
        (&mismatch, Sent::Token, variable.clone()),
        (
            &mismatch,
            Sent::Token,
            origins(SecretPlace::File("/home/me/lab.token".into())),
        ),
        (&mismatch, Sent::Token, unnamed(SecretPlace::Prompt)),
        (&mismatch, Sent::Token, unnamed(SecretPlace::Host("lab".into()))),
        (&mismatch, Sent::TokenAndPassword, variable.clone()),
        (&mismatch, Sent::TokenAndDeviceToken, variable.clone()),
        (&mismatch, Sent::DeviceToken, none.clone()),
        (&RefusalKind::TokenMissing, Sent::None, none.clone()),
        (&RefusalKind::TokenMissing, Sent::Password, variable.clone()),
        (&RefusalKind::PasswordMissing, Sent::Token, variable.clone()),
        (&RefusalKind::PasswordMismatch, Sent::TokenAndPassword, variable.clone()),
        (&RefusalKind::RateLimited, Sent::Token, variable.clone()),
        (&RefusalKind::Unauthorized, Sent::Token, variable),
        (
            &RefusalKind::DeviceIdentityRequired { control_ui: false },
            Sent::None,
            none,
        ),
    ];
    rows.into_iter()
        .map(|(kind, sent, origins)| (format!("{kind:?} after {sent:?}"), kind.advice_on(sent, &origins)))
        .collect()
}

fn closes() -> [CloseClass; 16] {
    use CloseClass as Class;
    [
        Class::Normal,
        Class::ProtocolMismatch,
        Class::ProtocolError,
        Class::Abnormal,
        Class::PolicyRefused,
        Class::DeviceTokenMismatch,
        Class::SlowConsumer,
        Class::UnauthorizedCalls,
        Class::TooBig,
        Class::ServerFault,
        Class::ServiceRestart,
        Class::StartingUp,
        Class::PolicyChanged,
        Class::DeviceRemoved,
        Class::ClientTimeout,
        Class::Unknown,
    ]
}

fn errors() -> Vec<serde_json::Value> {
    let coded = |detail: &str| json!({"code": "INVALID_REQUEST", "message": detail, "details": {"code": detail}});
    vec![
        json!({"code": "INVALID_REQUEST", "message": "missing scope: operator.write"}),
        json!({"code": "INVALID_REQUEST", "message": "unsupported file \"TOOLS.md\"."}),
        json!({"code": "UNAVAILABLE", "message": "rate limit exceeded", "retryable": true, "retryAfterMs": 58_276}),
        json!({"code": "UNAVAILABLE", "message": "busy", "retryable": true}),
        json!({"code": "UNAVAILABLE", "message": "m", "retryable": true, "details": {"reason": "gateway-restarting"}}),
        json!({"code": "INVALID_REQUEST", "message": "m", "details": {"reason": "chat-request-conflict"}}),
        coded("UNKNOWN_AGENT_ID"),
        coded("CRON_JOB_NOT_FOUND"),
        coded("SESSION_MUTATION_TARGET_REQUIRED"),
        coded("AUTH_TOKEN_MISMATCH"),
    ]
}

/// Changing a text means changing this file, so that every change is read once. `SNAPSHOTS=overwrite` rewrites it.
#[test]
fn every_text_an_operator_sees_is_the_agreed_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/advice/golden.txt");
    let assert = snapbox::Assert::new().action_env("SNAPSHOTS").normalize_paths(false);
    assert.eq(golden(), snapbox::Data::read_from(path.as_ref(), None));
}

#[test]
fn every_advice_is_two_finished_sentences_or_ends_in_a_command() {
    for line in golden().lines() {
        let (summary, next_step) = line.rsplit_once(" | ").unwrap();
        assert!(summary.ends_with('.') && next_step.len() > 10, "{line}");
        assert!(next_step.ends_with('.') || next_step.contains("openclaw "), "{line}");
    }
}

#[test]
fn an_unknown_refusal_repeats_what_the_gateway_said_made_safe() {
    let error = GatewayError::new(ErrorCode::InvalidRequest, "invalid connect params:\n at /client/id");
    let advice = ConnectRefusal::new(error).advice();
    assert_eq!(
        advice.summary,
        "The gateway refused the connection: INVALID_REQUEST: invalid connect params: at /client/id."
    );
}

#[test]
fn a_hostile_request_id_never_becomes_part_of_a_command() {
    let plain = RefusalKind::PairingRequired { request_id: None }.advice();
    for id in [
        "r; rm -rf /",
        "$(reboot)",
        "r\ns",
        "--all",
        "",
        "a b",
        &"r".repeat(NAME_LIMIT + 1),
    ] {
        assert_eq!(
            RefusalKind::PairingRequired {
                request_id: Some(id.into())
            }
            .advice(),
            plain,
            "{id:?}"
        );
    }
}
