//! Messages to sessions: sent once for each key, and followed to their one end.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use windlass::sessions::{MessageInterrupted, SendError, SessionKey};
use windlass_store::{ChatSend, GatewayUid, Timestamp, limits};

use crate::access::{Caller, Scope};
use crate::error::{OperationError, OperationErrorCode};
use crate::message_end::end_of_record;
pub use crate::message_end::{MessageEnd, Outcome};
use crate::message_log::{LoggedMessage, MessageProgress, follow};
use crate::service::Service;
use crate::sessions::key_of;

/// The longest wait for an end within one request, in seconds: proxies cut requests that take longer.
pub const LONGEST_WAIT_S: u64 = 600;
/// The longest time for a message, in seconds: a day, as for one that waits for its gateway.
const LONGEST_GIVE_UP_S: u64 = 24 * 60 * 60;

/// A message to send.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageInput {
    /// The session, for example `agent:main:main`. The gateway makes it if there is none.
    pub session: String,
    /// The text, of 1 MiB at most.
    #[schema(min_length = 1)]
    pub text: String,
    /// Send the answer over the channel of the session too.
    #[serde(default)]
    pub deliver: bool,
    /// Give up after so many seconds, outages and the run included; 900 by default.
    #[schema(minimum = 1, maximum = 86400)]
    pub give_up_after_s: Option<u64>,
}

/// A message as it was asked for: what has to be the same under the same key.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) gateway: GatewayUid,
    /// The id or name by which the gateway is found in the interface.
    pub(crate) gateway_name: String,
    pub(crate) session: SessionKey,
    pub(crate) text: String,
    pub(crate) deliver: bool,
}

impl std::fmt::Debug for Wanted {
    /// Without the text, which is between the user and the agent.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wanted")
            .field("gateway", &self.gateway_name)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

impl Wanted {
    fn is_same(&self, other: &Self) -> bool {
        (self.gateway, &self.session, &self.text, self.deliver)
            == (other.gateway, &other.session, &other.text, other.deliver)
    }
}

/// The state of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageState {
    /// It waits for its session's turn or for its gateway.
    Waiting,
    /// The gateway has taken it, and its run goes on.
    Running,
    /// It has its one end.
    Ended,
}

/// A message.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MessageView {
    /// Its idempotency key.
    pub key: String,
    /// Its gateway, by id.
    pub gateway_id: String,
    /// Its session.
    pub session: String,
    /// Its state.
    pub state: MessageState,
    /// The time at which it was asked for.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// Its run, when the gateway has taken it.
    pub run_id: Option<String>,
    /// The text of the answer so far.
    pub text: Option<String>,
    /// Its end.
    pub end: Option<MessageEnd>,
    /// The path of its state.
    pub url: String,
    /// The path of its progress as server-sent events.
    pub events_url: String,
}

/// Sends a message, once for each key.
///
/// A key that is known gives the message that it was used for, and sends nothing.
///
/// # Errors
/// Missing scope, no such gateway, an invalid input, [`OperationErrorCode::Conflict`] for a key of another message, or too many messages.
pub async fn send(
    service: &Service,
    caller: &Caller,
    gateway: &str,
    input: MessageInput,
    key: Option<String>,
    random: [u8; 16],
) -> Result<MessageView, OperationError> {
    caller.require(Scope::Write)?;
    let line = service.line(gateway)?;
    let (wanted, give_up) = checked(&line, input)?;
    let key = key.unwrap_or_else(|| uuid::Builder::from_random_bytes(random).into_uuid().to_string());
    let service = service.clone();
    // By itself, so that a client that goes away leaves no message that is sent and not followed.
    let sent = tokio::spawn(async move { send_once(&service, &line, wanted, give_up, &key).await });
    sent.await
        .map_err(|error| OperationError::new(OperationErrorCode::Internal, error.to_string(), ""))?
}

