//! Agents' sessions: listed, read, changed; and messages to them, sent once and followed to their one end.
//!
//! ```no_run
//! use windlass::sessions::{RunEnd, RunProgress};
//!
//! # async fn example(gateway: windlass::Gateway) -> Result<(), Box<dyn std::error::Error>> {
//! let mut following = gateway.send(gateway.message("agent:main:main".parse()?, "good morning")).await?;
//! while let Some(progress) = following.next().await {
//!     if let RunProgress::Increment(text) = progress {
//!         print!("{text}");
//!     }
//! }
//! match following.end().await? {
//!     RunEnd::Final(answer) => println!("\n{} characters", answer.text.len()),
//!     end => println!("\n{end:?}"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A message has one idempotency key for all attempts at it. Cuts and restarts in the middle are bridged: where the events can't
//! tell its end, the gateway's own history does, by the rules of [`protocol::run`](windlass_protocol::run).
//!
//! With an [`Outbox`] a message outlives this process, too: it is on record before it is sent, and taken up again when its
//! gateway is added by the next one, in its session's turn, under its key. [`Sessions::pending`] lists them,
//! [`Sessions::follow`] follows one, [`Sessions::on_record`] tells how one ended.
//!
//! ```no_run
//! use std::sync::Arc;
//! use windlass::sessions::Outbox;
//! use windlass::sqlite::SqliteStore;
//!
//! # async fn example(spec: windlass::GatewaySpec) -> Result<(), Box<dyn std::error::Error>> {
//! let store = Arc::new(SqliteStore::open("windlass.db").await?);
//! let windlass = windlass::Windlass::builder().outbox(Outbox::open(store).await?).start()?;
//! let sessions = windlass.add(spec).await?.sessions();
//! for message in sessions.pending().await? {
//!     if let Some(following) = sessions.follow(message.key).await? {
//!         println!("{:?}", following.end().await?);
//!     }
//! }
//! # Ok(())
//! # }
//! ```

pub use windlass_protocol::SessionKey;
pub use windlass_sessions::{
    AskError, DeleteError, DeleteOutcome, ENDS_KEPT, EXPIRES_AFTER, EnsureSessionError, EnsuredSession, HISTORY_PAGE,
    HistoryCursor, HistoryDelta, HistoryError, HistoryPage, HistoryQuery, IN_FLIGHT_LIMIT, ListError, Message,
    MessageHandle, MessageInterrupted, Outbox, PENDING_KEPT, PatchError, PendingMessage, ResendAfterLoss, ResetOutcome,
    RunEnd, RunProgress, SESSIONS_LIMIT, SendError, SessionQuery, Sessions, SessionsStatus,
};

use crate::Gateway;

impl Gateway {
    /// The gateway's sessions: to list, read, change, and talk in.
    ///
    /// ```no_run
    /// # async fn example(gateway: windlass::Gateway) -> Result<(), Box<dyn std::error::Error>> {
    /// use windlass::sessions::{HistoryQuery, SessionQuery};
    ///
    /// let sessions = gateway.sessions();
    /// for row in sessions.list(&SessionQuery::all()).await? {
    ///     let page = sessions.history(&row.key.parse()?, &HistoryQuery::last().limit(20)).await?;
    ///     println!("{}: {} rows", row.key, page.rows.len());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn sessions(&self) -> Sessions {
        Sessions::new(self.shared_line(), self.inner().sessions().clone())
    }

    /// Prepares a message to a session, which the gateway makes if there is none.
    pub fn message(&self, session: SessionKey, text: impl Into<String>) -> Message {
        Message::new(self.shared_line(), session, text)
    }

    /// See [`Sessions::send`].
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn send(&self, message: Message) -> Result<MessageHandle, SendError> {
        self.inner().sessions().send(message).await
    }

    /// See [`Sessions::send_and_wait`].
    ///
    /// ```no_run
    /// # async fn example(gateway: windlass::Gateway) -> Result<(), Box<dyn std::error::Error>> {
    /// let message = gateway.message("agent:main:main".parse()?, "good morning");
    /// let end = gateway.send_and_wait(message).await?;
    /// println!("{end:?}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn send_and_wait(&self, message: Message) -> Result<RunEnd, SendError> {
        self.inner().sessions().send_and_wait(message).await
    }
}
