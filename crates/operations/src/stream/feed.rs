//! The sources that all viewers share, for as long as there are viewers.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use windlass::RawJson;
use windlass::journal::{EntryKind, JournalItem, JournalReader, Lost, RecordedEntry, StartPosition};
use windlass_store::{Activity, ActivityFilter, Cursor, GatewayUid, StoreError, Timestamp};

use super::lines::{self, LineBoard, LineChange};
use super::ring::Ring;
use crate::activities::ActivityView;
use crate::error::{OperationError, OperationErrorCode};
use crate::service::Service;

/// Entries of the journal that are shared: eight seconds of 1,000 events a second.
const JOURNAL_RING: usize = 8_192;
/// Their payloads, in bytes.
const JOURNAL_RING_BYTES: usize = 64 * 1024 * 1024;
/// Activities that are shared.
const ACTIVITY_RING: usize = 1_024;
/// Their texts, in bytes.
const ACTIVITY_RING_BYTES: usize = 4 * 1024 * 1024;
/// The interval between two looks at the activities, one for all viewers.
const ACTIVITY_LOOK: Duration = Duration::from_millis(500);
/// The pause after a failure of the store.
const PAUSE: Duration = Duration::from_secs(1);
/// Most viewers at a time; each holds a connection and at most one batch.
const VIEWERS: usize = 4_096;
/// Most viewers of one token, so that one client in error leaves places to others.
const VIEWERS_OF_ONE: usize = 2_048;

/// An entry as viewers get it: written once for all of them, with the keys that filters look at.
#[derive(Debug)]
pub(crate) struct SharedEntry {
    pub(crate) gateway: GatewayUid,
    pub(crate) event: Option<StreamNames>,
    pub(crate) data: Arc<str>,
}

/// The keys of an event.
#[derive(Debug)]
pub(crate) struct StreamNames {
    pub(crate) name: Box<str>,
    pub(crate) session: Option<Box<str>>,
    pub(crate) agent: Option<Box<str>>,
}

/// The shared sources.
pub(crate) struct Feed {
    shared: Mutex<Shared>,
    news: watch::Sender<()>,
}

struct Shared {
    journal: Ring<Cursor, SharedEntry>,
    activities: Ring<i64, Activity>,
    board: LineBoard,
    viewers: usize,
    by_caller: HashMap<String, usize>,
    tasks: Vec<JoinHandle<()>>,
}

/// The place of a viewer.
#[derive(Debug)]
pub(crate) struct ViewerPlace {
    feed: Arc<Feed>,
    caller: String,
}

impl Default for Feed {
    fn default() -> Self {
        Self {
            shared: Mutex::new(Shared {
                journal: Ring::new(JOURNAL_RING, JOURNAL_RING_BYTES),
                activities: Ring::new(ACTIVITY_RING, ACTIVITY_RING_BYTES),
                board: LineBoard::default(),
                viewers: 0,
                by_caller: HashMap::new(),
                tasks: Vec::new(),
            }),
            news: watch::channel(()).0,
        }
    }
}

impl Feed {
    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place. The first viewer starts the sources, the last one to go ends them.
    pub(crate) fn enter(self: &Arc<Self>, service: &Service, caller: &str) -> Result<ViewerPlace, OperationError> {
        let mut shared = self.shared();
        let of_one = shared.by_caller.get(caller).copied().unwrap_or_default();
        if shared.viewers >= VIEWERS || of_one >= VIEWERS_OF_ONE {
            return Err(OperationError::new(
                OperationErrorCode::TooMany,
                "Too many streams are open",
                "End streams that are not read.",
            )
            .with_retry_after(Duration::from_secs(5)));
        }
        shared.viewers += 1;
        *shared.by_caller.entry(caller.to_owned()).or_default() += 1;
        if shared.tasks.is_empty() {
            shared.tasks = vec![
                tokio::spawn(follow_journal(service.clone())),
                tokio::spawn(follow_activities(service.clone())),
                tokio::spawn(lines::follow(service.clone())),
            ];
        }
        Ok(ViewerPlace {
            feed: Arc::clone(self),
            caller: caller.to_owned(),
        })
    }

    /// The number of viewers.
    pub(crate) fn viewers(&self) -> usize {
        self.shared().viewers
    }

    /// A watch that changes with each entry.
    pub(crate) fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    /// Entries of the journal after a position; `None` for a viewer that is behind.
    pub(crate) fn journal_after(
        &self,
        at: Option<Cursor>,
    ) -> Option<Vec<Arc<super::ring::Positioned<Cursor, SharedEntry>>>> {
        self.shared().journal.after(at?)
    }

    /// Activities after a position; `None` for a viewer that is behind.
    pub(crate) fn activities_after(&self, at: i64) -> Option<Vec<Arc<super::ring::Positioned<i64, Activity>>>> {
        self.shared().activities.after(at)
    }

    /// Changes of lines after a number.
    pub(crate) fn lines_after(&self, number: u64) -> Vec<(u64, LineChange)> {
        self.shared().board.after(number)
    }

    pub(super) fn change_line(&self, change: LineChange) {
        self.shared().board.put(change);
        self.news.send_replace(());
    }

    fn change(&self, change: impl FnOnce(&mut Shared)) {
        change(&mut self.shared());
        self.news.send_replace(());
    }
}

