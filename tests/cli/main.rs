//! The program as its users see it: exit codes, output, help.
//!
//! | module | what |
//! |---|---|
//! | `bench` | runs the program against simulated gateways, in a home of its own |
//! | `tls` | a TLS front for a gateway |
//! | the others | one subject each |

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bench;
mod calls;
mod config;
mod demo;
mod doctor;
mod help;
mod interrupt;
mod secrets;
mod status;
mod tls;
mod watch;
