//! Shared code of the simulated gateway and the chaos proxy: faulty links, a port that can be shut, owned tasks.

pub(crate) mod link;
pub(crate) mod listener;
pub(crate) mod panic_stream;
pub(crate) mod shaper;
pub(crate) mod stream;
pub(crate) mod tasks;

use tokio::time::Instant;

/// The one place of this crate that reads a clock.
#[expect(
    clippy::disallowed_methods,
    reason = "the testkit keeps its own clock on tokio time, read only here"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}
