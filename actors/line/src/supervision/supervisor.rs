//! Keeps one line up: starts its connection, waits for its end, decides, waits, starts again.

use std::cell::RefCell;
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use rand::Rng;
use windlass_protocol::Pause;
use windlass_protocol::connection::Backoff;
use windlass_protocol::time::after;

use crate::clock::sleep_until;
use crate::connection::{GatewayConnection, Order, ReasonSlot};
use crate::line::{DisconnectReason, LineContext, LineState, drive_calls_until};
use crate::routing::Marker;
use crate::spec::IntensityPolicy;
use crate::supervision::{Intensity, Panic, Rest, RunningActor};
use crate::transport::ConnectStep;
use crate::{GatewaySpec, failpoint, telemetry};

/// How the line goes on after a command or an end.
type Flow = ControlFlow<()>;

/// How a supervisor begins.
#[derive(Debug)]
pub(crate) enum Begin {
    /// With a line that is new, after this long.
    Fresh(Duration),
    /// In the place of a supervisor that panicked, with its connection.
    After(Panic, Rest),
}

/// Runs a line until it is told to stop. The line is closed when this returns.
pub(crate) async fn supervise(line: Rc<LineContext>, begin: Begin, commands: Rc<LineCommands>) {
    let mut supervisor = Supervisor {
        line,
        commands,
        intensity: Intensity::default(),
    };
    let start = supervisor.begin(begin);
    // Waits in boxes: a line that is up has no room for them.
    let mut flow = Box::pin(supervisor.wait_until(start)).await;
    while flow.is_continue() {
        flow = supervisor.one_connection().await;
    }
    supervisor.close();
    Box::pin(supervisor.line.tokens.settled()).await;
}

struct Supervisor {
    line: Rc<LineContext>,
    commands: Rc<LineCommands>,
    intensity: Intensity,
}

impl Supervisor {
    /// When the first attempt comes. A line that was left as it was is first put back to the state without a connection.
    fn begin(&self, begin: Begin) -> Instant {
        let now = self.line.shard.clock.now();
        let (panic, rest) = match begin {
            Begin::Fresh(delay) => return after(now, delay),
            Begin::After(panic, rest) => (panic, rest),
        };
        let exit = DisconnectReason::SupervisorPanicked(panic.into());
        let was_up = self.reset_after_end(&exit);
        let until = self.line.shard.wall_at(after(now, rest.delay));
        let state = match rest.degraded {
            Some(failures) => LineState::Degraded { until, failures },
            None => LineState::Waiting { until },
        };
        let report = exit.report(&self.line.spec().origins);
        self.line.status.transition(state, report);
        self.mark_down(was_up);
        after(now, rest.delay)
    }

    /// One incarnation, and the wait after it.
    async fn one_connection(&mut self) -> Flow {
        let attempt = self.line.reconnect.borrow_mut().attempt();
        self.line.status.transition(LineState::Connecting { attempt }, None);
        let mut child = ConnectionTask::start(&self.line);
        let (exit, asked) = self.watch(&mut child).await;
        let was_up = self.reset_after_end(&exit);
        let next = self.plan_next_attempt(&exit, asked);
        self.mark_down(was_up);
        match (asked, next) {
            (Some(flow), _) => flow,
            (None, next) => Box::pin(self.wait_until(next)).await,
        }
    }

    /// Tells the subscribers, after the status.
    fn mark_down(&self, was_up: bool) {
        if was_up {
            let generation = self.line.status.current().generation;
            self.line.router.mark(&Marker::Disconnected { generation });
        }
    }

    /// Waits for the connection's end, and passes commands on meanwhile. The second part is the flow that a command ordered.
    async fn watch(&mut self, child: &mut ConnectionTask) -> (DisconnectReason, Option<Flow>) {
        let mut asked = None;
        let (mut drains_until, mut let_go) = (None::<Instant>, false);
        loop {
            failpoint::reach("supervisor");
            let command = tokio::select! {
                biased;
                exit = child.end() => return (exit, asked),
                command = self.commands.next(), if !let_go => command,
            };
            match command {
                // Once more, it may be sooner: whoever closes all lines does not wait for one that drains for longer.
                Some(LineCommand::Stop { drain_until }) => {
                    asked = Some(Flow::Break(()));
                    if drains_until.is_none_or(|until| drain_until < until) {
                        drains_until = Some(drain_until);
                        child.order(Order::Drain(drain_until));
                    }
                }
                None => {
                    (asked, let_go) = (Some(Flow::Break(())), true);
                    child.order(Order::Close);
                }
                // What closes is not to be reached any more.
                Some(_) if asked == Some(Flow::Break(())) => {}
                Some(LineCommand::ReconnectNow) => {
                    self.fresh_start();
                    // An attempt that hangs is given up for a new one; a line that is up is left alone.
                    if !self.line.reconnect.borrow().is_up() {
                        asked = Some(Flow::Continue(()));
                        child.order(Order::Close);
                    }
                }
                Some(LineCommand::Update(spec)) => {
                    self.line.update(*spec);
                    self.fresh_start();
                    asked = Some(Flow::Continue(()));
                    child.order(Order::Close);
                }
            }
        }
    }

