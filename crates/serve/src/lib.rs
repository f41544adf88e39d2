//! Windlass as a service: the HTTP interface over the operations.
//!
//! A handler reads a request, calls one operation of `windlass-operations`, and writes its result. Rules, rights and errors are those
//! of the operation. Routes are registered together with their description, so the OpenAPI document names each route and no other.
//!
//! | module | contents |
//! |---|---|
//! | [`server`] | the listener, from start to shutdown |
//! | [`auth`] | the caller of a request, from its token |
//! | `extract` | the parts of a request, with errors as problems |
//! | `guard` | `Host` and `Origin` of a request |
//! | `limiter` | a bound on failed attempts to prove an identity |
//! | [`problem`] | errors as `application/problem+json` |
//! | [`metrics`] | numbers for Prometheus |
//! | `sse` | the form of streams |
//! | `routes` | the handlers, one file for each noun |
//! | [`openapi`] | the OpenAPI document |

pub mod auth;
mod extract;
mod guard;
mod limiter;
pub mod metrics;
pub mod openapi;
pub mod problem;
mod random;
mod routes;
pub mod server;
mod sse;

pub use auth::Authenticator;
pub use server::{ListenError, ServeConfig, Server};

use windlass_operations::Service;

use crate::limiter::FailureLimiter;

/// The state that handlers share.
#[derive(Debug, Clone)]
pub(crate) struct App {
    pub(crate) service: Service,
    pub(crate) auth: Authenticator,
    pub(crate) limiter: FailureLimiter,
}
