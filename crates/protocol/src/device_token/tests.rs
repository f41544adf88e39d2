use serde_json::json;

use super::*;
use crate::close::CloseCode;
use crate::error::GatewayError;

fn secret(text: &str) -> Secret {
    Secret::new(text)
}

fn token() -> Auth {
    Auth::Token(secret("shared"))
}

fn both() -> Auth {
    Auth::TokenAndDeviceToken {
        token: secret("shared"),
        device_token: secret("own"),
    }
}

fn refusal(detail: &str) -> ConnectRefusal {
    let error: GatewayError = serde_json::from_value(json!({"code": "INVALID_REQUEST", "message": "m",
        "details": {"code": detail, "canRetryWithDeviceToken": true}}))
    .unwrap();
    ConnectRefusal::new(error)
}

fn hello(device_token: Option<&str>) -> HelloOk {
    let mut value = json!({"type": "hello-ok", "protocol": 4, "server": {"version": "v", "connId": "c"}, "auth": {}});
    if let Some(token) = device_token {
        value["auth"]["deviceToken"] = json!(token);
    }
    serde_json::from_value(value).unwrap()
}

fn after(ms: u64) -> Pause {
    Pause::Retry {
        after: Some(Duration::from_millis(ms)),
    }
}

#[test]
fn what_is_configured_goes_first_and_the_stored_token_stands_in_for_nothing() {
    let choose = |configured, stored: Option<&str>| {
        CredentialPlan::new(configured, stored.map(Secret::new), EndpointTrust::Trusted).choose()
    };
    assert_eq!(choose(Some(token()), Some("own")), Some(token()));
    assert_eq!(
        choose(Some(Auth::Password(secret("p"))), Some("own")),
        Some(Auth::Password(secret("p")))
    );
    assert_eq!(choose(None, Some("own")), Some(Auth::DeviceToken(secret("own"))));
    assert_eq!(choose(None, None), None);
    assert_eq!(
        choose(Some(Auth::Token(secret(""))), Some("own")),
        Some(Auth::DeviceToken(secret("own")))
    );
    assert_eq!(choose(None, Some("")), None);
}

#[test]
fn a_token_that_is_longer_than_any_is_neither_kept_nor_sent() {
    let (most, long) = ("x".repeat(DEVICE_TOKEN_MAX), "x".repeat(DEVICE_TOKEN_MAX + 1));
    let mut plan = CredentialPlan::new(None, Some(secret(&long)), EndpointTrust::Trusted);
    assert_eq!(plan.choose(), None);
    assert_eq!(plan.on_hello(&hello(Some(&long))), StoreAction::Keep);
    assert_eq!(plan.on_hello(&hello(Some(&most))), StoreAction::Save(secret(&most)));
}

#[test]
fn an_issued_token_is_stored_once_and_used_when_nothing_else_is_configured() {
    let mut plan = CredentialPlan::new(None, None, EndpointTrust::Untrusted);
    assert_eq!(plan.on_hello(&hello(None)), StoreAction::Keep);
    assert_eq!(plan.on_hello(&hello(Some("own"))), StoreAction::Save(secret("own")));
    assert_eq!(
        plan.on_hello(&hello(Some("own"))),
        StoreAction::Keep,
        "the same token again"
    );
    assert_eq!(plan.choose(), Some(Auth::DeviceToken(secret("own"))));
    assert_eq!(plan.on_hello(&hello(Some("newer"))), StoreAction::Save(secret("newer")));
}

#[test]
fn a_wrong_token_gets_one_retry_with_the_device_token() {
    let mut plan = CredentialPlan::new(Some(token()), Some(secret("own")), EndpointTrust::Trusted);
    let first = plan.on_refusal(&refusal("AUTH_TOKEN_MISMATCH"));
    assert_eq!(
        first,
        AfterRefusal {
            pause: after(250),
            store: StoreAction::Keep
        }
    );
    assert_eq!(plan.choose(), Some(both()));
    let second = plan.on_refusal(&refusal("AUTH_TOKEN_MISMATCH"));
    assert_eq!(
        second,
        AfterRefusal {
            pause: Pause::PERSON,
            store: StoreAction::Keep
        }
    );
    assert_eq!(
        plan.choose(),
        Some(token()),
        "the gateway keeps saying that a retry may help, and it does not"
    );
    assert_eq!(plan.on_refusal(&refusal("AUTH_TOKEN_MISMATCH")).pause, Pause::PERSON);
}

