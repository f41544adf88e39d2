//! Looks at the threads, and says which one is blocked by whom.

use std::fmt;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch::Sender;
use windlass_protocol::GatewayId;

use crate::clock::Clock;
use crate::stall_detector::{TaskLabel, TaskTurn, ThreadActivity};
use crate::telemetry;

/// How often there is a look at the threads: twice a second is nothing to a process.
pub const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long a turn has lasted at least when it is reported. Turns take microseconds, and a turn that delays all lines of a thread by a
/// second is felt by callers, long before a gateway gives a silent client up.
pub const BLOCKED_AFTER: Duration = Duration::from_secs(1);

/// Looks at which a turn was seen when it has lasted so long. Looks are counted, and not time: in a process that was stopped and
/// goes on, time has passed and nothing was blocked.
const LOOKS: u32 = 3;
const _: () = assert!(LOOK_EVERY.as_millis() * (LOOKS as u128 - 1) == BLOCKED_AFTER.as_millis());

/// A task holds up all work of a thread.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlockedTask {
    /// The thread's name.
    pub thread: String,
    /// Which actor or task: `connection`, `registry`, `message`, ...
    pub what: &'static str,
    /// The message that it handles, where it is an actor that does.
    pub message: Option<&'static str>,
    /// The gateway of its line, where it belongs to one.
    pub gateway: Option<GatewayId>,
    /// When it was seen in this turn first.
    pub since: SystemTime,
}

impl fmt::Display for BlockedTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { thread, what, .. } = self;
        write!(f, "{what} blocks the thread {thread}")?;
        if let Some(message) = self.message {
            write!(f, " while it handles {message}")?;
        }
        if let Some(gateway) = &self.gateway {
            write!(f, " (gateway {gateway})")?;
        }
        Ok(())
    }
}

/// The known state of one thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TurnState {
    /// It was between turns.
    Idle,
    /// It was in this turn, at so many looks one after the other.
    InTurn { turn: TaskTurn, looks: u32, since: Instant },
    /// The turn was reported.
    Blocked { turn: TaskTurn, since: Instant },
}

/// The result of a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TurnChange {
    Nothing,
    Blocked {
        since: Instant,
    },
    /// The turn that was reported is over.
    Free {
        after: Duration,
    },
}

impl TurnState {
    /// The one transition: the next look.
    fn look(self, turn: TaskTurn, now: Instant) -> (Self, TurnChange) {
        let fresh = || {
            if turn.is_idle() {
                return Self::Idle;
            }
            let (looks, since) = (1, now);
            Self::InTurn { turn, looks, since }
        };
        match self {
            Self::InTurn {
                turn: seen,
                looks,
                since,
            } if seen == turn => {
                if looks + 1 >= LOOKS {
                    (Self::Blocked { turn, since }, TurnChange::Blocked { since })
                } else {
                    let looks = looks + 1;
                    (Self::InTurn { turn, looks, since }, TurnChange::Nothing)
                }
            }
            Self::Blocked { turn: seen, .. } if seen == turn => (self, TurnChange::Nothing),
            Self::Blocked { since, .. } => {
                let after = now.saturating_duration_since(since);
                (fresh(), TurnChange::Free { after })
            }
            Self::Idle | Self::InTurn { .. } => (fresh(), TurnChange::Nothing),
        }
    }
}

/// A thread under watch.
struct WatchedThread {
    thread: Weak<ThreadActivity>,
    seen: TurnState,
    blocked: Option<BlockedTask>,
}

impl WatchedThread {
    /// Whether its known state has changed.
    fn look(&mut self, clock: &dyn Clock) -> bool {
        let Some(thread) = self.thread.upgrade() else {
            return self.blocked.take().is_some();
        };
        let (turn, now) = (thread.now(), clock.now());
        let (seen, news) = self.seen.look(turn, now);
        self.seen = seen;
        match news {
            TurnChange::Nothing => false,
            TurnChange::Blocked { since } => {
                let Some(label) = thread.label(turn) else {
                    // Over between two looks at it.
                    self.seen = TurnState::Idle;
                    return false;
                };
                let since = clock.wall() - now.saturating_duration_since(since);
                self.blocked = Some(report(&thread, label, since));
                true
            }
            TurnChange::Free { after } => {
                if let Some(blocked) = self.blocked.take() {
                    let ms = after.as_millis();
                    tracing::warn!(thread = blocked.thread, what = blocked.what, ms, "the thread goes on");
                }
                true
            }
        }
    }
}

fn report(thread: &ThreadActivity, label: TaskLabel, since: SystemTime) -> BlockedTask {
    let blocked = BlockedTask {
        thread: thread.name().to_owned(),
        what: label.what,
        message: thread.message(),
        gateway: label.gateway,
        since,
    };
    telemetry::blocked(blocked.what);
    tracing::error!(
        thread = blocked.thread,
        what = blocked.what,
        message = blocked.message,
        gateway = blocked.gateway.as_ref().map(tracing::field::display),
        "one turn has lasted for a second, and holds up all that this thread does: look for what blocks or computes there"
    );
    blocked
}

