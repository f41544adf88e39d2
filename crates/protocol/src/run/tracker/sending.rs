//! The message on its way: answers, errors, the line.

use std::time::{Duration, Instant};

use super::stage::SendStage;
use super::{Adopted, Evidence, FailureSign, RunProgress, RunTracker};
use crate::connection::Continuity;
use crate::releases::runs as rules;
use crate::request::{ChatCommandReply, ChatSendReply, ChatSendRun, ChatSendStatus};
use crate::run::SentBefore;
use crate::run::end::{CommandDone, Doubt, RunEnd};
use crate::{CallError, ErrorClass, GatewayError, NotSent, UnknownReason};

impl RunTracker {
    /// Takes up a send of an earlier process.
    pub(super) fn resume(&mut self, before: SentBefore, now: Instant) {
        self.written = true;
        self.life = before.life;
        self.first_sent = Some(now.checked_sub(before.ago).unwrap_or(now));
        if before.accepted {
            self.accept(now);
        }
        self.doubt(now);
    }

    pub(super) fn take_reply(&mut self, reply: &ChatSendReply, now: Instant) {
        match reply {
            ChatSendReply::Run(run) => self.take_run(run, now),
            ChatSendReply::Command(done) => self.take_command(done, now),
        }
    }

    /// Commands have no run: this is all that will ever be heard of it.
    fn take_command(&mut self, done: &ChatCommandReply, now: Instant) {
        self.accepted.get_or_insert(now);
        self.finish(RunEnd::Command(CommandDone {
            aborted: done.aborted,
            run_ids: done.run_ids.clone().unwrap_or_default(),
        }));
    }

    fn take_run(&mut self, reply: &ChatSendRun, now: Instant) {
        if rules::is_taken_for_repetition(&self.config.key, reply) && !self.is_ours(&reply.run_id) {
            return self.not_run(&reply.run_id, now);
        }
        let first = self.sends == 1 && !self.config.sent_before && !self.written;
        self.known_at_first |= first && !self.heard_run && reply.status != ChatSendStatus::Started;
        let before = self.begun_before.take();
        if self.begun.is_none() && reply.status != ChatSendStatus::Started {
            self.begun = before;
        }
        self.life = Continuity::Same;
        self.accept(now);
        if reply.run_id != self.config.key && self.adopted.is_none() {
            self.adopt(&reply.run_id, true);
        }
        match &reply.status {
            ChatSendStatus::Ok => {
                self.over(None);
                self.ask_how_it_ended(now);
            }
            ChatSendStatus::Timeout => self.finish(RunEnd::Aborted {
                run_id: reply.run_id.clone(),
                reason: reply.stop_reason.clone().or_else(|| reply.summary.clone()),
                text: None,
                by: Evidence::Repeated,
            }),
            ChatSendStatus::Other(status) if &**status == "error" => {
                let message = reply.summary.clone().unwrap_or_default();
                self.finish_failed(message, reply.run_id.clone(), FailureSign::Repeated);
            }
            ChatSendStatus::Started | ChatSendStatus::InFlight | ChatSendStatus::Other(_) => {
                // The answer may come after events of the run, even after its end: those are newer.
                if !self.heard_since_send {
                    self.ended = None;
                }
                if self.ended.is_none() {
                    self.run(now);
                }
            }
        }
    }

    /// The gateway took the message for an older one.
    fn not_run(&mut self, older: &str, now: Instant) {
        self.others.foreign(older);
        self.repetitions += 1;
        if self.repetitions > rules::REPETITIONS {
            return self.finish(RunEnd::Unknown(Doubt::TakenForRepetition));
        }
        self.stage = SendStage::Sending;
        // These do not count: nothing was done with the message.
        self.sends = self.sends.saturating_sub(1).max(1);
        self.wants.send(now + rules::REPETITION_PAUSE);
    }

    pub(super) fn accept(&mut self, now: Instant) {
        self.accepted.get_or_insert(now);
        if !self.started_told {
            self.started_told = true;
            let run_id = self.config.key.clone();
            self.tell(Some(RunProgress::Started { run_id }));
        }
    }

    /// Events are expected from here on. Known facts of an end, or of another run, stay.
    pub(super) fn run(&mut self, now: Instant) {
        self.heard_at = now;
        self.waited = false;
        if matches!(
            self.stage,
            SendStage::Sending | SendStage::Asking | SendStage::Resuming { .. }
        ) {
            self.stage = SendStage::Running;
            self.wants.nothing();
        }
    }

    pub(super) fn take_send_error(&mut self, error: &CallError, now: Instant) {
        match error {
            CallError::Rejected(rejected) => self.rejected(&rejected.error, now),
            CallError::NotSent(why) => self.not_sent(why, now),
            CallError::TimedOut(_) => {
                self.written = true;
                self.doubt(now);
            }
            CallError::OutcomeUnknown(unknown) => {
                self.written = true;
                let life = match unknown.why {
                    UnknownReason::GatewayRestarted => Continuity::Restarted,
                    UnknownReason::MaybeRestarted | UnknownReason::KeyForgotten => Continuity::Unknown,
                    UnknownReason::LineLost | UnknownReason::RepeatRefused | UnknownReason::Closed => self.life,
                };
                self.life = worse(self.life, life);
                self.doubt(now);
            }
        }
    }

