//! A simple model of the end of each call: one list that is searched from its beginning each time.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use windlass_protocol::KEY_MEMORY_SECONDS;
use windlass_protocol::connection::{CallLimits, Continuity, Resend};

use super::Order;

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Ok,
    Rejected,
    TimedOut,
    NotReady,
    WouldWait,
    TooLarge,
    QueueFull,
    NeverSent,
    LineLost,
    GatewayRestarted,
    MaybeRestarted,
    KeyForgotten,
    RepeatRefused,
    Closed,
}

impl End {
    /// Nothing left this process.
    pub(super) const NOT_SENT: [Self; 5] = [
        Self::NotReady,
        Self::WouldWait,
        Self::TooLarge,
        Self::QueueFull,
        Self::NeverSent,
    ];
    /// It was sent, and its outcome is unknown.
    pub(super) const UNKNOWN: [Self; 6] = [
        Self::LineLost,
        Self::GatewayRestarted,
        Self::MaybeRestarted,
        Self::KeyForgotten,
        Self::RepeatRefused,
        Self::Closed,
    ];
}

#[derive(Debug, Clone)]
struct Entry {
    id: u64,
    caller: usize,
    order: Order,
    deadline: u64,
    abandoned: Rc<Cell<bool>>,
    flies: bool,
    /// When it was written for the first time.
    sent: Option<u64>,
    /// How often it was written.
    writes: u32,
}

/// All calls that have no end, in the order in which they are to be written.
#[derive(Debug)]
pub(super) struct Model {
    limits: CallLimits,
    open: Vec<Entry>,
    admitted: usize,
    pub(super) up: bool,
    pub(super) ends: BTreeMap<usize, End>,
    /// Frames written.
    pub(super) writes: u64,
    /// Calls that ended without a report, because they have no caller any more.
    pub(super) forgotten: u64,
}

impl Model {
    pub(super) const fn new(limits: CallLimits) -> Self {
        Self {
            limits,
            open: Vec::new(),
            admitted: 0,
            up: false,
            ends: BTreeMap::new(),
            writes: 0,
            forgotten: 0,
        }
    }

    pub(super) fn waiting(&self) -> usize {
        self.open.iter().filter(|entry| !entry.flies).count()
    }

    pub(super) fn in_flight_ids(&self) -> Vec<u64> {
        self.open
            .iter()
            .filter(|entry| entry.flies)
            .map(|entry| entry.id)
            .collect()
    }

    pub(super) fn earliest(&self) -> Option<u64> {
        self.open.iter().map(|entry| entry.deadline).min()
    }

    /// Takes a call; gives its caller's number.
    pub(super) fn admit(&mut self, order: Order, deadline: u64, abandoned: Rc<Cell<bool>>) -> usize {
        let caller = self.admitted;
        self.admitted += 1;
        if self.waiting() >= self.limits.waiting {
            self.ends.insert(caller, End::QueueFull);
        } else if !self.up && !order.waits {
            self.ends.insert(caller, End::WouldWait);
        } else {
            self.open.push(Entry {
                id: self.admitted as u64,
                caller,
                order,
                deadline,
                abandoned,
                flies: false,
                sent: None,
                writes: 0,
            });
        }
        caller
    }

    /// Writes the next call that can be written; gives its id.
    pub(super) fn write(&mut self, now: u64) -> Option<u64> {
        loop {
            if self.in_flight_ids().len() >= self.limits.in_flight {
                return None;
            }
            let at = self.open.iter().position(|entry| !entry.flies)?;
            let entry = &mut self.open[at];
            if entry.abandoned.get() || now >= entry.deadline {
                self.end_late(at);
            } else if entry.order.large {
                self.end(at, End::TooLarge);
            } else {
                if entry.order.resend() == Resend::Never {
                    assert_eq!(entry.sent, None, "it could happen twice");
                }
                entry.flies = true;
                entry.sent.get_or_insert(now);
                entry.writes += 1;
                self.writes += 1;
                return Some(entry.id);
            }
        }
    }

    /// Takes an answer to a call in flight. Whether the call waits for another one.
    pub(super) fn answer(&mut self, id: u64, ok: bool, accepted: bool) -> bool {
        let at = self
            .open
            .iter()
            .position(|entry| entry.id == id)
            .expect("it is in flight");
        if ok && accepted && self.open[at].order.twice_answered {
            return true;
        }
        let entry = &self.open[at];
        let end = match ok {
            true => End::Ok,
            false if entry.writes > 1 && entry.order.resend() == Resend::SameBoot => End::RepeatRefused,
            false => End::Rejected,
        };
        self.end(at, end);
        false
    }

    pub(super) fn lose(&mut self) {
        self.up = false;
        self.end_where(|entry| (entry.flies && entry.order.resend() == Resend::Never).then_some(End::LineLost));
        // Calls that were in flight come before calls that waited, each in the order of their arrival.
        self.open
            .sort_by_key(|entry| (!entry.flies, if entry.flies { entry.id } else { 0 }));
        self.open.iter_mut().for_each(|entry| entry.flies = false);
        self.end_where(|entry| match entry.sent {
            _ if entry.order.waits => None,
            Some(_) => Some(End::LineLost),
            None => Some(End::WouldWait),
        });
    }

    pub(super) fn restore(&mut self, continuity: Continuity, now: u64) {
        self.up = true;
        self.end_where(|entry| {
            let sent = entry.sent.filter(|_| entry.order.resend() == Resend::SameBoot)?;
            match continuity {
                Continuity::Restarted => Some(End::GatewayRestarted),
                Continuity::Unknown => Some(End::MaybeRestarted),
                Continuity::Same => (now - sent >= KEY_MEMORY_SECONDS).then_some(End::KeyForgotten),
            }
        });
    }

    pub(super) fn expire(&mut self, now: u64) {
        while let Some(at) = self
            .open
            .iter()
            .position(|entry| entry.abandoned.get() || now >= entry.deadline)
        {
            self.end_late(at);
        }
    }

    pub(super) fn close(&mut self) {
        self.up = false;
        self.end_where(|entry| {
            Some(if entry.sent.is_some() {
                End::Closed
            } else {
                End::NeverSent
            })
        });
    }

    fn end_late(&mut self, at: usize) {
        if self.open[at].abandoned.get() {
            self.forgotten += 1;
            self.open.remove(at);
        } else if self.open[at].sent.is_some() {
            self.end(at, End::TimedOut);
        } else {
            self.end(at, End::NotReady);
        }
    }

    fn end(&mut self, at: usize, end: End) {
        let entry = self.open.remove(at);
        self.ends.insert(entry.caller, end);
    }

    fn end_where(&mut self, end: impl Fn(&Entry) -> Option<End>) {
        let (ends, open) = (&mut self.ends, &mut self.open);
        open.retain(|entry| match end(entry) {
            Some(end) => {
                ends.insert(entry.caller, end);
                false
            }
            None => true,
        });
    }
}
