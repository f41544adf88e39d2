//! The program as its users see it: exit codes, output, help.
//!
//! | module | what |
//! |---|---|
//! | `bench` | runs the program against simulated gateways, in a home of its own |
//! | `shop` | the same, with records of gateways, boards and agents |
//! | `tls` | a TLS front for a gateway |
//! | the others | one subject each |

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod agents;
mod bench;
mod calls;
mod chaos;
mod chat;
mod config;
mod coordinate;
mod crash;
mod demo;
mod doctor;
mod foreign_folder;
mod getting_started;
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
mod sessions;
mod shop;
mod status;
#[cfg(target_os = "linux")]
mod terminal;
mod tls;
mod watch;
