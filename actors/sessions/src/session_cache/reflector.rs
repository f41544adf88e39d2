//! Keeps a session cache up to date: by events as they come, and by lists where events do not say enough.
//!
//! The line loads the list by itself at each connection and after each gap, and its answer stands where it was read. All that is
//! asked for here besides is asked through the same declaration, so that there is one load at a time; only further pages are
//! calls of our own. A list counts for all changes before its request: that is why `on_asked` is told at the latest moment
//! that is certain to be before that.

use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt as _;
use tokio::task::unconstrained;
use windlass_protocol::request::{Request as _, SessionsListReply, SessionsSubscribe};
use windlass_protocol::session_roster::{RosterPage, SessionRoster};
use windlass_protocol::time::after;

use super::wire::RefreshSchedule;
use super::wire::{Asking, PageFailure, PageReply, Part, cut_unsaid};
use super::wire::{NAMES, SessionNews};
use super::{FeedGuard, SharedCache};
use super::{SessionCache, SessionCacheView};
use windlass_line::clock::sleep_until;
use windlass_line::failpoint;
use windlass_line::line::{Line, TooManyTopics, TopicSubscription};
use windlass_line::routing::{EventFilter, LineEvent, Marker, Subscription, Topic};
use windlass_line::stall_detector::instrument;
use windlass_line::supervision::{Restarts, guarded};

/// Events that may wait for the feed. More are lost to it, which costs one more list.
const BACKLOG: usize = 8192;
/// Events taken in one go, before users are told once.
const AT_ONCE: usize = 256;

/// The task that fills a session cache; run it on a machine.
#[must_use = "a cache that nobody feeds stays empty"]
pub struct Reflector {
    line: Arc<Line>,
    seat: FeedGuard,
    source: Source,
}

/// Where a cache's news come from.
struct Source {
    events: Subscription,
    sessions: TopicSubscription,
}

impl Source {
    fn open(line: &Line) -> Result<Self, TooManyTopics> {
        let names = NAMES.into_iter().fold(EventFilter::all(), EventFilter::name);
        // Subscribed before it is declared, so that the first snapshot is not missed.
        let events = line.subscribe(names.snapshots(), BACKLOG);
        let sessions = line.subscribe_topic(Topic::Sessions)?;
        Ok(Self { events, sessions })
    }
}

impl std::fmt::Debug for Reflector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reflector")
            .field("gateway", self.line.id())
            .finish_non_exhaustive()
    }
}

impl SessionCache {
    /// A handle of the cache of a line's gateway; for its first user, the reflector that has to run, too.
    ///
    /// # Errors
    /// When [`MAX_TOPICS`](windlass_line::MAX_TOPICS) are declared already.
    pub fn of(line: &Arc<Line>) -> Result<(Self, Option<Reflector>), TooManyTopics> {
        let (cache, seat) = line.extension::<SharedCache>().enter();
        let Some(seat) = seat else {
            return Ok((cache, None));
        };
        let source = Source::open(line)?;
        let line = Arc::clone(line);
        Ok((cache, Some(Reflector { line, seat, source })))
    }
}

impl Reflector {
    /// Runs until the cache has no users any more, or the line is closed. Must be polled within a `LocalSet` with tokio's time.
    pub async fn run(self) {
        let id = self.line.id().clone();
        instrument("session_cache", Some(&id), self.keep_feeding()).await;
    }

    async fn keep_feeding(self) {
        let Self { line, seat, source } = self;
        let (seat, mut source, mut restarts) = (Arc::new(seat), Some(source), Restarts::of("session_cache"));
        loop {
            let Some(source) = source.take().or_else(|| Source::open(&line).ok()) else {
                return;
            };
            let feeding = Feeding::new(Arc::clone(&line), Arc::clone(&seat), source);
            let Err(panic) = guarded(feeding.run()).await else {
                return;
            };
            let rest = restarts.panicked(line.now(), &panic);
            // Stale, and so nobody takes it for the truth while the next one begins.
            seat.view().send_replace(SessionCacheView::default());
            sleep_until(after(line.now(), rest.delay)).await;
        }
    }
}

struct Feeding {
    line: Arc<Line>,
    seat: Arc<FeedGuard>,
    source: Source,
    pace: RefreshSchedule,
    pages: Asking,
}

impl Feeding {
    fn new(line: Arc<Line>, seat: Arc<FeedGuard>, source: Source) -> Self {
        let mut pace = RefreshSchedule::default();
        // The declaration loads it, as soon as the line is up.
        pace.begin(line.now());
        Self {
            line,
            seat,
            source,
            pace,
            pages: Asking::default(),
        }
    }

    async fn run(mut self) {
        failpoint::reach("session_cache");
        self.update(SessionRoster::on_asked);
        loop {
            let due = self.pace.due();
            tokio::select! {
                biased;
                () = self.seat.view().closed() => {
                    if self.seat.leave_if_unseen() {
                        return;
                    }
                }
                answer = self.pages.answer() => self.take_page(answer),
                () = wait_until(due) => self.load(),
                item = self.source.events.next() => match item {
                    Some(item) => self.take_all(&item),
                    None => return,
                },
            }
            self.look_whether_stale();
        }
    }

    /// Takes an item, and those that are there already.
    fn take_all(&mut self, item: &LineEvent) {
        self.take(item);
        for _ in 1..AT_ONCE {
            let Some(Some(item)) = self.source.events.next().now_or_never() else {
                return;
            };
            self.take(&item);
        }
    }

