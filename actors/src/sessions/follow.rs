//! Follows one message to its end: asks the gateway what the tracker wants to know, and tells it all that comes.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::future::{AbortHandle, LocalBoxFuture, abortable};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use windlass_protocol::connection::Continuity;
use windlass_protocol::request::{
    AgentWait, AgentWaitReply, ChatHistory, ChatHistoryReply, ChatSend, ChatSendReply, Request,
};
use windlass_protocol::run::{
    Action, Asked, GatewayFacts, Output, Progress, RunConfig, RunEnd, RunLimits, RunTracker, SentBefore, rules,
};
use windlass_protocol::{CallError, Generation, KEY_MEMORY_SECONDS, MethodName, NotSent, TimedOut};

use super::ask::{Manner, ask};
use super::error::AskError;
use super::life::Life;
use super::message::{Follower, Message};
use super::outbox::{Facts, Outbox};
use super::under_way::{Note, Place};
use super::worker::Shared;
use crate::clock::sleep_until;
use crate::routing::{Event, EventFilter, LineEvent, Marker, Subscription};
use crate::{Line, LineStatus};

/// Events of one session that may wait: those of a run of 400 increments.
const EVENTS: usize = 2048;
/// How long a question may take.
const ANSWER: Duration = Duration::from_secs(30);
/// What a wait for a run's end is given beyond its own limit.
const WAIT_MARGIN: Duration = Duration::from_secs(10);
/// The pause before they are asked for again.
const BASELINE_PAUSE: Duration = Duration::from_secs(1);
/// Rows in which the last one of a user is looked for before a message is sent: more than the steps of most turns.
const BASELINE_ROWS: u32 = 50;

/// What is known of attempts that were made before.
#[derive(Debug)]
pub(super) struct Prior {
    /// How long ago the first one was.
    pub(super) ago: Duration,
    /// Whether something showed that the gateway had taken the message.
    pub(super) accepted: bool,
    /// Rows of users that were stamped earlier are not this message's.
    pub(super) since_ms: Option<u64>,
    /// The gateway processes that may have it.
    pub(super) lives: Vec<Life>,
}

impl Default for Prior {
    /// Nothing but that there were some.
    fn default() -> Self {
        Self {
            ago: Duration::from_secs(KEY_MEMORY_SECONDS),
            accepted: false,
            since_ms: None,
            lives: vec![Life::default()],
        }
    }
}

/// What a question came back with.
enum Reply {
    Sent(Result<ChatSendReply, CallError>),
    History(Box<Result<ChatHistoryReply, CallError>>),
    Waited(Result<AgentWaitReply, CallError>),
    /// Nothing that the tracker waits for: something was put on record, or a send was called off with its line.
    Nothing,
}

/// The latest attempt on record.
type Noted = Rc<RefCell<Option<(u32, Facts)>>>;

/// One message that is being followed.
pub(super) struct Follow<'a> {
    shared: &'a Shared,
    place: &'a mut Place,
    message: &'a Message,
    followers: Vec<Follower>,
}

/// The same, once its line was up.
struct Run<'a> {
    message: &'a Message,
    key: &'a str,
    outbox: Option<&'a Outbox>,
    tracker: RunTracker,
    events: Subscription,
    /// The connection that is up, or was up last.
    generation: Generation,
    since_ms: Option<u64>,
    noted: Noted,
    /// Calls off the send that is under way.
    sending: Option<AbortHandle>,
    asked: FuturesUnordered<LocalBoxFuture<'a, Reply>>,
}

/// A line that is up.
struct Ready {
    generation: Generation,
    facts: GatewayFacts,
    life: Life,
}

impl<'a> Follow<'a> {
    pub(super) const fn new(
        shared: &'a Shared,
        place: &'a mut Place,
        message: &'a Message,
        followers: Vec<Follower>,
    ) -> Self {
        Self {
            shared,
            place,
            message,
            followers,
        }
    }

