//! The loop of a writer: it takes items of lines into a batch, appends the batch to the store, and prunes the journal.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::{self, BoxStream, SelectAll};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::watch;
use tokio::task::unconstrained;
use windlass_protocol::Generation;
use windlass_protocol::time::after;
use windlass_store::{
    ClockStep, Cursor, GatewayUid, JournalFilter, Retention, StoreError, Timestamp, corrected, limits,
};

use crate::batch::{EntryBatch, Repeats};
use crate::entry::{RecordedMarker, Stamp, of_item, of_marker};
use crate::stamps::{Stamps, step_before};
use crate::state::{JournalWriterState, JournalWriterStatus, STOP_TIMEOUT, SharedWriterState, Stall};
use windlass_line::clock::sleep_until;
use windlass_line::failpoint;
use windlass_line::line::Line;
use windlass_line::routing::{LineEvent, Marker};

/// How long a first event waits for company: a trickle costs fifty waits for the disk a second at most, and a reader that much delay.
const LINGER: Duration = Duration::from_millis(20);
/// First wait after the store refused; doubled each time.
const RETRY: Duration = Duration::from_millis(50);
/// Longest wait where it is only locked.
const RETRY_CAP: Duration = Duration::from_secs(1);
/// Longest wait where an operator has to act.
const REPAIR_CAP: Duration = Duration::from_secs(10);
/// Interval of pruning.
const PRUNE_EVERY: Duration = Duration::from_secs(30);
/// Between two steps where there is more: readers and other writers come between.
const PRUNE_PAUSE: Duration = Duration::from_millis(10);
/// Entries of a step: more than a batch, so that pruning keeps up with appending.
const PRUNE_STEP: usize = limits::PAGE_LIMIT;

/// An item of a line; `None` is the end of the line.
type LineItem = (Arc<Line>, Option<LineEvent>);

pub(crate) struct WriterLoop {
    shared: Arc<SharedWriterState>,
    status: Arc<watch::Sender<JournalWriterStatus>>,
    stop: watch::Receiver<bool>,
    lines: SelectAll<BoxStream<'static, LineItem>>,
    batch: EntryBatch,
    /// The last entry that the journal is known to have.
    newest: Option<Cursor>,
    prune_at: Instant,
    repeats: Repeats,
    stamps: Stamps,
    /// Steps of the clock that the store does not know yet. Nothing is pruned for its age meanwhile.
    unnoted: Vec<ClockStep>,
    /// The newest entry when this began, and when that was.
    begun_behind: Option<Cursor>,
    began_at: Timestamp,
    /// Whether the time between the two was looked at.
    has_begun: bool,
}

/// Most steps that wait for a store which takes nothing. The clock of a machine is not set more often in that time.
const UNNOTED: usize = 16;

/// The reason why the loop woke up.
enum Woken {
    Line(LineItem),
    Joined,
    Prune,
    Repeats,
    Stop,
}

/// The writer is to end.
struct WriterStopped;

impl WriterLoop {
    pub(crate) fn new(shared: Arc<SharedWriterState>, status: Arc<watch::Sender<JournalWriterStatus>>) -> Self {
        let newest = status.borrow().newest;
        let stamps = Stamps::start(&*shared.clock);
        Self {
            stop: shared.stop.subscribe(),
            prune_at: shared.clock.now(),
            repeats: Repeats::default(),
            begun_behind: newest,
            began_at: stamps.at(shared.clock.now()),
            stamps,
            unnoted: Vec::new(),
            has_begun: false,
            newest,
            shared,
            status,
            lines: SelectAll::new(),
            batch: EntryBatch::default(),
        }
    }

