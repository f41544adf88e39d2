use serde_json::json;

use super::*;

const RETRY: Pause = Pause::Retry { after: None };

fn refusal(value: Value) -> ConnectRefusal {
    ConnectRefusal::from(serde_json::from_value::<GatewayError>(value).unwrap())
}

fn coded(detail: &str) -> Value {
    json!({"code": "INVALID_REQUEST", "message": "m", "details": {"code": detail}})
}

#[test]
fn every_detail_code_has_its_kind_and_waits_for_a_person_unless_said_otherwise() {
    use DeviceFault as Fault;
    use RefusalKind as Kind;
    let person = [
        ("AUTH_TOKEN_MISSING", Kind::TokenMissing),
        (
            "AUTH_TOKEN_MISMATCH",
            Kind::TokenMismatch {
                may_use_device_token: false,
            },
        ),
        ("AUTH_DEVICE_TOKEN_MISMATCH", Kind::DeviceTokenMismatch),
        ("AUTH_BOOTSTRAP_TOKEN_INVALID", Kind::BootstrapTokenInvalid),
        ("AUTH_PASSWORD_MISSING", Kind::PasswordMissing),
        ("AUTH_PASSWORD_MISMATCH", Kind::PasswordMismatch),
        ("AUTH_IDENTITY_HEADER_REQUIRED", Kind::ProxyIdentityRequired),
        ("AUTH_VERIFIED_USER_REQUIRED", Kind::ProxyIdentityRequired),
        ("AUTH_SCOPE_MISMATCH", Kind::ScopeMismatch { missing: None }),
        ("MISSING_SCOPE", Kind::ScopeMismatch { missing: None }),
        ("AUTH_NEW_IN_2027", Kind::Unauthorized),
        (
            "DEVICE_IDENTITY_REQUIRED",
            Kind::DeviceIdentityRequired { control_ui: false },
        ),
        (
            "CONTROL_UI_DEVICE_IDENTITY_REQUIRED",
            Kind::DeviceIdentityRequired { control_ui: true },
        ),
        ("CONTROL_UI_ORIGIN_NOT_ALLOWED", Kind::OriginNotAllowed),
        ("CONTROL_UI_BUILD_MISMATCH", Kind::ClientBuildMismatch),
        ("CLIENT_VERSION_MISMATCH", Kind::ClientBuildMismatch),
        ("PROTOCOL_MISMATCH", Kind::ProtocolMismatch { expected: None }),
        (
            "DEVICE_AUTH_NONCE_MISMATCH",
            Kind::DeviceSignature(Fault::NonceMismatch),
        ),
        (
            "DEVICE_AUTH_NONCE_REQUIRED",
            Kind::DeviceSignature(Fault::NonceRequired),
        ),
        (
            "DEVICE_AUTH_SIGNATURE_INVALID",
            Kind::DeviceSignature(Fault::SignatureInvalid),
        ),
        (
            "DEVICE_AUTH_SIGNATURE_EXPIRED",
            Kind::DeviceSignature(Fault::SignatureExpired),
        ),
        (
            "DEVICE_AUTH_DEVICE_ID_MISMATCH",
            Kind::DeviceSignature(Fault::IdMismatch),
        ),
        (
            "DEVICE_AUTH_PUBLIC_KEY_INVALID",
            Kind::DeviceSignature(Fault::PublicKeyInvalid),
        ),
        ("DEVICE_AUTH_NEW_IN_2027", Kind::DeviceSignature(Fault::Other)),
    ];
    for (detail, kind) in person {
        let refusal = refusal(coded(detail));
        assert_eq!((refusal.kind(), refusal.pause()), (&kind, Pause::PERSON), "{detail}");
    }
}

#[test]
fn answers_without_a_detail_code_are_classified_by_what_they_have() {
    let bare = |code: &str, message: &str| json!({"code": code, "message": message});
    let rows = [
        (
            bare("INVALID_REQUEST", "invalid connect params: at /client/id"),
            RefusalKind::ClientRefused,
        ),
        (bare("INVALID_REQUEST", "invalid role"), RefusalKind::ClientRefused),
        (
            bare("INVALID_REQUEST", "protocol mismatch"),
            RefusalKind::ProtocolMismatch { expected: None },
        ),
        (
            json!({"code": "INVALID_REQUEST", "message": "protocol mismatch", "details": {"expectedProtocol": 3}}),
            RefusalKind::ProtocolMismatch { expected: Some(3) },
        ),
        (
            bare("INVALID_REQUEST", "device signature invalid"),
            RefusalKind::DeviceSignature(DeviceFault::SignatureInvalid),
        ),
        (
            bare("INVALID_REQUEST", "missing scope: operator.admin"),
            RefusalKind::ScopeMismatch {
                missing: Some("operator.admin".into()),
            },
        ),
        (bare("FORBIDDEN", "no"), RefusalKind::ScopeMismatch { missing: None }),
    ];
    for (value, kind) in rows {
        let refusal = refusal(value.clone());
        assert_eq!((refusal.kind(), refusal.pause()), (&kind, Pause::PERSON), "{value}");
    }
}

