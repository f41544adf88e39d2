use serde_json::{Value, json};

use super::*;
use crate::text::Secret;

fn wire(auth: Auth) -> Value {
    serde_json::to_value(auth).unwrap()
}

#[test]
fn a_backend_sends_only_members_that_every_release_knows() {
    let params = ConnectParams::backend("1.0.0", "linux").with_auth(Some(Auth::Token(Secret::new("t"))));
    assert_eq!(
        serde_json::to_value(&params).unwrap(),
        json!({
            "minProtocol": 3, "maxProtocol": 4,
            "client": {"id": "gateway-client", "mode": "backend", "version": "1.0.0", "platform": "linux"},
            "role": "operator",
            "scopes": ["operator.read", "operator.write", "operator.admin", "operator.approvals", "operator.pairing"],
            "caps": ["tool-events"],
            "auth": {"token": "t"}
        })
    );
}

#[test]
fn each_credential_goes_where_gateways_look_for_it() {
    let secret = |s: &str| Secret::new(s);
    assert_eq!(wire(Auth::Token(secret("t"))), json!({"token": "t"}));
    assert_eq!(wire(Auth::Password(secret("p"))), json!({"password": "p"}));
    let configured = |token: &str, password: &str| Auth::configured(Some(secret(token)), Some(secret(password)));
    assert_eq!(
        wire(configured("t", "p").unwrap()),
        json!({"token": "t", "password": "p"})
    );
    assert_eq!(configured("t", ""), Some(Auth::Token(secret("t"))));
    assert_eq!(configured("", "p"), Some(Auth::Password(secret("p"))));
    assert_eq!(configured("", ""), None);
    assert_eq!(wire(Auth::DeviceToken(secret("d"))), json!({"token": "d"}));
    assert_eq!(wire(Auth::BootstrapToken(secret("b"))), json!({"bootstrapToken": "b"}));
    let both = Auth::TokenAndDeviceToken {
        token: secret("t"),
        device_token: secret("d"),
    };
    assert_eq!(both.signature_token().map(Secret::expose), Some("t"));
    assert_eq!(wire(both), json!({"token": "t", "deviceToken": "d"}));
    assert_eq!(Auth::Password(secret("p")).signature_token(), None);
}

#[test]
fn debug_names_the_credential_and_hides_it() {
    let secret = || Secret::new("hunter2");
    for auth in [
        Auth::Token(secret()),
        Auth::Password(secret()),
        Auth::DeviceToken(secret()),
        Auth::BootstrapToken(secret()),
        Auth::TokenAndDeviceToken {
            token: secret(),
            device_token: secret(),
        },
    ] {
        let text = format!("{:?}", ConnectParams::backend("1", "linux").with_auth(Some(auth)));
        assert!(text.contains("Secret(***)") && !text.contains("hunter2"), "{text}");
    }
}

#[test]
fn a_challenge_keeps_what_newer_gateways_add() {
    let value = json!({"nonce": "n-1", "ts": 5, "capabilities": ["c"], "more": true});
    let challenge: Challenge = serde_json::from_value(value.clone()).unwrap();
    assert_eq!((challenge.nonce.as_str(), challenge.ts), ("n-1", Some(5)));
    assert_eq!(serde_json::to_value(&challenge).unwrap(), value);
    assert!(serde_json::from_value::<Challenge>(json!({"ts": 5})).is_err());
}
