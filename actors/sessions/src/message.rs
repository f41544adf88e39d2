//! A message to a session, and the handle of its delivery.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use windlass_protocol::SessionKey;
use windlass_protocol::run::{ResendAfterLoss, RunEnd, RunProgress};

use super::error::MessageInterrupted;
use windlass_line::Line;

/// Increments that may wait in a [`MessageHandle`]: more than the 400 of a long answer. They are dropped beyond that; the end
/// has the whole text.
const PROGRESS: usize = 1024;

/// A message that is sent once and followed to its end.
#[derive(Clone)]
pub struct Message {
    pub(crate) line: Arc<Line>,
    pub(crate) session: SessionKey,
    pub(crate) text: String,
    pub(crate) deliver: bool,
    pub(crate) key: Option<String>,
    pub(crate) sent_before: bool,
    pub(crate) resend: ResendAfterLoss,
    pub(crate) give_up: Option<Duration>,
    pub(crate) expires_after: Option<Duration>,
    /// How often it may still be written.
    pub(crate) sends: Option<u32>,
}

impl Message {
    /// Says this in a session of a gateway.
    pub fn new(line: Arc<Line>, session: SessionKey, text: impl Into<String>) -> Self {
        Self {
            line,
            session,
            text: text.into(),
            deliver: false,
            key: None,
            sent_before: false,
            resend: ResendAfterLoss::default(),
            give_up: None,
            expires_after: None,
            sends: None,
        }
    }

    /// Has the answer go out over the session's channel, too.
    pub fn deliver(mut self, deliver: bool) -> Self {
        self.deliver = deliver;
        self
    }

    /// Uses this idempotency key: that of an earlier attempt at the same message, which is looked for in the history before
    /// anything is sent.
    pub fn continuing(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self.sent_before = true;
        self
    }

    /// Uses this idempotency key, never used before.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sets whether to send again when the gateway died with the run and its history shows nothing.
    pub fn resend_after_loss(mut self, resend: ResendAfterLoss) -> Self {
        self.resend = resend;
        self
    }

    /// Gives up after this long from its turn on, retries, outages and the run included; 15 min unless given.
    pub const fn give_up_after(mut self, after: Duration) -> Self {
        self.give_up = Some(after);
        self
    }

    /// Lets a message that is [on record](super::Outbox) and was never tried go this long after it was asked for: a process that
    /// takes it up later does not send it. A day unless given.
    pub const fn expires_after(mut self, after: Duration) -> Self {
        self.expires_after = Some(after);
        self
    }
}

impl fmt::Debug for Message {
    /// Without the text, which is between the user and the agent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("gateway", self.line.id())
            .field("session", &self.session)
            .field("text_bytes", &self.text.len())
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// How [`Sessions::hand_over`](super::Sessions::hand_over) ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Handover {
    /// The gateway has taken it; its run was not followed.
    Taken,
    /// It came to its end before the gateway said that it had taken it.
    Ended(RunEnd),
}

/// The handle of a message under way. The delivery goes on when it is dropped.
#[derive(Debug)]
pub struct MessageHandle {
    key: String,
    progress: mpsc::Receiver<RunProgress>,
    end: oneshot::Receiver<RunEnd>,
}

/// The sending half of a [`MessageHandle`].
#[derive(Debug)]
pub(crate) struct MessageFollower {
    progress: mpsc::Sender<RunProgress>,
    end: oneshot::Sender<RunEnd>,
}

impl MessageHandle {
    pub(crate) fn new(key: String) -> (Self, MessageFollower) {
        let (teller, progress) = mpsc::channel(PROGRESS);
        let (ender, end) = oneshot::channel();
        let follower = MessageFollower {
            progress: teller,
            end: ender,
        };
        (Self { key, progress, end }, follower)
    }

    /// The message's idempotency key: to [continue](Message::continuing) it in another life of this process.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Waits for the next progress; `None` when the message is over.
    pub async fn next(&mut self) -> Option<RunProgress> {
        self.progress.recv().await
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// [`MessageInterrupted`], when Windlass was shut down, or the gateway removed, before the end of a message that is kept was known: it
    /// is still [on record](super::Outbox).
    pub async fn end(mut self) -> Result<RunEnd, MessageInterrupted> {
        self.progress.close();
        self.end.await.map_err(|_| MessageInterrupted)
    }
}

impl MessageFollower {
    pub(crate) fn tell(&self, progress: RunProgress) {
        // Full or closed: the end has the whole text.
        let _ = self.progress.try_send(progress);
    }

    /// Whether the handle is gone.
    pub(crate) fn is_gone(&self) -> bool {
        self.progress.is_closed() && self.end.is_closed()
    }

    pub(crate) fn end(self, end: RunEnd) {
        let _ = self.end.send(end);
    }
}
