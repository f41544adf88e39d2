//! Messages that are followed to their ends.

use windlass::sessions::RunEnd;

use crate::site::Site;
use crate::trace::note;
use crate::world::PlannedMessage;

/// A message, when it was over.
#[derive(Debug)]
pub(crate) struct MessageRecord {
    /// The key of all its attempts, unless it was refused before it had one.
    pub(crate) key: Option<String>,
    pub(crate) message_plan: PlannedMessage,
    pub(crate) end: Ended,
}

/// How it was over.
#[derive(Debug)]
pub(crate) enum Ended {
    Run(RunEnd),
    /// It was not taken.
    Refused,
    /// Windlass was shut down.
    Interrupted,
}

impl MessageRecord {
    /// One word.
    pub(crate) const fn word(&self) -> &'static str {
        match &self.end {
            Ended::Run(RunEnd::Final(_)) => "answered",
            Ended::Run(RunEnd::Command(_)) => "a command",
            Ended::Run(RunEnd::Failed(_)) => "failed",
            Ended::Run(RunEnd::Aborted { .. }) => "aborted",
            Ended::Run(RunEnd::Refused(_)) => "refused",
            Ended::Run(RunEnd::NotSent(_)) => "not sent",
            Ended::Run(RunEnd::Lost(_)) => "lost",
            Ended::Run(_) => "unknown",
            Ended::Refused => "not taken",
            Ended::Interrupted => "interrupted",
        }
    }
}

/// Says one thing after the other, each when the one before is over.
pub(crate) async fn speak_all(site: Site, speeches: Vec<PlannedMessage>) -> Vec<MessageRecord> {
    let mut said = Vec::new();
    for message_plan in speeches {
        tokio::time::sleep(message_plan.pause).await;
        said.push(speak(&site, message_plan).await);
    }
    said
}

async fn speak(site: &Site, message_plan: PlannedMessage) -> MessageRecord {
    let session = message_plan.spelled.parse().expect("the world makes session keys");
    let message = site
        .gateway
        .message(session, message_plan.text.as_str())
        .resend_after_loss(message_plan.resend);
    let (key, end) = match site.gateway.send(message).await {
        Err(error) => {
            note(|| format!("{}: a message is not taken: {error}", site.name()));
            (None, Ended::Refused)
        }
        Ok(following) => {
            let key = following.key().to_owned();
            note(|| format!("{}: {} says {key}", site.name(), message_plan.spelled));
            let end = match following.end().await {
                Ok(end) => Ended::Run(end),
                Err(_) => Ended::Interrupted,
            };
            (Some(key), end)
        }
    };
    let said = MessageRecord { key, message_plan, end };
    note(|| {
        let (key, word) = (said.key.as_deref().unwrap_or("a message"), said.word());
        format!("{}: {key} ended {word}", site.name())
    });
    said
}
