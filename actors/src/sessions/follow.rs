//! Follows one message to its end: asks the gateway what the tracker wants to know, and tells it all that comes.

use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use windlass_protocol::connection::Continuity;
use windlass_protocol::request::{
    AgentWait, AgentWaitReply, ChatHistory, ChatHistoryReply, ChatSend, ChatSendReply, Request,
};
use windlass_protocol::run::{Action, Asked, GatewayFacts, Output, RunConfig, RunEnd, RunTracker};
use windlass_protocol::{CallError, MethodName, NotSent, TimedOut};

use super::ask::{Manner, ask};
use super::error::AskError;
use super::message::{Follower, Message};
use crate::Line;
use crate::clock::sleep_until;
use crate::routing::{Event, EventFilter, LineEvent, Marker, Subscription};

/// Events of one session that may wait: those of a run of 400 increments.
const EVENTS: usize = 2048;
/// How long a question may take.
const ANSWER: Duration = Duration::from_secs(30);
/// What a wait for a run's end is given beyond its own limit.
const WAIT_MARGIN: Duration = Duration::from_secs(10);

/// What a question came back with.
enum Reply {
    Sent(Result<ChatSendReply, CallError>),
    History(Box<Result<ChatHistoryReply, CallError>>),
    Waited(Result<AgentWaitReply, CallError>),
}

struct Follow<'a> {
    message: &'a Message,
    key: &'a str,
    tracker: RunTracker,
    events: Subscription,
    asked: FuturesUnordered<BoxFuture<'a, Reply>>,
}

/// Sends the message, and follows it.
pub(super) async fn follow(message: &Message, key: &str, follower: Follower) {
    let line = &message.line;
    // Before anything is sent, so that nothing of the run is missed.
    let events = line.subscribe(filter(message), EVENTS);
    let facts = facts(line);
    let mut config = RunConfig::new(message.session.clone(), key, &message.text, facts);
    config.sent_before = message.sent_before;
    config.resend = message.resend;
    if let Some(give_up) = message.give_up {
        config.limits.give_up = give_up;
    }
    let follow = Follow {
        message,
        key,
        tracker: RunTracker::new(config, line.now()),
        events,
        asked: FuturesUnordered::new(),
    };
    let end = follow.run(&follower).await;
    follower.end(end);
}

fn filter(message: &Message) -> EventFilter {
    ["chat", "agent", "session.message", "sessions.changed"]
        .into_iter()
        .fold(EventFilter::all(), EventFilter::name)
        .session(message.session.as_str())
}

/// What is known of the gateway; of one that was never met, the older generation is taken to be met.
fn facts(line: &Line) -> GatewayFacts {
    let status = line.status();
    let status = status.borrow();
    status.hello.as_ref().map_or(GatewayFacts::of_protocol(3), |hello| {
        GatewayFacts::of_protocol(hello.protocol)
    })
}

impl Follow<'_> {
    async fn run(mut self, follower: &Follower) -> RunEnd {
        loop {
            let now = self.now();
            while let Some(output) = self.tracker.poll(now) {
                match output {
                    Output::Do(action) => self.ask(action),
                    Output::Tell(progress) => follower.tell(progress),
                    Output::End(end) => return end,
                }
            }
            if !self.step().await {
                return RunEnd::NotSent(NotSent::Closed);
            }
        }
    }

    fn now(&self) -> Instant {
        self.message.line.now()
    }

    /// Waits for whatever comes next. `false` when the line was closed for good.
    async fn step(&mut self) -> bool {
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
            () = timer => {}
        }
        true
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
            tracing::debug!(event = &*event.name, "an event is not understood: {error}");
        }
    }

    fn marker(&mut self, marker: &Marker, now: Instant) {
        match marker {
            Marker::Gap(_) | Marker::Lagged(_) => self.tracker.on_gap(now),
            Marker::Disconnected { .. } => self.tracker.on_line_down(now),
            Marker::Reconnected { gateway_restarted, .. } => {
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
        }
    }

    fn ask(&mut self, action: Action) {
        let line = &*self.message.line;
        let session = self.message.session.to_string();
        match action {
            Action::Send => {
                let mut request = ChatSend::new(session, self.message.text.clone());
                if self.message.deliver {
                    request = request.deliver(true);
                }
                // The tracker sends again, when it knows that it may.
                let manner = Manner {
                    key: Some(self.key),
                    ..Manner::once(ANSWER)
                };
                let sent = async move { Reply::Sent(asked(line, request, manner).await) };
                self.asked.push(sent.boxed());
            }
            Action::AskHistory { limit } => {
                let request = ChatHistory::new(session).limit(limit);
                let answer = asked(line, request, Manner::repeatable(ANSWER));
                self.asked
                    .push(answer.map(|reply| Reply::History(Box::new(reply))).boxed());
            }
            Action::AskWait { run_id, timeout } => {
                let ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
                let request = AgentWait::new(run_id).timeout_ms(ms);
                let answer = asked(line, request, Manner::once(timeout + WAIT_MARGIN));
                self.asked.push(answer.map(Reply::Waited).boxed());
            }
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
