//! Signals that end a command: Ctrl-C, SIGTERM, and SIGHUP when the terminal is gone.

use crate::exit::{ExitCode, Failure};

/// A signal that ends the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interrupt {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM, or the terminal is gone.
    Terminate,
}

/// Signals, from now on: none is lost between two looks.
#[cfg(unix)]
pub(crate) struct Interrupts {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    /// None where the process was started to survive its terminal (`nohup`).
    hangup: Option<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
impl Interrupts {
    pub(crate) fn listen() -> Result<Self, Failure> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: if ignores_hangup() {
                None
            } else {
                Some(signal(SignalKind::hangup())?)
            },
        })
    }

    /// The next one. May be dropped and asked again.
    pub(crate) async fn next(&mut self) -> Interrupt {
        tokio::select! {
            Some(()) = self.interrupt.recv() => Interrupt::Interrupt,
            Some(()) = self.terminate.recv() => Interrupt::Terminate,
            Some(()) = next_of(self.hangup.as_mut()) => Interrupt::Terminate,
            else => std::future::pending().await,
        }
    }
}

#[cfg(unix)]
async fn next_of(signal: Option<&mut tokio::signal::unix::Signal>) -> Option<()> {
    match signal {
        Some(signal) => signal.recv().await,
        None => std::future::pending().await,
    }
}

/// Whether SIGHUP is ignored, as `nohup` has it. Only Linux tells.
#[cfg(unix)]
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // Signal 1 is the lowest bit.
    ignored
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & 1 == 1)
}

/// Completes at the first signal that ends the program. At the second one the process exits at once, even if the command is blocked
/// by an output without a reader.
///
/// The handlers are in place when this returns.
pub(crate) fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    Ok(stop_at(Interrupts::listen()?))
}

fn stop_at(mut interrupts: Interrupts) -> impl Future<Output = ()> {
    let (told, stop) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        interrupts.next().await;
        // A command that has ended already has nothing to be told.
        let _ = told.send(());
        interrupts.next().await;
        std::process::exit(ExitCode::Interrupted as i32);
    });
    async {
        // The task ends with the process only.
        let _ = stop.await;
    }
}

/// Signals, from now on.
#[cfg(not(unix))]
pub(crate) struct Interrupts(());

#[cfg(not(unix))]
impl Interrupts {
    pub(crate) fn listen() -> Result<Self, Failure> {
        Ok(Self(()))
    }

    /// The next one.
    pub(crate) async fn next(&mut self) -> Interrupt {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Interrupt::Interrupt,
            Err(_) => std::future::pending().await,
        }
    }
}