fn checked(line: &windlass::Gateway, input: MessageInput) -> Result<(Wanted, Option<Duration>), OperationError> {
    let session = key_of("session", &input.session)?;
    if input.text.is_empty() || input.text.len() > limits::SEND_TEXT_BYTES {
        let why = format!("is not of 1 to {} bytes", limits::SEND_TEXT_BYTES);
        return Err(OperationError::invalid("text", why));
    }
    let give_up = input.give_up_after_s;
    if give_up.is_some_and(|seconds| seconds == 0 || seconds > LONGEST_GIVE_UP_S) {
        let why = format!("is not from 1 to {LONGEST_GIVE_UP_S}");
        return Err(OperationError::invalid("give_up_after_s", why));
    }
    let wanted = Wanted {
        gateway: GatewayUid::of_line(line.id()),
        gateway_name: line.id().to_string(),
        session,
        text: input.text,
        deliver: input.deliver,
    };
    Ok((wanted, give_up.map(Duration::from_secs)))
}

async fn send_once(
    service: &Service,
    line: &windlass::Gateway,
    wanted: Wanted,
    give_up: Option<Duration>,
    key: &str,
) -> Result<MessageView, OperationError> {
    let lock = service.messages().lock_of(key);
    let _turn = lock.lock().await;
    if let Some(known) = known(service, key).await? {
        return if known.wanted().is_same(&wanted) {
            Ok(known.view(key))
        } else {
            Err(key_taken())
        };
    }
    let mut message = line
        .message(wanted.session.clone(), wanted.text.clone())
        .deliver(wanted.deliver)
        .key(key);
    if let Some(give_up) = give_up {
        message = message.give_up_after(give_up);
    }
    let handle = line.send(message).await?;
    Ok(view_of(key, &service.follow_message(wanted, service.now(), handle)))
}

impl Service {
    fn follow_message(
        &self,
        wanted: Wanted,
        created_at: Timestamp,
        handle: windlass::sessions::MessageHandle,
    ) -> Arc<LoggedMessage> {
        let life = self.next_life();
        let message = Arc::new(LoggedMessage::new(wanted, created_at, life));
        self.messages().put(handle.key(), &message);
        tokio::spawn(follow(self.clone(), Arc::clone(&message), handle));
        message
    }
}

/// A message that is known: followed by this process, or on record.
pub(crate) enum KnownMessage {
    LogState(Arc<LoggedMessage>),
    OnRecord(Box<ChatSend>, Wanted),
}

impl KnownMessage {
    fn wanted(&self) -> &Wanted {
        match self {
            Self::LogState(message) => &message.wanted,
            Self::OnRecord(_, wanted) => wanted,
        }
    }

    fn view(&self, key: &str) -> MessageView {
        match self {
            Self::LogState(message) => view_of(key, message),
            Self::OnRecord(send, wanted) => view_of_record(send, wanted),
        }
    }
}

/// The message with this key. One that is on record and under way is followed from now on.
async fn known(service: &Service, key: &str) -> Result<Option<KnownMessage>, OperationError> {
    if let Some(message) = service.messages().get(key) {
        return Ok(Some(KnownMessage::LogState(message)));
    }
    let Some(send) = service.store().chat_send(key).await? else {
        return Ok(None);
    };
    let wanted = Wanted {
        gateway: send.send.gateway_id,
        gateway_name: service.gateway_name(send.send.gateway_id),
        session: send.send.session_key.clone(),
        text: send.send.text.clone(),
        deliver: send.send.deliver.unwrap_or_default(),
    };
    if send.ended.is_none()
        && let Ok(line) = service.line(&wanted.gateway_name)
        && let Some(handle) = line.sessions().follow(key).await.map_err(interrupted)?
    {
        let message = service.follow_message(wanted, send.send.created_at, handle);
        return Ok(Some(KnownMessage::LogState(message)));
    }
    Ok(Some(KnownMessage::OnRecord(Box::new(send), wanted)))
}

async fn find(service: &Service, key: &str) -> Result<KnownMessage, OperationError> {
    let lock = service.messages().lock_of(key);
    let _turn = lock.lock().await;
    known(service, key).await?.ok_or_else(|| {
        OperationError::new(
            OperationErrorCode::NotFound,
            format!("There is no message with the key {key:?}"),
            "Messages are kept for a day after their end.",
        )
    })
}

/// A message, by its key.
///
/// # Errors
/// Missing scope, no such message, or the store's.
pub async fn get(service: &Service, caller: &Caller, key: &str) -> Result<MessageView, OperationError> {
    caller.require(Scope::Read)?;
    Ok(find(service, key).await?.view(key))
}

