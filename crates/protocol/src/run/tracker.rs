//! The state machine: its knowledge, and its output.

mod events;
mod history;
mod sending;
mod stage;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use self::stage::{EndSign, SendStage, Wants};
use super::end::{
    Action, Asked, Doubt, Evidence, FailureSign, Repair, RunAnswer, RunEnd, RunFailure, RunOutput, RunProgress,
};
use super::observed::Others;
use super::observed::RunText;
use super::{GatewayFacts, RunConfig};
use crate::connection::Continuity;
use crate::releases::runs as rules;
use crate::request::{AgentWaitReply, ChatHistoryReply, ChatSendReply};
use crate::time::after;
use crate::{AgentEvent, CallError, ChatEvent, NotSent, SessionMessageEvent, SessionSpellings, SessionsChangedEvent};

/// Follows one logical send to its end.
///
/// Feed it everything that concerns the session (events of other sessions are ignored), and after each input drain
/// [`poll`](Self::poll); set one timer to [`next_deadline`](Self::next_deadline) and drain again when it is due. It never
/// fails, and each input costs a bounded amount of work and memory.
///
/// Every tracker comes to its end, at the latest after [`RunLimits::give_up`](super::RunLimits::give_up).
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts about one send, not a state"
)]
pub struct RunTracker {
    config: RunConfig,
    session: SessionSpellings,
    /// Other keys under which the gateway showed the session.
    shown_as: Vec<Box<str>>,
    began: Instant,
    stage: SendStage,
    wants: Wants,
    spoken: RunText,
    others: Others,
    /// The run that answers, where it is not the key's.
    adopted: Option<Adopted>,
    /// A sign that the run is over, without saying how.
    ended: Option<EndSign>,
    line_up: bool,
    /// The gateway process, compared with the one that may have taken the message.
    life: Continuity,
    /// How often it was sent.
    sends: u32,
    first_sent: Option<Instant>,
    /// An attempt was written and its answer is not known.
    written: bool,
    /// Something showed that the gateway took the message, and when.
    accepted: Option<Instant>,
    /// The gateway knew the key at the very first attempt.
    known_at_first: bool,
    repetitions: u32,
    /// Questions asked since the stage began.
    tries: u32,
    /// `agent.wait` was asked in this doubt.
    waited: bool,
    heard_at: Instant,
    /// Anything came of the run itself.
    heard_run: bool,
    /// An event of our run came after the last attempt to send.
    heard_since_send: bool,
    started_told: bool,
    /// The gateway answered the message, and not in a way that is understood.
    answered_oddly: Option<Instant>,
    /// A bare final said that the message was handed on.
    handed_on: bool,
    /// A run that seems to go on with the message began, and ended with nothing said.
    said_nothing: Option<String>,
    /// Our run that had a lifecycle start: it was not handed on.
    begun: Option<String>,
    /// The same, of a time before the last attempt, while it is not known whether the gateway was restarted since.
    begun_before: Option<String>,
    /// Our run's lifecycle began then, by the gateway's clock.
    begun_ms: Option<u64>,
    /// The failure is that the model said nothing.
    without_answer: bool,
    session_id: Option<String>,
    session_replaced: bool,
    /// The message stood in the history once, with this stamp.
    noted: Option<u64>,
    progress: VecDeque<RunProgress>,
    end: Option<RunEnd>,
    over: bool,
}

/// Another run that goes on with our message.
#[derive(Debug, Clone, PartialEq)]
struct Adopted {
    id: String,
    /// The gateway itself linked it; otherwise history has to agree before its end is ours.
    firm: bool,
}

