//! The macros of `tracing`, in a guard.
//!
//! Subscribers of `tracing` and recorders of `metrics` are code of the host. One that panics must cost its record and nothing
//! else: not the task that had something to tell, and not the process, which a second panic during an unwinding would abort.
//! So the crates of Windlass that run in a host name this crate `tracing` in their `Cargo.toml`: each macro of theirs is
//! guarded, and one without a guard can't be written there. Everything that is exported has the name and the meaning that it has in
//! `tracing`, except for [`guard`] and [`Foreign`], which are for the rest of the host's code.

mod macros;
pub mod span;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub use ::tracing::{Event, Level, Metadata, Subscriber, dispatcher, field, level_filters, subscriber};

pub use span::Span;

/// The parts that the macros of this crate use.
#[doc(hidden)]
pub use ::tracing as unguarded;

/// Runs code of the host. Nothing when it panicked: the panic ends here.
///
/// Values that the code shares with the rest must be whole after a panic: it gets values to look at, or values of its own.
pub fn guard<T>(foreign: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(foreign)) {
        Ok(value) => Some(value),
        Err(panic) => {
            discard(panic);
            None
        }
    }
}

/// Drops the payload of a panic, which may panic in turn.
#[cold]
fn discard(panic: Box<dyn Any + Send>) {
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        std::mem::forget(second);
    }
}

/// Whether any subscriber wants records of this level. Reads a number, and runs no code of the host.
#[doc(hidden)]
#[inline]
pub fn is_wanted(level: Level) -> bool {
    level <= level_filters::STATIC_MAX_LEVEL && level <= level_filters::LevelFilter::current()
}

/// A value of the host: made, used and dropped in a guard.
#[derive(Debug)]
pub struct Foreign<T>(Option<T>);

impl<T> Foreign<T> {
    /// Makes it. When that panics there is none, and [`with`](Self::with) does nothing.
    pub fn new(make: impl FnOnce() -> T) -> Self {
        Self(guard(make))
    }

    /// Uses it. Nothing when there is none, or when it panicked.
    #[inline]
    pub fn with<R>(&self, using: impl FnOnce(&T) -> R) -> Option<R> {
        let value = self.0.as_ref()?;
        guard(|| using(value))
    }

    /// Whether there is one.
    pub const fn is_there(&self) -> bool {
        self.0.is_some()
    }
}

impl<T> Drop for Foreign<T> {
    fn drop(&mut self) {
        if let Some(value) = self.0.take() {
            guard(|| drop(value));
        }
    }
}

#[cfg(test)]
mod tests;