    /// Puts the line back to the state without a connection. Tells whether it was up.
    fn reset_after_end(&self, exit: &DisconnectReason) -> bool {
        let line = &self.line;
        let was_up = line.reconnect.borrow().is_up();
        // First, so that what its calls end with is not taken for the gateway's answer.
        line.topics.on_down();
        line.router.meter().ended(exit.name());
        if matches!(exit, DisconnectReason::Panicked(_)) {
            telemetry::restarted("connection");
        }
        line.pending.lock().calls.lost();
        let token_action = line.reconnect.borrow_mut().on_end(exit, line.shard.clock.now());
        line.keep_token(token_action);
        was_up
    }

    /// When the next attempt comes; the line's status says so from here on.
    fn plan_next_attempt(&mut self, exit: &DisconnectReason, asked: Option<Flow>) -> Instant {
        let line = Rc::clone(&self.line);
        let now = line.shard.clock.now();
        if let Some(flow) = asked {
            if flow.is_continue() {
                let attempt = line.reconnect.borrow().attempt();
                line.status.transition(LineState::Connecting { attempt }, None);
            }
            return now;
        }
        let decision = {
            let reconnect = &mut *line.reconnect.borrow_mut();
            let (second_chance, token_action) = reconnect.second_chance(exit, &line.spec());
            line.keep_token(token_action);
            let intensity = (&mut self.intensity, &line.spec().intensity);
            decide(
                exit,
                now,
                second_chance,
                &mut reconnect.backoff,
                intensity,
                &mut reconnect.rng,
            )
        };
        let wall = |delay| line.shard.wall_at(after(now, delay));
        let (delay, state) = match decision {
            Decision::Wait(delay) | Decision::Retry(delay) => (delay, LineState::Waiting { until: wall(delay) }),
            Decision::Pause(delay) => (delay, LineState::Paused { until: wall(delay) }),
            Decision::Degrade { rest, failures } => (
                rest,
                LineState::Degraded {
                    until: wall(rest),
                    failures,
                },
            ),
        };
        line.status.transition(state, exit.report(&line.spec().origins));
        let tries_other_credentials = matches!(decision, Decision::Retry(_));
        let failed = ConnectStep::Failed {
            tries_other_credentials,
        };
        line.shard.connector.on_step(&line.id, &failed);
        after(now, delay)
    }

    /// Waits, looking after the line's calls, until the time comes or a command changes something.
    async fn wait_until(&mut self, time: Instant) -> Flow {
        let line = Rc::clone(&self.line);
        if line.stopping.get() {
            return Flow::Break(());
        }
        let commands = Rc::clone(&self.commands);
        let event = async {
            tokio::select! {
                biased;
                () = sleep_until(time) => None,
                command = commands.next() => Some(command),
            }
        };
        match drive_calls_until(&line.pending, &*line.shard.clock, event).await {
            None => {}
            Some(Some(LineCommand::ReconnectNow)) => self.fresh_start(),
            Some(Some(LineCommand::Update(spec))) => {
                self.line.update(*spec);
                self.fresh_start();
            }
            Some(Some(LineCommand::Stop { .. }) | None) => return Flow::Break(()),
        }
        Flow::Continue(())
    }

    fn fresh_start(&mut self) {
        self.line.reconnect.borrow_mut().backoff.reset();
        self.intensity.reset();
    }

    fn close(&self) {
        self.line.pending.lock().close();
        self.line.router.close();
        self.line.status.transition(LineState::Closed, None);
    }
}

/// One incarnation of the connection's actor. Dropping it ends the actor.
struct ConnectionTask {
    actor: RunningActor<GatewayConnection>,
    exit: ReasonSlot,
}

impl ConnectionTask {
    fn start(line: &Rc<LineContext>) -> Self {
        let exit = ReasonSlot::default();
        let actor = GatewayConnection::new(Rc::clone(line), Rc::clone(&exit));
        let actor = RunningActor::start("connection", Some(&line.id), actor);
        Self { actor, exit }
    }

