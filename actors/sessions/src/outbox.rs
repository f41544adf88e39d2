//! Messages on record, from before their first attempt to their end.
//!
//! A message is begun in the store before anything of it is written to a gateway, and each attempt is noted before it is made: a
//! process that takes it up after another one knows which attempts may have arrived, and where: [`GatewayIncarnation`] names the gateway process in a form that outlives our own.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use windlass_line::{LineState, LineStatus};
use windlass_protocol::connection::Continuity;
use windlass_protocol::run::{Doubt, ResendAfterLoss, RunEnd};
use windlass_protocol::{GatewayId, NotSent, SessionKey};
use windlass_store::{
    Attempt, ChatSend, GatewayUid, NewSend, OwnError, Ownership, SendEnd, SendFilter, Store, StoreError, Timestamp,
    limits,
};

use super::message::Message;

/// How long a message that was never tried is kept to be sent, unless it says otherwise: a day is long enough for any outage
/// that an operator looks into, and an older message is rarely still wanted.
pub const EXPIRES_AFTER: Duration = Duration::from_hours(24);
/// How long the end of a message stays on record, for questions after a restart.
pub const ENDS_KEPT: Duration = Duration::from_hours(24);
/// How long a message that was tried, and whose gateway was not added again, may still come to its end: for as long as runs of
/// agents stay on record. Then it is given up, and its end is unknown.
pub const PENDING_KEPT: Duration = Duration::from_hours(720);
/// How often ended messages are pruned.
pub(crate) const PRUNE_EVERY: Duration = Duration::from_hours(1);
/// How often a write is tried that the store is too busy for.
const BUSY_TRIES: u32 = 5;
/// The pause before the second of these; the next are twice as long each.
const BUSY_PAUSE: Duration = Duration::from_millis(100);

/// The store of messages until their end, and the right to send them. Cheap to clone.
///
/// One process at a time has it. The right is given back when the last clone is dropped and the Windlass that uses it has
/// stopped, or the process has ended, however it did.
#[derive(Clone)]
pub struct Outbox {
    store: Arc<dyn Store>,
    _ownership: Arc<Ownership>,
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

impl Outbox {
    /// Takes the right to send the messages of this store. Another process may run its agents.
    ///
    /// # Errors
    /// When another process has it.
    pub async fn open(store: Arc<dyn Store>) -> Result<Self, OwnError> {
        let ownership = store.own_sends().await?;
        Ok(Self {
            store,
            _ownership: Arc::new(ownership),
        })
    }

    /// The store; ended messages stay in it for [`ENDS_KEPT`].
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    pub(crate) async fn begin(&self, message: &Message, key: &str, now: Timestamp) -> Result<(), StoreError> {
        let send = NewSend {
            key: key.to_owned(),
            gateway_id: GatewayUid::of_line(message.line.id()),
            session_key: message.session.clone(),
            text: message.text.clone(),
            deliver: Some(message.deliver),
            options: serde_json::to_value(Options::of(message)).unwrap_or_default(),
            created_at: now,
            deadline: Some(now + message.expires_after.unwrap_or(EXPIRES_AFTER)),
        };
        patiently(|| self.store.begin_send(&send)).await.map(drop)
    }

    pub(crate) async fn load(&self, key: &str) -> Result<Option<(ChatSend, Vec<Attempt>)>, StoreError> {
        let Some(send) = patiently(|| self.store.chat_send(key)).await? else {
            return Ok(None);
        };
        let attempts = patiently(|| self.store.attempts(key)).await?;
        Ok(Some((send, attempts)))
    }

    pub(crate) async fn note_attempt(&self, key: &str, at: Timestamp, facts: &Facts) -> Result<u32, StoreError> {
        let facts = serde_json::to_value(facts).unwrap_or_default();
        patiently(|| self.store.note_attempt(key, at, &facts)).await
    }

    pub(crate) async fn amend_attempt(&self, key: &str, number: u32, facts: &Facts) -> Result<(), StoreError> {
        let facts = serde_json::to_value(facts).unwrap_or_default();
        patiently(|| self.store.amend_attempt(key, number, &facts)).await
    }

