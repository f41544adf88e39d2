//! `Host` and `Origin` of a request.
//!
//! A page of another site can send requests to a service on loopback through the browser of its reader, and with a name that it lets
//! point to 127.0.0.1 it can read the answers. So `Host` has to be an address, `localhost`, or a name that the service is told; and a
//! request with an `Origin` has to come from the same.

use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use std::net::IpAddr;
use std::sync::Arc;
use windlass_operations::{OperationError, OperationErrorCode};

use crate::problem::ProblemResponse;

/// The names by which the service may be reached, in lower case.
#[derive(Debug, Clone, Default)]
pub(crate) struct AllowedHosts(Arc<[String]>);

impl AllowedHosts {
    pub(crate) fn new(names: &[String]) -> Self {
        Self(names.iter().map(|name| name.to_ascii_lowercase()).collect())
    }

    fn allows(&self, authority: &str) -> bool {
        let Ok(authority) = authority.parse::<Authority>() else {
            return false;
        };
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_ascii_lowercase();
        host == "localhost" || host.parse::<IpAddr>().is_ok() || self.0.contains(&host)
    }
}

/// Refuses requests for another name, and requests of pages of other sites.
pub(crate) async fn check_host(State(allowed): State<AllowedHosts>, request: Request, next: Next) -> Response {
    match check(&allowed, &request) {
        Ok(()) => next.run(request).await,
        Err(error) => ProblemResponse::from(error).into_response(),
    }
}

fn check(allowed: &AllowedHosts, request: &Request) -> Result<(), OperationError> {
    let header = |name| {
        request
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap_or_default())
    };
    let host = header(HOST).or_else(|| request.uri().authority().map(Authority::as_str));
    let host = host.unwrap_or_default();
    if !allowed.allows(host) {
        return Err(refused("The header Host names another service"));
    }
    match header(ORIGIN) {
        Some(origin) if origin.split_once("://").is_none_or(|(_, from)| from != host) => {
            Err(refused("The request comes from a page of another site"))
        }
        _ => Ok(()),
    }
}

fn refused(why: &str) -> OperationError {
    OperationError::new(
        OperationErrorCode::Forbidden,
        why,
        "Use the address of the service, or allow a name with windlass serve --host NAME.",
    )
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn judged(host: &str, origin: Option<&str>) -> bool {
        let mut request = Request::builder().uri("/livez").header(HOST, host);
        if let Some(origin) = origin {
            request = request.header(ORIGIN, origin);
        }
        let allowed = AllowedHosts::new(&["Windlass.Example".to_owned()]);
        check(&allowed, &request.body(Body::empty()).unwrap()).is_ok()
    }

    #[test]
    fn a_request_for_another_name_is_refused() {
        for host in ["127.0.0.1:7420", "localhost:7420", "[::1]:7420", "windlass.example"] {
            assert!(judged(host, None), "{host}");
        }
        for host in ["evil.example", "evil.example:7420", "", "127.0.0.1.evil.example"] {
            assert!(!judged(host, None), "{host}");
        }
    }

    #[test]
    fn a_request_of_a_page_of_another_site_is_refused() {
        assert!(judged("127.0.0.1:7420", Some("http://127.0.0.1:7420")));
        for origin in ["http://evil.example", "null", "http://127.0.0.1:8080"] {
            assert!(!judged("127.0.0.1:7420", Some(origin)), "{origin}");
        }
    }
}
