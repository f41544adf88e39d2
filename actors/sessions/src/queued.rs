//! One message, from its place in the line to its end on record.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use tokio::sync::oneshot;
use windlass_protocol::NotSent;
use windlass_protocol::run::{Doubt, ResendAfterLoss, RunEnd, RunLimits, settles_after};
use windlass_store::{Attempt, ChatSend, StoreError, Timestamp};

use super::delivery::{Delivery, EarlierAttempts};
use super::error::SendError;
use super::in_flight::InFlightGuard;
use super::message::{Handover, Message, MessageFollower, MessageHandle};
use super::outbox::{Facts, Options, Outbox};
use crate::in_flight::SessionPermit;
use crate::in_flight::State;
use windlass_line::Line;
use windlass_line::failpoint;

/// The least time for a message that was taken up: the gateway has to be asked for its outcome.
const LOOK: Duration = Duration::from_mins(1);
/// The pause before a store that failed is tried again.
const STORE_PAUSE: Duration = Duration::from_secs(30);

/// A message with its place among those under way and in its session's line.
pub(crate) struct QueuedMessage {
    pub(crate) state: Rc<State>,
    pub(crate) place: InFlightGuard,
    pub(crate) turn: LocalBoxFuture<'static, SessionPermit>,
}

/// How far a message is that was taken up.
struct Resumed {
    message: Message,
    prior: Option<EarlierAttempts>,
    /// Its time is over: its outcome is looked up, and it is not sent again.
    late: bool,
}

impl QueuedMessage {
    /// Puts a new message on record, says so, and sees it to its end.
    pub(crate) async fn send(
        self,
        message: Message,
        (following, follower): (MessageHandle, MessageFollower),
        answer: oneshot::Sender<Result<MessageHandle, SendError>>,
    ) {
        if let Some(outbox) = &self.state.outbox {
            let now = Timestamp::from(message.line.wall());
            if let Err(error) = outbox.begin(&message, &self.place.key, now).await {
                let refused = match error {
                    StoreError::Exists { .. } => SendError::KeyTaken,
                    other => SendError::NotKept(other),
                };
                // The caller may be gone.
                let _ = answer.send(Err(refused));
                return;
            }
        }
        // The caller may be gone: the message is sent all the same.
        let _ = answer.send(Ok(following));
        let Self { state, place, turn } = self;
        let turn = turn.await;
        let prior = message.sent_before.then(EarlierAttempts::default);
        see_to_its_end(&state, place, turn, &message, prior, vec![follower]).await;
    }

    /// Sees a message to its end that an earlier process has put on record.
    pub(crate) async fn take_up(self, line: Arc<Line>) {
        let Self { state, place, turn } = self;
        let turn = turn.await;
        let Some(outbox) = &state.outbox else {
            return;
        };
        let loaded = loop {
            match outbox.load(&place.key).await {
                Ok(loaded) => break loaded,
                Err(error) => {
                    tracing::warn!(gateway = %line.id(), "a message on record can't be read: {error}");
                    tokio::time::sleep(STORE_PAUSE).await;
                }
            }
        };
        let Some((send, attempts)) = loaded.filter(|(send, _)| send.ended.is_none()) else {
            return;
        };
        let now = Timestamp::from(line.wall());
        if attempts.is_empty() && send.send.deadline.is_some_and(|deadline| deadline < now) {
            let waited = now.saturating_duration_since(send.send.created_at);
            let end = RunEnd::NotSent(NotSent::NotReady { waited });
            return over(&state, place, turn, &line, end, Vec::new()).await;
        }
        let resumed = resume(line, send, &attempts, now);
        let Resumed {
            mut message,
            prior,
            late,
        } = resumed;
        if late {
            message.resend = ResendAfterLoss::Never;
            message.sends = Some(0);
        }
        see_to_its_end(&state, place, turn, &message, prior, Vec::new()).await;
    }
}

/// Hands a message over that its caller keeps on record. An attempt that is under way under the same key is waited for: the
/// gateway is asked for its outcome before anything is sent.
pub(crate) async fn hand_over(state: Rc<State>, mut message: Message, key: String) -> Handover {
    let give_up = message.give_up.unwrap_or(RunLimits::default().give_up);
    let entered = async {
        loop {
            if let Some(place) = state.in_flight.enter(key.clone(), message.line.id(), &message.session) {
                return place;
            }
            message.sent_before = true;
            state.in_flight.left(&key).await;
        }
    };
    let Ok(mut place) = tokio::time::timeout(give_up, entered).await else {
        return Handover::Ended(RunEnd::Unknown(Doubt::TimedOut));
    };
    failpoint::reach("message");
    let prior = message.sent_before.then(EarlierAttempts::lately);
    Delivery::without_turn(&state, &mut place, &message)
        .hand_over(prior)
        .await
}

