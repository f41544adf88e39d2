//! Messages to agents' sessions: sent once, followed to their one end.
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
//! tell what became of it, the gateway's own history does, by the rules of [`protocol::run`](windlass_protocol::run).

pub use windlass_actors::provisioner::Interrupted;
pub use windlass_actors::sessions::{Following, Message, ResendAfterLoss, RunEnd, RunProgress};
pub use windlass_protocol::SessionKey;

use crate::Gateway;

impl Gateway {
    /// Prepares a message to a session, which the gateway makes if there is none.
    pub fn message(&self, session: SessionKey, text: impl Into<String>) -> Message {
        Message::new(self.shared_line(), session, text)
    }

    /// Sends a message, when the messages before it in its session are over, and follows it.
    ///
    /// # Errors
    /// [`Interrupted`], when Windlass was shut down.
    pub async fn send(&self, message: Message) -> Result<Following, Interrupted> {
        self.inner().sessions().await?.send(message).await
    }

    /// Sends a message and waits for its one end.
    ///
    /// # Errors
    /// [`Interrupted`], when Windlass was shut down.
    pub async fn send_and_wait(&self, message: Message) -> Result<RunEnd, Interrupted> {
        self.inner().sessions().await?.send_and_wait(message).await
    }
}
