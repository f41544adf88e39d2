//! A gateway's address.

use windlass_line::Endpoint;

use crate::shared::{CANARY, assert_fit_to_show, assert_keeps_secret, text};

/// The URL is read or refused. The address of an endpoint is read as the same endpoint. The endpoint is shown with all parts of its
/// address except the path. Neither the endpoint nor an error has a user name, a password or a query.
pub(super) fn run(data: &[u8]) {
    let Some(text) = text(data) else { return };
    match Endpoint::parse(text) {
        Ok(endpoint) => {
            let shown = endpoint.address();
            let logged = endpoint.to_string();
            assert!(
                logged == shown || logged.strip_suffix("/…").is_some_and(|host| shown.starts_with(host)),
                "{logged}"
            );
            assert!(!shown.contains(['?', '#']), "{shown}");
            // A path may have one.
            let authority = shown.split('/').nth(2).unwrap_or_default();
            assert!(!authority.contains('@') && !authority.is_empty(), "{shown}");
            assert_eq!(Endpoint::parse(&shown).as_ref(), Ok(&endpoint), "{shown}");
            assert_eq!(endpoint.is_secure(), shown.starts_with("wss://"));
            assert!(!endpoint.host().is_empty() && endpoint.origin().contains(authority));
            with_secret(&shown);
        }
        Err(error) => assert_fit_to_show(&error.to_string()),
    }
}

/// Tokens are pasted into addresses in many ways: none is an address, and none is repeated.
fn with_secret(shown: &str) {
    let (scheme, rest) = shown.split_once("://").expect("an address has a scheme");
    for text in [
        format!("{scheme}://{CANARY}@{rest}"),
        format!("{scheme}://user:{CANARY}@{rest}"),
        format!("{shown}?token={CANARY}"),
        format!("{shown}#{CANARY}"),
    ] {
        let error = Endpoint::parse(&text).expect_err("it holds a secret");
        assert_keeps_secret(&error.to_string());
    }
}
