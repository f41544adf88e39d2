//! Rights over a store that one process has at a time: to run its agents, to send its messages, to write its journal.

use std::any::Any;
use std::fmt;

/// An action on a store that one process at a time may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Right {
    /// Run its agents.
    Agents,
    /// Send the messages that it keeps.
    Sends,
    /// Write its journal.
    Journal,
}

impl fmt::Display for Right {
    /// The action of the process that has the right: "runs the agents".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Agents => "runs the agents",
            Self::Sends => "sends the messages",
            Self::Journal => "records into the journal",
        })
    }
}

/// A right over a store. Dropping it gives the right back; so does the end of the process, however it ends.
#[must_use = "dropping it gives the right back"]
pub struct Ownership {
    right: Right,
    guard: Box<dyn Guard>,
}

/// The hold that a backend has on a right: a locked file, an advisory lock of a database session, a lease that a task renews.
///
/// Dropping the guard must give the right back at once, without waiting: a backend that has to tell a server does it in the
/// background.
pub trait Guard: Any + Send + Sync {
    /// Whether the right is still held. A lock of this machine is held until it is dropped; a lease, or a lock of a database
    /// session, can be lost before.
    fn is_held(&self) -> bool {
        true
    }
}

impl Ownership {
    /// A right that is held as long as `guard` is not dropped.
    ///
    /// ```
    /// use windlass_store::{Guard, Ownership, Right};
    ///
    /// /// A right that a server keeps for this process.
    /// struct Lease;
    ///
    /// impl Guard for Lease {}
    ///
    /// impl Drop for Lease {
    ///     fn drop(&mut self) {
    ///         // Tells the server.
    ///     }
    /// }
    ///
    /// let ownership = Ownership::new(Right::Agents, Lease);
    /// assert!(ownership.is_held());
    /// ```
    pub fn new(right: Right, guard: impl Guard) -> Self {
        Self {
            right,
            guard: Box::new(guard),
        }
    }

    /// The right.
    pub fn right(&self) -> Right {
        self.right
    }

    /// Whether the right is still held: [`Guard::is_held`].
    pub fn is_held(&self) -> bool {
        self.guard.is_held()
    }
}

impl fmt::Debug for Ownership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ownership")
            .field("right", &self.right)
            .field("is_held", &self.is_held())
            .finish_non_exhaustive()
    }
}