#[test]
fn a_wrong_token_says_whether_the_device_token_may_help() {
    let value = json!({"code": "INVALID_REQUEST", "message": "m",
        "details": {"code": "AUTH_TOKEN_MISMATCH", "canRetryWithDeviceToken": true}});
    assert_eq!(
        refusal(value).kind(),
        &RefusalKind::TokenMismatch {
            may_use_device_token: true
        }
    );
}

#[test]
fn a_control_ui_of_another_build_is_no_protocol_mismatch() {
    let value = json!({"code": "UNAVAILABLE", "message": "protocol mismatch: Control UI updated", "retryable": false,
        "details": {"code": "PROTOCOL_MISMATCH", "gatewayBuildId": "b", "reloadRequired": true}});
    let refusal = refusal(value);
    assert_eq!(
        (refusal.kind(), refusal.pause()),
        (&RefusalKind::ClientBuildMismatch, Pause::PERSON)
    );
}

#[test]
fn pairing_names_the_request_and_is_polled_until_it_is_approved_elsewhere() {
    let mut value = json!({"code": "NOT_PAIRED", "message": "pairing required",
        "details": {"code": "PAIRING_REQUIRED", "reason": "not-paired", "requestId": "r-1"}});
    let kind = RefusalKind::PairingRequired {
        request_id: Some("r-1".into()),
    };
    let asked = refusal(value.clone());
    assert_eq!((asked.kind(), asked.pause()), (&kind, Pause::PAIRING));
    assert_eq!(
        Pause::PAIRING,
        Pause::SlowPoll {
            every: Duration::from_secs(30)
        }
    );

    value["details"]["pauseReconnect"] = json!(false);
    value["retryAfterMs"] = json!(700);
    assert_eq!(
        refusal(value.clone()).pause(),
        Pause::Retry {
            after: Some(Duration::from_millis(700))
        }
    );
    value["details"]["pauseReconnect"] = json!(true);
    value["details"]["recommendedNextStep"] = json!("wait_then_retry");
    assert_eq!(
        refusal(value).pause(),
        Pause::Retry {
            after: Some(Duration::from_millis(700))
        }
    );
}

#[test]
fn a_starting_gateway_is_retried_soon_and_a_lockout_is_sat_out() {
    let mut starting = json!({"code": "UNAVAILABLE", "message": "gateway starting; retry shortly", "retryable": true,
        "retryAfterMs": 500, "details": {"reason": "startup-sidecars"}});
    assert_eq!(refusal(starting.clone()).kind(), &RefusalKind::Starting);
    assert_eq!(
        refusal(starting.clone()).pause(),
        Pause::Retry {
            after: Some(Duration::from_millis(500))
        }
    );
    starting["retryAfterMs"] = json!(600_000);
    assert_eq!(
        refusal(starting).pause(),
        Pause::Retry {
            after: Some(Duration::from_secs(2))
        }
    );

    let locked = refusal(coded("AUTH_RATE_LIMITED"));
    assert_eq!(
        (locked.kind(), locked.pause()),
        (
            &RefusalKind::RateLimited,
            Pause::Retry {
                after: Some(Duration::from_secs(300))
            }
        )
    );
}

#[test]
fn a_refusal_nobody_knows_is_retried_unless_the_gateway_says_no() {
    let mut value = json!({"code": "BRAND_NEW", "message": "m"});
    assert_eq!(
        (refusal(value.clone()).kind(), refusal(value.clone()).pause()),
        (&RefusalKind::Other, RETRY)
    );
    value["retryAfterMs"] = json!(5_000);
    assert_eq!(
        refusal(value.clone()).pause(),
        Pause::Retry {
            after: Some(Duration::from_secs(5))
        }
    );
    value["retryable"] = json!(false);
    assert_eq!(refusal(value).pause(), Pause::PERSON);
}