fn resume(line: Arc<Line>, send: ChatSend, attempts: &[Attempt], now: Timestamp) -> Resumed {
    let options = Options::read(&send.send.options);
    let give_up = options.give_up().unwrap_or(RunLimits::default().give_up);
    let prior = EarlierAttempts::of(attempts, now).or_else(|| options.sent_before.then(EarlierAttempts::default));
    let first = attempts.first().map(|first| now.saturating_duration_since(first.at));
    let ago = first.unwrap_or_default();
    let mut message = Message::new(line, send.send.session_key, send.send.text)
        .deliver(send.send.deliver.unwrap_or(false))
        .resend_after_loss(options.resend())
        .give_up_after(give_up.saturating_sub(ago).max(LOOK));
    message.expires_after = send
        .send
        .deadline
        .map(|deadline| deadline.saturating_duration_since(send.send.created_at));
    Resumed {
        message,
        prior,
        late: ago >= give_up,
    }
}

impl EarlierAttempts {
    /// An attempt that the gateway may still remember, of which no more is known.
    fn lately() -> Self {
        Self {
            ago: Duration::ZERO,
            ..Self::default()
        }
    }

    /// Reads the earlier attempts of a record; `None` without any.
    fn of(attempts: &[Attempt], now: Timestamp) -> Option<Self> {
        let first = attempts.first()?;
        let facts: Vec<Facts> = attempts.iter().map(|attempt| Facts::read(&attempt.facts)).collect();
        // What came before the attempt that is known to have arrived does not matter any more.
        let arrived = facts.iter().rposition(|facts| facts.accepted);
        Some(Self {
            ago: now.saturating_duration_since(first.at),
            accepted: arrived.is_some(),
            since_ms: facts.first().and_then(|facts| facts.since_ms),
            lives: facts
                .into_iter()
                .skip(arrived.unwrap_or(0))
                .map(|facts| facts.life)
                .collect(),
        })
    }
}

async fn see_to_its_end(
    state: &State,
    mut place: InFlightGuard,
    mut turn: SessionPermit,
    message: &Message,
    prior: Option<EarlierAttempts>,
    followers: Vec<MessageFollower>,
) {
    failpoint::reach("message");
    let mut follow = Delivery::new(state, &mut place, &mut turn, message, followers);
    let end = follow.run(prior).await;
    let followers = follow.into_followers();
    match end {
        Some(end) => over(state, place, turn, &message.line, end, followers).await,
        // It stays on record, and its handles end with `MessageInterrupted`.
        None => drop(followers),
    }
}

/// Puts the end on record, and tells it.
async fn over(
    state: &State,
    place: InFlightGuard,
    turn: SessionPermit,
    line: &Line,
    end: RunEnd,
    followers: Vec<MessageFollower>,
) {
    let recorded = match &state.outbox {
        Some(outbox) => record(outbox, &place, line, &end).await,
        None => true,
    };
    let settles = settles_after(&end);
    let held = (!settles.is_zero()).then_some(turn);
    for follower in followers {
        follower.end(end.clone());
    }
    if recorded {
        drop(place);
        // The next message of the session waits on, though this one is over.
        if held.is_some() {
            tokio::time::sleep(settles).await;
        }
        return;
    }
    drop(held);
    if let Some(outbox) = &state.outbox {
        loop {
            tokio::time::sleep(STORE_PAUSE).await;
            if record(outbox, &place, line, &end).await {
                break;
            }
        }
    }
}

/// `false` when it has to be tried again.
async fn record(outbox: &Outbox, place: &InFlightGuard, line: &Line, end: &RunEnd) -> bool {
    match outbox.end(&place.key, end, line.wall().into()).await {
        // What is not there any more, or has ended, needs no end.
        Ok(()) | Err(StoreError::SendEnded { .. } | StoreError::Unknown { .. }) => true,
        Err(error) => {
            tracing::warn!(gateway = %line.id(), "the end of a message can't be put on record: {error}");
            false
        }
    }
}