impl RunTracker {
    /// Begins at `now`, with the line up. The first [`poll`](Self::poll) gives the send, or the history where the key was sent
    /// by an earlier process.
    pub fn new(config: RunConfig, now: Instant) -> Self {
        let mut tracker = Self {
            session: config.space.spellings(config.session.as_str()),
            shown_as: Vec::new(),
            began: now,
            stage: SendStage::Sending,
            wants: Wants::default(),
            spoken: RunText::default(),
            others: Others::default(),
            adopted: None,
            ended: None,
            line_up: true,
            life: Continuity::Same,
            sends: 0,
            first_sent: None,
            written: false,
            accepted: None,
            known_at_first: false,
            repetitions: 0,
            tries: 0,
            waited: false,
            heard_at: now,
            heard_run: false,
            heard_since_send: false,
            started_told: false,
            answered_oddly: None,
            handed_on: false,
            said_nothing: None,
            begun: None,
            begun_before: None,
            begun_ms: None,
            without_answer: false,
            session_id: None,
            session_replaced: false,
            noted: None,
            progress: VecDeque::new(),
            end: None,
            over: false,
            config,
        };
        if tracker.config.sent_before {
            tracker.resume(tracker.config.earlier, now);
        } else {
            tracker.wants.send(now);
        }
        tracker
    }

    /// The known facts of the gateway; worth keeping for the next send.
    pub const fn facts(&self) -> GatewayFacts {
        self.config.facts
    }

    /// Whether the end was reached, be it taken from [`poll`](Self::poll) or not.
    pub const fn is_over(&self) -> bool {
        self.over
    }

    /// The run that answers, as far as it is known: the argument of `chat.abort`.
    pub fn run_id(&self) -> &str {
        self.adopted.as_ref().map_or(&self.config.key, |run| &run.id)
    }

    /// The text so far.
    pub fn text(&self) -> &str {
        self.spoken.text()
    }

    /// The next thing to do or to tell; nothing when all is said for now, and for ever after the end.
    pub fn poll(&mut self, now: Instant) -> Option<RunOutput> {
        if !self.over {
            self.on_time(now);
        }
        if let Some(progress) = self.progress.pop_front() {
            return Some(RunOutput::Tell(progress));
        }
        if self.over {
            return self.end.take().map(RunOutput::End);
        }
        let action = self.wants.due(now, self.line_up, self.sends == 0)?;
        Some(RunOutput::Do(self.begin(action, now)))
    }

