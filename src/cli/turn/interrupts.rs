//! Ctrl-C, and being told to end.

use crate::cli::exit::Failure;

/// What came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Interrupt {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM, or the terminal is gone.
    Terminate,
}

/// Signals, from now on: none is lost between two looks.
#[cfg(unix)]
pub(in crate::cli) struct Interrupts {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Interrupts {
    pub(in crate::cli) fn listen() -> Result<Self, Failure> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The next one. May be dropped and asked again.
    pub(in crate::cli) async fn next(&mut self) -> Interrupt {
        tokio::select! {
            Some(()) = self.interrupt.recv() => Interrupt::Interrupt,
            Some(()) = self.terminate.recv() => Interrupt::Terminate,
            Some(()) = self.hangup.recv() => Interrupt::Terminate,
            else => std::future::pending().await,
        }
    }
}

/// Signals, from now on.
#[cfg(not(unix))]
pub(in crate::cli) struct Interrupts(());

#[cfg(not(unix))]
impl Interrupts {
    pub(in crate::cli) fn listen() -> Result<Self, Failure> {
        Ok(Self(()))
    }

    /// The next one.
    pub(in crate::cli) async fn next(&mut self) -> Interrupt {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Interrupt::Interrupt,
            Err(_) => std::future::pending().await,
        }
    }
}