    /// Sends the message, and follows it to its end. Nothing when it is on record and its line was closed: then it has no end
    /// yet.
    pub(super) async fn run(&mut self, prior: Option<Prior>) -> Option<RunEnd> {
        let line = &*self.message.line;
        let give_up = self.message.give_up.unwrap_or(RunLimits::default().give_up);
        // Before anything is sent, so that nothing of the run is missed.
        let events = line.subscribe(filter(self.message), EVENTS);
        let (ready, since_ms) = match tokio::time::timeout(give_up, self.prepare(prior.as_ref())).await {
            Ok(Some(prepared)) => prepared,
            Ok(None) => return self.closed(RunEnd::NotSent(NotSent::Closed)),
            Err(_) => return Some(unreached(prior.as_ref(), give_up)),
        };
        let config = self.config(&ready, prior, since_ms, give_up);
        let mut run = Run {
            message: self.message,
            key: &self.place.key,
            outbox: self.shared.outbox.as_ref(),
            tracker: RunTracker::new(config, line.now()),
            events,
            generation: ready.generation,
            since_ms,
            noted: Noted::default(),
            sending: None,
            asked: FuturesUnordered::new(),
        };
        let end = run.to_end(&mut self.followers, &mut self.place.notes).await;
        let facts = run.tracker.facts();
        self.shared.learned(line.id(), facts);
        match end {
            Some(end) if end != RunEnd::NotSent(NotSent::Closed) => Some(end),
            _ => {
                run.tracker.on_closed();
                let end = match run.tracker.poll(line.now()) {
                    Some(Output::End(end)) => end,
                    _ => RunEnd::NotSent(NotSent::Closed),
                };
                self.closed(end)
            }
        }
    }

    /// Waits for the line, and learns what has to be known before a message goes out. What is told of the line is true when
    /// this returns. Nothing when the line was closed.
    async fn prepare(&self, prior: Option<&Prior>) -> Option<(Ready, Option<u64>)> {
        let mut status = self.message.line.status();
        let mut baseline = prior.map(|prior| prior.since_ms);
        loop {
            let mut ready = self.ready(&*status.wait_for(LineStatus::is_up).await.ok()?);
            if let Some(since_ms) = baseline {
                return Some((ready, since_ms));
            }
            match self.baseline(&mut ready.facts).await {
                Ok(since_ms) => {
                    baseline = Some(since_ms);
                    self.shared.learned(self.message.line.id(), ready.facts);
                }
                // Without the right to read the history, the gateway's events have to do.
                Err(error) if error.refusal().is_some() => baseline = Some(None),
                Err(_) => tokio::time::sleep(BASELINE_PAUSE).await,
            }
        }
    }

    pub(super) fn into_followers(mut self) -> Vec<Follower> {
        while let Ok(note) = self.place.notes.try_recv() {
            if let Note::Join(follower) = note {
                self.followers.push(follower);
            }
        }
        self.followers
    }

    /// What is on record goes on when its gateway is added again.
    fn closed(&self, end: RunEnd) -> Option<RunEnd> {
        self.shared.outbox.is_none().then_some(end)
    }

    fn ready(&self, status: &LineStatus) -> Ready {
        let protocol = status.protocol().unwrap_or(3);
        Ready {
            generation: status.generation,
            facts: self.shared.facts(&status.id, protocol),
            life: Life::of(status),
        }
    }

    fn config(&self, ready: &Ready, prior: Option<Prior>, since_ms: Option<u64>, give_up: Duration) -> RunConfig {
        let message = self.message;
        let (session, key) = (message.session.clone(), self.place.key.as_str());
        let mut config = RunConfig::new(session, key, &message.text, ready.facts);
        config.resend = message.resend;
        config.limits.give_up = give_up;
        config.limits.sends = message.sends.unwrap_or(config.limits.sends);
        config.since_ms = since_ms;
        config.sent_before = prior.is_some();
        if let Some(prior) = prior {
            config.earlier = SentBefore {
                ago: prior.ago,
                accepted: prior.accepted,
                life: compare(&ready.life, &prior.lives),
            };
        }
        config
    }

    /// The stamp that a row of this message must have at least, by the gateway's clock: one more than that of the last row of a
    /// user. Only where rows of users carry no keys, and a text may be there twice.
    async fn baseline(&self, facts: &mut GatewayFacts) -> Result<Option<u64>, AskError> {
        if facts.keys_in_history == Some(true) {
            return Ok(None);
        }
        let line = &*self.message.line;
        let request = ChatHistory::new(self.message.session.as_str()).limit(BASELINE_ROWS);
        let rows = ask(line, &request, Manner::repeatable(ANSWER)).await?.messages;
        let users = || rows.iter().filter(|row| row.role.as_deref() == Some("user"));
        if users().any(|row| rules::row_key(row).is_some()) {
            facts.keys_in_history = Some(true);
            return Ok(None);
        }
        let last = |rows: &mut dyn Iterator<Item = Option<u64>>| rows.flatten().max();
        let of_users = last(&mut users().map(|row| row.timestamp)).map(|at| at + 1);
        let of_all = || last(&mut rows.iter().map(|row| row.timestamp)).unwrap_or(0);
        Ok(Some(of_users.unwrap_or_else(of_all)))
    }
}

