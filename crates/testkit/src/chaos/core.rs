//! The shared state of all connections of a proxy: the switches, the rules, the log.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::watch;
use tokio::time::Instant;

use super::frame::{Frame, Overseer, Reading, skew};
use super::log::{Log, LogEvent};
use super::{Direction, Door, Fault, FrameFault, FrameRule, Pick};
use crate::net::link::{Cut, Link};
use crate::net::now;
use crate::net::shaper::bandwidth::Bandwidth;
use crate::net::shaper::latency::Latency;
use crate::net::shaper::slicing::Slicing;
use crate::net::stream::Raw;
use crate::net::tasks::Tasks;

pub(super) type Dialed = Pin<Box<dyn Future<Output = io::Result<Raw>> + Send>>;
pub(super) type Dialer = Box<dyn Fn() -> Dialed + Send + Sync>;

pub(super) struct Core {
    pub(super) dialer: Dialer,
    /// The `Host` of the upgrade request.
    pub(super) host: Option<String>,
    pub(super) seed: u64,
    pub(super) tasks: Tasks,
    born: Instant,
    state: Mutex<State>,
    /// Entries of the log.
    written: watch::Sender<u64>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) door: Door,
    link: Link,
    skew_ms: i64,
    rules: Vec<FrameRule>,
    conns: BTreeMap<u64, Conn>,
    next: u64,
    log: Log,
    traffic: Traffic,
    rng: StdRng,
}

/// One connection in the books.
#[derive(Debug)]
struct Conn {
    switches: watch::Sender<Link>,
    let_in: bool,
}

