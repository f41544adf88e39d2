//! `windlass watch`: events and markers as they come, or from the journal of a store.

mod screen;
mod shown;
mod speech;
mod trail;
mod words;

use std::time::Duration;

use clap::Args;
use futures_util::StreamExt as _;
use futures_util::future::select_all;
use futures_util::stream;
use tokio::sync::watch::Receiver;
use windlass::journal::Cursor;
use windlass::{Gateway, LineState, LineStatus};
use windlass_line::{Clock as _, EventFilter, LineEvent, TokioClock};

use crate::exit::{ExitCode, Failure};
use crate::global::Global;
use crate::output::{DIM, Output, advice_line};
use crate::session::{self, Setup, Target};
use crate::watch::screen::EventScreen;
use crate::watch::shown::{InJournal, ShownLine, StreamLine};

/// Print events as they arrive, with markers where events are missing
///
/// Prints one line per event: time, gateway, agent and text. On a terminal long lines are cut and chats are folded; other outputs
/// get everything. --raw prints the payloads as they came, --json one object per event.
///
/// Runs until it is interrupted. A broken connection is made again, and markers show where events may be missing. Exits when every
/// gateway needs an operator, for example because of a wrong token.
///
/// With --journal, --from or --consumer, events are read from the journal of the store (--store), each with its cursor: first the
/// recorded ones, then new ones. This process records all events that the gateways send, unless another process records already;
/// then it follows that one. --event, --session, --agent and --limit select the events that are shown, not those that are recorded.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  windlass watch --event chat --event agent
  windlass watch --journal                     record, and show new events
  windlass watch --from start --no-follow      show the recorded events
  windlass watch --from 1795438143507123       continue after the event with this cursor
  windlass watch --consumer audit --json       continue where the reader audit stopped")]
pub(crate) struct WatchArgs {
    /// Only events of this name, for example chat; repeat it for several
    #[arg(long, value_name = "NAME")]
    event: Vec<String>,
    /// Only events of this session, by its key; repeat it for several
    #[arg(long, value_name = "KEY")]
    session: Vec<String>,
    /// Only events of this agent, by its id; repeat it for several
    #[arg(long, value_name = "ID")]
    agent: Vec<String>,
    /// Stop after N events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Print the payloads as they came, instead of text for people
    #[arg(long, conflicts_with = "json")]
    raw: bool,
    #[command(flatten)]
    journal: JournalArgs,
}

/// About the journal.
#[derive(Debug, Args)]
#[command(next_help_heading = "Journal")]
struct JournalArgs {
    /// Record into the journal of the store and show the recorded events; fails with 8 if another process records there
    #[arg(long, conflicts_with = "no_follow")]
    journal: bool,
    /// Start after this cursor, at the oldest entry (start), or at new events (now)
    #[arg(long, value_name = "CURSOR", value_parser = parse_from, group = "place")]
    from: Option<StartAt>,
    /// Continue where the reader of this name stopped (the first time: at the start). Shown events are acknowledged for the next
    /// time
    #[arg(long, value_name = "NAME", group = "place")]
    consumer: Option<String>,
    /// Exit at the end of the journal instead of following new events; needs no gateway
    #[arg(long, requires = "place")]
    no_follow: bool,
    /// When recording, keep entries for this long: 12h, 30d
    #[arg(long, value_name = "AGE", value_parser = crate::units::parse_age, default_value = "30d")]
    keep: Duration,
    /// When recording, keep at most this many bytes of entries: 512M, 2G; the oldest are deleted first
    #[arg(long, value_name = "SIZE", value_parser = crate::units::parse_size, default_value = "1G")]
    keep_size: u64,
}

/// Where to begin in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StartAt {
    Start,
    Now,
    After(Cursor),
}

fn parse_from(text: &str) -> Result<StartAt, String> {
    match text.trim() {
        "start" => Ok(StartAt::Start),
        "now" => Ok(StartAt::Now),
        number => {
            let cursor: Option<Cursor> = number.parse().ok().filter(|cursor: &Cursor| cursor.number() >= 0);
            cursor
                .map(StartAt::After)
                .ok_or_else(|| "expected a cursor (a number), start or now".to_owned())
        }
    }
}

impl WatchArgs {
    /// Whether the command handles signals itself: it stores the recorded events first.
    pub(crate) const fn ends_itself(&self) -> bool {
        self.reads_journal()
    }

