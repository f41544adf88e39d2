//! Delivers one message: makes the calls that the [`RunTracker`] asks for, and gives it all events and answers.

mod prepare;
pub(crate) use self::prepare::EarlierAttempts;
use super::client::GatewayClient;
use super::error::AskError;
use super::in_flight::{ControlMessage, InFlightGuard};
use super::message::{Handover, Message, MessageFollower};
use super::outbox::{Facts, GatewayIncarnation, Outbox};
use crate::in_flight::SessionPermit;
use crate::in_flight::State;
use futures_util::future::{AbortHandle, LocalBoxFuture, abortable};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use windlass_line::clock::sleep_until;
use windlass_line::routing::{Event, EventFilter, LineEvent, Marker, Subscription};
use windlass_line::{Line, failpoint};
use windlass_protocol::connection::{Continuity, Resend};
use windlass_protocol::request::{
    AgentWait, AgentWaitReply, ChatHistory, ChatHistoryReply, ChatSend, ChatSendReply, Request,
};
use windlass_protocol::run::{Action, Asked, Doubt, RunEnd, RunLimits, RunOutput, RunProgress, RunTracker};
use windlass_protocol::{CallError, Generation, MethodName, NotSent, TimedOut};

/// Events of one session that may wait: those of a run of 400 increments.
const EVENTS: usize = 2048;
/// How long a question may take.
const ANSWER: Duration = Duration::from_secs(30);
/// The extra time of a wait for a run's end, beyond its own limit.
const WAIT_MARGIN: Duration = Duration::from_secs(10);

/// The answer to a call.
enum DeliveryReply {
    Sent(Result<ChatSendReply, CallError>),
    /// The answer to the message is not understood.
    SentOddly,
    History(Box<Result<ChatHistoryReply, CallError>>),
    Waited(Result<AgentWaitReply, CallError>),
    /// No answer for the tracker: a record was written, or a send was called off with its line.
    Nothing,
}

/// How far a message is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    /// To its end.
    End,
    /// Until the gateway has taken it.
    Taken,
}

/// How a delivery ended.
enum Delivered {
    /// Its end.
    End(RunEnd),
    /// The gateway has taken it, and no more was wanted.
    Taken,
    /// The line was closed for good; this is the end that is known then.
    Closed(RunEnd),
}

/// The delivery of one message, until its line is up.
pub(crate) struct Delivery<'a> {
    state: &'a State,
    place: &'a mut InFlightGuard,
    /// None for a message that does not wait for its turn.
    turn: Option<&'a mut SessionPermit>,
    message: &'a Message,
    followers: Vec<MessageFollower>,
    /// Where its attempts and its end go on record.
    outbox: Option<&'a Outbox>,
}

/// The delivery of one message, once its line was up.
struct DeliveryLoop<'a> {
    message: &'a Message,
    key: &'a str,
    client: GatewayClient,
    outbox: Option<&'a Outbox>,
    tracker: RunTracker,
    events: Subscription,
    /// The connection that is up, or was up last.
    generation: Generation,
    since_ms: Option<u64>,
    noted: Noted,
    /// Calls off the send that is under way.
    sending: Option<AbortHandle>,
    asked: FuturesUnordered<LocalBoxFuture<'a, DeliveryReply>>,
}

impl<'a> Delivery<'a> {
    pub(crate) const fn new(
        state: &'a State,
        place: &'a mut InFlightGuard,
        turn: &'a mut SessionPermit,
        message: &'a Message,
        followers: Vec<MessageFollower>,
    ) -> Self {
        Self {
            state,
            place,
            turn: Some(turn),
            message,
            followers,
            outbox: state.outbox.as_ref(),
        }
    }

    /// For a message that its caller keeps on record, and that does not wait for its turn.
    pub(crate) const fn without_turn(state: &'a State, place: &'a mut InFlightGuard, message: &'a Message) -> Self {
        Self {
            state,
            place,
            turn: None,
            message,
            followers: Vec::new(),
            outbox: None,
        }
    }

    /// Sends the message, and follows it until the gateway has taken it.
    pub(crate) async fn hand_over(&mut self, prior: Option<EarlierAttempts>) -> Handover {
        match self.deliver(prior, Until::Taken).await {
            Delivered::Taken => Handover::Taken,
            Delivered::End(end) | Delivered::Closed(end) => Handover::Ended(end),
        }
    }

    /// Sends the message, and follows it to its end. Nothing when it is on record and its line was closed: then it has no end
    /// yet.
    pub(crate) async fn run(&mut self, prior: Option<EarlierAttempts>) -> Option<RunEnd> {
        match self.deliver(prior, Until::End).await {
            Delivered::End(end) => Some(end),
            // Kept on record, it goes on when its gateway is added again.
            Delivered::Closed(end) => self.outbox.is_none().then_some(end),
            Delivered::Taken => None,
        }
    }

