use serde_json::json;

use super::*;

fn error(value: Value) -> GatewayError {
    serde_json::from_value(value).unwrap()
}

/// `(error object, detail code, class)`; messages as short as the meaning allows.
#[expect(clippy::too_many_lines, reason = "one table")]
fn table() -> Vec<(Value, Option<&'static str>, ErrorClass)> {
    use ErrorClass::{NeedsPerson, Rejected, Transient};
    let coded = |detail: &str| json!({"code": "INVALID_REQUEST", "message": "m", "details": {"code": detail}});
    let mut rows = vec![
        (
            json!({"code": "INVALID_REQUEST", "message": "unknown method: x"}),
            None,
            Rejected,
        ),
        (
            json!({"code": "INVALID_REQUEST", "message": "missing scope: operator.write"}),
            None,
            NeedsPerson,
        ),
        (
            json!({"code": "FORBIDDEN", "message": "missing scope: operator.write",
                "details": {"code": "MISSING_SCOPE", "missingScope": "operator.write", "requiredScopes": ["operator.write"]}}),
            Some("MISSING_SCOPE"),
            NeedsPerson,
        ),
        (json!({"code": "FORBIDDEN", "message": "m"}), None, NeedsPerson),
        (
            json!({"code": "UNAVAILABLE", "message": "rate limit", "retryable": true, "retryAfterMs": 58276,
                "details": {"method": "config.patch", "limit": "3 per 60s"}}),
            None,
            Transient,
        ),
        (
            json!({"code": "UNAVAILABLE", "message": "m", "retryable": true, "retryAfterMs": 1000,
                "details": {"method": "chat.send", "reason": "gateway-restarting", "phase": "accepting"}}),
            Some("gateway-restarting"),
            Transient,
        ),
        (
            json!({"code": "UNAVAILABLE", "message": "gateway starting; retry shortly", "retryable": true,
                "retryAfterMs": 500, "details": {"reason": "startup-sidecars"}}),
            Some("startup-sidecars"),
            Transient,
        ),
        (
            json!({"code": "UNAVAILABLE", "message": "Error: system-owned monitor jobs"}),
            None,
            Rejected,
        ),
        (
            json!({"code": "UNAVAILABLE", "message": "m", "retryable": false}),
            None,
            Rejected,
        ),
        (
            json!({"code": "INVALID_REQUEST", "message": "used", "details": {"reason": "chat-request-conflict"}}),
            Some("chat-request-conflict"),
            Rejected,
        ),
        (
            json!({"code": "NOT_PAIRED", "message": "pairing required",
                "details": {"code": "PAIRING_REQUIRED", "reason": "not-paired", "requestId": "r-1"}}),
            Some("PAIRING_REQUIRED"),
            NeedsPerson,
        ),
        (json!({"code": "NOT_PAIRED", "message": "m"}), None, NeedsPerson),
        (
            json!({"code": "INVALID_REQUEST", "message": "protocol mismatch", "details": {"expectedProtocol": 3}}),
            None,
            NeedsPerson,
        ),
        (
            json!({"code": "INVALID_REQUEST", "message": "protocol mismatch"}),
            None,
            NeedsPerson,
        ),
        (
            json!({"code": "INVALID_REQUEST", "message": "device signature invalid"}),
            None,
            NeedsPerson,
        ),
        (
            json!({"code": "INVALID_REQUEST", "message": "m", "details": {"issues": []}}),
            None,
            Rejected,
        ),
        (
            json!({"code": "SOMETHING_NEW", "message": "m", "retryable": true}),
            None,
            Transient,
        ),
        (json!({"code": "SOMETHING_NEW", "message": "m"}), None, Rejected),
        (coded("AUTH_SOMETHING_NEW"), Some("AUTH_SOMETHING_NEW"), NeedsPerson),
        (coded("AUTH_RATE_LIMITED"), Some("AUTH_RATE_LIMITED"), Transient),
        (
            coded("DEVICE_AUTH_SOMETHING_NEW"),
            Some("DEVICE_AUTH_SOMETHING_NEW"),
            NeedsPerson,
        ),
        (coded("CRON_JOB_NOT_FOUND"), Some("CRON_JOB_NOT_FOUND"), Rejected),
        (coded("UNKNOWN_AGENT_ID"), Some("UNKNOWN_AGENT_ID"), Rejected),
        (
            coded("SESSION_MUTATION_TARGET_REQUIRED"),
            Some("SESSION_MUTATION_TARGET_REQUIRED"),
            Rejected,
        ),
        (coded("SOMETHING_NEW"), Some("SOMETHING_NEW"), Rejected),
    ];
    for code in [
        "AUTH_TOKEN_MISSING",
        "AUTH_TOKEN_MISMATCH",
        "AUTH_DEVICE_TOKEN_MISMATCH",
        "AUTH_BOOTSTRAP_TOKEN_INVALID",
        "AUTH_PASSWORD_MISSING",
        "AUTH_PASSWORD_MISMATCH",
        "AUTH_SCOPE_MISMATCH",
        "AUTH_IDENTITY_HEADER_REQUIRED",
        "AUTH_VERIFIED_USER_REQUIRED",
        "DEVICE_IDENTITY_REQUIRED",
        "CONTROL_UI_DEVICE_IDENTITY_REQUIRED",
        "CONTROL_UI_ORIGIN_NOT_ALLOWED",
        "CONTROL_UI_BUILD_MISMATCH",
        "CLIENT_VERSION_MISMATCH",
        "PROTOCOL_MISMATCH",
        "DEVICE_AUTH_NONCE_MISMATCH",
        "DEVICE_AUTH_NONCE_REQUIRED",
        "DEVICE_AUTH_SIGNATURE_INVALID",
        "DEVICE_AUTH_SIGNATURE_EXPIRED",
        "DEVICE_AUTH_DEVICE_ID_MISMATCH",
        "DEVICE_AUTH_PUBLIC_KEY_INVALID",
    ] {
        rows.push((coded(code), Some(code), NeedsPerson));
    }
    rows
}