#[test]
fn a_retry_that_worked_is_kept_and_a_hello_gives_the_next_one() {
    let mut plan = CredentialPlan::new(Some(token()), Some(secret("own")), EndpointTrust::Trusted);
    let _ = plan.on_refusal(&refusal("AUTH_TOKEN_MISMATCH"));
    assert_eq!(plan.on_hello(&hello(None)), StoreAction::Keep);
    assert_eq!(plan.choose(), Some(both()));

    let _ = plan.on_refusal(&refusal("AUTH_TOKEN_MISMATCH"));
    assert_eq!(plan.choose(), Some(token()));
    let _ = plan.on_hello(&hello(None));
    assert_eq!(plan.on_refusal(&refusal("AUTH_TOKEN_MISMATCH")).pause, after(250));
}

#[test]
fn there_is_no_retry_over_a_line_that_is_not_trusted_nor_without_both_tokens() {
    let plans = [
        CredentialPlan::new(Some(token()), Some(secret("own")), EndpointTrust::Untrusted),
        CredentialPlan::new(Some(token()), None, EndpointTrust::Trusted),
        CredentialPlan::new(None, Some(secret("own")), EndpointTrust::Trusted),
        CredentialPlan::new(
            Some(Auth::Password(secret("p"))),
            Some(secret("own")),
            EndpointTrust::Trusted,
        ),
    ];
    for mut plan in plans {
        let chosen = plan.choose();
        let after = plan.on_refusal(&refusal("AUTH_TOKEN_MISMATCH"));
        assert_eq!(
            after,
            AfterRefusal {
                pause: Pause::PERSON,
                store: StoreAction::Keep
            },
            "{plan:?}"
        );
        assert_eq!(plan.choose(), chosen);
    }
}

#[test]
fn a_device_token_that_the_gateway_disowns_is_forgotten() {
    let mut plan = CredentialPlan::new(None, Some(secret("own")), EndpointTrust::Trusted);
    let gone = plan.on_refusal(&refusal("AUTH_DEVICE_TOKEN_MISMATCH"));
    assert_eq!(
        gone,
        AfterRefusal {
            pause: Pause::PERSON,
            store: StoreAction::Forget
        }
    );
    assert_eq!(plan.choose(), None);
    assert_eq!(
        plan.on_refusal(&refusal("AUTH_DEVICE_TOKEN_MISMATCH")).store,
        StoreAction::Keep,
        "nothing left"
    );

    let mut plan = CredentialPlan::new(Some(token()), Some(secret("own")), EndpointTrust::Trusted);
    let _ = plan.on_refusal(&refusal("AUTH_TOKEN_MISMATCH"));
    let gone = plan.on_refusal(&refusal("AUTH_DEVICE_TOKEN_MISMATCH"));
    assert_eq!(
        gone,
        AfterRefusal {
            pause: Pause::BACKOFF,
            store: StoreAction::Forget
        }
    );
    assert_eq!(plan.choose(), Some(token()));
}

#[test]
fn the_close_with_that_text_forgets_it_and_no_other_close_does() {
    let close = |code, reason| CloseReason::new(CloseCode(code), reason);
    let mut plan = CredentialPlan::new(None, Some(secret("own")), EndpointTrust::Trusted);
    for other in [
        close(1008, "pairing required"),
        close(4001, "device removed"),
        close(1006, ""),
    ] {
        assert_eq!(plan.on_close(&other), StoreAction::Keep);
    }
    assert_eq!(
        plan.on_close(&close(1008, "unauthorized: device token mismatch")),
        StoreAction::Forget
    );
    assert_eq!(plan.choose(), None);
}

#[test]
fn debug_shows_no_secret() {
    let plan = CredentialPlan::new(Some(token()), Some(secret("own-secret")), EndpointTrust::Trusted);
    let text = format!("{plan:?} {:?}", StoreAction::Save(secret("own-secret")));
    assert!(!text.contains("shared") && !text.contains("own-secret"), "{text}");
}

#[test]
fn token_and_password_go_together_and_a_refused_token_gets_its_one_retry() {
    let configured = Auth::configured(Some(secret("shared")), Some(secret("pass phrase")));
    let mut plan = CredentialPlan::new(configured.clone(), Some(secret("own")), EndpointTrust::Trusted);
    assert_eq!(
        (plan.choose(), plan.kind()),
        (configured, CredentialKind::TokenAndPassword)
    );
    let after = plan.on_refusal(&refusal("AUTH_PASSWORD_MISMATCH"));
    assert_eq!(
        (after.pause, plan.kind()),
        (Pause::PERSON, CredentialKind::TokenAndPassword)
    );
    let _ = plan.on_refusal(&refusal("AUTH_TOKEN_MISMATCH"));
    assert_eq!(plan.choose(), Some(both()));
}