    async fn deliver(&mut self, prior: Option<EarlierAttempts>, until: Until) -> Delivered {
        let line = &*self.message.line;
        let give_up = self.message.give_up.unwrap_or(RunLimits::default().give_up);
        // Before anything is sent, so that nothing of the run is missed.
        let events = line.subscribe(filter(self.message, &self.place.key), EVENTS);
        let (ready, since_ms) = match tokio::time::timeout(give_up, self.prepare(prior.as_ref())).await {
            Ok(Some(prepared)) => prepared,
            Ok(None) => return Delivered::Closed(RunEnd::NotSent(NotSent::Closed)),
            Err(_) => return Delivered::End(unreached(prior.as_ref(), give_up)),
        };
        let config = self.config(&ready, prior, since_ms, give_up);
        let mut run = DeliveryLoop {
            message: self.message,
            key: &self.place.key,
            client: GatewayClient::new(Arc::clone(&self.message.line)).with_timeout(ANSWER),
            outbox: self.outbox,
            tracker: RunTracker::new(config, line.now()),
            events,
            generation: ready.generation,
            since_ms,
            noted: Noted::default(),
            sending: None,
            asked: FuturesUnordered::new(),
        };
        let followed = run.follow(until, &mut self.followers, &mut self.place.notes).await;
        let facts = run.tracker.facts();
        self.state.learned(line.id(), facts);
        followed
    }

    pub(crate) fn into_followers(mut self) -> Vec<MessageFollower> {
        while let Ok(note) = self.place.notes.try_recv() {
            if let ControlMessage::Join(follower) = note {
                self.followers.push(follower);
            }
        }
        self.followers
    }
}

/// The line was not up in all the time given.
fn unreached(prior: Option<&EarlierAttempts>, waited: Duration) -> RunEnd {
    match prior {
        None => RunEnd::NotSent(NotSent::NotReady { waited }),
        Some(_) => RunEnd::Unknown(Doubt::TimedOut),
    }
}

/// Events are selected by the run's id, too: the gateway may show the run in a session of another spelling.
fn filter(message: &Message, key: &str) -> EventFilter {
    let names = ["chat", "agent", "session.message", "sessions.changed"]
        .into_iter()
        .fold(EventFilter::all(), EventFilter::name);
    names.session(message.session.as_str()).run(key)
}