/// The line was not up in all the time given.
fn unreached(prior: Option<&Prior>, waited: Duration) -> RunEnd {
    match prior {
        None => RunEnd::NotSent(NotSent::NotReady { waited }),
        Some(_) => RunEnd::Unknown(windlass_protocol::run::Doubt::TimedOut),
    }
}

/// The worst that is known of the processes that may have the message.
fn compare(now: &Life, lives: &[Life]) -> Continuity {
    let mut worst = Continuity::Same;
    for life in lives {
        match now.since(life) {
            Continuity::Restarted => return Continuity::Restarted,
            Continuity::Unknown => worst = Continuity::Unknown,
            Continuity::Same => {}
        }
    }
    worst
}

fn filter(message: &Message) -> EventFilter {
    ["chat", "agent", "session.message", "sessions.changed"]
        .into_iter()
        .fold(EventFilter::all(), EventFilter::name)
        .session(message.session.as_str())
}

impl<'a> Run<'a> {
    /// Nothing when the line was closed first.
    async fn to_end(
        &mut self,
        followers: &mut Vec<Follower>,
        notes: &mut tokio::sync::mpsc::Receiver<Note>,
    ) -> Option<RunEnd> {
        loop {
            let now = self.now();
            while let Some(output) = self.tracker.poll(now) {
                match output {
                    Output::Do(action) => self.ask(action),
                    Output::Tell(progress) => self.tell(&progress, followers),
                    Output::End(end) => return Some(end),
                }
            }
            if !self.step(followers, notes).await {
                return None;
            }
        }
    }

    fn now(&self) -> Instant {
        self.message.line.now()
    }

