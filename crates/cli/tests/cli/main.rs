//! The program as its users see it: exit codes, output, help.
//!
//! | module | what |
//! |---|---|
//! | `harness` | runs the program against simulated gateways, in a home of its own |
//! | `store_fixture` | the same, with records of gateways, boards and agents |
//! | `tls` | a TLS front for a gateway |
//! | the others | one subject each |

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod agents;
mod calls;
mod changes;
mod chaos;
mod chat;
mod config;
mod coordinate;
mod crash;
mod demo;
mod doctor;
mod foreign_folder;
mod getting_started;
mod harness;
mod help;
mod hostile;
mod interrupt;
mod journal;
mod limits;
mod logins;
mod one_list;
mod people;
mod records;
mod secrets;
mod serve;
mod sessions;
mod status;
mod store_fixture;
#[cfg(target_os = "linux")]
mod terminal;
mod tls;
mod watch;
