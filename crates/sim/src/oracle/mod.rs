//! The guarantees, and the checks that they were kept.

mod agents;
mod calls;
mod events;
mod journal;
mod messages;
mod roster;
mod secrets;

use std::fmt;

use serde::Serialize;

pub(crate) use self::agents::{made_once, nothing_to_do, only_the_new_one};
pub(crate) use self::calls::calls;
pub(crate) use self::events::{declared, in_order};
pub(crate) use self::journal::ExecutedWork;
pub(crate) use self::messages::messages;
pub(crate) use self::roster::roster;
pub(crate) use self::secrets::secrets;

/// A guarantee of Windlass that a run checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Promise {
    /// A call ends exactly once, within its deadline, with the true outcome.
    CallsEnd,
    /// Nothing is done twice.
    NothingTwice,
    /// A message is followed to its one end, and the right one.
    MessagesEnd,
    /// Events come in order, and markers report the lost ones.
    EventsTold,
    /// Topics are loaded again.
    Declared,
    /// A session cache is equal to the gateway's list.
    Roster,
    /// Agents are provisioned once, or there is an error with the next step.
    Agents,
    /// A gateway that is added and removed is either present and works, or absent and can be added, whichever future was dropped.
    Registry,
    /// A line comes back by itself.
    ComesBack,
    /// Nothing is left when all is over.
    NothingLeft,
    /// Secrets, and texts of users, stay out of the logs.
    Secrets,
    /// A panic stays where it is injected, and everything ends.
    Alive,
}

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// Which.
    pub promise: Promise,
    /// The way in which the guarantee was broken.
    pub how: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.promise, self.how)
    }
}

/// Collects the broken guarantees.
#[derive(Debug, Default)]
pub(crate) struct Verdict(pub(crate) Vec<Broken>);

impl Verdict {
    pub(crate) fn holds(&mut self, promise: Promise, kept: bool, otherwise: impl FnOnce() -> String) {
        if !kept {
            self.0.push(Broken {
                promise,
                how: otherwise(),
            });
        }
    }
}
