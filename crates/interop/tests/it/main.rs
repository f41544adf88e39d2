//! The runner's binary as a user meets it, without npm and without real releases.

mod exit_codes;
mod guard;
