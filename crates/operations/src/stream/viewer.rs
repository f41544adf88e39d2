//! One viewer of the stream.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use utoipa::IntoParams;
use windlass::EventFilter;
use windlass::journal::{JournalItem, JournalReader, ReaderFilter, RecordedMarker, StartPosition};
use windlass_line::routing::CompiledFilter;
use windlass_protocol::{EventKeys, SessionKeySpace};
use windlass_store::{Activity, ActivityFilter, Cursor, GatewayUid, StoreError};

use super::cursor::StreamCursor;
use super::feed::{SharedEntry, StreamNames, ViewerPlace, activity_data, lost_data, newest_activity};
use super::ring::BATCH;
use crate::access::{Caller, Scope};
use crate::error::OperationError;
use crate::service::Service;

/// The interval between two signs of life: clients and proxies find a dead connection by it.
const BEAT: Duration = Duration::from_secs(15);
/// The values of one filter; each event is compared with all of them.
const FILTER_VALUES: usize = 100;

/// A selection of the stream.
#[derive(Debug, Default, Clone, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct StreamQuery {
    /// The position to continue after: a cursor, `now` (the default) or `start`.
    pub after: Option<String>,
    /// The consumer at whose acknowledged position the stream begins; instead of `after`.
    pub consumer: Option<String>,
    /// Only these gateways, by id or name.
    pub gateway: Vec<String>,
    /// Only events of these sessions.
    pub session: Vec<String>,
    /// Only events of these agents, by their ids on the gateway.
    pub agent: Vec<String>,
    /// Only events of these names, for example `chat`.
    pub name: Vec<String>,
    /// Only these kinds: `event`, `marker`, `line`, `activity`; all by default.
    pub kind: Vec<String>,
}

/// An item of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamItem {
    /// An entry: its kind, the position after it, its JSON. Changes of lines have no position of their own.
    Entry {
        /// `event`, `marker`, `line`, `activity`, `lost` or `lagged`.
        kind: &'static str,
        /// The position after it.
        cursor: Option<StreamCursor>,
        /// Its JSON.
        data: Arc<str>,
    },
    /// The stream is open, or still open, at this position: entries before it that the filter left out are done with.
    Beat(StreamCursor),
    /// The service ends, or can't read its store: continue after this position later.
    End(StreamCursor),
}

#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "a set of kinds")]
struct Kinds {
    event: bool,
    marker: bool,
    line: bool,
    activity: bool,
}

/// A stream as one viewer sees it.
pub struct EventStream {
    service: Service,
    filter: EventFilter,
    compiled: CompiledFilter,
    gateways: Vec<GatewayUid>,
    kinds: Kinds,
    at: StreamCursor,
    line_number: u64,
    /// Reads the journal for a viewer that is behind.
    reader: Option<JournalReader>,
    /// The viewer has been up to date since it was behind last.
    is_live: bool,
    ready: VecDeque<StreamItem>,
    ended: bool,
    news: watch::Receiver<()>,
    ending: watch::Receiver<bool>,
    _place: ViewerPlace,
}

/// Opens a stream.
///
/// # Errors
/// Missing scope, a gateway that is not known, an invalid query, too many streams, or the store's.
pub async fn open(service: &Service, caller: &Caller, query: &StreamQuery) -> Result<EventStream, OperationError> {
    caller.require(Scope::Read)?;
    for (field, values) in [
        ("gateway", &query.gateway),
        ("session", &query.session),
        ("agent", &query.agent),
        ("name", &query.name),
    ] {
        if values.len() > FILTER_VALUES {
            return Err(OperationError::invalid(
                field,
                format!("has more than {FILTER_VALUES} values"),
            ));
        }
    }
    let kinds = Kinds::parse(&query.kind)?;
    let mut gateways = Vec::new();
    for name in &query.gateway {
        let line = service.directory().line_id(name);
        let line = line.ok_or_else(|| OperationError::not_found("gateway", name))?;
        gateways.push(GatewayUid::of_line(&line));
    }
    let mut filter = EventFilter::all();
    filter = query
        .name
        .iter()
        .fold(filter, |filter, name| filter.name(name.as_str()));
    filter = query
        .session
        .iter()
        .fold(filter, |filter, key| filter.session(key.as_str()));
    filter = query.agent.iter().fold(filter, |filter, id| filter.agent(id.as_str()));
    let place = service.feed().enter(service, &caller.name)?;
    let news = service.feed().news();
    let (at, is_new) = start(service, query).await?;
    EventStream {
        compiled: CompiledFilter::new(filter.clone(), &SessionKeySpace::unknown()),
        filter,
        gateways,
        kinds,
        at,
        line_number: 0,
        reader: None,
        is_live: false,
        ready: VecDeque::from([StreamItem::Beat(at)]),
        ended: false,
        news,
        ending: service.ending(),
        service: service.clone(),
        _place: place,
    }
    .behind_unless(is_new)
    .await
}

