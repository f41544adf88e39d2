//! Runs real OpenClaw releases on loopback and drives them with scenarios.
//!
//! ```text
//! cli -> commands -> install   npm package -> folder of a release
//!                 -> scenario  one function that drives one release
//!                      -> process  the release as a child process, in a scratch folder
//!                      -> model    the fake model that its agents talk to
//!                      -> wire     a raw client beside the product
//!                 -> record    frames of a real release as fixtures
//!                 -> report    lines, JSON, the compatibility table
//! ```
//!
//! Needs npm (a release that is installed already does not) and a Unix. Without npm the runner
//! says `skipped: npm is not installed` and ends with 77: a skip is never a pass.

pub mod cli;
pub mod clock;
pub mod commands;
pub mod console;
pub mod device;
pub mod exit;
pub mod group;
mod hex;
pub mod install;
pub mod model;
pub mod process;
pub mod record;
pub mod release;
pub mod releases_dir;
pub mod report;
pub mod scenario;
pub mod scenarios;
mod stub;
pub mod tail;
pub mod wire;
