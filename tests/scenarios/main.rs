//! What a user of the library can observe, against simulated gateways, in virtual time unless a file says otherwise.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and tells its seed"
)]

mod agents;
mod bench;
mod calls;
mod control_plane;
mod deadlines;
mod events;
mod half_a_character;
mod host_panics;
mod hostile;
mod journal;
mod journal_disk;
mod journal_lives;
mod kept_sends;
mod kept_sends_killed;
mod matrix;
mod reconnect;
mod refusals;
mod registry;
mod roster;
mod secrets;
mod sends;
mod sends_storm;
mod sends_traps;
mod sessions;
mod shutdown;
mod slow_connects;
mod spellings;
mod storm;
mod subscriptions;
mod supervision;
mod supervision_table;
mod threads;
mod tls;
mod traced;
mod typed;
mod wire;