    pub(crate) async fn run(mut self) {
        failpoint::reach("journal");
        loop {
            self.follow_clock();
            self.begin_lines();
            if self.flush(None).await.is_err() {
                return self.finish().await;
            }
            if !self.unnoted.is_empty() {
                self.note_clock_steps().await;
            }
            if self.prune_at <= self.shared.clock.now() {
                self.prune().await;
            }
            let woken = self.wake().await;
            self.follow_clock();
            match woken {
                Woken::Line(brought) => {
                    self.take(brought);
                    self.gather().await;
                }
                Woken::Repeats => {
                    for entry in self.repeats.due(self.shared.clock.now()) {
                        self.batch.push(entry);
                    }
                }
                // Looked after at the next turn.
                Woken::Joined | Woken::Prune => {}
                Woken::Stop => return self.finish().await,
            }
        }
    }

    /// Begins with lines that joined.
    fn begin_lines(&mut self) {
        for (line, events) in self.shared.to_begin() {
            // Looked at after it was subscribed: what comes between is recorded behind the word that it begins.
            let status = line.status().borrow().clone();
            let began = RecordedMarker::Began {
                line: line.id().as_str().into(),
                up: status.is_up(),
            };
            self.mark(&line, &began, status.generation);
            let source = Arc::clone(&line);
            let items = events.map(Some).chain(stream::once(async { None }));
            self.lines
                .push(items.map(move |item| (Arc::clone(&source), item)).boxed());
        }
    }