/// A message, when it has ended or after this time. A service that ends waits no longer.
///
/// # Errors
/// Missing scope, no such message, or the store's.
pub async fn wait(
    service: &Service,
    caller: &Caller,
    key: &str,
    longest: Duration,
) -> Result<MessageView, OperationError> {
    let mut events = follow_events(service, caller, key, None).await?;
    let to_the_end = async { while events.next().await.is_some() {} };
    // Whether the time is over or the message: its view tells.
    let _ = tokio::time::timeout(longest, to_the_end).await;
    get(service, caller, key).await
}

/// A step of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageEvent {
    /// The gateway has taken it.
    Started {
        /// Its run.
        run_id: String,
    },
    /// More text.
    Increment(String),
    /// The text so far, in place of all before it.
    Replaced(String),
    /// Text was lost; the end has the whole.
    Hole,
    /// The end.
    End(Box<MessageEnd>),
}

/// The steps of a message, from a position on.
#[derive(Debug)]
pub struct MessageEvents {
    source: ProgressSource,
    ending: tokio::sync::watch::Receiver<bool>,
    seen: Seen,
}

#[derive(Debug)]
enum ProgressSource {
    LogState(Arc<LoggedMessage>, tokio::sync::watch::Receiver<()>),
    /// On record, and ended or not under way here.
    Told(Option<Box<MessageEnd>>),
}

/// The part of a message that a viewer has seen.
#[derive(Debug, Clone, Default)]
struct Seen {
    life: u64,
    rewritten: u64,
    bytes: usize,
    holes: u64,
    run_id: Option<String>,
    ended: bool,
}

/// Opens the steps of a message. `after` is the position of an earlier stream.
///
/// # Errors
/// Missing scope, no such message, an invalid position, or the store's.
pub async fn follow_events(
    service: &Service,
    caller: &Caller,
    key: &str,
    after: Option<&str>,
) -> Result<MessageEvents, OperationError> {
    caller.require(Scope::Read)?;
    let after = after.map(Seen::parse).transpose()?.unwrap_or_default();
    let ending = service.ending();
    Ok(match find(service, key).await? {
        KnownMessage::LogState(message) => {
            let news = message.news();
            MessageEvents {
                seen: after.at(&message),
                source: ProgressSource::LogState(message, news),
                ending,
            }
        }
        KnownMessage::OnRecord(send, _) => MessageEvents {
            source: ProgressSource::Told(end_of_record(&send).map(Box::new)),
            ending,
            seen: after,
        },
    })
}

impl MessageEvents {
    /// The next step; `None` after the end, and when the service ends.
    pub async fn next(&mut self) -> Option<MessageEvent> {
        loop {
            if self.seen.ended {
                return None;
            }
            let (message, news) = match &mut self.source {
                ProgressSource::Told(end) => {
                    self.seen.ended = true;
                    return end.take().map(MessageEvent::End);
                }
                ProgressSource::LogState(message, news) => (message, news),
            };
            news.borrow_and_update();
            let (step, interrupted) = {
                let progress = message.progress();
                (self.seen.step(&progress), progress.interrupted)
            };
            if step.is_some() {
                return step;
            }
            if interrupted || *self.ending.borrow() {
                return None;
            }
            tokio::select! {
                _ = news.changed() => {}
                // An error is the end of the service too.
                _ = self.ending.wait_for(|ending| *ending) => return None,
            }
        }
    }

    /// The position after the last step, for a later stream.
    pub fn position(&self) -> String {
        let Seen {
            life, rewritten, bytes, ..
        } = &self.seen;
        format!("{life:x}-{rewritten:x}-{bytes:x}")
    }

    /// Whether the end was given.
    pub const fn is_over(&self) -> bool {
        self.seen.ended
    }
}

impl Seen {
    fn parse(text: &str) -> Result<Self, OperationError> {
        let invalid = || OperationError::invalid("after", "is not a position of this stream");
        let mut parts = text.split('-').map(|part| u64::from_str_radix(part, 16).ok());
        let mut part = || parts.next().flatten().ok_or_else(invalid);
        Ok(Self {
            life: part()?,
            rewritten: part()?,
            bytes: usize::try_from(part()?).map_err(|_| invalid())?,
            ..Self::default()
        })
    }

