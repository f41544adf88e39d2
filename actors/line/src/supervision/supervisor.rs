//! Keeps one line up: starts its connection, waits for its end, decides, waits, starts again.

use std::ops::ControlFlow;
use std::rc::Rc;
use std::time::{Duration, Instant};

use windlass_protocol::time::after;

use super::commands::{LineCommand, LineCommands};
use super::decision::{Decision, decide};
use super::{Intensity, LineContext, Panic, Rest, Running};
use crate::clock::sleep_until;
use crate::connection::{DisconnectReason, GatewayConnection, Order, ReasonSlot};
use crate::failpoint;
use crate::line::{LineState, drive_calls_until};
use crate::routing::Marker;
use crate::telemetry;
use crate::transport::ConnectStep;

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
        let was_up = self.after_end(&exit);
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
        let mut child = Child::start(&self.line);
        let (exit, asked) = self.watch(&mut child).await;
        let was_up = self.after_end(&exit);
        let next = self.plan(&exit, asked);
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
    async fn watch(&mut self, child: &mut Child) -> (DisconnectReason, Option<Flow>) {
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
    fn after_end(&self, exit: &DisconnectReason) -> bool {
        let line = &self.line;
        let was_up = line.reconnect.borrow().is_up();
        // First, so that what its calls end with is not taken for the gateway's answer.
        line.topics.end();
        line.router.meter().ended(exit.name());
        if matches!(exit, DisconnectReason::Panicked(_)) {
            telemetry::restarted("connection");
        }
        line.pending.lock().calls.lost();
        let learnt = line.reconnect.borrow_mut().ended(exit, line.shard.clock.now());
        line.keep_token(learnt);
        was_up
    }

    /// When the next attempt comes; the line's status says so from here on.
    fn plan(&mut self, exit: &DisconnectReason, asked: Option<Flow>) -> Instant {
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
            let memory = &mut *line.reconnect.borrow_mut();
            let (second_chance, learnt) = memory.second_chance(exit, &line.spec());
            line.keep_token(learnt);
            let intensity = (&mut self.intensity, &line.spec().intensity);
            decide(
                exit,
                now,
                second_chance,
                &mut memory.backoff,
                intensity,
                &mut memory.rng,
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
struct Child {
    actor: Running<GatewayConnection>,
    exit: ReasonSlot,
}

impl Child {
    fn start(line: &Rc<LineContext>) -> Self {
        let exit = ReasonSlot::default();
        let actor = GatewayConnection::new(Rc::clone(line), Rc::clone(&exit));
        let actor = Running::start("connection", Some(&line.id), actor);
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
