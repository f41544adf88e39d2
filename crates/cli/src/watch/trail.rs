//! Watching by way of the journal: recording, reading, or both.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use windlass::journal::{
    EntryKind, JournalItem, JournalReader, JournalWriter, JournalWriterError, ReaderFilter, RecordedEntry,
    RecordedMarker, Retention, StartPosition, Timestamp,
};
use windlass::store::{GatewayUid, OwnError, Store};
use windlass::{Gateway, Windlass};
use windlass_line::{Clock, TokioClock};
use windlass_protocol::{Advice, GatewayId};

use crate::exit::{ExitCode, Failure};
use crate::global::Global;
use crate::interrupts::{Interrupts, stop_signal};
use crate::output::Output;
use crate::session::{self, Setup, Target};
use crate::store::{self, Missing};
use crate::watch::screen::EventScreen;
use crate::watch::shown::{InJournal, ShownLine, StreamLine};
use crate::watch::{StartAt, WatchArgs, all_lost, connecting, filter};

/// Items after which a consumer's place is stored, if the stream does not come to rest before: so many are shown again after a
/// kill, at most.
const ACKNOWLEDGE_EVERY: u32 = 100;

pub(crate) async fn run(global: &Global, args: &WatchArgs, output: &Output) -> Result<ExitCode, Failure> {
    let mut stop = pin!(stop_signal()?);
    let known = session::known(global).await;
    // A command that records nothing makes no store.
    let records = !args.journal.no_follow && (args.journal.journal || !known.is_empty());
    let missing = if records { Missing::Make } else { Missing::Refuse };
    if !records && !args.journal.no_follow {
        tokio::select! {
            () = store_is_there(global, output) => {}
            () = &mut stop => return Ok(ExitCode::Interrupted),
        }
    }
    let store: Arc<dyn Store> = store::open_any(global, missing).await?;
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::start());
    // Found before anything is recorded: what this process records is behind it.
    let place = place(args, &*store).await?;
    let recording = if args.journal.no_follow {
        None
    } else {
        Recording::start(global, args, &known, &store, output).await?
    };
    let was_told = Arc::new(AtomicBool::new(false));
    if let Some(recording) = &recording {
        stop_recording_at_a_signal(recording.windlass.clone(), Arc::clone(&was_told))?;
    }
    let mut names = Names::of(global, &known, recording.as_ref());
    let filter = ReaderFilter {
        events: filter(args),
        gateways: names.chosen.clone(),
    };
    let mut trail = JournalReader::open(Arc::clone(&store), Arc::clone(&clock), place, filter).await?;
    if let Some(recording) = &recording {
        trail = trail.following(&recording.writer);
    }
    if args.journal.no_follow {
        trail = trail.to_the_end();
    }
    let mut screen = EventScreen::new(output, args.raw, &args.event);
    let ended = tokio::select! {
        ended = print(&mut trail, &mut names, &*clock, args.limit, &mut screen) => ended,
        failure = lost(recording.as_ref(), output) => Err(failure),
        () = &mut stop => Ok(ExitCode::Interrupted),
    };
    if let Some(recording) = recording {
        // What was recorded up to now is stored.
        session::close(recording.windlass).await;
    }
    store.close().await?;
    match ended {
        // The stream may end with the recording before this command hears of the signal itself.
        Ok(_) if was_told.load(Ordering::Acquire) => Ok(ExitCode::Interrupted),
        ended => ended,
    }
}

/// Stores the recorded events when the program is told to end, even if this command can't: its output may block as long as its
/// reader is slow.
fn stop_recording_at_a_signal(windlass: Windlass, was_told: Arc<AtomicBool>) -> Result<(), Failure> {
    let mut interrupts = Interrupts::listen()?;
    tokio::spawn(async move {
        interrupts.next().await;
        was_told.store(true, Ordering::Release);
        session::close(windlass).await;
    });
    Ok(())
}

/// How often a command that only follows looks for a store that is not there yet.
const LOOK_FOR_STORE: Duration = Duration::from_millis(200);

/// Waits until the process that records has made the store.
async fn store_is_there(global: &Global, output: &Output) {
    if store::is_there(global) {
        return;
    }
    output.note("there is no such store yet: waiting for the process that records into it");
    while !store::is_there(global) {
        tokio::time::sleep(LOOK_FOR_STORE).await;
    }
}

async fn place(args: &WatchArgs, store: &dyn Store) -> Result<StartPosition, Failure> {
    let journal = &args.journal;
    Ok(match (&journal.consumer, journal.from) {
        (Some(name), _) => StartPosition::Consumer(name.clone()),
        (None, Some(StartAt::Start)) => StartPosition::Start,
        (None, Some(StartAt::After(cursor))) => StartPosition::After(cursor),
        (None, Some(StartAt::Now) | None) => match store.journal_extent().await?.newest {
            Some(newest) => StartPosition::After(newest),
            None => StartPosition::Start,
        },
    })
}

/// The writer of this process.
struct Recording {
    windlass: Windlass,
    targets: Vec<Target>,
    gateways: Vec<Gateway>,
    writer: JournalWriter,
}