/// Looks at threads until the other end of `alive` is dropped; run it on a thread of its own. Blocked turns are reported
/// to `status`.
pub fn watch(
    threads: impl IntoIterator<Item = Arc<ThreadActivity>>,
    clock: &dyn Clock,
    status: &Sender<Vec<BlockedTask>>,
    alive: &Receiver<()>,
) {
    let mut threads: Vec<_> = threads
        .into_iter()
        .map(|thread| WatchedThread {
            thread: Arc::downgrade(&thread),
            seen: TurnState::Idle,
            blocked: None,
        })
        .collect();
    while alive.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
        // Each of them is looked at, whatever the others bring.
        let changed = threads.iter_mut().filter_map(|thread| thread.look(clock).then_some(()));
        if changed.count() > 0 {
            let blocked = threads.iter().filter_map(|thread| thread.blocked.clone());
            status.send_replace(blocked.collect());
        }
    }
    status.send_if_modified(|blocked| !std::mem::take(blocked).is_empty());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stall_detector::{handling, instrument};

    /// Time that stands where it is put.
    struct Still(Instant);

    impl Clock for Still {
        fn now(&self) -> Instant {
            self.0
        }

        fn wall(&self) -> SystemTime {
            SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000)
        }
    }

    struct Bench {
        thread: Arc<ThreadActivity>,
        watched: WatchedThread,
        clock: Still,
    }

    impl Bench {
        fn new() -> Self {
            let thread = ThreadActivity::new("windlass-0");
            thread.enter();
            #[expect(clippy::disallowed_methods, reason = "an Instant can't be made from nothing")]
            let now = Instant::now();
            Self {
                watched: WatchedThread {
                    thread: Arc::downgrade(&thread),
                    seen: TurnState::Idle,
                    blocked: None,
                },
                thread,
                clock: Still(now),
            }
        }

        fn look(&mut self) -> Option<BlockedTask> {
            self.clock.0 += LOOK_EVERY;
            self.watched.look(&self.clock);
            self.watched.blocked.clone()
        }
    }

    /// Plays one turn of a task, in which the watch looks.
    fn turn<T>(what: &'static str, gateway: Option<&GatewayId>, act: impl FnOnce() -> T) -> T {
        let mut act = Some(act);
        let mut task = instrument(
            what,
            gateway,
            std::future::poll_fn(|_| std::task::Poll::Ready(act.take().expect("polled once")())),
        );
        match std::pin::Pin::new(&mut task).poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
            std::task::Poll::Ready(value) => value,
            std::task::Poll::Pending => unreachable!("it is ready at once"),
        }
    }

    #[test]
    fn a_turn_that_lasts_is_named_once_with_its_message_and_gateway_and_forgotten_when_it_is_over() {
        let mut bench = Bench::new();
        let gateway = GatewayId::new("gw").unwrap();
        let blocked = turn("connection", Some(&gateway), || {
            let _handling = handling("Order");
            assert_eq!((bench.look(), bench.look()), (None, None));
            let blocked = bench
                .look()
                .expect("three looks, a second apart from the first to the last");
            assert_eq!(bench.look(), Some(blocked.clone()));
            blocked
        });
        assert_eq!(
            blocked.to_string(),
            "connection blocks the thread windlass-0 while it handles Order (gateway gw)"
        );
        assert_eq!(bench.clock.wall().duration_since(blocked.since).unwrap(), BLOCKED_AFTER);
        assert_eq!(bench.look(), None);
        assert_eq!(bench.thread.message(), None);
    }

    #[test]
    fn a_busy_thread_with_short_turns_is_not_blocked() {
        let mut bench = Bench::new();
        for _ in 0..100 {
            let seen = turn("connection", None, || bench.look());
            assert_eq!(seen, None);
        }
    }

    #[test]
    fn a_turn_that_ends_by_a_panic_is_over_and_its_place_is_free() {
        let mut bench = Bench::new();
        let ended = std::panic::catch_unwind(|| turn("registry", None, || panic!("a bug")));
        ended.unwrap_err();
        assert!(bench.thread.now().is_idle());
        for _ in 0..5 {
            assert_eq!(bench.look(), None);
        }
        let other = turn("roster", None, || bench.thread.label(bench.thread.now()));
        assert_eq!(other.unwrap().what, "roster");
    }

    #[test]
    fn what_is_within_a_turn_gives_it_back() {
        let bench = Bench::new();
        let what = || bench.thread.label(bench.thread.now()).map(|label| label.what);
        let seen = turn("shard", None, || (what(), turn("message", None, what), what()));
        assert_eq!(seen, (Some("shard"), Some("message"), Some("shard")));
    }

    #[test]
    fn a_thread_that_is_gone_is_not_blocked() {
        let mut bench = Bench::new();
        turn("shard", None, || {
            for _ in 0..3 {
                bench.look();
            }
        });
        let Bench {
            mut watched,
            thread,
            clock,
        } = bench;
        ThreadActivity::new("another").enter();
        drop(thread);
        assert!(watched.look(&clock));
        assert!(watched.blocked.is_none());
    }
}
