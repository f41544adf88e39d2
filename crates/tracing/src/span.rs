//! A span whose subscriber may panic.

pub use ::tracing::span::{Attributes, Id, Record};

use crate::guard;

/// A span of `tracing`: made, filled in and closed in a guard.
#[derive(Debug)]
pub struct Span(::tracing::Span);

impl Span {
    /// One that nobody sees.
    pub const fn none() -> Self {
        Self(::tracing::Span::none())
    }

    /// Makes one; when that panics, one that nobody sees.
    pub fn new(make: impl FnOnce() -> ::tracing::Span) -> Self {
        guard(make).map_or_else(Self::none, Self)
    }

    /// Whether nobody sees it.
    pub fn is_disabled(&self) -> bool {
        self.0.is_disabled()
    }

    /// Uses it; nothing when nobody sees it.
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