    /// Waits for whatever comes next. `false` when the line was closed for good.
    async fn step(&mut self, followers: &mut Vec<Follower>, notes: &mut tokio::sync::mpsc::Receiver<Note>) -> bool {
        let deadline = self.tracker.next_deadline();
        let timer = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            item = self.events.next() => match item {
                Some(item) => self.take(&item),
                None => return false,
            },
            Some(reply) = self.asked.next() => self.answered(reply),
            Some(note) = notes.recv() => self.noticed(note, followers),
            () = timer => {}
        }
        true
    }

    fn tell(&self, progress: &Progress, followers: &mut Vec<Follower>) {
        if let Progress::Started { .. } = progress {
            self.note_accepted();
        }
        followers.retain(|follower| !follower.is_gone());
        for follower in followers {
            follower.tell(progress.clone());
        }
    }

    fn noticed(&mut self, note: Note, followers: &mut Vec<Follower>) {
        match note {
            Note::Join(follower) => {
                let text = self.tracker.text();
                if !text.is_empty() {
                    follower.tell(Progress::Replaced(text.to_owned()));
                }
                followers.push(follower);
            }
            Note::Replaced => self.tracker.on_session_replaced(self.now()),
        }
    }

    fn take(&mut self, item: &LineEvent) {
        let now = self.now();
        match item {
            LineEvent::Event(event) => self.event(event, now),
            LineEvent::Marker(marker) => self.marker(marker, now),
        }
    }

    fn event(&mut self, event: &Event, now: Instant) {
        let tracker = &mut self.tracker;
        // One that does not have its event's shape tells nothing.
        let told = match &*event.name {
            "chat" => event.decode().map(|chat| tracker.on_chat(&chat, now)),
            "agent" => event.decode().map(|agent| tracker.on_agent(&agent, now)),
            "session.message" => event.decode().map(|said| tracker.on_session_message(&said, now)),
            "sessions.changed" => event.decode().map(|changed| tracker.on_session_changed(&changed, now)),
            _ => Ok(()),
        };
        if let Err(error) = told {
            // Only the kind and the place: what serde says may quote a value.
            let (kind, column) = (error.classify(), error.column());
            tracing::debug!(
                event = &*event.name,
                "an event is not understood: {kind:?} error at column {column}"
            );
        }
    }

    fn marker(&mut self, marker: &Marker, now: Instant) {
        match marker {
            Marker::Gap(_) | Marker::Lagged(_) => self.tracker.on_gap(now),
            Marker::Disconnected { generation } if *generation >= self.generation => {
                // One that still waits to be written must not go out later, when the tracker has decided otherwise.
                if let Some(sending) = self.sending.take() {
                    sending.abort();
                }
                self.tracker.on_line_down(now);
            }
            // One that was up when this began may be told only now.
            Marker::Reconnected {
                generation,
                gateway_restarted,
            } if *generation > self.generation => {
                self.generation = *generation;
                let life = match gateway_restarted {
                    Some(true) => Continuity::Restarted,
                    Some(false) => Continuity::Same,
                    None => Continuity::Unknown,
                };
                self.tracker.on_line_up(life, now);
            }
            _ => {}
        }
    }

    fn answered(&mut self, reply: Reply) {
        let now = self.now();
        match reply {
            Reply::Sent(Ok(reply)) => self.tracker.on_sent(&reply, now),
            Reply::Sent(Err(error)) => self.tracker.on_send_failed(&error, now),
            Reply::History(reply) => match &*reply {
                Ok(reply) => self.tracker.on_history(reply, now),
                Err(error) => self.tracker.on_ask_failed(Asked::History, error, now),
            },
            Reply::Waited(Ok(reply)) => self.tracker.on_wait(&reply, now),
            Reply::Waited(Err(error)) => self.tracker.on_ask_failed(Asked::Wait, &error, now),
            Reply::Nothing => {}
        }
    }

    fn ask(&mut self, action: Action) {
        let line = &*self.message.line;
        let session = self.message.session.to_string();
        let question = match action {
            Action::Send => self.send(),
            Action::AskHistory { limit } => {
                let request = ChatHistory::new(session).limit(limit);
                let answer = asked(line, request, Manner::repeatable(ANSWER));
                answer.map(|reply| Reply::History(Box::new(reply))).boxed_local()
            }
            Action::AskWait { run_id, timeout } => {
                let ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
                let request = AgentWait::new(run_id).timeout_ms(ms);
                let answer = asked(line, request, Manner::once(timeout + WAIT_MARGIN));
                answer.map(Reply::Waited).boxed_local()
            }
        };
        self.asked.push(question);
    }

    /// One attempt, on record before it is made. The tracker sends again, when it knows that it may.
    fn send(&mut self) -> LocalBoxFuture<'a, Reply> {
        let (message, key, outbox) = (self.message, self.key, self.outbox);
        let (since_ms, noted) = (self.since_ms, Rc::clone(&self.noted));
        let line = &*message.line;
        let sent = async move {
            if let Some(outbox) = outbox
                && let Err(why) = note(outbox, line, key, since_ms, &noted).await
            {
                return Reply::Sent(Err(why.into()));
            }
            let mut request = ChatSend::new(message.session.as_str(), message.text.clone());
            if message.deliver {
                request = request.deliver(true);
            }
            let manner = Manner {
                key: Some(key),
                ..Manner::once(ANSWER)
            };
            Reply::Sent(asked(line, request, manner).await)
        };
        let (sent, sending) = abortable(sent);
        self.sending = Some(sending);
        sent.map(|sent| sent.unwrap_or(Reply::Nothing)).boxed_local()
    }

    fn note_accepted(&self) {
        let (Some(outbox), Some((number, facts))) = (self.outbox, self.noted.borrow().clone()) else {
            return;
        };
        let (key, line) = (self.key, &*self.message.line);
        let gateway = line.id();
        // The line may have been another when the attempt was noted.
        let facts = Facts {
            life: Life::of(&line.status().borrow()),
            accepted: true,
            ..facts
        };
        let noting = async move {
            if let Err(error) = outbox.amend_attempt(key, number, &facts).await {
                tracing::warn!(%gateway, "that a message was taken can't be put on record: {error}");
            }
            Reply::Nothing
        };
        self.asked.push(noting.boxed_local());
    }
}

async fn note(outbox: &Outbox, line: &Line, key: &str, since_ms: Option<u64>, noted: &Noted) -> Result<(), NotSent> {
    let facts = Facts {
        life: Life::of(&line.status().borrow()),
        since_ms,
        accepted: false,
    };
    match outbox.note_attempt(key, line.wall().into(), &facts).await {
        Ok(number) => {
            *noted.borrow_mut() = Some((number, facts));
            Ok(())
        }
        Err(error) => {
            tracing::warn!(gateway = %line.id(), "an attempt can't be put on record: {error}");
            let why = format!("the attempt could not be put on record: {error}");
            Err(NotSent::Invalid { why })
        }
    }
}

/// Makes a typed call. An answer that is not understood is as good as none: the gateway may have done it.
async fn asked<R: Request>(line: &Line, request: R, manner: Manner<'_>) -> Result<R::Reply, CallError> {
    match ask(line, &request, manner).await {
        Ok(reply) => Ok(reply),
        Err(AskError::Call(error)) => Err(error),
        Err(error @ AskError::Shape { .. }) => {
            tracing::warn!(gateway = %line.id(), "{error}");
            let method = MethodName::new(R::METHOD).map_err(|error| NotSent::Invalid { why: error.to_string() })?;
            let after = manner.within;
            Err(TimedOut { method, after }.into())
        }
    }
}