impl Recording {
    /// Begins to record; nothing, where another process does so already and that will do.
    async fn start(
        global: &Global,
        args: &WatchArgs,
        known: &[(GatewayId, String)],
        store: &Arc<dyn Store>,
        output: &Output,
    ) -> Result<Option<Self>, Failure> {
        let may_follow = !args.journal.journal;
        if may_follow && known.is_empty() {
            output.note("no gateway is configured here: what another process records is shown as it comes");
            return Ok(None);
        }
        let Setup { targets, tokens, .. } = session::prepare(global, output).await?;
        let windlass = Windlass::builder().device_tokens(tokens).start()?;
        let retention = Retention {
            max_age: Some(args.journal.keep),
            max_bytes: Some(args.journal.keep_size),
        };
        let writer = windlass.journal(Arc::clone(store)).writer().retention(retention);
        let writer = match writer.start().await {
            Ok(writer) => writer,
            Err(JournalWriterError::Own(owned @ OwnError::Owned { .. })) if may_follow => {
                follows(&owned, output);
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let mut gateways = Vec::new();
        for target in &targets {
            gateways.push(windlass.add(target.spec.clone()).await?);
        }
        connecting(&targets, output);
        Ok(Some(Self {
            windlass,
            targets,
            gateways,
            writer,
        }))
    }
}

fn follows(owned: &OwnError, output: &Output) {
    let OwnError::Owned { holder, .. } = owned else { return };
    let who = holder
        .as_ref()
        .map_or_else(|| "another process".to_owned(), |holder| format!("process {holder}"));
    output.note(&format!(
        "{who} records into the journal of this store; its entries are shown as they come"
    ));
}

impl From<JournalWriterError> for Failure {
    fn from(error: JournalWriterError) -> Self {
        match error {
            JournalWriterError::Own(OwnError::Owned { .. }) => Self::Told(
                ExitCode::Owned,
                Advice::new(
                    error.to_string(),
                    "Or leave --journal away, to follow what that process records (--from now).",
                ),
            ),
            JournalWriterError::Store(error) => error.into(),
            other => Self::usage(other.to_string(), ""),
        }
    }
}

/// Ends when no gateway that is recorded can come up by itself.
async fn lost(recording: Option<&Recording>, output: &Output) -> Failure {
    match recording {
        Some(recording) => all_lost(&recording.targets, &recording.gateways, output).await,
        None => std::future::pending().await,
    }
}

/// The known names of the gateways of a journal.
struct Names {
    known: BTreeMap<GatewayUid, String>,
    /// Those to show; none for all.
    chosen: Vec<GatewayUid>,
}

impl Names {
    fn of(global: &Global, gateways: &[(GatewayId, String)], recording: Option<&Recording>) -> Self {
        let of = |name: &String| {
            let listed = gateways
                .iter()
                .find(|(_, known)| known == name)
                .map(|(id, _)| id.clone());
            // One that is listed no more may have left entries.
            listed.or_else(|| GatewayId::new(name.as_str()).ok())
        };
        let recorded = || recording.iter().flat_map(|recording| &recording.targets);
        let asked = global.gateway.iter().filter_map(of);
        let ids: Vec<GatewayId> = asked.chain(recorded().map(|target| target.id.clone())).collect();
        let narrowed = global.url.is_some() || !global.gateway.is_empty();
        let chosen = ids.iter().filter(|_| narrowed).map(GatewayUid::of_line).collect();
        let plain = ids.iter().map(|id| (id.clone(), id.to_string()));
        let named = recorded().map(|target| (target.id.clone(), target.name.clone()));
        let all = plain.chain(named).chain(gateways.iter().cloned());
        let known = all.map(|(id, name)| (GatewayUid::of_line(&id), name)).collect();
        Self { known, chosen }
    }

    /// Learns from a marker that names its gateway.
    fn learn(&mut self, recorded: &RecordedEntry) {
        if let EntryKind::Marker(RecordedMarker::Began { line, .. }) = &recorded.kind {
            self.known.entry(recorded.gateway).or_insert_with(|| line.to_string());
        }
    }

    fn name(&mut self, gateway: GatewayUid) -> &str {
        self.known.entry(gateway).or_insert_with(|| gateway.to_string())
    }
}

async fn print(
    trail: &mut JournalReader,
    names: &mut Names,
    clock: &dyn Clock,
    mut left: Option<u64>,
    screen: &mut EventScreen<'_>,
) -> Result<ExitCode, Failure> {
    let mut unacknowledged = 0_u32;
    while left != Some(0)
        && let Some(item) = trail.next().await?
    {
        let is_event = show_item(&item, names, clock, screen)?;
        left = left.map(|left| left - u64::from(is_event));
        unacknowledged += 1;
        if trail.is_dry() || unacknowledged == ACKNOWLEDGE_EVERY {
            trail.acknowledge().await?;
            unacknowledged = 0;
        }
    }
    trail.acknowledge().await?;
    Ok(ExitCode::Ok)
}

/// Whether it was an event.
fn show_item(
    item: &JournalItem,
    names: &mut Names,
    clock: &dyn Clock,
    screen: &mut EventScreen<'_>,
) -> Result<bool, Failure> {
    let (mut at, mut gateway, mut place) = (clock.wall(), None, InJournal::Beside);
    let what = match item {
        JournalItem::Recorded(recorded) => {
            names.learn(recorded);
            at = time_of(recorded.at);
            gateway = Some(names.name(recorded.gateway));
            place = InJournal::At(recorded.cursor);
            StreamLine::from(&**recorded)
        }
        JournalItem::Lost(lost) => StreamLine::Lost(lost),
        JournalItem::Stalled(why) => StreamLine::Stalled(why),
        JournalItem::Resumed => StreamLine::Resumed,
        JournalItem::OtherReader => StreamLine::OtherReader,
        _ => return Ok(false),
    };
    let shown = ShownLine {
        at,
        gateway,
        place,
        what,
    };
    screen.show(&shown)?;
    Ok(shown.is_event())
}

fn time_of(at: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(at.as_millis()).unwrap_or(0))
}