    /// The same in this following of the message. A text that was followed by another process is told as a whole.
    fn at(self, message: &LoggedMessage) -> Self {
        if self.life == message.life {
            return self;
        }
        let is_first = self.life == 0;
        Self {
            life: message.life,
            // No count of a message: the first text replaces all that an earlier stream gave.
            rewritten: if is_first { 0 } else { u64::MAX },
            ..Self::default()
        }
    }

    fn step(&mut self, progress: &MessageProgress) -> Option<MessageEvent> {
        if let Some(run_id) = &progress.run_id
            && self.run_id.as_ref() != Some(run_id)
        {
            self.run_id = Some(run_id.clone());
            return Some(MessageEvent::Started { run_id: run_id.clone() });
        }
        if progress.holes > self.holes {
            self.holes = progress.holes;
            return Some(MessageEvent::Hole);
        }
        let text = &progress.text;
        if self.rewritten != progress.rewritten || !text.is_char_boundary(self.bytes) {
            self.rewritten = progress.rewritten;
            self.bytes = text.len();
            return Some(MessageEvent::Replaced(text.clone()));
        }
        if text.len() > self.bytes {
            let more = text[self.bytes..].to_owned();
            self.bytes = text.len();
            return Some(MessageEvent::Increment(more));
        }
        let end = progress.end.clone()?;
        self.ended = true;
        Some(MessageEvent::End(Box::new(end)))
    }
}

fn view_of(key: &str, message: &LoggedMessage) -> MessageView {
    let progress = message.progress();
    let state = match (&progress.end, &progress.run_id) {
        (Some(_), _) => MessageState::Ended,
        (None, Some(_)) => MessageState::Running,
        (None, None) => MessageState::Waiting,
    };
    MessageView {
        state,
        run_id: progress.run_id.clone(),
        text: Some(progress.text.clone()).filter(|text| !text.is_empty()),
        end: progress.end.clone(),
        ..bare_view(key, &message.wanted, message.created_at)
    }
}

fn view_of_record(send: &ChatSend, wanted: &Wanted) -> MessageView {
    let end = end_of_record(send);
    MessageView {
        state: if end.is_some() {
            MessageState::Ended
        } else {
            MessageState::Waiting
        },
        run_id: end.as_ref().and_then(|end| end.run_id.clone()),
        end,
        ..bare_view(&send.send.key, wanted, send.send.created_at)
    }
}

fn bare_view(key: &str, wanted: &Wanted, created_at: Timestamp) -> MessageView {
    let url = path_of(key);
    MessageView {
        key: key.to_owned(),
        gateway_id: wanted.gateway_name.clone(),
        session: wanted.session.to_string(),
        state: MessageState::Waiting,
        created_at,
        run_id: None,
        text: None,
        end: None,
        events_url: format!("{url}/events"),
        url,
    }
}

/// The path of a message. A key may hold any character.
pub fn path_of(key: &str) -> String {
    let mut path = String::from("/api/v1/messages/");
    for byte in key.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
            path.push(char::from(byte));
        } else {
            // Writing into a string does not fail.
            let _ = write!(path, "%{byte:02X}");
        }
    }
    path
}

fn key_taken() -> OperationError {
    OperationError {
        field: Some("Idempotency-Key".into()),
        ..OperationError::new(
            OperationErrorCode::Conflict,
            "The key was used for another message",
            "Use a new key for another message.",
        )
    }
}

fn interrupted(error: MessageInterrupted) -> OperationError {
    OperationError::new(OperationErrorCode::Unavailable, error.to_string(), "Ask again later.")
}

impl From<SendError> for OperationError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Interrupted(error) => interrupted(error),
            SendError::TooMany { .. } => Self::new(OperationErrorCode::TooMany, error.to_string(), ""),
            SendError::KeyTaken => key_taken(),
            SendError::NotKept(store) => store.into(),
            other => Self::new(OperationErrorCode::Internal, other.to_string(), ""),
        }
    }
}

/// The id of a message's following: unlike those of earlier processes, by the time of its beginning.
pub(crate) fn life(now: Timestamp, count: u64) -> u64 {
    let millis = u64::try_from(now.as_millis()).unwrap_or_default();
    millis.wrapping_mul(1000).wrapping_add(count)
}