#[test]
fn every_known_refusal_has_its_detail_code_and_class_and_survives_the_round_trip() {
    for (value, detail, class) in table() {
        let error = error(value.clone());
        assert_eq!(error.detail_code().as_ref().map(DetailCode::as_str), detail, "{value}");
        assert_eq!(error.class(), class, "{value}");
        assert_eq!(serde_json::to_value(&error).unwrap(), value);
    }
}

#[test]
fn every_known_detail_code_but_the_neutral_ones_has_a_class_of_its_own() {
    for detail in DetailCode::KNOWN {
        assert!(class_of_detail(detail).is_some(), "{detail}");
    }
}

#[test]
fn the_missing_scope_comes_from_the_details_or_from_an_old_releases_text() {
    let coded = error(
        json!({"code": "FORBIDDEN", "message": "no", "details": {"code": "MISSING_SCOPE", "missingScope": "a.b"}}),
    );
    assert_eq!(coded.missing_scope(), Some("a.b"));
    let old = error(json!({"code": "INVALID_REQUEST", "message": "missing scope: operator.admin"}));
    assert_eq!(old.missing_scope(), Some("operator.admin"));
    let other_code = error(json!({"code": "X", "message": "missing scope: operator.admin", "details": {"code": "Y"}}));
    assert_eq!(other_code.missing_scope(), None, "a code beats the text");
    for text in [
        "missing scope: ",
        "missing scope",
        "missing scope: <script>",
        "a missing scope: operator.admin",
    ] {
        assert_eq!(
            GatewayError::new(ErrorCode::InvalidRequest, text).missing_scope(),
            None,
            "{text}"
        );
    }
}

#[test]
fn the_pairing_request_and_the_expected_protocol_are_read_from_the_details() {
    let pairing = error(
        json!({"code": "NOT_PAIRED", "message": "m", "details": {"code": "PAIRING_REQUIRED", "requestId": "r-1"}}),
    );
    assert_eq!(pairing.pairing_request_id(), Some("r-1"));
    let mismatch = error(json!({"code": "INVALID_REQUEST", "message": "m", "details": {"expectedProtocol": 3}}));
    assert_eq!(mismatch.expected_protocol(), Some(3));
    assert!(mismatch.is_protocol_mismatch());
    let odd =
        error(json!({"code": "INVALID_REQUEST", "message": "m", "details": {"expectedProtocol": 4_294_967_296_u64}}));
    assert_eq!(odd.expected_protocol(), None);
}

#[test]
fn a_control_ui_that_is_out_of_date_counts_as_a_protocol_mismatch_by_its_code() {
    let error = error(json!({"code": "UNAVAILABLE", "message": "m", "retryable": false,
        "details": {"code": "PROTOCOL_MISMATCH", "gatewayBuildId": "b", "reloadRequired": true}}));
    assert_eq!((error.is_protocol_mismatch(), error.expected_protocol()), (true, None));
}

#[test]
fn an_error_of_any_shape_decodes_as_long_as_it_is_an_object() {
    let odd =
        error(json!({"code": 7, "message": ["x"], "details": null, "retryable": "yes", "retryAfterMs": -1, "more": 1}));
    assert_eq!(odd.code, ErrorCode::Other("".into()));
    assert_eq!(
        (odd.retryable, odd.retry_after, odd.class()),
        (None, None, ErrorClass::Rejected)
    );
    assert_eq!(
        error(json!({"retryAfterMs": 1.5})).retry_after,
        Some(Duration::from_micros(1500))
    );
    assert_eq!(error(json!({"retryAfterMs": 1e300})).retry_after, None);
    for not_an_object in ["null", "[]", "\"text\"", "1"] {
        assert!(
            serde_json::from_str::<GatewayError>(not_an_object).is_err(),
            "{not_an_object}"
        );
    }
}

#[test]
fn an_echoed_request_is_cut_when_kept_and_again_when_shown() {
    let long = "é".repeat(KEPT_MESSAGE_BYTES);
    let error = error(json!({"code": "INVALID_REQUEST", "message": long}));
    assert_eq!(error.message.len(), KEPT_MESSAGE_BYTES);
    assert_eq!(
        error.to_string().chars().count(),
        "INVALID_REQUEST: ".len() + MESSAGE_LIMIT + 1
    );
}

#[test]
fn the_shown_text_has_no_control_characters() {
    let error = GatewayError::new(ErrorCode::Other("A\u{1b}[0mB".into()), "one\ntwo\u{7}");
    assert_eq!(error.to_string(), "A[0mB: onetwo");
}
