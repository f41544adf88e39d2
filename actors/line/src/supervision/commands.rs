//! Commands from the registry to the supervisor of a line.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Instant;

use crate::GatewaySpec;

/// A command to the supervisor of a line.
#[derive(Debug)]
pub(crate) enum LineCommand {
    /// Connect now, and reset the backoff.
    ReconnectNow,
    /// Use another spec from now on.
    Update(Box<GatewaySpec>),
    /// Let the calls under way end until then, and close for good.
    Stop {
        /// When the calls that are left are ended.
        drain_until: Instant,
    },
}

/// The commands that the supervisor of a line has not taken yet. This is a state and not a queue: a new command of a kind replaces
/// the one before. It outlives a panic of the supervisor.
#[derive(Debug, Default)]
pub(crate) struct LineCommands(RefCell<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    stop: Option<Instant>,
    update: Option<Box<GatewaySpec>>,
    reconnect: bool,
    /// The registry dropped its [`LineControl`].
    released: bool,
    waker: Option<Waker>,
}

impl LineCommands {
    /// The next command; `None` when the registry has released the line. `Stop` comes first, then `Update`.
    ///
    /// ## Cancel safety
    /// No command is lost when the future is dropped.
    pub(crate) async fn next(&self) -> Option<LineCommand> {
        poll_fn(|cx| {
            let mut waiting = self.0.borrow_mut();
            if let Some(drain_until) = waiting.stop.take() {
                return Poll::Ready(Some(LineCommand::Stop { drain_until }));
            }
            if let Some(spec) = waiting.update.take() {
                return Poll::Ready(Some(LineCommand::Update(spec)));
            }
            if std::mem::take(&mut waiting.reconnect) {
                return Poll::Ready(Some(LineCommand::ReconnectNow));
            }
            if waiting.released {
                return Poll::Ready(None);
            }
            waiting.waker = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    fn change(&self, change: impl FnOnce(&mut Waiting)) {
        let waker = {
            let mut waiting = self.0.borrow_mut();
            change(&mut waiting);
            waiting.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The registry's end of [`LineCommands`]. Dropping it closes the line.
#[derive(Debug)]
pub(crate) struct LineControl(Rc<LineCommands>);

impl LineControl {
    pub(crate) fn new() -> (Self, Rc<LineCommands>) {
        let commands = Rc::<LineCommands>::default();
        (Self(Rc::clone(&commands)), commands)
    }

    pub(crate) fn send(&self, command: LineCommand) {
        self.0.change(|waiting| match command {
            LineCommand::ReconnectNow => waiting.reconnect = true,
            LineCommand::Update(spec) => waiting.update = Some(spec),
            LineCommand::Stop { drain_until } => {
                waiting.stop = Some(waiting.stop.map_or(drain_until, |until| until.min(drain_until)));
            }
        });
    }
}

impl Drop for LineControl {
    fn drop(&mut self) {
        self.0.change(|waiting| waiting.released = true);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::{Clock as _, TokioClock};

    #[test]
    fn a_stop_comes_first_and_the_end_of_the_control_comes_last() {
        let (control, commands) = LineControl::new();
        assert!(commands.next().now_or_never().is_none());
        control.send(LineCommand::ReconnectNow);
        control.send(LineCommand::ReconnectNow);
        let until = TokioClock::start().now();
        control.send(LineCommand::Stop { drain_until: until });
        drop(control);
        let next = || commands.next().now_or_never().expect("a command waits");
        assert!(matches!(next(), Some(LineCommand::Stop { drain_until }) if drain_until == until));
        assert!(matches!(next(), Some(LineCommand::ReconnectNow)));
        assert!(next().is_none() && next().is_none());
    }
}
