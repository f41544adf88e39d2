//! Tasks with noted turns.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use windlass_protocol::GatewayId;

use super::thread::{Label, ThreadActivity, Turn};

/// A task with noted turns, on a thread with noted turns.
#[derive(Debug)]
pub struct Instrumented<F> {
    place: Option<Place>,
    task: Pin<Box<F>>,
}

/// A task's number on its thread, given back with this.
#[derive(Debug)]
struct Place {
    thread: Arc<ThreadActivity>,
    who: u32,
}

/// Notes the turns of a task of the present thread. `what` is a label of the metric: a fixed one.
pub fn instrument<F: Future>(what: &'static str, gateway: Option<&GatewayId>, task: F) -> Instrumented<F> {
    let place = ThreadActivity::current().map(|thread| {
        let gateway = gateway.cloned();
        let who = thread.take(Label { what, gateway });
        Place { thread, who }
    });
    let task = Box::pin(task);
    Instrumented { place, task }
}

impl<F: Future> Future for Instrumented<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Self { place, task } = &mut *self;
        // Over when the poll is, be it by a panic.
        let _turn = place.as_ref().map(|place| InTurn {
            before: place.thread.begin(place.who),
            thread: &place.thread,
        });
        task.as_mut().poll(cx)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.thread.give_back(self.who);
    }
}

struct InTurn<'a> {
    thread: &'a ThreadActivity,
    before: Turn,
}

impl Drop for InTurn<'_> {
    fn drop(&mut self) {
        self.thread.set(self.before);
    }
}

/// The message that is handled in the present turn, until this is dropped.
#[derive(Debug)]
#[must_use = "the message is forgotten when this is dropped"]
pub struct Handling(Option<Arc<ThreadActivity>>);

/// Names the message that an actor handles.
pub fn handling(message: &'static str) -> Handling {
    let thread = ThreadActivity::current();
    if let Some(thread) = &thread {
        thread.set_message(Some(message));
    }
    Handling(thread)
}

impl Drop for Handling {
    fn drop(&mut self) {
        if let Some(thread) = &self.0 {
            thread.set_message(None);
        }
    }
}
