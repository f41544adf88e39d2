//! Turns that take too long: a task that blocks a thread of lines is named.
//!
//! A thread runs its actors and tasks in turns, and one that computes or waits in its turn holds up all lines of the thread.
//! Each turn is noted in one word of the thread: its task, and its number. A watch in a thread of its own looks at that word
//! from time to time; the same turn at several looks has lasted from the first of them to the last. That costs a turn two
//! stores and no look at a clock, and an idle thread nothing.
//!
//! Only threads that were [entered](ThreadActivity::enter) are watched: none under virtual time.

mod instrument;
mod thread;
mod watch;

pub use instrument::{Handling, Instrumented, handling, instrument};
pub use thread::ThreadActivity;
pub use watch::{BLOCKED_AFTER, BlockedTask, LOOK_EVERY, watch};