/// Frames that came to the proxy. (Frames that it then lost are counted too.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// From clients.
    pub frames_to_gateway: u64,
    /// From the gateway.
    pub frames_to_client: u64,
    /// Connections so far.
    pub connections: u64,
    /// Of them, let in by the gateway.
    pub let_in: u64,
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Core {
    pub(super) fn new(dialer: Dialer, host: Option<String>, seed: u64, log: Log) -> Self {
        Self {
            dialer,
            host,
            seed,
            tasks: Tasks::default(),
            born: now(),
            state: Mutex::new(State {
                door: Door::Open,
                link: Link {
                    seed,
                    ..Link::default()
                },
                skew_ms: 0,
                rules: Vec::new(),
                conns: BTreeMap::new(),
                next: 1,
                log,
                traffic: Traffic::default(),
                rng: StdRng::seed_from_u64(seed),
            }),
            written: watch::Sender::new(0),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, state: &mut State, what: LogEvent) {
        state.log.push(now().saturating_duration_since(self.born), what);
        self.written.send_replace(state.log.len());
    }

    /// Writes into the log.
    pub(super) fn record(&self, what: LogEvent) {
        self.note(&mut self.state(), what);
    }

    /// Tells how long the log is.
    pub(super) fn written(&self) -> watch::Receiver<u64> {
        self.written.subscribe()
    }

    /// Takes a connection into the books: its number, the door it met, its switches.
    pub(super) fn open(&self) -> (u64, Door, watch::Receiver<Link>) {
        let mut state = self.state();
        let (conn, door) = (state.next, state.door);
        state.next += 1;
        state.traffic.connections += 1;
        let switches = watch::Sender::new(Link {
            seed: self.seed ^ conn,
            ..state.link
        });
        let link = switches.subscribe();
        let entry = Conn {
            switches,
            let_in: false,
        };
        state.conns.insert(conn, entry);
        self.note(&mut state, LogEvent::Opened { conn });
        if door != Door::Open {
            self.note(&mut state, LogEvent::TurnedAway { conn });
        }
        (conn, door, link)
    }

    /// Takes it out of the books.
    pub(super) fn close(&self, conn: u64) {
        let mut state = self.state();
        state.conns.remove(&conn);
        self.note(&mut state, LogEvent::Closed { conn });
    }

    /// Applies the fault, except for the door of TCP, and logs it.
    pub(super) fn apply(&self, fault: &Fault) {
        let mut state = self.state();
        let connections = state.conns.len();
        self.note(
            &mut state,
            LogEvent::Applied {
                fault: fault.clone(),
                connections,
            },
        );
        state.apply(fault);
    }
}

impl State {
    pub(super) fn connections(&self) -> usize {
        self.conns.len()
    }

    pub(super) const fn log(&self) -> &Log {
        &self.log
    }

    pub(super) const fn traffic(&self) -> Traffic {
        self.traffic
    }

    fn apply(&mut self, fault: &Fault) {
        match *fault {
            Fault::Cut => self.cut(Cut::Drop),
            Fault::Reset => self.cut(Cut::Reset),
            Fault::Close(code) => self.cut(Cut::Close(code)),
            Fault::HalfOpen => self.each(|link| link.frozen = true),
            Fault::Stall(direction) => self.switch(|link| link.stall(direction, true)),
            Fault::Resume(direction) => self.switch(|link| link.stall(direction, false)),
            Fault::Latency { delay, jitter } => {
                self.switch(|link| link.shapers(|shaper| shaper.latency = Latency { delay, jitter }));
            }
            Fault::Bandwidth(direction, rate) => {
                self.switch(|link| link.lane_mut(direction).bandwidth = Bandwidth(rate));
            }
            Fault::SlowReader(direction, rate) => {
                self.switch(|link| link.lane_mut(direction).reading = Bandwidth(rate));
            }
            Fault::Slice(most) => self.switch(|link| link.shapers(|shaper| shaper.slicing = Slicing(most))),
            Fault::Door(door) => self.door = door,
            Fault::SkewClock(by_ms) => self.skew_ms = by_ms,
            Fault::Arm(ref rule) => self.rules.push(rule.clone()),
            Fault::Calm => self.calm(),
        }
    }

    fn calm(&mut self) {
        self.switch(|link| link.shapers(|shaper| *shaper = crate::net::shaper::TrafficShaper::default()));
        self.door = Door::Open;
        self.skew_ms = 0;
        self.rules.clear();
    }

    fn cut(&self, how: Cut) {
        self.each(|link| link.cut = Some(how));
    }

    /// Open connections only.
    fn each(&self, change: impl Fn(&mut Link)) {
        for conn in self.conns.values() {
            conn.switches.send_modify(&change);
        }
    }

    /// Open connections and coming ones.
    fn switch(&mut self, change: impl Fn(&mut Link)) {
        change(&mut self.link);
        self.each(change);
    }

    /// The fault of the first rule that wants this frame.
    fn rule_for(&mut self, direction: Direction, frame: &Frame) -> Option<FrameFault> {
        if !self.rules.iter().any(|rule| rule.direction == direction) {
            return None;
        }
        let reading = Reading::of(&frame.payload);
        let mut found = None;
        let rng = &mut self.rng;
        self.rules.retain_mut(|rule| {
            if found.is_some() || rule.direction != direction || !reading.is(&rule.which) {
                return true;
            }
            match &mut rule.pick {
                Pick::Nth(left) => {
                    *left = left.saturating_sub(1);
                    found = (*left == 0).then_some(rule.fault);
                    found.is_none()
                }
                Pick::Permille(chance) => {
                    found = (rng.random_range(0..1000) < *chance).then_some(rule.fault);
                    true
                }
            }
        });
        found
    }
}

impl Overseer for Core {
    fn judge(&self, conn: u64, direction: Direction, number: u64, frame: &mut Frame) -> Option<FrameFault> {
        let mut state = self.state();
        match direction {
            Direction::ToGateway => state.traffic.frames_to_gateway += 1,
            Direction::ToClient => state.traffic.frames_to_client += 1,
        }
        let by_ms = state.skew_ms;
        if by_ms != 0 && direction == Direction::ToClient && skew::skew(frame, by_ms) {
            self.note(&mut state, LogEvent::Skewed { conn, by_ms });
        }
        let fault = state.rule_for(direction, frame);
        if let Some(fault) = fault {
            let what = LogEvent::Tampered {
                conn,
                direction,
                frame: number,
                fault,
            };
            self.note(&mut state, what);
        }
        let arrives = matches!(fault, None | Some(FrameFault::Duplicate));
        if direction == Direction::ToClient && arrives && state.lets_in(conn, frame) {
            state.traffic.let_in += 1;
            self.note(&mut state, LogEvent::LetIn { conn });
        }
        fault
    }
}

impl State {
    /// Whether this frame is the first `hello-ok` of the connection.
    fn lets_in(&mut self, conn: u64, frame: &Frame) -> bool {
        const HELLO: &[u8] = b"\"hello-ok\"";
        match self.conns.get_mut(&conn) {
            Some(conn) if !conn.let_in => {
                conn.let_in = frame.payload.windows(HELLO.len()).any(|text| text == HELLO);
                conn.let_in
            }
            _ => false,
        }
    }
}