/// The position that the query asks for, and whether it is the present.
async fn start(service: &Service, query: &StreamQuery) -> Result<(StreamCursor, bool), OperationError> {
    let store = service.store();
    if let Some(name) = &query.consumer {
        let at = StreamCursor {
            journal: store.acknowledged(name).await?,
            activity: newest_activity(service).await?,
        };
        return Ok((at, false));
    }
    Ok(match query.after.as_deref() {
        None | Some("now") => {
            let at = StreamCursor {
                journal: store.journal_extent().await?.newest,
                activity: newest_activity(service).await?,
            };
            (at, true)
        }
        Some("start") => (StreamCursor::START, false),
        Some(text) => (text.parse()?, false),
    })
}

impl Kinds {
    fn parse(kinds: &[String]) -> Result<Self, OperationError> {
        let all = kinds.is_empty();
        let mut wanted = Self {
            event: all,
            marker: all,
            line: all,
            activity: all,
        };
        for kind in kinds {
            match kind.as_str() {
                "event" => wanted.event = true,
                "marker" => wanted.marker = true,
                "line" => wanted.line = true,
                "activity" => wanted.activity = true,
                _ => {
                    return Err(OperationError::invalid(
                        "kind",
                        "is not event, marker, line or activity",
                    ));
                }
            }
        }
        Ok(wanted)
    }

    const fn journal(self) -> bool {
        self.event || self.marker
    }
}

impl StreamQuery {
    /// Reads the members of a query, of which filters may come repeatedly.
    ///
    /// # Errors
    /// For a member that is not known.
    pub fn of_pairs(pairs: Vec<(String, String)>) -> Result<Self, OperationError> {
        let mut query = Self::default();
        for (member, value) in pairs {
            match member.as_str() {
                "after" => query.after = Some(value),
                "consumer" => query.consumer = Some(value),
                "gateway" => query.gateway.push(value),
                "session" => query.session.push(value),
                "agent" => query.agent.push(value),
                "name" => query.name.push(value),
                "kind" => query.kind.push(value),
                _ => return Err(OperationError::invalid(member, "is not a member of this query")),
            }
        }
        Ok(query)
    }
}

impl EventStream {
    /// A viewer that names a position reads the store first, which knows whether the position is one of its own.
    async fn behind_unless(mut self, is_new: bool) -> Result<Self, OperationError> {
        if !is_new && self.kinds.journal() {
            self.reader = Some(self.open_reader().await?);
        }
        Ok(self)
    }

    /// The position after the last item.
    pub const fn cursor(&self) -> StreamCursor {
        self.at
    }