    pub(crate) async fn end(&self, key: &str, end: &RunEnd, at: Timestamp) -> Result<(), StoreError> {
        let end = recorded(key, end);
        patiently(|| self.store.end_send(key, &end, at)).await.map(drop)
    }

    /// A page of the pending messages of a gateway.
    pub(crate) async fn pending(&self, gateway: &GatewayId, after: Option<i64>) -> Result<Vec<ChatSend>, StoreError> {
        page(&*self.store, gateway, after).await
    }

    /// Ends the messages whose gateways were not added again: those that were never tried when they expire, the others after
    /// [`PENDING_KEPT`]. Those under way end by themselves. Gives how many there were.
    pub(crate) async fn give_up(&self, now: Timestamp, is_under_way: impl Fn(&str) -> bool) -> Result<u64, StoreError> {
        let (mut given_up, mut after) = (0, None);
        loop {
            let all = SendFilter::default();
            let page = patiently(|| self.store.pending_sends(&all, after, limits::PAGE_LIMIT)).await?;
            let Some(last) = page.last() else {
                return Ok(given_up);
            };
            after = Some(last.position);
            for pending in page.iter().filter(|pending| !is_under_way(&pending.send.key)) {
                let Some(end) = nobody_came(pending, now) else { continue };
                match self.end(&pending.send.key, &end, now).await {
                    Ok(()) => given_up += 1,
                    // Somebody came for it just now.
                    Err(StoreError::SendEnded { .. } | StoreError::Unknown { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }

    /// Forgets the messages that ended long ago.
    pub(crate) async fn prune(&self, now: Timestamp) -> Result<u64, StoreError> {
        let before = now.saturating_sub(ENDS_KEPT);
        let mut pruned = 0;
        loop {
            let some = patiently(|| self.store.prune_sends(before, limits::PAGE_LIMIT)).await?;
            pruned += some;
            if some == 0 {
                return Ok(pruned);
            }
        }
    }
}

/// A message on record that has no end yet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PendingMessage {
    /// Its idempotency key, by which it can be [followed](super::Sessions::follow).
    pub key: String,
    /// Its session.
    pub session: SessionKey,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// The length of its text, in bytes.
    pub text_bytes: usize,
}

/// All that is pending for a gateway, in the order in which it was begun, without the texts.
pub(crate) async fn pending(store: &dyn Store, gateway: &GatewayId) -> Result<Vec<PendingMessage>, StoreError> {
    let mut pending: Vec<PendingMessage> = Vec::new();
    let mut after = None;
    loop {
        let page = page(store, gateway, after).await?;
        let Some(last) = page.last() else {
            return Ok(pending);
        };
        after = Some(last.position);
        pending.extend(page.into_iter().map(|found| PendingMessage {
            key: found.send.key,
            session: found.send.session_key,
            created_at: found.send.created_at,
            attempts: found.attempts,
            text_bytes: found.send.text.len(),
        }));
    }
}

async fn page(store: &dyn Store, gateway: &GatewayId, after: Option<i64>) -> Result<Vec<ChatSend>, StoreError> {
    let filter = SendFilter {
        gateway: Some(GatewayUid::of_line(gateway)),
        session_key: None,
    };
    patiently(|| store.pending_sends(&filter, after, limits::PAGE_LIMIT)).await
}

/// Calls the store again while it is busy with the writes of another process.
async fn patiently<T, F>(mut call: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut tries = 1;
    loop {
        match call().await {
            Err(error) if error.is_transient() && tries < BUSY_TRIES => {
                tokio::time::sleep(BUSY_PAUSE * 2_u32.pow(tries - 1)).await;
                tries += 1;
            }
            other => return other,
        }
    }
}

/// The end of a message that is still pending and not under way; nothing while its gateway may come again.
fn nobody_came(pending: &ChatSend, now: Timestamp) -> Option<RunEnd> {
    let waited = now.saturating_duration_since(pending.send.created_at);
    if pending.attempts > 0 {
        return (waited >= PENDING_KEPT).then_some(RunEnd::Unknown(Doubt::TimedOut));
    }
    let expired = pending.send.deadline.is_some_and(|deadline| deadline < now);
    expired.then_some(RunEnd::NotSent(NotSent::NotReady { waited }))
}

/// The end of a run as one of the store's three kinds of ends: they tell whether the gateway took the message.
fn recorded(key: &str, end: &RunEnd) -> SendEnd {
    match end {
        RunEnd::Final(answer) => SendEnd::Done {
            run_id: answer.run_id.clone(),
        },
        RunEnd::Failed(failure) => SendEnd::Done {
            run_id: failure.run_id.clone(),
        },
        RunEnd::Aborted { run_id, .. } => SendEnd::Done { run_id: run_id.clone() },
        // Of a refusal the code only: its text may repeat what was sent.
        RunEnd::Refused(error) => SendEnd::Failed {
            error: format!("the gateway refused it: {}", error.code),
        },
        RunEnd::NotSent(why) => SendEnd::Failed { error: why.to_string() },
        RunEnd::Lost(loss) => SendEnd::Lost { why: loss.to_string() },
        RunEnd::Unknown(doubt) => SendEnd::Lost { why: doubt.to_string() },
        // A command that the gateway has carried out, too.
        _ => SendEnd::Done { run_id: key.to_owned() },
    }
}

/// The options of a message that have no column of their own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Options {
    #[serde(skip_serializing_if = "Option::is_none")]
    give_up_ms: Option<u64>,
    resend: StoredResend,
    /// An earlier process sent it before.
    pub(crate) sent_before: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum StoredResend {
    Never,
    #[default]
    IfUnanswered,
    Always,
}

impl Options {
    fn of(message: &Message) -> Self {
        Self {
            give_up_ms: message
                .give_up
                .map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
            sent_before: message.sent_before,
            resend: match message.resend {
                ResendAfterLoss::Never => StoredResend::Never,
                ResendAfterLoss::IfUnanswered => StoredResend::IfUnanswered,
                ResendAfterLoss::Always => StoredResend::Always,
            },
        }
    }

    /// Those on record; those of another version that are not understood are the usual ones.
    pub(crate) fn read(value: &Value) -> Self {
        Self::deserialize(value).unwrap_or_default()
    }

    pub(crate) fn give_up(&self) -> Option<Duration> {
        self.give_up_ms.map(Duration::from_millis)
    }

    pub(crate) const fn resend(&self) -> ResendAfterLoss {
        match self.resend {
            StoredResend::Never => ResendAfterLoss::Never,
            StoredResend::IfUnanswered => ResendAfterLoss::IfUnanswered,
            StoredResend::Always => ResendAfterLoss::Always,
        }
    }
}

/// The record of an attempt.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Facts {
    /// The gateway process that it goes to.
    pub(crate) life: GatewayIncarnation,
    /// Rows of users that the gateway stamped earlier are not this message's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) since_ms: Option<u64>,
    /// Something showed that the gateway had taken the message.
    pub(crate) accepted: bool,
}

impl Facts {
    pub(crate) fn read(value: &Value) -> Self {
        Self::deserialize(value).unwrap_or_default()
    }
}

/// What is known of the gateway process behind a line that is up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct GatewayIncarnation {
    /// Changes with each start (from 2026.8.2 on).
    #[serde(skip_serializing_if = "Option::is_none")]
    boot_id: Option<String>,
    /// When the process said that it started, in ms since 1970 by our clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    started_ms: Option<u64>,
}

impl GatewayIncarnation {
    /// How far two readings of the same start may lie apart: what the system's clock may have been set by between our two
    /// processes. Between connections of one process a finer rule holds
    /// ([`BootIdentity`](windlass_protocol::connection::BootIdentity)).
    const TOLERANCE: Duration = Duration::from_secs(10);

    #[cfg(test)]
    pub(crate) fn new(boot_id: Option<&str>, started_ms: Option<u64>) -> Self {
        Self {
            boot_id: boot_id.map(str::to_owned),
            started_ms,
        }
    }

    /// Reads it off a line; of one that is not up nothing is known.
    pub(crate) fn of(status: &LineStatus) -> Self {
        let LineState::Up { hello } = &status.state else {
            return Self::default();
        };
        let uptime = hello.snapshot.uptime_ms.map(Duration::from_millis);
        Self {
            boot_id: hello.server.boot_id.clone(),
            started_ms: uptime.and_then(|uptime| millis(status.since.checked_sub(uptime)?)),
        }
    }

    /// Compares with an earlier life. The boot id decides where there is one; elsewhere a start that moved proves a restart, and
    /// nothing proves the contrary: one inside the process keeps its uptime (2026.3.13).
    pub(crate) fn since(&self, before: &Self) -> Continuity {
        if let (Some(now), Some(before)) = (&self.boot_id, &before.boot_id) {
            return if now == before {
                Continuity::Same
            } else {
                Continuity::Restarted
            };
        }
        match (self.started_ms, before.started_ms) {
            (Some(now), Some(before)) if Duration::from_millis(now.abs_diff(before)) > Self::TOLERANCE => {
                Continuity::Restarted
            }
            _ => Continuity::Unknown,
        }
    }
}

fn millis(time: SystemTime) -> Option<u64> {
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use windlass_protocol::run::{Doubt, Loss};
    use windlass_protocol::{ErrorCode, GatewayError, NotSent};

    use super::*;

    #[test]
    fn what_is_noted_reads_back_and_what_is_not_understood_is_the_usual() {
        let facts = Facts {
            life: GatewayIncarnation::new(Some("boot"), Some(5)),
            since_ms: Some(7),
            accepted: true,
        };
        assert_eq!(Facts::read(&serde_json::to_value(&facts).expect("JSON")), facts);
        assert_eq!(Facts::read(&json!("odd")), Facts::default());
        let options = Options::read(&json!({ "giveUpMs": 5, "resend": "never", "newer": 1 }));
        assert_eq!(options.give_up(), Some(Duration::from_millis(5)));
        assert_eq!(options.resend(), ResendAfterLoss::Never);
        assert_eq!(Options::read(&json!(null)).resend(), ResendAfterLoss::IfUnanswered);
    }

    #[test]
    fn an_end_on_record_says_whether_the_gateway_took_the_message_and_nothing_of_its_text() {
        let refused = RunEnd::Refused(GatewayError::new(ErrorCode::InvalidRequest, "no: the secret text"));
        let SendEnd::Failed { error } = recorded("key", &refused) else {
            panic!("a refusal did not happen")
        };
        assert!(
            error.contains("INVALID_REQUEST") && !error.contains("secret"),
            "{error}"
        );
        let not_sent = RunEnd::NotSent(NotSent::Closed);
        assert!(matches!(recorded("key", &not_sent), SendEnd::Failed { .. }));
        for end in [RunEnd::Lost(Loss::WithProcess), RunEnd::Unknown(Doubt::TimedOut)] {
            assert!(matches!(recorded("key", &end), SendEnd::Lost { .. }));
        }
    }
}

#[cfg(test)]
mod incarnation_tests {
    use super::*;

    #[test]
    fn the_boot_id_decides_where_there_is_one_and_a_start_that_moved_elsewhere() {
        let life = |boot, seconds: u64| GatewayIncarnation::new(boot, Some(seconds * 1000));
        assert_eq!(life(Some("a"), 900).since(&life(Some("a"), 100)), Continuity::Same);
        assert_eq!(life(Some("b"), 100).since(&life(Some("a"), 100)), Continuity::Restarted);
        assert_eq!(life(None, 100).since(&life(None, 105)), Continuity::Unknown);
        assert_eq!(life(None, 100).since(&life(None, 120)), Continuity::Restarted);
        assert_eq!(
            life(None, 100).since(&GatewayIncarnation::default()),
            Continuity::Unknown
        );
    }
}
