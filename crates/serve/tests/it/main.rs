//! The service over simulated gateways, as a client sees it. Every response is compared with the OpenAPI document.

mod agent_calls;
mod document;
mod gateways;
mod harness;
mod records;
mod templates;
mod tokens;
