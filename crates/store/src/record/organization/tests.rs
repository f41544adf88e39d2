use super::*;

#[test]
fn a_url_that_carries_a_secret_is_recognised() {
    for url in [
        "ws://user:pw@host",
        "wss://user@host:1/x",
        "ws://host?token=x",
        "ws://host/p?a=1&authToken=x",
        "ws://host#token=x",
        "user:pw@host",
    ] {
        assert!(holds_a_secret(url), "{url}");
    }
    for url in [
        "",
        "ws://host:18789",
        "wss://host/a@b/token",
        "ws://[::1]:1/?tenant=4",
        "host",
    ] {
        assert!(!holds_a_secret(url), "{url}");
    }
}