    fn order(&self, order: Order) {
        // An actor that can't be told is ending already.
        let _ = self.actor.address.try_send(order);
    }

    /// How the actor ended.
    ///
    /// ## Cancel safety
    /// Can be called again after being dropped before it was done.
    async fn end(&mut self) -> DisconnectReason {
        match self.actor.ended().await {
            Some(panic) => DisconnectReason::Panicked(panic.into()),
            None => self.exit.take().unwrap_or(DisconnectReason::Stopped),
        }
    }
}

/// When the next attempt comes, and the kind of the time until then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    /// An ordinary failure: the backoff decides.
    Wait(Duration),
    /// A person has to act: ask again slowly.
    Pause(Duration),
    /// Too many failures of our own: rest.
    Degrade { rest: Duration, failures: usize },
    /// At once: something else was tried that may work.
    Retry(Duration),
}

/// The one decision from the end of a connection to the next attempt. `second_chance` is a delay after which other credentials are tried, if there are any.
fn decide(
    exit: &DisconnectReason,
    now: Instant,
    second_chance: Option<Duration>,
    backoff: &mut Backoff,
    intensity: (&mut Intensity, &IntensityPolicy),
    rng: &mut impl Rng,
) -> Decision {
    let (intensity, policy) = intensity;
    if let Some(delay) = second_chance {
        return Decision::Retry(delay);
    }
    if matches!(exit, DisconnectReason::Panicked(_))
        && let Some(failures) = intensity.failed(now, policy)
    {
        return Decision::Degrade {
            rest: policy.rest,
            failures,
        };
    }
    match exit.pause() {
        Pause::Retry { after } => Decision::Wait(backoff.next_delay(now, after, rng)),
        Pause::SlowPoll { every } => Decision::Pause(every),
    }
}

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
pub(crate) struct LineCommands(RefCell<PendingCommands>);

#[derive(Debug, Default)]
struct PendingCommands {
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

    fn change(&self, change: impl FnOnce(&mut PendingCommands)) {
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
mod decision_tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;
    use windlass_protocol::connection::BackoffPolicy;
    use windlass_protocol::{CloseCode, CloseReason, CredentialKind, GatewayError};

    use super::*;

    fn decide_all(exits: &[DisconnectReason]) -> Vec<Decision> {
        #[expect(clippy::disallowed_methods, reason = "an Instant can't be made from nothing")]
        let now = Instant::now();
        let mut backoff = Backoff::new(BackoffPolicy::default());
        let mut intensity = Intensity::default();
        let policy = IntensityPolicy::default();
        let mut rng = StdRng::seed_from_u64(1);
        let one = |exit| decide(exit, now, None, &mut backoff, (&mut intensity, &policy), &mut rng);
        exits.iter().map(one).collect()
    }

    fn refused(error: serde_json::Value) -> DisconnectReason {
        let error: GatewayError = serde_json::from_value(error).unwrap();
        DisconnectReason::Refused(Box::new(error.into()), CredentialKind::Token)
    }

    #[test]
    fn what_passes_by_itself_backs_off_and_what_needs_a_person_pauses() {
        let closed = |code| DisconnectReason::Closed(CloseReason::new(CloseCode(code), ""));
        let token =
            serde_json::json!({"code": "INVALID_REQUEST", "message": "", "details": {"code": "AUTH_TOKEN_MISMATCH"}});
        let pairing = serde_json::json!({"code": "NOT_PAIRED", "message": "", "details": {"code": "PAIRING_REQUIRED"}});
        let decisions = decide_all(&[
            closed(1012),
            closed(1006),
            DisconnectReason::Lost(String::new()),
            refused(token),
            refused(pairing),
        ]);
        assert!(
            decisions[..3]
                .iter()
                .all(|decision| matches!(decision, Decision::Wait(_))),
            "{decisions:?}"
        );
        assert_eq!(
            decisions[3..],
            [
                Decision::Pause(Duration::from_secs(600)),
                Decision::Pause(Duration::from_secs(30))
            ]
        );
    }

    #[test]
    fn panics_back_off_until_they_are_too_many() {
        let exits: Vec<_> = (0..7).map(|_| DisconnectReason::Panicked(String::new())).collect();
        let decisions = decide_all(&exits);
        assert!(
            decisions[..5]
                .iter()
                .all(|decision| matches!(decision, Decision::Wait(_))),
            "{decisions:?}"
        );
        assert!(
            decisions[5..]
                .iter()
                .all(|decision| matches!(decision, Decision::Degrade { failures: 6, .. }))
        );
    }
}

#[cfg(test)]
mod commands_tests {
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
