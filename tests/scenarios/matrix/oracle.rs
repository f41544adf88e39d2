//! What was promised, and whether it was kept.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use windlass::CallError;
use windlass::sessions::RunEnd;
use windlass_testkit::{Generation, Journal, SideEffect};

use super::case::Hides;
use super::cell::Cell;
use super::load::{DEADLINE, Ended, MESSAGE, What, Work};
use super::observer::Item;

/// A timer's grain.
const GRACE: Duration = Duration::from_millis(10);

/// Collects what is broken.
#[derive(Default)]
pub(super) struct Verdict(pub(super) Vec<String>);

impl Verdict {
    pub(super) fn holds(&mut self, kept: bool, otherwise: impl FnOnce() -> String) {
        if !kept {
            self.0.push(otherwise());
        }
    }

    /// 1 and 2: each call ended in time, and was done as its caller was told.
    pub(super) fn calls(&mut self, cell: &Cell, work: &Work, journal: &Journal) {
        for call in &work.calls {
            self.holds(call.took <= DEADLINE + GRACE, || {
                format!("{:?} took {:?}", call.what, call.took)
            });
            self.holds(
                !(matches!(call.what, What::Read) && matches!(call.end, Err(CallError::OutcomeUnknown(_)))),
                || "a read has no unknown outcome".into(),
            );
            // A request that became another one on its way may do anything.
            if cell.case.hides != Hides::Contents {
                self.effects(call, journal);
            }
        }
        if let Some(end) = &work.run {
            let runs = runs_by_us(MESSAGE, journal);
            self.holds(runs <= 1, || format!("the message was run {runs} times"));
            self.holds(!matches!(end, RunEnd::Final(_)) || runs == 1, || {
                format!("it was answered, and run {runs} times")
            });
            self.holds(!matches!(end, RunEnd::NotSent(_)) || runs == 0, || {
                "it was called not sent, and run".into()
            });
        }
    }

    fn effects(&mut self, call: &Ended, journal: &Journal) {
        let times = match &call.what {
            What::Read => return,
            What::Say(text) => runs_by_us(text, journal),
            What::Create(agent) => {
                journal.count(|effect| matches!(effect, SideEffect::AgentCreated { agent_id } if agent_id == agent))
            }
        };
        self.holds(times <= 1, || format!("{:?} was done {times} times", call.what));
        let told = match call.end {
            Ok(_) => times == 1,
            Err(CallError::Rejected(_) | CallError::NotSent(_)) => times == 0,
            Err(_) => true,
        };
        self.holds(told, || {
            format!(
                "{:?} was done {times} times, and its caller told {:?}",
                call.what, call.end
            )
        });
    }

    /// 3: events came in order, and what is missing was told.
    pub(super) fn events(&mut self, cell: &Cell, items: &[Item]) {
        let unseen = match cell.case.hides {
            Hides::Nothing => false,
            Hides::LostEvents => cell.generation == Generation::V3,
            Hides::Contents => true,
        };
        if unseen {
            return;
        }
        let (mut highest, mut told) = (0, false);
        let (mut missing, mut seen) = (BTreeSet::new(), HashSet::new());
        for item in items {
            match item {
                Item::Marker(_) => told = true,
                Item::Sessions(_) => {}
                Item::Pulse(None) => self.0.push("an event came without its contents".into()),
                Item::Pulse(Some(n)) => {
                    if *n > highest {
                        // A hole that no marker tells may still be filled, where holes mean nothing.
                        let hole = highest + 1..*n;
                        missing.extend(hole.filter(|_| !told));
                    } else {
                        missing.remove(n);
                        self.holds(told, || format!("event {n} came after {highest} without a marker"));
                    }
                    self.holds(seen.insert(*n), || format!("event {n} came twice"));
                    (highest, told) = (highest.max(*n), false);
                }
            }
        }
        self.holds(missing.is_empty(), || {
            format!("no marker tells that {missing:?} are missing")
        });
    }

    /// 4: what was declared is subscribed at the last connection, after all that was lost.
    pub(super) fn declared(&mut self, items: &[Item], generation: u64) {
        let last_load = items.iter().rposition(|item| *item == Item::Sessions(generation));
        let losses = ["gap", "disconnected", "unreadable"];
        let last_loss = items
            .iter()
            .rposition(|item| matches!(item, Item::Marker(name) if losses.contains(name)));
        self.holds(last_load.is_some() && last_load > last_loss, || {
            format!("the sessions were not loaded again at connection {generation}: {items:?}")
        });
    }
}

/// How often a text was handed to the model under keys that were sent from here. (A gateway resumes by itself, under another
/// key, what it was stopped over.)
fn runs_by_us(text: &str, journal: &Journal) -> usize {
    let keys: HashSet<String> = journal
        .requests("chat.send")
        .iter()
        .filter_map(|params| params["idempotencyKey"].as_str().map(str::to_owned))
        .collect();
    journal.count(
        |effect| matches!(effect, SideEffect::ChatRun { key, message, .. } if message == text && keys.contains(key)),
    )
}

/// What callers were told, as words.
pub(super) fn words(work: &Work) -> BTreeSet<&'static str> {
    let mut words: BTreeSet<_> = work.calls.iter().map(Ended::word).collect();
    if let Some(end) = &work.run {
        words.insert(match end {
            RunEnd::Final(_) => "answered",
            RunEnd::Failed(_) => "failed",
            RunEnd::Aborted { .. } => "aborted",
            RunEnd::Refused(_) => "refused",
            RunEnd::NotSent(_) => "not sent",
            RunEnd::Lost(_) => "lost",
            _ => "unknown",
        });
    }
    if let Some(report) = &work.report {
        words.insert(if report.all_done() {
            "done"
        } else {
            "done at the second run"
        });
    }
    words
}
