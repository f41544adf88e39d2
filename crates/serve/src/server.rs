//! The listener, from start to shutdown.

use std::io;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::response::IntoResponse as _;
use axum::routing::get;
use tokio::net::TcpListener;
use windlass_operations::{OperationError, OperationErrorCode, Service};

use crate::auth::Authenticator;
use crate::guard::{AllowedHosts, check_host};
use crate::limiter::FailureLimiter;
use crate::problem::ProblemResponse;
use crate::{App, openapi, routes};

/// The largest body of a request: a gateway takes frames of up to 25 MiB, and a body becomes one.
const BODY_LIMIT: usize = 25 * 1024 * 1024;

/// Settings of a [`Server`].
#[derive(Debug, Clone)]
pub struct ServeConfig {
    /// The address to listen on; port 0 takes a free port.
    pub listen: SocketAddr,
    /// Names by which the service may be reached, beside addresses and `localhost`.
    pub hosts: Vec<String>,
    /// Listen beyond loopback without TLS: everybody on the way reads the tokens.
    pub insecure_http: bool,
}

/// Why the service can't listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The address is beyond loopback, and there is no TLS.
    #[error("{0} is reachable from other machines, and the tokens of all requests would be readable on the way")]
    NeedsTls(SocketAddr),
    /// The system refuses the address.
    #[error("can't listen on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The answer of the system.
        source: io::Error,
    },
}

/// A service that listens.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    router: Router,
    service: Service,
}

impl Server {
    /// Takes the address.
    ///
    /// # Errors
    /// [`ListenError`].
    pub async fn bind(service: Service, auth: Authenticator, config: &ServeConfig) -> Result<Self, ListenError> {
        let address = config.listen;
        if !address.ip().is_loopback() && !config.insecure_http {
            return Err(ListenError::NeedsTls(address));
        }
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|source| ListenError::Bind { address, source })?;
        let router = router(service.clone(), auth, &config.hosts);
        Ok(Self {
            listener,
            router,
            service,
        })
    }

    /// The address that the service listens on.
    ///
    /// # Errors
    /// The system's.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves requests until the service ends ([`Service::begin_shutdown`]), and the requests under way after it.
    ///
    /// # Errors
    /// The system's.
    pub async fn run(self) -> io::Result<()> {
        let mut ending = self.service.ending();
        let ended = async move {
            // An error means that the service is gone, which is its end.
            let _ = ending.wait_for(|ending| *ending).await;
        };
        axum::serve(self.listener, self.router)
            .with_graceful_shutdown(ended)
            .await
    }
}

/// The interface as a service of `tower`, for a host that has its own listener.
pub fn router(service: Service, auth: Authenticator, hosts: &[String]) -> Router {
    let (routes, _) = routes::described();
    let document = openapi::document_json().to_string();
    let as_json = move || {
        let document = document.clone();
        async move { ([("content-type", "application/json")], document) }
    };
    routes
        .route("/openapi.json", get(as_json))
        .fallback(|| async { no_route().into_response() })
        .method_not_allowed_fallback(|| async {
            no_route()
                .with_status(axum::http::StatusCode::METHOD_NOT_ALLOWED)
                .into_response()
        })
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::from_fn_with_state(AllowedHosts::new(hosts), check_host))
        .with_state(App {
            service,
            auth,
            limiter: FailureLimiter::new(),
        })
}

fn no_route() -> ProblemResponse {
    OperationError::new(
        OperationErrorCode::NotFound,
        "There is no such path and method",
        "See GET /openapi.json.",
    )
    .into()
}
