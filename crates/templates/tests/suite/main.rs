//! What the templates promise: fixed texts, strictness, bounds, harmless values, layouts, and reading values back.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking too")]

mod bombs;
mod errors;
mod folder;
mod golden;
mod injection;
mod layout;
mod properties;
mod samples;
mod secrets;
mod tools;