    const fn reads_journal(&self) -> bool {
        self.journal.journal || self.journal.from.is_some() || self.journal.consumer.is_some()
    }
}

pub(crate) async fn run(global: &Global, args: WatchArgs, output: &Output) -> Result<ExitCode, Failure> {
    if args.reads_journal() {
        return trail::run(global, &args, output).await;
    }
    let Setup { targets, tokens, .. } = session::prepare(global, output).await?;
    let (windlass, gateways) = session::open(&targets, tokens).await?;
    connecting(&targets, output);
    let ended = tokio::select! {
        ended = print(&targets, &gateways, &args, output) => ended,
        failure = all_lost(&targets, &gateways, output) => Err(failure),
    };
    session::close(windlass).await;
    ended
}

async fn print(
    targets: &[Target],
    gateways: &[Gateway],
    args: &WatchArgs,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let clock = TokioClock::start();
    let mut screen = EventScreen::new(output, args.raw, &args.event);
    let streams = gateways.iter().zip(targets).map(|(gateway, target)| {
        let id = target.name.clone();
        gateway.events(filter(args)).map(move |item| (id.clone(), item))
    });
    let mut events = stream::select_all(streams);
    let mut left = args.limit;
    while let Some((id, item)) = events.next().await {
        let shown = ShownLine {
            at: clock.wall(),
            gateway: Some(id.as_str()),
            place: InJournal::Not,
            what: StreamLine::from(&item),
        };
        screen.show(&shown)?;
        if matches!(item, LineEvent::Event(_)) {
            left = left.map(|left| left - 1);
        }
        if left == Some(0) {
            break;
        }
    }
    Ok(ExitCode::Ok)
}

/// A word while nothing comes yet.
fn connecting(targets: &[Target], output: &Output) {
    if !output.json() {
        let places: Vec<String> = targets
            .iter()
            .map(|target| format!("{} ({})", target.name, target.endpoint))
            .collect();
        output.progress(&format!("{DIM}connecting to {} …{DIM:#}", places.join(", ")));
    }
}

fn filter(args: &WatchArgs) -> EventFilter {
    let mut filter = EventFilter::all();
    for name in &args.event {
        filter = filter.name(name.as_str());
    }
    for key in &args.session {
        filter = filter.session(key.as_str());
    }
    for id in &args.agent {
        filter = filter.agent(id.as_str());
    }
    filter
}

/// Tells on stderr why lines are down; ends when every line waits for a person.
async fn all_lost(targets: &[Target], gateways: &[Gateway], output: &Output) -> Failure {
    let mut lines: Vec<Receiver<LineStatus>> = gateways.iter().map(Gateway::status).collect();
    let mut told: Vec<Option<String>> = vec![None; lines.len()];
    loop {
        for ((line, told), target) in lines.iter_mut().zip(&mut told).zip(targets) {
            let status = line.borrow_and_update().clone();
            tell(&target.name, &status, told, output);
        }
        let paused = |line: &Receiver<LineStatus>| matches!(line.borrow().state, LineState::Paused { .. });
        if lines.iter().all(paused)
            && let (Some(target), Some(line)) = (targets.first(), lines.first())
        {
            let status = line.borrow().clone();
            return session::why_down(target, &status);
        }
        let changed = lines.iter_mut().map(|line| Box::pin(line.changed()));
        if select_all(changed).await.0.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Each reason once, not once per attempt.
fn tell(name: &str, status: &LineStatus, told: &mut Option<String>, output: &Output) {
    let why = match (&status.state, &status.last_error) {
        (LineState::Up { .. }, _) => {
            *told = None;
            return;
        }
        (_, Some(error)) => advice_line(&error.advice),
        (_, None) => return,
    };
    if told.as_ref() != Some(&why) {
        output.note(&format!("{name}: {why}"));
        *told = Some(why);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_the_journal_is_a_cursor_or_one_of_two_words() {
        assert_eq!(parse_from("start"), Ok(StartAt::Start));
        assert_eq!(parse_from(" now "), Ok(StartAt::Now));
        assert_eq!(parse_from("17"), Ok(StartAt::After(Cursor::new(17))));
        for text in ["", "-1", "begin", "1.5", "99999999999999999999"] {
            assert!(parse_from(text).is_err(), "{text}");
        }
    }
}