    /// A refusal is the end only if no attempt before it may have been taken: a gateway that drains refuses everything while
    /// it finishes the run.
    fn rejected(&mut self, error: &GatewayError, now: Instant) {
        /// The bounds of the wait after a passing refusal; the gateway's wish is clamped to them.
        const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
        let taken = self.written || self.accepted.is_some();
        let passes = error.class() == ErrorClass::Transient;
        let pause = error.retry_after.unwrap_or(PAUSES.0).clamp(PAUSES.0, PAUSES.1);
        match (taken, passes) {
            (false, true) => {
                // Nothing was done with it, so it does not count.
                self.sends = self.sends.saturating_sub(1).max(1);
                self.wants.send(now + pause);
            }
            (false, false) => self.finish(RunEnd::Refused(error.clone())),
            (true, _) => {
                self.stage = SendStage::Asking;
                self.wants.history(now + pause);
            }
        }
    }

    fn not_sent(&mut self, why: &NotSent, now: Instant) {
        if self.written || self.accepted.is_some() {
            self.sends = self.sends.saturating_sub(1).max(1);
            self.stage = SendStage::Asking;
            self.wants.history(now + Duration::from_secs(1));
        } else {
            self.finish(RunEnd::NotSent(why.clone()));
        }
    }

    pub(super) fn take_line_down(&mut self, now: Instant) {
        self.line_up = false;
        if self.wants.broken() {
            self.written = true;
        }
        self.spoken.gap();
        self.others.forget_activity();
        self.heard_at = now;
    }

    pub(super) fn take_line_up(&mut self, life: Continuity, now: Instant) {
        self.line_up = true;
        self.others.look_from_here();
        self.life = worse(self.life, life);
        self.spoken.renumber();
        if life == Continuity::Restarted {
            // No run of the process that is gone goes on under its id.
            self.adopted = None;
            self.begun = None;
        }
        if self.written || self.accepted.is_some() {
            self.doubt(now);
        } else if !self.wants.is_sending() {
            self.wants.send(now);
        }
    }

    /// How it stands is asked from the beginning.
    pub(super) fn doubt(&mut self, now: Instant) {
        self.tries = 0;
        self.waited = false;
        let handed_on = matches!(self.stage, SendStage::HandedOn { .. });
        if self.life == Continuity::Restarted {
            self.ended = None;
            self.stage = SendStage::Asking;
        } else if handed_on {
            self.stage = SendStage::HandedOn { since: now };
        } else if !matches!(self.stage, SendStage::Erring { .. }) {
            self.stage = SendStage::Asking;
        }
        let known = self.life == Continuity::Restarted || (handed_on && self.life == Continuity::Same);
        if known || self.accepted.is_none() {
            self.waited = true;
            self.ask_history(now);
        } else {
            self.wants.wait(now);
        }
    }

    /// Sends once more under the same key.
    pub(super) fn send_again(&mut self, now: Instant) {
        if let Some(since) = self.answered_oddly {
            // Its run may be long in coming, and then shows.
            if now < since + self.config.limits.handover {
                return self.look_again(now);
            }
            return self.finish(RunEnd::Unknown(Doubt::AnswerNotUnderstood));
        }
        if self.sends >= self.config.limits.sends {
            return self.finish(RunEnd::Unknown(Doubt::TooManySends));
        }
        if self.life != Continuity::Same {
            // What went on with the message went on in another process, if anywhere.
            self.adopted = None;
        }
        self.ended = None;
        self.stage = SendStage::Sending;
        self.wants.send(now);
    }

    pub(super) fn adopt(&mut self, id: &str, firm: bool) {
        let known = self.adopted.as_ref().is_some_and(|run| run.id == id);
        if !known {
            self.spoken.renumber();
            if !self.spoken.text().is_empty() {
                self.spoken.gap();
            }
            self.tell(Some(RunProgress::HandedOn { to: id.to_owned() }));
        }
        let firm = firm || self.adopted.as_ref().is_some_and(|run| run.id == id && run.firm);
        self.adopted = Some(Adopted {
            id: id.to_owned(),
            firm,
        });
    }
}

/// The known continuity of the process after two comparisons in a row.
fn worse(a: Continuity, b: Continuity) -> Continuity {
    match (a, b) {
        (Continuity::Restarted, _) | (_, Continuity::Restarted) => Continuity::Restarted,
        (Continuity::Unknown, _) | (_, Continuity::Unknown) => Continuity::Unknown,
        (Continuity::Same, Continuity::Same) => Continuity::Same,
    }
}
