//! The messages that this process follows: their progress as it stands, for any number of viewers.
//!
//! A viewer keeps a position and compares: no viewer has a queue, so a slow one costs nothing and reads the same text in larger
//! pieces.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use windlass::sessions::{MessageHandle, RunEnd, RunProgress};
use windlass_store::Timestamp;

use crate::message_end::MessageEnd;
use crate::messages::Wanted;

/// Messages that are kept after their end, for the text of their answers; the record in the store has no texts.
const ENDED_KEPT: usize = 1_000;
/// The texts of ended messages that are kept, in bytes.
const ENDED_BYTES: usize = 64 * 1024 * 1024;
/// Locks of keys: two requests with one key come one after the other, and other keys rarely wait for them.
const LOCKS: usize = 32;

/// The progress of a message. `rewritten` counts the times at which the text so far was replaced.
#[derive(Debug, Clone, Default)]
pub(crate) struct MessageProgress {
    pub(crate) run_id: Option<String>,
    pub(crate) text: String,
    pub(crate) rewritten: u64,
    pub(crate) holes: u64,
    pub(crate) end: Option<MessageEnd>,
    /// The service does not follow it any more, and no end is known.
    pub(crate) interrupted: bool,
}

/// A message that is followed.
#[derive(Debug)]
pub(crate) struct LoggedMessage {
    pub(crate) wanted: Wanted,
    pub(crate) created_at: Timestamp,
    /// Told apart from another process's following of the same message.
    pub(crate) life: u64,
    progress: Mutex<MessageProgress>,
    news: watch::Sender<()>,
}

impl LoggedMessage {
    pub(crate) fn new(wanted: Wanted, created_at: Timestamp, life: u64) -> Self {
        Self {
            wanted,
            created_at,
            life,
            progress: Mutex::default(),
            news: watch::channel(()).0,
        }
    }

    pub(crate) fn progress(&self) -> MutexGuard<'_, MessageProgress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A watch that changes with each progress.
    pub(crate) fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    fn change(&self, change: impl FnOnce(&mut MessageProgress)) {
        change(&mut self.progress());
        self.news.send_replace(());
    }

    fn apply(&self, step: RunProgress) {
        self.change(|progress| match step {
            RunProgress::Started { run_id } | RunProgress::HandedOn { to: run_id } => progress.run_id = Some(run_id),
            RunProgress::Increment(more) => progress.text.push_str(&more),
            RunProgress::Replaced(text) => {
                progress.text = text;
                progress.rewritten += 1;
            }
            RunProgress::Hole => progress.holes += 1,
        });
    }

    fn end(&self, end: Option<RunEnd>, at: Timestamp) {
        self.change(|progress| match end {
            Some(end) => {
                if let RunEnd::Final(answer) = &end
                    && answer.text != progress.text
                {
                    progress.text.clone_from(&answer.text);
                    progress.rewritten += 1;
                }
                progress.end = Some(MessageEnd::of(end, at));
            }
            None => progress.interrupted = true,
        });
    }
}

/// The messages of a service.
#[derive(Default)]
pub(crate) struct MessageLog {
    followed: Mutex<LogState>,
    locks: [Arc<tokio::sync::Mutex<()>>; LOCKS],
}

#[derive(Default)]
struct LogState {
    by_key: HashMap<String, Arc<LoggedMessage>>,
    /// Keys and sizes of those that have ended, the earliest first.
    ended: VecDeque<(String, usize)>,
    ended_bytes: usize,
}

impl MessageLog {
    fn followed(&self) -> MutexGuard<'_, LogState> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lock of a key.
    pub(crate) fn lock_of(&self, key: &str) -> Arc<tokio::sync::Mutex<()>> {
        let sum = key.bytes().fold(0_usize, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(usize::from(byte))
        });
        Arc::clone(&self.locks[sum % LOCKS])
    }

    /// The message with this key, if it is followed.
    pub(crate) fn get(&self, key: &str) -> Option<Arc<LoggedMessage>> {
        self.followed().by_key.get(key).cloned()
    }

    /// The number of messages that have no end yet.
    pub(crate) fn under_way(&self) -> usize {
        let followed = self.followed();
        followed.by_key.len() - followed.ended.len()
    }

    /// Notes a message that is followed from now on.
    pub(crate) fn put(&self, key: &str, message: &Arc<LoggedMessage>) {
        self.followed().by_key.insert(key.to_owned(), Arc::clone(message));
    }

    fn ended(&self, key: &str, message: &LoggedMessage) {
        let (bytes, interrupted) = {
            let progress = message.progress();
            (progress.text.len() + message.wanted.text.len(), progress.interrupted)
        };
        let mut followed = self.followed();
        if interrupted {
            // The record in the store tells how it stands.
            followed.by_key.remove(key);
            return;
        }
        followed.ended.push_back((key.to_owned(), bytes));
        followed.ended_bytes += bytes;
        while followed.ended.len() > ENDED_KEPT || followed.ended_bytes > ENDED_BYTES {
            let Some((earliest, bytes)) = followed.ended.pop_front() else {
                return;
            };
            followed.ended_bytes -= bytes;
            followed.by_key.remove(&earliest);
        }
    }
}

/// Follows a message to its end.
pub(crate) async fn follow(service: crate::Service, message: Arc<LoggedMessage>, mut handle: MessageHandle) {
    let key = handle.key().to_owned();
    while let Some(step) = handle.next().await {
        message.apply(step);
    }
    let end = handle.end().await.ok();
    message.end(end, service.now());
    service.messages().ended(&key, &message);
}