    fn take(&mut self, item: &LineEvent) {
        failpoint::reach("session_cache.stream");
        match item {
            LineEvent::Event(event) => {
                let news = SessionNews::read(event);
                if !news.is_known_to(&self.seat.view().borrow().sessions) {
                    self.update(|cache| news.apply(cache));
                }
            }
            LineEvent::Marker(marker) => self.take_marker(marker),
        }
    }

    fn take_marker(&mut self, marker: &Marker) {
        match marker {
            // The line loads it by itself then.
            Marker::Gap(_) | Marker::Unreadable => self.lost(),
            Marker::Lagged(_) => {
                self.lost();
                self.source.sessions.resync();
            }
            Marker::Disconnected { .. } => {
                self.pages.cancel();
                self.pace.stop();
                self.update(SessionRoster::on_line_down);
            }
            Marker::Reconnected { gateway_restarted, .. } => self.up(*gateway_restarted),
            Marker::Resynced {
                what: Topic::Sessions,
                snapshot,
                again,
                ..
            } => self.take_snapshot(snapshot.as_ref().and_then(|list| list.decode().ok()), *again),
            Marker::Unsynced {
                what: Topic::Sessions,
                why,
                ..
            } => {
                self.pace.stop();
                self.seat
                    .view()
                    .send_modify(|view| view.refused = Some(why.as_ref().into()));
            }
            _ => {}
        }
    }

    /// A request after this is a request after the loss: the line is told of it in this order, and says of an answer to an
    /// earlier question that it is loaded again.
    fn lost(&mut self) {
        self.pages.cancel();
        self.pace.begin(self.line.now());
        self.update(|cache| {
            cache.on_gap();
            cache.on_asked();
        });
    }

    fn up(&mut self, restarted: Option<bool>) {
        self.pace.begin(self.line.now());
        self.update(|cache| {
            // Before 2026.8 nobody can tell: a run that goes on says so with its next increment.
            if restarted != Some(false) {
                cache.on_restarted();
            }
            cache.on_asked();
        });
    }

    fn take_snapshot(&mut self, list: Option<SessionsListReply>, again: bool) {
        self.pages.cancel();
        let Some(list) = list else {
            // Subscribed, and no list: asked for once more in a while.
            return self.ended();
        };
        if let Some(part) = cut_unsaid(&list).filter(|_| !again) {
            self.update(SessionRoster::on_asked);
            return self.pages.ask(&self.line, part);
        }
        self.take_list(&list, 0);
        if again {
            self.lost();
        }
    }

    fn take_list(&mut self, list: &SessionsListReply, offset: u32) {
        let mut page = RosterPage::Complete;
        let space = self.line.status().borrow().key_space();
        self.update(|cache| {
            cache.spell(space);
            page = cache.on_list(list, offset);
        });
        match page {
            RosterPage::Next(next) if next > 0 => self.pages.ask(&self.line, Part::Page(next)),
            _ => self.ended(),
        }
    }

    fn take_page(&mut self, (part, answer): PageReply) {
        // What was read before the answer is in the queue: it comes first.
        let cancelled = self.pages.cancelled();
        while let Some(Some(item)) = unconstrained(self.source.events.next()).now_or_never() {
            self.take(&item);
        }
        if self.pages.cancelled() != cancelled {
            return;
        }
        match (part, answer) {
            (Part::Page(offset), Ok(list)) => self.take_list(&list, offset),
            (_, Ok(mut list)) => {
                list.next_offset = None;
                self.take_list(&list, 0);
            }
            (Part::Page(_), Err(PageFailure::Refused)) => {
                self.update(SessionRoster::on_asked);
                self.pages.ask(&self.line, Part::AsManyAsKept);
            }
            (_, Err(_)) => self.ended(),
        }
    }

    /// Asks for the list.
    fn load(&mut self) {
        self.pace.begin(self.line.now());
        self.update(SessionRoster::on_asked);
        self.source.sessions.resync();
    }

    /// A load is over.
    fn ended(&mut self) {
        let polls = !self.hears_of_changes();
        self.pace.end(self.line.now(), polls);
    }

    /// Whether the gateway has events about sessions (from 2026.4 on).
    fn hears_of_changes(&self) -> bool {
        let status = self.line.status();
        let status = status.borrow();
        let methods = status.hello.as_ref().and_then(|hello| hello.features.methods.as_ref());
        methods.is_some_and(|methods| methods.iter().any(|listed| listed == SessionsSubscribe::METHOD))
    }

    fn look_whether_stale(&mut self) {
        let view = self.seat.view().borrow();
        let asks = view.refused.is_none();
        let (stale, nameless) = (!view.is_fresh(), view.sessions.has_nameless_run());
        drop(view);
        if asks && stale {
            self.pace.want(self.line.now());
        } else if asks && nameless {
            self.pace.look_again(self.line.now());
        }
    }

    /// Changes the view in place, unless a user holds the one before: then a copy. Users are told if anything is new.
    fn update(&self, change: impl FnOnce(&mut SessionRoster)) {
        self.seat.view().send_if_modified(|view| {
            let before = outward(view);
            change(Arc::make_mut(&mut view.sessions));
            if view.is_fresh() {
                view.refused = None;
            }
            outward(view) != before
        });
    }
}

/// All that a user may see change.
fn outward(view: &SessionCacheView) -> impl PartialEq + use<> {
    let sessions = &view.sessions;
    (
        sessions.version(),
        sessions.stale(),
        sessions.is_cut(),
        view.refused.is_none(),
    )
}

async fn wait_until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
