//! The meaning of the answers to questions.

use std::time::{Duration, Instant};

use super::stage::{EndSign, SendStage};
use super::{Evidence, FailureSign, RunTracker};
use crate::KEY_MEMORY_SECONDS;
use crate::connection::Continuity;
use crate::releases::runs::{self as rules, WaitVerdict};
use crate::request::{AgentWaitReply, ChatHistoryReply};
use crate::run::ResendAfterLoss;
use crate::run::end::{Doubt, Loss, RunEnd};
use crate::run::evidence::{HistoryEvidence, SoughtMessage, TurnOutcome};
use crate::time::after;

/// How often history is asked for the rows of a run that is known to be over: they are written within ms of its end.
const SETTLE_TRIES: u32 = 5;
/// How often history is asked for the row of a message after a run that ended without an answer.
const SILENT_TRIES: u32 = 3;
/// How often a run's end is looked for in our turn before the run counts as foreign.
const CONFIRM_TRIES: u32 = 3;
/// Longest pause between two looks.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl RunTracker {
    pub(super) fn ask_history(&mut self, now: Instant) {
        self.wants.history(now);
    }

    /// The run is over; only how is open.
    pub(super) fn ask_how_it_ended(&mut self, now: Instant) {
        self.stage = SendStage::Asking;
        self.tries = 0;
        self.waited = true;
        self.wants.nothing();
        self.ask_history(now);
    }

    /// The run is over. That it ended with nothing said is known better.
    pub(super) fn over(&mut self, text: Option<String>) {
        if self.ended != Some(EndSign::Silent) {
            self.ended = Some(EndSign::Over(text));
        }
    }

    /// Looks again after a pause that doubles.
    pub(super) fn look_again(&mut self, now: Instant) {
        let pause = Duration::from_millis(250).saturating_mul(1 << self.tries.min(6));
        self.wants.history(now + pause.min(LONGEST_PAUSE));
    }

    pub(super) fn take_wait(&mut self, reply: &AgentWaitReply, now: Instant) {
        self.waited = true;
        let firm = self.is_firm(&reply.run_id);
        match rules::wait_verdict(reply) {
            WaitVerdict::Failed { message } if firm => {
                self.finish_failed(message, reply.run_id.clone(), FailureSign::Wait);
            }
            WaitVerdict::Aborted { reason } if firm => self.finish(RunEnd::Aborted {
                run_id: reply.run_id.clone(),
                reason,
                text: None,
                by: Evidence::Wait,
            }),
            WaitVerdict::Failed { .. } | WaitVerdict::Aborted { .. } => self.confirm(&reply.run_id, None, now),
            WaitVerdict::Over { text } => {
                if firm || reply.run_id == self.config.key {
                    // Only a process that has the run in memory says so.
                    self.life = Continuity::Same;
                }
                if let SendStage::HandedOn { .. } = self.stage {
                    self.ask_history(now);
                } else if firm {
                    self.over(text);
                    self.ask_how_it_ended(now);
                } else {
                    self.confirm(&reply.run_id, text, now);
                }
            }
            WaitVerdict::RunningOrUnknown => self.running_or_unknown(now),
        }
    }

    fn running_or_unknown(&mut self, now: Instant) {
        if self.life == Continuity::Same && self.accepted.is_some() && !self.session_replaced {
            match (&self.stage, &self.ended) {
                // It is over, whatever is said of the run that was asked for; only how is open.
                (_, Some(_)) => self.ask_history(now),
                (SendStage::Asking, None) => self.run(now),
                (_, None) => {}
            }
            self.heard_at = now;
        } else {
            self.ask_history(now);
        }
    }

    pub(super) fn take_history(&mut self, reply: &ChatHistoryReply, now: Instant) {
        self.learn(reply);
        let standing = HistoryEvidence::read(reply, &self.look());
        self.tries += 1;
        if standing.row || standing.queued {
            // Of what did arrive the gateway may know how it ended: an aborted run leaves no other row.
            self.waited &= self.accepted.is_some();
            self.accept(now);
        }
        self.noted = standing.row_ms.or(self.noted);
        let replaced = self.is_replaced(reply, &standing);
        match standing.outcome {
            Some(TurnOutcome::Final { text, run_id }) => {
                let text = if rules::is_silence(&text) { String::new() } else { text };
                let run_id = run_id.unwrap_or_else(|| self.run_id().to_owned());
                self.finish_shown(&text, run_id);
            }
            Some(TurnOutcome::Failed { message, run_id }) => {
                let run_id = run_id.unwrap_or_else(|| self.run_id().to_owned());
                self.failed_in_history(message, run_id, now);
            }
            Some(TurnOutcome::Aborted { reason, text, run_id }) => {
                let run_id = run_id.unwrap_or_else(|| self.run_id().to_owned());
                let (reason, by) = (Some(reason), Evidence::History);
                self.finish(RunEnd::Aborted {
                    run_id,
                    reason,
                    text,
                    by,
                });
            }
            None if replaced => self.finish(RunEnd::Lost(Loss::SessionReplaced)),
            None => self.unanswered(&standing, now),
        }
    }

    fn look(&self) -> SoughtMessage<'_> {
        SoughtMessage {
            key: &self.config.key,
            text: &self.config.text,
            since_ms: self.config.since_ms,
            begun_ms: self.begun_ms,
            noted_ms: self.noted,
            restarted: self.life == Continuity::Restarted,
            handed_on: self.adopted.is_some() || matches!(self.stage, SendStage::HandedOn { .. }),
            keys: self.config.facts.keys_in_history,
            adopted: self.adopted.as_ref().map(|run| run.id.as_str()),
            foreign: self.others.foreign_ids(),
        }
    }

    fn learn(&mut self, reply: &ChatHistoryReply) {
        let facts = &mut self.config.facts;
        let users = reply.messages.iter().filter(|row| row.role.as_deref() == Some("user"));
        for row in users {
            let keyed = rules::row_key(row).is_some();
            facts.keys_in_history = Some(keyed || facts.keys_in_history == Some(true));
        }
        facts.names_running |= reply.in_flight_run.is_some();
        if let Some(row) = &reply.session_info {
            self.learn_spelling(&row.key);
        }
    }

    /// Whether the run is gone, and the transcript that it wrote to: a row that is missing in the new transcript proves nothing.
    fn is_replaced(&mut self, reply: &ChatHistoryReply, standing: &HistoryEvidence) -> bool {
        let changed = self.session_id.is_some() && self.session_id != reply.session_id;
        let gone = !standing.row && standing.running.is_none() && self.accepted.is_some();
        if self.session_id.is_none() && standing.row {
            self.session_id.clone_from(&reply.session_id);
        }
        let over = self.ended.is_some() || self.life == Continuity::Restarted;
        gone && over && (changed || self.session_replaced)
    }

    /// A retry may follow where nothing says that the run is over: 2026.4.15 and 2026.5.12 write a row for each attempt.
    fn failed_in_history(&mut self, message: String, run_id: String, now: Instant) {
        if self.ended.is_some() {
            self.finish_failed(message, run_id, FailureSign::History);
        } else if !matches!(self.stage, SendStage::Erring { .. }) {
            self.wants.nothing();
            self.stage = SendStage::Erring { since: now, message };
        }
    }

    /// There is no answer yet.
    fn unanswered(&mut self, standing: &HistoryEvidence, now: Instant) {
        if let Some(run) = &standing.steered_to
            && self.life != Continuity::Restarted
        {
            return self.join(run, now);
        }
        if standing.cancelled {
            return self.finish(RunEnd::Aborted {
                run_id: self.run_id().to_owned(),
                reason: Some("cancelled".to_owned()),
                text: None,
                by: Evidence::History,
            });
        }
        if let Some((run, text)) = &standing.running
            // A run is named for a moment after its end.
            && !(self.ended == Some(EndSign::Silent) && self.is_ours(run))
            && self.goes_on(run, text, standing, now)
        {
            return;
        }
        match (&self.stage, &self.ended) {
            (SendStage::Erring { .. }, None) => {}
            (_, Some(EndSign::Silent)) if standing.row || self.tries >= SILENT_TRIES => self.end_silently(),
            (SendStage::HandedOn { since }, _) => self.wait_for_handover(*since, standing, now),
            (_, Some(_)) => self.settle(now),
            (SendStage::Running, None) => self.heard_at = now,
            (_, None) => self.by_life(standing, now),
        }
    }

    /// The run began, ended, and the history has neither an answer nor a failure of it.
    fn end_silently(&mut self) {
        let run_id = self.run_id().to_owned();
        self.finish_final("", run_id, false, Evidence::Event);
    }

    /// Whether the run that goes on in the session is ours; then it is followed from here.
    fn goes_on(&mut self, run: &str, text: &str, standing: &HistoryEvidence, now: Instant) -> bool {
        let resumed = standing.resumed_as.as_deref() == Some(run);
        let after_restart = self.noted.is_some() && self.life != Continuity::Same && !self.others.is_foreign(run);
        if !self.is_ours(run) {
            if !resumed && !after_restart {
                self.others.heard(run);
                return false;
            }
            // A run after a restart may be another user's: where no row says that it goes on with ours, its end is confirmed.
            self.adopt(run, resumed);
        }
        if self.is_firm(run) || run == self.config.key {
            self.life = Continuity::Same;
        }
        self.ended = None;
        self.stage = SendStage::Running;
        self.wants.nothing();
        self.heard_at = now;
        if run == self.run_id() && !text.is_empty() {
            let progress = self.spoken.whole(text, None, false);
            self.tell(progress);
        }
        true
    }

    /// Our message joined a run: its answer is ours.
    pub(super) fn join(&mut self, run: &str, now: Instant) {
        if let Some(text) = self.others.text_of(run).map(str::to_owned) {
            return self.finish_final(&text, run.to_owned(), true, Evidence::Event);
        }
        self.adopt(run, true);
        self.ended = None;
        self.stage = SendStage::Running;
        self.wants.nothing();
        self.heard_at = now;
    }

    fn by_life(&mut self, standing: &HistoryEvidence, now: Instant) {
        // Releases that go on with a turn after a restart may put another row in its place (2026.5.12 to 2026.8.2).
        let there = standing.row || standing.queued || (self.noted.is_some() && !self.session_replaced);
        match self.life {
            Continuity::Same if self.accepted.is_some() && there => self.run(now),
            // The same key in the same process is run once, however often it is sent.
            Continuity::Same => self.send_if_remembered(now),
            Continuity::Unknown if there && !self.waited => self.wants.wait(now),
            Continuity::Restarted | Continuity::Unknown if there => self.wait_for_resumption(now),
            // What was heard of and left no row shows that this gateway writes no row at once.
            Continuity::Restarted if self.config.facts.rows_at_once && !self.heard_run => self.send_again(now),
            // It may be ours, gone on with under another id, and its row be written at its end.
            Continuity::Restarted if self.somebody_runs(standing) => self.look_again(now),
            Continuity::Restarted => self.lost_with_process(now),
            Continuity::Unknown if self.waited || self.accepted.is_none() => self.perhaps_lost(now),
            Continuity::Unknown => self.wants.wait(now),
        }
    }

    /// Whether a run goes on in the session that is not known as foreign.
    fn somebody_runs(&self, standing: &HistoryEvidence) -> bool {
        let running = standing.running.as_ref();
        running.is_some_and(|(run, _)| !self.others.is_foreign(run))
    }

    /// Nothing tells whether the process that may have run it lives. In the same one the key protects the message; in another
    /// it would run a second time, so it goes there only where that is allowed, and else the answer is waited for as long as a
    /// key is remembered.
    fn perhaps_lost(&mut self, now: Instant) {
        let never_begun = self.config.facts.rows_at_once && !self.heard_run;
        if never_begun {
            self.send_again(now);
        } else if !self.is_remembered(now) {
            self.finish(RunEnd::Unknown(Doubt::KeyForgotten));
        } else if self.may_run_twice() {
            self.send_again(now);
        } else {
            self.wants.wait(now + LONGEST_PAUSE);
        }
    }

    /// The caller's permission once the process may have died with the run.
    fn may_run_twice(&self) -> bool {
        match self.config.resend {
            ResendAfterLoss::Never => false,
            ResendAfterLoss::IfUnanswered => self.accepted.is_none(),
            ResendAfterLoss::Always => true,
        }
    }

    /// Whether a gateway that lived all the time still knows the key.
    fn is_remembered(&self, now: Instant) -> bool {
        let memory = Duration::from_secs(KEY_MEMORY_SECONDS);
        self.first_sent.is_some_and(|at| now < at + memory)
    }

    /// Within its memory the gateway answers a known key instead of running it again. Later only the history can show that it
    /// was never run, where that has rows from the beginning.
    fn send_if_remembered(&mut self, now: Instant) {
        if self.is_remembered(now) || self.config.facts.rows_at_once {
            self.send_again(now);
        } else {
            self.finish(RunEnd::Unknown(Doubt::KeyForgotten));
        }
    }

    /// The gateway writes a row only after the run, and the process that may have run it is gone.
    fn lost_with_process(&mut self, now: Instant) {
        if self.tries < 2 {
            return self.look_again(now);
        }
        if self.may_run_twice() {
            // It is as if this had been the first attempt, of which nothing was heard: it may have been run all the same.
            self.written |= self.accepted.take().is_some();
            self.send_again(now);
        } else {
            self.finish(RunEnd::Lost(Loss::WithProcess));
        }
    }

    /// The message is there, nothing goes on with it yet.
    fn wait_for_resumption(&mut self, now: Instant) {
        let since = match self.stage {
            SendStage::Resuming { since } => since,
            _ => now,
        };
        self.stage = SendStage::Resuming { since };
        self.adopt_begun(now);
        if !matches!(self.stage, SendStage::Resuming { .. }) {
            return;
        }
        // Without a proof of the restart, silence may be a long thought; only a history that names what runs excludes it.
        let certain = self.life == Continuity::Restarted || self.config.facts.names_running;
        if certain && now >= after(since, self.config.limits.resume) {
            return self.finish(RunEnd::Lost(Loss::NotResumed));
        }
        self.look_again(now);
    }

    /// The run is known to be over, and the history does not show how.
    fn settle(&mut self, now: Instant) {
        if self.tries < SETTLE_TRIES {
            return self.look_again(now);
        }
        let run_id = self.run_id().to_owned();
        // Where the message may have died with its process, a run that began after is anybody's.
        let may_be_anothers = self.adopted.as_ref().is_some_and(|run| !run.firm);
        let guessed = may_be_anothers && self.life != Continuity::Same;
        match self.ended.take() {
            Some(EndSign::Erred(_)) if may_be_anothers => self.finish(RunEnd::Unknown(Doubt::EndUnseen)),
            _ if guessed => self.finish(RunEnd::Unknown(Doubt::EndUnseen)),
            Some(EndSign::Erred(message)) => self.finish_failed(message, run_id, FailureSign::Lifecycle),
            Some(EndSign::Silent) => self.end_silently(),
            Some(EndSign::Over(Some(text))) => self.finish_final(&text, run_id, false, Evidence::Wait),
            _ if self.spoken.text().is_empty() => {
                // `ok` is also what `agent.wait` says of a text that was handed on.
                self.ended = Some(EndSign::Over(None));
                self.stage = SendStage::HandedOn { since: now };
                self.others.look_from_here();
                self.tries = 0;
                self.look_again(now);
            }
            _ => self.finish(RunEnd::Unknown(Doubt::EndUnseen)),
        }
    }

    fn wait_for_handover(&mut self, since: Instant, standing: &HistoryEvidence, now: Instant) {
        if let Some(run) = self.adopted.clone() {
            if self.tries < CONFIRM_TRIES {
                return self.look_again(now);
            }
            // A message that still waits for its turn has no row yet, or another's behind it.
            let is_ours = standing.row && standing.is_last && self.life == Continuity::Same;
            if is_ours && self.said_nothing.as_ref() == Some(&run.id) {
                return self.end_silently();
            }
            // It was not our answer.
            self.others.foreign(&run.id);
            self.adopted = None;
        }
        let busy = self.others.any_active() || standing.running.is_some();
        // In another process the message joined nothing, whatever is answered there.
        let same = self.life == Continuity::Same;
        if same
            && !busy
            && standing.row
            && standing.is_last
            && now >= since + rules::JOIN_GRACE
            && self.joined_quietly()
        {
            return;
        }
        if !busy && now >= after(since, self.config.limits.handover) {
            let used = self.known_at_first && !self.heard_run;
            let why = if used { Doubt::KeyUsedBefore } else { Doubt::EndUnseen };
            return self.finish(RunEnd::Unknown(why));
        }
        self.look_again(now);
    }

    /// The run that was under way when our message was taken ended with an answer, and nothing runs after it: our message
    /// joined it. Only where it is known to have been handed on: a run of its own that left no answer looks the same.
    fn joined_quietly(&mut self) -> bool {
        if !self.handed_on {
            return false;
        }
        let found = self.accepted.and_then(|at| self.others.answered_last(at));
        let Some((run, text)) = found.map(|(run, text)| (run.to_owned(), text.to_owned())) else {
            return false;
        };
        self.finish_final(&text, run, true, Evidence::Event);
        true
    }
}