impl DeliveryLoop<'_> {
    async fn follow(
        &mut self,
        until: Until,
        followers: &mut Vec<MessageFollower>,
        notes: &mut mpsc::Receiver<ControlMessage>,
    ) -> Delivered {
        loop {
            let now = self.now();
            while let Some(output) = self.tracker.poll(now) {
                match output {
                    RunOutput::Do(action) => self.ask(action),
                    RunOutput::Tell(RunProgress::Started { .. }) if until == Until::Taken => return Delivered::Taken,
                    RunOutput::Tell(progress) => self.tell(&progress, followers),
                    RunOutput::End(RunEnd::NotSent(NotSent::Closed)) => return self.closed(),
                    RunOutput::End(end) => return Delivered::End(end),
                }
            }
            if !self.step(followers, notes).await {
                return self.closed();
            }
        }
    }

    /// The line was closed for good.
    fn closed(&mut self) -> Delivered {
        self.tracker.on_closed();
        let now = self.now();
        Delivered::Closed(match self.tracker.poll(now) {
            Some(RunOutput::End(end)) => end,
            _ => RunEnd::NotSent(NotSent::Closed),
        })
    }

    fn now(&self) -> Instant {
        self.message.line.now()
    }

    /// Waits for the next event, answer, control message or deadline. `false` when the line was closed for good.
    async fn step(&mut self, followers: &mut Vec<MessageFollower>, notes: &mut mpsc::Receiver<ControlMessage>) -> bool {
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

    fn tell(&self, progress: &RunProgress, followers: &mut Vec<MessageFollower>) {
        if let RunProgress::Started { .. } = progress {
            self.note_accepted();
        }
        followers.retain(|follower| !follower.is_gone());
        for follower in followers {
            follower.tell(progress.clone());
        }
    }

    fn noticed(&mut self, note: ControlMessage, followers: &mut Vec<MessageFollower>) {
        match note {
            ControlMessage::Join(follower) => {
                let text = self.tracker.text();
                if !text.is_empty() {
                    follower.tell(RunProgress::Replaced(text.to_owned()));
                }
                followers.push(follower);
            }
            ControlMessage::Replaced => self.tracker.on_session_replaced(self.now()),
        }
    }

    fn take(&mut self, item: &LineEvent) {
        failpoint::reach("message.stream");
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
            Marker::Gap(_) | Marker::Unreadable | Marker::Lagged(_) => self.tracker.on_gap(now),
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

    fn answered(&mut self, reply: DeliveryReply) {
        let now = self.now();
        match reply {
            DeliveryReply::Sent(Ok(reply)) => self.tracker.on_sent(&reply, now),
            DeliveryReply::Sent(Err(error)) => self.tracker.on_send_failed(&error, now),
            DeliveryReply::SentOddly => self.tracker.on_sent_oddly(now),
            DeliveryReply::History(reply) => match &*reply {
                Ok(reply) => self.tracker.on_history(reply, now),
                Err(error) => self.tracker.on_ask_failed(Asked::History, error, now),
            },
            DeliveryReply::Waited(Ok(reply)) => self.tracker.on_wait(&reply, now),
            DeliveryReply::Waited(Err(error)) => self.tracker.on_ask_failed(Asked::Wait, &error, now),
            DeliveryReply::Nothing => {}
        }
    }

    fn ask(&mut self, action: Action) {
        let client = self.client.clone();
        let session = self.message.session.to_string();
        let question = match action {
            Action::Send => self.send(),
            Action::AskHistory { limit } => {
                let request = ChatHistory::new(session).limit(limit);
                let answer = asked(client, request, Resend::Always, ANSWER);
                answer
                    .map(|reply| DeliveryReply::History(Box::new(reply)))
                    .boxed_local()
            }
            Action::AskWait { run_id, timeout } => {
                let ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
                let request = AgentWait::new(run_id).timeout_ms(ms);
                let answer = asked(client, request, Resend::Never, timeout + WAIT_MARGIN);
                answer.map(DeliveryReply::Waited).boxed_local()
            }
        };
        self.asked.push(question);
    }
}

/// Makes a typed call. An answer that is not understood is as good as none: the gateway may have done it.
async fn asked<R: Request>(
    client: GatewayClient,
    request: R,
    resend: Resend,
    within: Duration,
) -> Result<R::Reply, CallError> {
    let client = client.with_timeout(within);
    match client.ask(&request, resend).await {
        Ok(reply) => Ok(reply),
        Err(AskError::Call(error)) => Err(error),
        Err(error @ AskError::Shape { .. }) => {
            tracing::warn!(gateway = %client.line().id(), "{error}");
            let method = MethodName::new(R::METHOD).map_err(|error| NotSent::Invalid { why: error.to_string() })?;
            let after = within;
            Err(TimedOut { method, after }.into())
        }
    }
}

/// The latest attempt on record.
type Noted = Rc<RefCell<Option<(u32, Facts)>>>;

impl<'a> DeliveryLoop<'a> {
    /// Makes it. The tracker sends again, when it knows that it may.
    fn send(&mut self) -> LocalBoxFuture<'a, DeliveryReply> {
        let (message, key, outbox) = (self.message, self.key, self.outbox);
        let (since_ms, noted) = (self.since_ms, Rc::clone(&self.noted));
        let (line, client) = (&*message.line, self.client.clone());
        let sent = async move {
            if let Some(outbox) = outbox
                && let Err(why) = note(outbox, line, key, since_ms, &noted).await
            {
                return DeliveryReply::Sent(Err(why.into()));
            }
            let mut request = ChatSend::new(message.session.as_str(), message.text.clone());
            if message.deliver {
                request = request.deliver(true);
            }
            match client.ask_keyed(&request, Some(key), Resend::Never).await {
                Ok(reply) => DeliveryReply::Sent(Ok(reply)),
                Err(AskError::Call(error)) => DeliveryReply::Sent(Err(error)),
                Err(error @ AskError::Shape { .. }) => {
                    tracing::warn!(gateway = %line.id(), "{error}");
                    DeliveryReply::SentOddly
                }
            }
        };
        let (sent, sending) = abortable(sent);
        self.sending = Some(sending);
        sent.map(|sent| sent.unwrap_or(DeliveryReply::Nothing)).boxed_local()
    }

    fn note_accepted(&self) {
        let (Some(outbox), Some((number, facts))) = (self.outbox, self.noted.borrow().clone()) else {
            return;
        };
        let (key, line) = (self.key, &*self.message.line);
        let gateway = line.id();
        // The line may have been another when the attempt was noted.
        let facts = Facts {
            life: GatewayIncarnation::of(&line.status().borrow()),
            accepted: true,
            ..facts
        };
        let noting = async move {
            if let Err(error) = outbox.amend_attempt(key, number, &facts).await {
                tracing::warn!(%gateway, "that a message was taken can't be put on record: {error}");
            }
            DeliveryReply::Nothing
        };
        self.asked.push(noting.boxed_local());
    }
}

async fn note(outbox: &Outbox, line: &Line, key: &str, since_ms: Option<u64>, noted: &Noted) -> Result<(), NotSent> {
    let facts = Facts {
        life: GatewayIncarnation::of(&line.status().borrow()),
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
