//! Counts the requests to a gateway, on the wire.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::Value;
use tokio::sync::watch;

use super::{Verdict, Way};
use crate::scenario::Failure;

/// The methods that change nothing. Every other method counts as a write, so that a new method is noticed.
const READING: [&str; 13] = [
    "connect",
    "health",
    "config.get",
    "config.schema",
    "agents.list",
    "agents.files.list",
    "agents.files.get",
    "cron.list",
    "cron.scratch.get",
    "sessions.list",
    "sessions.describe",
    "chat.history",
    "gateway.identity.get",
];

/// The methods of all requests, in their order; a clone is the same list.
#[derive(Clone)]
pub(in super::super) struct Requests {
    methods: Arc<Mutex<Vec<String>>>,
    changed: watch::Sender<()>,
}

impl Requests {
    pub(in super::super) fn new() -> Self {
        Self {
            methods: Arc::default(),
            changed: watch::Sender::new(()),
        }
    }

    /// A watch for [`tapped`](super::tapped) that notes requests and lets everything pass.
    pub(in super::super) fn watch(&self) -> impl Fn(Way, &str) -> Verdict + Send + Sync + 'static {
        let requests = self.clone();
        move |way, text| {
            if way == Way::ToGateway {
                requests.note(text);
            }
            Verdict::Pass
        }
    }

    fn note(&self, text: &str) {
        let Ok(frame) = serde_json::from_str::<Value>(text) else {
            return;
        };
        if let (Some("req"), Some(method)) = (frame["type"].as_str(), frame["method"].as_str()) {
            self.methods().push(method.to_owned());
            self.changed.send_replace(());
        }
    }

    /// How many there were so far: a mark for [`Self::writes_since`].
    pub(in super::super) fn mark(&self) -> usize {
        self.methods().len()
    }

    /// The writes after a mark.
    pub(in super::super) fn writes_since(&self, mark: usize) -> Vec<String> {
        let methods = self.methods();
        let new = methods.iter().skip(mark);
        new.filter(|method| !READING.contains(&method.as_str()))
            .cloned()
            .collect()
    }

    /// How many requests there were of a method.
    pub(in super::super) fn count(&self, method: &str) -> usize {
        self.methods().iter().filter(|seen| *seen == method).count()
    }

    /// Waits for the `count`-th request of one of these methods.
    pub(in super::super) async fn wait_for(
        &self,
        methods: &[&str],
        count: usize,
        within: Duration,
    ) -> Result<(), Failure> {
        let mut changed = self.changed.subscribe();
        let search = async {
            while methods.iter().map(|method| self.count(method)).sum::<usize>() < count {
                // The sender lives in `self`: this cannot fail while `self` is borrowed.
                if changed.changed().await.is_err() {
                    return;
                }
            }
        };
        let found = tokio::time::timeout(within, search).await;
        found.map_err(|_| {
            let within = within.as_secs();
            Failure::new(format!("request {count} of {methods:?} was not seen within {within} s"))
        })
    }

    fn methods(&self) -> MutexGuard<'_, Vec<String>> {
        self.methods.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
