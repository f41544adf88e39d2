//! The service over simulated gateways, as a client sees it. Every response is compared with the OpenAPI document.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod agent_calls;
mod document;
mod gateways;
mod harness;
mod messages;
mod records;
mod sessions;
mod streams;
mod templates;
mod tokens;