    /// The next item; `None` after the end.
    pub async fn next(&mut self) -> Option<StreamItem> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(item);
            }
            if self.ended {
                return None;
            }
            self.news.borrow_and_update();
            if *self.ending.borrow() || self.gather().await.is_err() {
                self.ended = true;
                return Some(StreamItem::End(self.at));
            }
            if self.ready.is_empty() && self.reader.is_none() {
                self.wait().await;
            }
        }
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.news.changed() => {}
            _ = self.ending.wait_for(|ending| *ending) => {}
            () = tokio::time::sleep(BEAT) => self.ready.push_back(StreamItem::Beat(self.at)),
        }
    }

    /// Takes what is new, a batch of each source at most.
    async fn gather(&mut self) -> Result<(), StoreError> {
        if self.kinds.line {
            self.gather_lines();
        }
        if self.kinds.activity {
            self.gather_activities().await?;
        }
        if self.kinds.journal() {
            self.gather_journal().await?;
        }
        Ok(())
    }

    fn gather_lines(&mut self) {
        for (number, change) in self.service.feed().lines_after(self.line_number) {
            self.line_number = number;
            if self.wants_gateway(change.gateway) {
                self.ready.push_back(StreamItem::Entry {
                    kind: "line",
                    cursor: None,
                    data: change.data,
                });
            }
        }
    }

    async fn gather_activities(&mut self) -> Result<(), StoreError> {
        let feed = self.service.feed();
        if let Some(shared) = feed.activities_after(self.at.activity) {
            for entry in shared {
                self.push_activity(&entry.value);
            }
            return Ok(());
        }
        let store = self.service.store();
        let all = ActivityFilter::default();
        for activity in store.activities(&all, Some(self.at.activity), BATCH).await? {
            self.push_activity(&activity);
        }
        Ok(())
    }

    fn push_activity(&mut self, activity: &Activity) {
        self.at.activity = activity.id;
        self.push("activity", activity_data(activity));
    }

    async fn gather_journal(&mut self) -> Result<(), StoreError> {
        if self.reader.is_none() {
            if let Some(shared) = self.service.feed().journal_after(self.at.journal) {
                for entry in shared {
                    self.push_shared(entry.position, &entry.value);
                }
                self.is_live = true;
                return Ok(());
            }
            self.reader = Some(self.open_reader().await?);
        }
        self.catch_up().await
    }

    async fn open_reader(&self) -> Result<JournalReader, StoreError> {
        let filter = ReaderFilter {
            events: self.filter.clone(),
            gateways: self.gateways.clone(),
        };
        let from = self.at.journal.map_or(StartPosition::Start, StartPosition::After);
        let reader = self.service.journal().reader_with(from, filter).await?;
        Ok(reader.to_the_end())
    }

    /// Reads a batch from the store. At its end the viewer comes back to the ring.
    async fn catch_up(&mut self) -> Result<(), StoreError> {
        let Some(mut reader) = self.reader.take() else {
            return Ok(());
        };
        for taken in 0..BATCH {
            let Some(item) = reader.next().await? else {
                self.at.journal = reader.cursor().or(self.at.journal);
                return Ok(());
            };
            match item {
                JournalItem::Recorded(entry) => {
                    self.tell_lag();
                    let shared = SharedEntry::of(&self.service, &entry);
                    let large = shared.data.len() > LARGE;
                    self.push_shared(entry.cursor, &shared);
                    if large && taken > 0 {
                        break;
                    }
                }
                JournalItem::Lost(lost) => {
                    self.at.journal = reader.cursor();
                    self.ready.push_back(StreamItem::Entry {
                        kind: "lost",
                        cursor: None,
                        data: lost_data(lost),
                    });
                }
                _ => {}
            }
        }
        self.reader = Some(reader);
        Ok(())
    }

    /// Tells a viewer that was up to date and was too slow, before the first entry that it reads from the store.
    fn tell_lag(&mut self) {
        if std::mem::replace(&mut self.is_live, false) {
            self.ready.push_back(StreamItem::Entry {
                kind: "lagged",
                cursor: None,
                data: json!({"kind": "lagged", "after": self.at.to_string()})
                    .to_string()
                    .into(),
            });
        }
    }

    fn push_shared(&mut self, position: Cursor, entry: &SharedEntry) {
        self.at.journal = Some(position);
        if !self.wants_gateway(entry.gateway) {
            return;
        }
        match &entry.event {
            Some(event) if self.kinds.event && self.wants(event) => self.push("event", Arc::clone(&entry.data)),
            None if self.kinds.marker => self.push("marker", Arc::clone(&entry.data)),
            _ => {}
        }
    }

    fn push(&mut self, kind: &'static str, data: Arc<str>) {
        self.ready.push_back(StreamItem::Entry {
            kind,
            cursor: Some(self.at),
            data,
        });
    }

    fn wants_gateway(&self, gateway: GatewayUid) -> bool {
        self.gateways.is_empty() || self.gateways.contains(&gateway)
    }

    fn wants(&self, event: &StreamNames) -> bool {
        if !self.compiled.wants_name(&event.name) {
            return false;
        }
        let keys = || EventKeys {
            session_key: event.session.as_deref().map(Cow::Borrowed),
            agent_id: event.agent.as_deref().map(Cow::Borrowed),
            run_id: None,
        };
        !self.compiled.needs_keys() || self.compiled.wants_keys(&keys())
    }
}

/// An entry that ends a batch, in bytes.
const LARGE: usize = 256 * 1024;

/// The contents of a marker.
pub(super) fn detail(marker: &RecordedMarker) -> Value {
    match marker {
        RecordedMarker::Line(marker) => serde_json::to_value(marker.detail()).unwrap_or_default(),
        RecordedMarker::Began { line, up } => json!({"line": line, "up": up}),
        RecordedMarker::Unrecorded { events, why } => json!({"events": events, "why": why}),
        RecordedMarker::Repeated { count, .. } => json!({"count": count}),
        RecordedMarker::Pruned { entries, .. } => json!({"entries": entries}),
        RecordedMarker::Damaged { what } => json!({"what": what}),
        _ => json!({}),
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream")
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}