    /// When to call [`poll`](Self::poll) even if nothing comes in; nothing after the end.
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.over {
            return None;
        }
        let wanted = self.wants.next(self.line_up, self.sends == 0);
        let staged = match &self.stage {
            SendStage::Erring { since, .. } => Some(*since + rules::RETRY_WINDOW),
            SendStage::Running if self.line_up && !self.wants.any() => Some(self.quiet_at()),
            _ => None,
        };
        let deadlines = [wanted, staged, Some(self.give_up_at())];
        deadlines.into_iter().flatten().min()
    }

    /// The answer to [`Action::Send`].
    pub fn on_sent(&mut self, reply: &ChatSendReply, now: Instant) {
        self.wants.send_answered();
        if !self.over {
            self.take_reply(reply, now);
        }
    }

    /// [`Action::Send`] ended without an answer.
    pub fn on_send_failed(&mut self, error: &CallError, now: Instant) {
        // What was taken for unanswered when the line broke is told a second time here.
        let expected = self.wants.send_answered();
        if !self.over && expected {
            self.take_send_error(error, now);
        }
    }

    /// [`Action::Send`] was answered in a way that is not understood. The gateway may have executed it: the message is
    /// not sent again, and its run is looked for.
    pub fn on_sent_oddly(&mut self, now: Instant) {
        self.wants.send_answered();
        if !self.over {
            self.answered_oddly.get_or_insert(now);
            self.written = true;
            self.life = Continuity::Same;
            self.doubt(now);
        }
    }

    /// The answer to [`Action::AskHistory`].
    pub fn on_history(&mut self, reply: &ChatHistoryReply, now: Instant) {
        self.wants.history_answered();
        if !self.over {
            self.take_history(reply, now);
        }
    }

    /// The answer to [`Action::AskWait`].
    pub fn on_wait(&mut self, reply: &AgentWaitReply, now: Instant) {
        self.wants.wait_answered();
        if !self.over && (self.is_ours(&reply.run_id)) {
            self.take_wait(reply, now);
        }
    }

    /// A question ended without an answer. It is asked again while there is time.
    pub fn on_ask_failed(&mut self, asked: Asked, error: &CallError, now: Instant) {
        /// Until the next try: a gateway that is busy has other things to do.
        const PAUSE: Duration = Duration::from_secs(2);
        let expected = match asked {
            Asked::History => self.wants.history_answered(),
            Asked::Wait => self.wants.wait_answered(),
        };
        if self.over || !expected {
            return;
        }
        // A gateway without the method, or a caller without the scope: history says as much.
        let refused = matches!(error, CallError::Rejected(_)) && asked == Asked::Wait;
        self.waited |= refused;
        self.wants
            .history(now + error.retry_after().unwrap_or(PAUSE).min(PAUSE * 15));
    }

    /// A `chat` event of any session.
    pub fn on_chat(&mut self, event: &ChatEvent, now: Instant) {
        if !self.over && self.concerns(Some(&event.session_key), &event.run_id) {
            self.take_chat(event, now);
        }
    }

    /// An `agent` event of any session.
    pub fn on_agent(&mut self, event: &AgentEvent, now: Instant) {
        if !self.over && self.concerns(event.session_key.as_deref(), &event.run_id) {
            self.take_agent(event, now);
        }
    }

    /// A `session.message` event of any session (from 2026.4 on, to subscribers).
    pub fn on_session_message(&mut self, event: &SessionMessageEvent, now: Instant) {
        if !self.over && self.is_here(&event.session_key) {
            self.take_session_message(event, now);
        }
    }

    /// A `sessions.changed` event (from 2026.4 on, to subscribers).
    pub fn on_session_changed(&mut self, event: &SessionsChangedEvent, now: Instant) {
        let here = event.session_key.as_deref().is_some_and(|key| self.is_here(key));
        if !self.over && here {
            self.take_session_changed(event, now);
        }
    }

    /// The session was reset or deleted by this caller: 2026.3.13 ends the run without an event.
    pub fn on_session_replaced(&mut self, now: Instant) {
        if !self.over && self.accepted.is_some() {
            self.session_replaced = true;
            self.wants.wait(now);
        }
    }

    /// Another run of this session is foreign, such as another send of the same caller: it is never taken for
    /// the run that goes on with this message.
    pub fn on_foreign_run(&mut self, run_id: &str) {
        self.others.foreign(run_id);
    }

    /// Events were lost: a gap in the sequence, or a queue that ran over.
    pub fn on_gap(&mut self, now: Instant) {
        if !self.over {
            self.take_gap(now);
        }
    }

    /// The line broke. Calls under way are taken for unanswered; an answer that comes all the same is welcome.
    pub fn on_line_down(&mut self, now: Instant) {
        if !self.over {
            self.take_line_down(now);
        }
    }

    /// The line is up again. `life` compares the gateway process with the one before the line broke.
    pub fn on_line_up(&mut self, life: Continuity, now: Instant) {
        if !self.over {
            self.take_line_up(life, now);
        }
    }

    /// The line is closed for good: nothing more comes, and nothing more can be asked.
    pub fn on_closed(&mut self) {
        if !self.over {
            let unsent = !self.written && self.accepted.is_none() && !self.wants.is_sending();
            self.finish(if unsent {
                RunEnd::NotSent(NotSent::Closed)
            } else {
                RunEnd::Unknown(Doubt::Closed)
            });
        }
    }

    fn is_here(&self, session: &str) -> bool {
        session == self.config.session.as_str()
            || self.session.include(session)
            || self.shown_as.iter().any(|known| **known == *session)
    }

    /// Whether an event is of our session or of our run. A run is ours in any session that the gateway shows it in, and shows how the
    /// gateway spells ours.
    fn concerns(&mut self, session: Option<&str>, run_id: &str) -> bool {
        let Some(session) = session else {
            return true;
        };
        if self.is_here(session) {
            return true;
        }
        let ours = run_id == self.config.key || self.is_firm(run_id);
        if ours {
            self.learn_spelling(session);
        }
        ours
    }

    fn learn_spelling(&mut self, shown: &str) {
        /// Most other spellings of one session that are kept: gateways have one for each session.
        const SPELLINGS: usize = 4;
        if !self.is_here(shown) && self.shown_as.len() < SPELLINGS {
            self.shown_as.push(shown.into());
        }
    }

    fn is_ours(&self, run_id: &str) -> bool {
        run_id == self.config.key || run_id == self.run_id()
    }

    /// Whether the end of this run is the end of the send, without a look into the history.
    fn is_firm(&self, run_id: &str) -> bool {
        match &self.adopted {
            Some(run) => run.firm && run.id == run_id,
            None => run_id == self.config.key,
        }
    }

    fn give_up_at(&self) -> Instant {
        after(self.began, self.config.limits.give_up)
    }

    fn quiet_at(&self) -> Instant {
        after(self.heard_at, self.config.limits.quiet)
    }

    fn begin(&mut self, action: stage::Due, now: Instant) -> Action {
        match action {
            stage::Due::Send => {
                self.sends += 1;
                self.heard_since_send = false;
                if self.sends > 1 && self.life != Continuity::Same {
                    // What began under this key may have begun in a process that is gone. The answer tells.
                    self.begun_before = self.begun.take().or(self.begun_before.take());
                    self.handed_on = false;
                }
                self.first_sent.get_or_insert(now);
                self.spoken.renumber();
                Action::Send
            }
            stage::Due::History => Action::AskHistory {
                limit: rules::HISTORY_ROWS,
            },
            stage::Due::Wait => Action::AskWait {
                run_id: self.run_id().to_owned(),
                timeout: stage::PROBE,
            },
        }
    }

    fn on_time(&mut self, now: Instant) {
        if now >= self.give_up_at() {
            return self.give_up(now);
        }
        match &self.stage {
            SendStage::Erring { since, message } if now >= *since + rules::RETRY_WINDOW => {
                self.ended = Some(EndSign::Erred(message.clone()));
                self.ask_how_it_ended(now);
            }
            SendStage::Running if self.line_up && !self.wants.any() && now >= self.quiet_at() => {
                self.heard_at = now;
                self.wants.wait(now);
            }
            _ => {}
        }
    }

    fn give_up(&mut self, now: Instant) {
        let unsent = !self.written && self.accepted.is_none() && !self.wants.is_sending();
        let end = if unsent {
            let waited = now.saturating_duration_since(self.began);
            RunEnd::NotSent(NotSent::NotReady { waited })
        } else if let SendStage::HandedOn { .. } = self.stage {
            RunEnd::Unknown(Doubt::EndUnseen)
        } else {
            RunEnd::Unknown(Doubt::TimedOut)
        };
        self.finish(end);
    }

    fn tell(&mut self, progress: Option<RunProgress>) {
        self.progress.extend(progress);
    }

    fn finish(&mut self, end: RunEnd) {
        if !self.over {
            self.over = true;
            self.wants = Wants::default();
            self.end = Some(end);
        }
    }

    fn finish_final(&mut self, text: &str, run_id: String, joined: bool, by: Evidence) {
        self.finish_answer(text, false, run_id, joined, by);
    }

    /// Ends with the text of a row, of which a release may show the beginning only. More of it may have been heard.
    fn finish_shown(&mut self, text: &str, run_id: String) {
        let (shown, cut) = rules::without_cut_notice(text);
        if !cut {
            return self.finish_final(text, run_id, false, Evidence::History);
        }
        let shown = rules::without_half_character(shown);
        let heard = self.spoken.text();
        let text = if heard.starts_with(shown) { heard } else { shown }.to_owned();
        self.finish_answer(&text, true, run_id, false, Evidence::History);
    }

    fn finish_answer(&mut self, text: &str, is_beginning: bool, run_id: String, joined: bool, by: Evidence) {
        let (text, cut, progress) = self.spoken.finish(text);
        self.tell(progress);
        self.finish(RunEnd::Final(RunAnswer {
            text,
            run_id,
            joined,
            cut: cut || is_beginning,
            by,
        }));
    }

    fn finish_failed(&mut self, message: String, run_id: String, sign: FailureSign) {
        let repair = rules::is_broken_session(&message).then_some(Repair::DeleteSession);
        self.finish(RunEnd::Failed(RunFailure {
            message,
            run_id,
            sign,
            repair,
        }));
    }
}
