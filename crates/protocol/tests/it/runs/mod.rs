//! One logical send, followed through all that releases, outages and restarts do to it.

#![expect(
    clippy::needless_pass_by_value,
    reason = "helpers take literals of JSON, which read better without a sign before each"
)]

mod bench;
mod interleaved;
mod model;
mod outages;
mod recorded;
mod traps;
