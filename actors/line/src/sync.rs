//! Locks and atomics of the pieces that threads share: the standard library's, or loom's in a build that explores all orders of
//! their steps (`--cfg windlass_loom`, by `just loom`).

#[cfg(windlass_loom)]
pub(crate) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
};
#[cfg(not(windlass_loom))]
pub(crate) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
};
