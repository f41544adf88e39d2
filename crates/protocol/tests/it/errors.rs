//! Whatever stands in an error, it decodes, is classified and can be shown.

use proptest::prelude::*;
use serde_json::{Map, Value};
use windlass_protocol::{Advise, ConnectRefusal, GatewayError};

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(".{0,8}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Objects with the members of an error, of the right type or any other.
fn error() -> impl Strategy<Value = Value> {
    let code = prop_oneof![
        proptest::sample::select(vec!["INVALID_REQUEST", "NOT_PAIRED", "UNAVAILABLE", "FORBIDDEN", "NEW"])
            .prop_map(Value::from),
        json()
    ];
    let detail = prop_oneof![
        proptest::sample::select(vec![
            "AUTH_TOKEN_MISMATCH",
            "PAIRING_REQUIRED",
            "PROTOCOL_MISMATCH",
            "AUTH_NEW",
            "DEVICE_AUTH_NEW",
            "MISSING_SCOPE",
            "startup-sidecars",
        ])
        .prop_map(Value::from),
        json()
    ];
    let members = (code, json(), detail, json(), json(), json(), json());
    members.prop_map(|(code, message, detail, request, expected, retryable, after)| {
        let details = Map::from_iter([
            ("code".to_owned(), detail),
            ("requestId".to_owned(), request),
            ("expectedProtocol".to_owned(), expected),
        ]);
        Value::Object(Map::from_iter([
            ("code".to_owned(), code),
            ("message".to_owned(), message),
            ("details".to_owned(), Value::Object(details)),
            ("retryable".to_owned(), retryable),
            ("retryAfterMs".to_owned(), after),
        ]))
    })
}

fn look_at_everything(error: &GatewayError) {
    let refusal = ConnectRefusal::from(error);
    let _ = (error.class(), error.expected_protocol(), refusal.pause());
    for shown in [
        error.to_string(),
        error.advice().to_string(),
        refusal.to_string(),
        refusal.advice().to_string(),
    ] {
        assert!(!shown.contains(char::is_control), "{shown:?}");
        assert!(shown.chars().count() < 1200, "{} characters", shown.chars().count());
    }
}

proptest! {
    #[test]
    fn an_error_object_of_any_content_decodes_and_can_be_shown(value in error()) {
        let decoded: GatewayError = serde_json::from_value(value).unwrap();
        look_at_everything(&decoded);
        let again: GatewayError = serde_json::from_str(&serde_json::to_string(&decoded).unwrap()).unwrap();
        prop_assert_eq!(again.code, decoded.code);
        prop_assert_eq!(again.details, decoded.details);
    }

    #[test]
    fn any_json_either_decodes_or_is_refused_without_a_panic(value in json()) {
        let is_object = value.is_object();
        let decoded = serde_json::from_value::<GatewayError>(value);
        prop_assert_eq!(decoded.is_ok(), is_object);
        if let Ok(error) = decoded {
            look_at_everything(&error);
        }
    }

    #[test]
    fn any_text_is_refused_or_decoded_without_a_panic(text in ".{0,100}") {
        let _ = serde_json::from_str::<GatewayError>(&text);
    }
}
