//! The requests to the fake model, for assertions.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

/// How many requests are kept. A scenario makes a few dozen; older ones are dropped and counted.
const KEPT: usize = 512;

/// How far the answer to a request went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProvisionProgress {
    /// It is being answered.
    Answering,
    /// It was answered to the end, or refused as ordered.
    Answered,
    /// The client went away before the end.
    Aborted,
}

/// One request to the fake model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelRequest {
    /// Number of the request since the start of the model, from 1.
    pub number: u64,
    /// The model that was asked for.
    pub model: String,
    /// Whether a streamed answer was asked for.
    pub stream: bool,
    /// The user's own words in the last user message.
    pub words: String,
    /// The result of the tool call that follows the last user message, if any.
    pub tool_result: Option<String>,
    /// Names of the tools that were offered.
    pub tools: Vec<String>,
    /// Roles of all messages in order.
    pub roles: Vec<String>,
    /// The whole prompt: the texts of all messages, one after the other.
    pub prompt: String,
    /// How far the answer went.
    pub progress: ProvisionProgress,
}

/// The requests so far; a clone is another handle on the same log.
#[derive(Clone, Debug)]
pub struct ModelLog {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    kept: Mutex<Kept>,
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Kept {
    requests: VecDeque<ModelRequest>,
    numbered: u64,
}

impl ModelLog {
    pub(super) fn new() -> Self {
        let shared = Shared {
            kept: Mutex::default(),
            changed: watch::Sender::new(0),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The requests that are kept, oldest first.
    pub fn requests(&self) -> Vec<ModelRequest> {
        self.kept().requests.iter().cloned().collect()
    }

    /// How many requests there were, with those that are no longer kept.
    pub fn count(&self) -> u64 {
        self.kept().numbered
    }

    /// Waits until a kept request fits and returns it, or `None` after `within`.
    pub async fn wait_for(&self, within: Duration, fits: impl Fn(&ModelRequest) -> bool) -> Option<ModelRequest> {
        let mut changed = self.shared.changed.subscribe();
        let search = async {
            loop {
                changed.borrow_and_update();
                if let Some(found) = self.kept().requests.iter().find(|request| fits(request)) {
                    return Some(found.clone());
                }
                // The sender lives in `self`: this cannot fail while `self` is borrowed.
                changed.changed().await.ok()?;
            }
        };
        tokio::time::timeout(within, search).await.ok().flatten()
    }

    /// Numbers and keeps `request`; the entry becomes `Aborted` unless the ticket is finished.
    pub(super) fn open(&self, mut request: ModelRequest) -> Ticket {
        let mut kept = self.kept();
        kept.numbered += 1;
        request.number = kept.numbered;
        let number = request.number;
        kept.requests.push_back(request);
        if kept.requests.len() > KEPT {
            kept.requests.pop_front();
        }
        drop(kept);
        self.shared.changed.send_modify(|count| *count += 1);
        Ticket {
            log: self.clone(),
            number,
            ended: ProvisionProgress::Aborted,
        }
    }

    fn close(&self, number: u64, progress: ProvisionProgress) {
        let mut kept = self.kept();
        if let Some(request) = kept.requests.iter_mut().find(|r| r.number == number) {
            request.progress = progress;
        }
        drop(kept);
        self.shared.changed.send_modify(|count| *count += 1);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Every change above leaves the log whole, so a panic elsewhere does not spoil it.
        self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An open entry of the log.
#[derive(Debug)]
pub(super) struct Ticket {
    log: ModelLog,
    number: u64,
    ended: ProvisionProgress,
}

impl Ticket {
    /// The answer went out to its end.
    pub(super) fn finish(mut self) {
        self.ended = ProvisionProgress::Answered;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.log.close(self.number, self.ended);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(words: &str) -> ModelRequest {
        ModelRequest {
            number: 0,
            model: "fake-1".to_owned(),
            stream: true,
            words: words.to_owned(),
            tool_result: None,
            tools: Vec::new(),
            roles: Vec::new(),
            prompt: String::new(),
            progress: ProvisionProgress::Answering,
        }
    }

    #[test]
    fn the_log_is_bounded_and_still_counts() {
        let log = ModelLog::new();
        for _ in 0..KEPT + 3 {
            log.open(request("x")).finish();
        }
        assert_eq!(log.requests().len(), KEPT);
        assert_eq!(log.count(), KEPT as u64 + 3);
        assert_eq!(log.requests()[0].number, 4);
    }

    #[test]
    fn an_entry_that_is_not_finished_counts_as_aborted() {
        let log = ModelLog::new();
        drop(log.open(request("x")));
        assert_eq!(log.requests()[0].progress, ProvisionProgress::Aborted);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_with_the_request_it_waits_for() {
        let log = ModelLog::new();
        let day = Duration::from_secs(86_400);
        let wait = log.wait_for(day, |r| r.words == "b" && r.progress == ProvisionProgress::Answered);
        let ask = async {
            log.open(request("a")).finish();
            log.open(request("b")).finish();
        };
        let (found, ()) = tokio::join!(wait, ask);
        assert_eq!(found.map(|r| r.number), Some(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_for_nothing_ends_at_its_deadline() {
        let log = ModelLog::new();
        assert_eq!(log.wait_for(Duration::from_secs(5), |_| true).await, None);
    }
}