impl Shared {
    fn stop(&mut self) {
        for task in self.tasks.drain(..) {
            task.abort();
        }
        self.journal.begin(None);
        self.activities.begin(None);
        self.board = LineBoard::default();
    }
}

impl Drop for ViewerPlace {
    fn drop(&mut self) {
        let mut shared = self.feed.shared();
        shared.viewers -= 1;
        if let Some(count) = shared.by_caller.get_mut(&self.caller) {
            *count -= 1;
            if *count == 0 {
                shared.by_caller.remove(&self.caller);
            }
        }
        if shared.viewers == 0 {
            shared.stop();
        }
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed")
            .field("viewers", &self.viewers())
            .finish_non_exhaustive()
    }
}

/// Reads the journal from its end on into the ring. Ends with the writer that it follows.
async fn follow_journal(service: Service) {
    loop {
        let read = read_journal(&service).await;
        let feed = service.feed();
        feed.change(|shared| shared.journal.begin(None));
        match read {
            Ok(()) => return,
            Err(error) => tracing::debug!("the journal can't be read for streams: {error}"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn read_journal(service: &Service) -> Result<(), StoreError> {
    let mut reader: JournalReader = service.journal().reader(StartPosition::Now).await?;
    if let Some(writer) = service.journal_writer() {
        reader = reader.following(writer);
    }
    // An empty journal has no entry before the first one.
    let floor = reader.cursor().unwrap_or(Cursor::new(0));
    service.feed().change(|shared| shared.journal.begin(Some(floor)));
    while let Some(item) = reader.next().await? {
        let is_dry = reader.is_dry();
        match item {
            JournalItem::Recorded(entry) => {
                let shared_entry = SharedEntry::of(service, &entry);
                let bytes = shared_entry.data.len();
                let feed = service.feed();
                feed.shared().journal.push(entry.cursor, bytes, shared_entry);
                if is_dry {
                    feed.news.send_replace(());
                }
            }
            // Viewers read the hole from the store, each in its place.
            JournalItem::Lost(_) => {
                let floor = reader.cursor();
                service.feed().change(|shared| shared.journal.begin(floor));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Looks at the activities, for all viewers. Never ends.
async fn follow_activities(service: Service) {
    let all = ActivityFilter::default();
    let store = service.store();
    let mut at = loop {
        match newest_activity(&service).await {
            Ok(newest) => break newest,
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    };
    service.feed().change(|shared| shared.activities.begin(Some(at)));
    loop {
        match store.activities(&all, Some(at), super::ring::BATCH).await {
            Ok(found) if !found.is_empty() => {
                at = found.last().map_or(at, |last| last.id);
                service.feed().change(|shared| {
                    for activity in found {
                        let bytes = activity.message.len() + activity.kind.len();
                        shared.activities.push(activity.id, bytes, activity);
                    }
                });
            }
            // An error passes; the next look reads the same.
            _ => tokio::time::sleep(ACTIVITY_LOOK).await,
        }
    }
}

/// The number of the newest activity; 0 without one.
pub(super) async fn newest_activity(service: &Service) -> Result<i64, StoreError> {
    let latest = service.store().activities(&ActivityFilter::default(), None, 1).await?;
    Ok(latest.last().map_or(0, |latest| latest.id))
}

#[derive(Serialize)]
struct EventData<'a> {
    kind: &'static str,
    gateway: &'a str,
    at: Timestamp,
    generation: u64,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a RawJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<serde_json::Value>,
}

impl SharedEntry {
    /// An entry of the journal.
    pub(crate) fn of(service: &Service, entry: &RecordedEntry) -> Self {
        let gateway = service.gateway_name(entry.gateway);
        let data = |kind, name: &str, seq, payload, detail| {
            let data = EventData {
                kind,
                gateway: &gateway,
                at: entry.at,
                generation: entry.generation.number(),
                name,
                seq,
                payload,
                detail,
            };
            serde_json::to_string(&data).unwrap_or_default().into()
        };
        match &entry.kind {
            EntryKind::Event(event) => {
                let keys = event.keys();
                let kept = |key: Option<std::borrow::Cow<'_, str>>| key.map(|key| Box::from(&*key));
                Self {
                    gateway: entry.gateway,
                    event: Some(StreamNames {
                        name: Box::from(&*event.name),
                        session: kept(keys.session_key.clone()),
                        agent: kept(keys.agent_id.clone()),
                    }),
                    data: data("event", &event.name, event.seq, Some(&event.payload), None),
                }
            }
            EntryKind::Marker(marker) => Self {
                gateway: entry.gateway,
                event: None,
                data: data("marker", marker.name(), None, None, Some(super::viewer::detail(marker))),
            },
        }
    }
}

/// The text of an activity for viewers.
pub(super) fn activity_data(activity: &Activity) -> Arc<str> {
    #[derive(Serialize)]
    struct FeedData {
        kind: &'static str,
        activity: ActivityView,
    }
    let data = FeedData {
        kind: "activity",
        activity: ActivityView::of(activity),
    };
    serde_json::to_string(&data).unwrap_or_default().into()
}

/// The text of a hole for viewers.
pub(super) fn lost_data(lost: Lost) -> Arc<str> {
    let why = match lost {
        Lost::Pruned { .. } => "pruned",
        Lost::OtherJournal => "other_journal",
    };
    serde_json::json!({ "kind": "lost", "why": why }).to_string().into()
}
