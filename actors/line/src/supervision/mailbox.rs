//! Actors that own their state, and the one queue that leads to them.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use actix::dev::channel::{AddressReceiver, channel};
use actix::{Actor, Addr, Context};
use tokio::sync::oneshot;

use super::Panic;
use crate::stall_detector::handling;

/// An actor that does not run yet. Made on any thread together with its address; run on a thread with a `LocalSet`.
pub struct Unstarted<A: Actor> {
    mailbox: AddressReceiver<A>,
    make: Box<dyn FnOnce() -> A + Send>,
}

impl<A: Actor<Context = Context<A>>> fmt::Debug for Unstarted<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unstarted").finish_non_exhaustive()
    }
}

impl<A: Actor<Context = Context<A>>> Unstarted<A> {
    /// An actor and its address. `make` makes the actor on the thread that runs it. At most `capacity` messages wait in the
    /// mailbox, and one more for each sender; senders wait beyond that.
    pub fn new(capacity: usize, make: impl FnOnce() -> A + Send + 'static) -> (Self, Addr<A>) {
        let (sender, mailbox) = channel(capacity);
        let unstarted = Self {
            mailbox,
            make: Box::new(make),
        };
        (unstarted, Addr::new(sender))
    }

    /// Runs the actor until its last address is dropped. Must be polled within a `LocalSet` (or an actix system) with tokio's
    /// time. Dropping the future ends the actor, and with it all tasks that it owns.
    pub async fn run(self) {
        let actor = (self.make)();
        Context::with_receiver(self.mailbox).into_future(actor).await;
    }
}

/// The answer to a message that an actor works on beside its mailbox. It ends with an error when that work panicked or was
/// dropped.
pub type Answer<T> = oneshot::Receiver<T>;

/// An actor that outlives a panic of its handlers: the panic costs the message in hand, and neither the messages behind it nor
/// the actor's state. Its handlers only change the actor's tables and begin tasks, so it is whole after a panic.
pub trait SurvivesPanics: Sized {
    /// Counts and reports a panic.
    fn panicked(&mut self, panic: &Panic);

    /// Handles a message. `name` names it if it blocks a thread. `None` after a panic.
    fn guarded<T>(&mut self, name: &'static str, handle: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let _handling = handling(name);
        match catch_unwind(AssertUnwindSafe(|| handle(self))) {
            Ok(result) => Some(result),
            Err(payload) => {
                self.panicked(&Panic::new(&*payload));
                None
            }
        }
    }
}