    async fn wake(&mut self) -> Woken {
        let (lines, stop, shared) = (&mut self.lines, &mut self.stop, &self.shared);
        let repeats = self.repeats.next_due();
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => Woken::Stop,
            () = shared.joined.notified() => Woken::Joined,
            Some(brought) = lines.next(), if !lines.is_empty() => Woken::Line(brought),
            () = sleep_until(repeats.unwrap_or(self.prune_at)), if repeats.is_some() => Woken::Repeats,
            () = sleep_until(self.prune_at) => Woken::Prune,
        }
    }

    /// Waits a little for more items, until the batch is full.
    async fn gather(&mut self) {
        let mut over = pin!(sleep_until(self.shared.clock.now() + LINGER));
        while !self.batch.is_full() && !self.lines.is_empty() {
            tokio::select! {
                biased;
                Some(brought) = self.lines.next() => self.take(brought),
                () = &mut over => return,
            }
        }
    }

    fn take(&mut self, (line, item): LineItem) {
        failpoint::reach("journal.stream");
        let generation = line.generation();
        let Some(item) = item else {
            self.shared.leave(&line);
            return self.mark(&line, &RecordedMarker::Ended, generation);
        };
        if let Some(Marker::Lagged(dropped)) = item.marker() {
            self.status.send_modify(|status| status.dropped += dropped);
        }
        let stamp = self.stamp(&line, generation);
        let taken = self.repeats.take(&item, stamp, self.shared.clock.now());
        if let Some(before) = taken.before {
            self.batch.push(before);
        }
        if taken.is_recorded {
            self.batch.push(of_item(&item, stamp));
        }
    }

    fn mark(&mut self, line: &Line, marker: &RecordedMarker, generation: Generation) {
        let stamp = self.stamp(line, generation);
        if let Some(before) = self.repeats.close(stamp.gateway) {
            self.batch.push(before);
        }
        self.batch.push(of_marker(marker, stamp));
    }

    fn stamp(&self, line: &Line, generation: Generation) -> Stamp {
        Stamp {
            gateway: GatewayUid::of_line(line.id()),
            generation,
            at: self.now(),
        }
    }

    fn now(&self) -> Timestamp {
        self.stamps.at(self.shared.clock.now())
    }

    /// Reads the clock between two batches, so that a step of it lies between two entries.
    fn follow_clock(&mut self) {
        if !self.batch.is_empty() {
            return;
        }
        let (Some(by_ms), Some(upto)) = (self.stamps.follow(&*self.shared.clock), self.newest) else {
            return;
        };
        tracing::warn!(by_ms, "the system's clock stepped; recorded entries keep their age");
        self.note(ClockStep { upto, by_ms });
    }

    fn note(&mut self, step: ClockStep) {
        self.unnoted.push(step);
        if self.unnoted.len() > UNNOTED {
            self.unnoted.remove(0);
        }
    }

    /// Tells the store of the steps of the clock. Whether it knows all: only then may entries be judged by their age.
    async fn note_clock_steps(&mut self) -> bool {
        if !self.has_begun {
            match self.step_before().await {
                Ok(step) => self.unnoted.splice(..0, step).for_each(drop),
                Err(_) => return false,
            }
            self.has_begun = true;
        }
        while let Some(step) = self.unnoted.first() {
            if self.shared.store.note_clock_step(*step).await.is_err() {
                return false;
            }
            self.unnoted.remove(0);
        }
        true
    }

    /// The step of the clock between the newest entry that was there at the beginning and now.
    async fn step_before(&self) -> Result<Option<ClockStep>, StoreError> {
        let Some(newest) = self.begun_behind else {
            return Ok(None);
        };
        let before = Cursor::new(newest.number().saturating_sub(1));
        let all = JournalFilter::default();
        let page = self.shared.store.read_journal(Some(before), &all, 1).await?;
        let Some(entry) = page.entries.into_iter().find(|entry| entry.cursor == newest) else {
            return Ok(None);
        };
        let steps = self.shared.store.clock_steps().await?;
        let stamped = corrected(entry.entry.at, newest, &steps);
        let max_age = self.shared.settings.retention.max_age;
        Ok(step_before(newest, stamped, self.began_at, max_age))
    }

    /// Stores the batch, however long that takes: until the writer is to end, or until `deadline`.
    async fn flush(&mut self, deadline: Option<Instant>) -> Result<(), WriterStopped> {
        let mut failures = 0_u32;
        while !self.batch.is_empty() {
            let error = match self.shared.store.append(self.batch.head()).await {
                Ok(appended) => {
                    failpoint::reach("journal.stored");
                    self.stored(appended.last);
                    failures = 0;
                    continue;
                }
                Err(error) => error,
            };
            if self.is_stored_despite_error().await {
                continue;
            }
            failures += 1;
            let wait = self.refused(&error, failures)?;
            if matches!(error, StoreError::Full) {
                // What goes leaves its room to what waits.
                self.prune().await;
            }
            let again = after(self.shared.clock.now(), wait);
            if deadline.is_some_and(|deadline| again > deadline) {
                return Err(WriterStopped);
            }
            tokio::select! {
                biased;
                () = sleep_until(again) => {}
                // With a deadline of its own there is nothing to be told any more.
                _ = self.stop.wait_for(|stop| *stop), if deadline.is_none() => return Err(WriterStopped),
            }
        }
        Ok(())
    }

    /// Whether the batch was stored although the append failed: a store that fails while it commits may have committed. No other
    /// process appends, so the newest cursor tells.
    async fn is_stored_despite_error(&mut self) -> bool {
        let Ok(extent) = self.shared.store.journal_extent().await else {
            return false;
        };
        let count = i64::try_from(self.batch.head().len()).unwrap_or(i64::MAX);
        let there = match (self.newest, extent.newest) {
            (Some(before), Some(now)) => now.number() == before.number().saturating_add(count),
            (None, now) => now.is_some(),
            (Some(_), None) => false,
        };
        if let (true, Some(newest)) = (there, extent.newest) {
            self.stored(newest);
        }
        there
    }

    fn stored(&mut self, newest: Cursor) {
        let count = self.batch.head().len() as u64;
        self.batch.drop_head();
        self.newest = Some(newest);
        let stalled = matches!(self.status.borrow().state, JournalWriterState::Stalled { .. });
        if stalled {
            tracing::info!("the journal takes entries again");
        }
        self.status.send_modify(|status| {
            status.state = JournalWriterState::Recording;
            status.newest = Some(newest);
            status.entries += count;
            status.batches += 1;
        });
    }

    /// How long to wait before the store is tried again.
    fn refused(&mut self, error: &StoreError, failures: u32) -> Result<Duration, WriterStopped> {
        let stall = Stall::of(error);
        match error {
            StoreError::Closed => return Err(WriterStopped),
            StoreError::Invalid { .. } => {
                self.give_up_batch(error);
                return Ok(Duration::ZERO);
            }
            _ => {}
        }
        if failures == 1 {
            tracing::warn!(why = %stall, "the journal takes no entries; trying again");
        }
        let cap = if stall.is_short() { RETRY_CAP } else { REPAIR_CAP };
        let since = self.shared.clock.wall();
        self.status.send_modify(|status| {
            let since = match status.state {
                JournalWriterState::Stalled { since, .. } => since,
                _ => since,
            };
            status.state = JournalWriterState::Stalled { why: stall, since };
            status.retries += 1;
        });
        Ok(RETRY.saturating_mul(1 << failures.min(16)).min(cap))
    }

    /// The store will never take this batch. It should not come to that: entries are made fit for it. A marked hole takes its place.
    fn give_up_batch(&mut self, error: &StoreError) {
        let why: Box<str> = error.to_string().into();
        tracing::error!(%why, entries = self.batch.head().len(), "entries can't be recorded");
        let mut lost = std::collections::BTreeMap::<GatewayUid, (u64, Generation)>::new();
        for entry in self.batch.head() {
            let (events, generation) = lost
                .entry(entry.gateway)
                .or_insert((0, Generation::new(entry.generation)));
            *events += 1;
            *generation = Generation::new(entry.generation);
        }
        self.batch.drop_head();
        let at = self.now();
        for (gateway, (events, generation)) in lost {
            self.status.send_modify(|status| status.dropped += events);
            let why = why.clone();
            let stamp = Stamp {
                gateway,
                generation,
                at,
            };
            self.batch
                .push(of_marker(&RecordedMarker::Unrecorded { events, why }, stamp));
        }
    }

    /// Prunes one step.
    async fn prune(&mut self) {
        let (now, retention) = (self.shared.clock.now(), self.shared.settings.retention);
        self.prune_at = now + PRUNE_EVERY;
        if retention == Retention::default() {
            return;
        }
        let knows_the_clock = self.note_clock_steps().await;
        let retention = Retention {
            max_age: retention.max_age.filter(|_| knows_the_clock),
            ..retention
        };
        let step = self.shared.store.prune_journal(&retention, self.now(), PRUNE_STEP);
        match step.await {
            Ok(done) => {
                if done.more {
                    self.prune_at = now + PRUNE_PAUSE;
                }
                self.status.send_if_modified(|status| {
                    status.pruned += done.entries;
                    done.entries > 0
                });
            }
            Err(error) => tracing::debug!(%error, "the journal was not pruned; trying again"),
        }
    }

    /// Stores the remaining items and the final markers.
    async fn finish(mut self) {
        let deadline = self.shared.clock.now() + STOP_TIMEOUT;
        loop {
            while !self.batch.is_full() {
                // All that is there, however much: past the budget that makes tasks take turns.
                match unconstrained(self.lines.next()).now_or_never().flatten() {
                    Some(brought) => self.take(brought),
                    None => break,
                }
            }
            let is_last = !self.batch.is_full();
            if is_last {
                self.end_lines();
            }
            if self.flush(Some(deadline)).await.is_err() {
                let left = self.batch.len();
                tracing::warn!(left, "the journal took nothing at the end; what waited is a hole in it");
                return;
            }
            if is_last {
                // The next writer judges what is old by them.
                self.note_clock_steps().await;
                return;
            }
        }
    }

    fn end_lines(&mut self) {
        self.lines.clear();
        for entry in self.repeats.end() {
            self.batch.push(entry);
        }
        for line in self.shared.begun() {
            self.mark(&line, &RecordedMarker::Ended, line.generation());
        }
    }
}
