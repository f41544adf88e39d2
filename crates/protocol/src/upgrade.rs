//! Why the HTTP upgrade to a WebSocket was refused.

use std::time::Duration;

use serde_json::Value;

use crate::error::ErrorClass;
use crate::pause::Pause;

/// Longest body looked into, in bytes: a gateway's own refusals are under 1 KiB, a proxy's error page may be anything.
pub const BODY_LIMIT: usize = 16 * 1024;

/// The meaning of an HTTP answer other than 101.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UpgradeKind {
    /// 503: the gateway is going down or coming up (both generations, seen around every restart).
    Unavailable,
    /// 403 with `error.type` `proxy_attribution_required`: a forwarding header from a proxy that the gateway does not trust
    /// (2026.9.6).
    ProxyNotTrusted,
    /// 401 or 407.
    Unauthorized,
    /// Another 403.
    Forbidden,
    /// 404 or 410: no gateway at this path.
    NotFound,
    /// 3xx: the URL points elsewhere; redirects are not followed, because the credentials would go along.
    Redirect,
    /// 429.
    TooManyRequests,
    /// Another 5xx (502 and 504: a proxy that cannot reach the gateway).
    ServerError,
    /// A 2xx or another 4xx: something answers here that is not a gateway.
    NotAGateway,
}

/// An HTTP refusal of the upgrade.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the WebSocket upgrade was refused with HTTP status {status}")]
pub struct UpgradeRefusal {
    /// The HTTP status.
    pub status: u16,
    /// Its meaning.
    pub kind: UpgradeKind,
    /// The `Retry-After` header, if it gave seconds.
    pub retry_after: Option<Duration>,
}

impl UpgradeRefusal {
    /// Classifies an answer by its status and, for 403, by the first [`BODY_LIMIT`] bytes of its body.
    pub fn new(status: u16, body: &[u8]) -> Self {
        let kind = match status {
            300..=399 => UpgradeKind::Redirect,
            401 | 407 => UpgradeKind::Unauthorized,
            403 if is_untrusted_proxy(body) => UpgradeKind::ProxyNotTrusted,
            403 => UpgradeKind::Forbidden,
            404 | 410 => UpgradeKind::NotFound,
            429 => UpgradeKind::TooManyRequests,
            503 => UpgradeKind::Unavailable,
            500..=599 => UpgradeKind::ServerError,
            _ => UpgradeKind::NotAGateway,
        };
        Self {
            status,
            kind,
            retry_after: None,
        }
    }

    /// Adds the `Retry-After` header's text; anything but whole seconds is ignored.
    pub fn with_retry_after(mut self, header: Option<&str>) -> Self {
        self.retry_after = header
            .and_then(|text| text.trim().parse().ok())
            .map(Duration::from_secs);
        self
    }

    /// Whether waiting helps.
    pub fn class(&self) -> ErrorClass {
        match self.kind {
            UpgradeKind::Unavailable | UpgradeKind::TooManyRequests | UpgradeKind::ServerError => ErrorClass::Transient,
            _ => ErrorClass::NeedsPerson,
        }
    }

    /// When to try again.
    pub fn pause(&self) -> Pause {
        match self.kind {
            UpgradeKind::Unauthorized => Pause::PERSON,
            _ if self.class() == ErrorClass::Transient => Pause::asked(self.retry_after),
            _ => Pause::WRONG_PLACE,
        }
    }
}

fn is_untrusted_proxy(body: &[u8]) -> bool {
    let body = body.get(..BODY_LIMIT).unwrap_or(body);
    std::str::from_utf8(body)
        .ok()
        .and_then(|body| crate::json::decode::<Value>(body).ok())
        .is_some_and(|body| body.pointer("/error/type").and_then(Value::as_str) == Some("proxy_attribution_required"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_kind_and_only_passing_troubles_are_retried() {
        use UpgradeKind as Kind;
        let rows = [
            (200, Kind::NotAGateway, false),
            (301, Kind::Redirect, false),
            (308, Kind::Redirect, false),
            (400, Kind::NotAGateway, false),
            (401, Kind::Unauthorized, false),
            (403, Kind::Forbidden, false),
            (404, Kind::NotFound, false),
            (407, Kind::Unauthorized, false),
            (410, Kind::NotFound, false),
            (426, Kind::NotAGateway, false),
            (429, Kind::TooManyRequests, true),
            (500, Kind::ServerError, true),
            (502, Kind::ServerError, true),
            (503, Kind::Unavailable, true),
            (504, Kind::ServerError, true),
            (999, Kind::NotAGateway, false),
        ];
        for (status, kind, retried) in rows {
            let refusal = UpgradeRefusal::new(status, b"");
            assert_eq!(refusal.kind, kind, "{status}");
            let pause = match kind {
                Kind::Unauthorized => Pause::PERSON,
                _ if retried => Pause::BACKOFF,
                _ => Pause::WRONG_PLACE,
            };
            assert_eq!(refusal.pause(), pause, "{status}");
            assert_eq!(refusal.class() == ErrorClass::Transient, retried, "{status}");
        }
    }

    #[test]
    fn an_untrusted_proxy_is_told_from_any_other_403() {
        let body = br#"{"error":{"type":"proxy_attribution_required","message":"m"}}"#;
        assert_eq!(UpgradeRefusal::new(403, body).kind, UpgradeKind::ProxyNotTrusted);
        let mut long = body.to_vec();
        long.resize(BODY_LIMIT + 1, b' ');
        assert_eq!(UpgradeRefusal::new(403, &long).kind, UpgradeKind::ProxyNotTrusted);
        for other in ["", "<html>", r#"{"error":"proxy_attribution_required"}"#, "[]"] {
            assert_eq!(
                UpgradeRefusal::new(403, other.as_bytes()).kind,
                UpgradeKind::Forbidden,
                "{other}"
            );
        }
    }

    #[test]
    fn a_retry_after_header_in_seconds_is_honoured_within_bounds() {
        let pause = |header| UpgradeRefusal::new(503, b"").with_retry_after(header).pause();
        assert_eq!(
            pause(Some(" 7 ")),
            Pause::Retry {
                after: Some(Duration::from_secs(7))
            }
        );
        assert_eq!(
            pause(Some("99999999")),
            Pause::Retry {
                after: Some(crate::pause::PAUSE_MAX)
            }
        );
        assert_eq!(pause(Some("Wed, 21 Oct 2026 07:28:00 GMT")), Pause::BACKOFF);
        assert_eq!(pause(None), Pause::BACKOFF);
    }
}
