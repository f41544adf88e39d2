//! A span that survives a panic of its subscriber.

pub use ::tracing::span::{Attributes, Id, Record};

use crate::guard;

/// A span of `tracing`: made, filled in and closed in a guard.
#[derive(Debug)]
pub struct Span(::tracing::Span);

impl Span {
    /// A disabled span.
    pub const fn none() -> Self {
        Self(::tracing::Span::none())
    }

    /// Makes a span; a disabled one when that panics.
    pub fn new(make: impl FnOnce() -> ::tracing::Span) -> Self {
        guard(make).map_or_else(Self::none, Self)
    }

    /// Whether it is disabled.
    pub fn is_disabled(&self) -> bool {
        self.0.is_disabled()
    }

    /// Uses it; does nothing for a disabled span.
    pub fn with(&self, using: impl FnOnce(&::tracing::Span)) {
        if !self.is_disabled() {
            guard(|| using(&self.0));
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if !self.is_disabled() {
            let span = std::mem::replace(&mut self.0, ::tracing::Span::none());
            guard(|| drop(span));
        }
    }
}
