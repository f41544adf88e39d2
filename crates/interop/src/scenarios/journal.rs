//! The events of a real gateway are recorded unchanged, over a kill, and read again from a cursor.

use std::{sync::Arc, time::Duration};

use windlass::{
    LineEvent, Marker, Subscription,
    journal::{EntryKind, Journal, JournalItem, JournalWriter, ReaderFilter, RecordedMarker, StartPosition},
    store::MemoryStore,
};

use super::kit::{Bench, Restart, TURN, UP, answered, say};
use crate::scenario::{Ctx, Failure, Outcome, Scenario, check, check_eq};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "journal",
    what: "What is recorded of two turns with a kill between them is what came, in order and once, with a marker for \
           the hole; a reader that comes back goes on where it was",
    // Two starts, and a first turn after each.
    deadline: Duration::from_secs(900),
    run: |ctx| Box::pin(run(ctx)),
};

const SESSION: &str = "agent:main:journal";
/// Room for all that two turns bring.
const QUEUE: usize = 8192;
/// How many items the reader takes before it goes away.
const FIRST_SITTING: usize = 3;

async fn run(ctx: &Ctx) -> Result<Outcome, Failure> {
    let mut bench = Bench::up(ctx).await?;
    bench.started().await?;
    let journal = bench.windlass.journal(Arc::new(MemoryStore::new()));
    let writer = journal.writer().start().await?;
    let live = bench.gateway.events_bounded(windlass::EventFilter::all(), QUEUE);
    let follower = tokio::spawn(follow(live));

    answered(
        "the first answer",
        say(&bench, SESSION, "one", TURN).await?,
        "echo: one",
    )?;
    let early = read(&journal, &writer, Some(FIRST_SITTING)).await?;
    bench.real.kill().await?;
    Restart::of(&mut bench).await?;
    bench.started().await?;
    answered(
        "the second answer",
        say(&bench, SESSION, "two", TURN).await?,
        "echo: two",
    )?;

    bench.finish().await?;
    let live = tokio::time::timeout(UP, follower).await??;
    let late = read(&journal, &writer, None).await?;
    check_eq("items of the first sitting", &early.len(), &FIRST_SITTING)?;
    let kept = [early, late].concat();
    compare(&live?, &kept)?;
    let events = kept.iter().filter(|item| item.starts_with("event")).count();
    Ok(Outcome::passed_with(format!("{events} events")))
}

/// All that comes until the line is closed, an item a line.
async fn follow(mut live: Subscription) -> Result<Vec<String>, Failure> {
    let mut seen = Vec::new();
    while let Some(item) = live.next().await {
        seen.push(match item {
            LineEvent::Event(event) => told(&event.name, event.seq, event.payload.as_str()),
            LineEvent::Marker(marker) => match *marker {
                Marker::Lagged(count) => {
                    return Err(Failure::new(format!("the stream of a quick reader lost {count} items")));
                }
                other => format!("marker {}", other.name()),
            },
        });
    }
    Ok(seen)
}

/// The unread items of the reader: all, or at most `most`. Each is acknowledged.
async fn read(journal: &Journal, writer: &JournalWriter, most: Option<usize>) -> Result<Vec<String>, Failure> {
    let from = StartPosition::Consumer("auditor".into());
    let mut trail = journal
        .reader_with(from, ReaderFilter::default())
        .await?
        .following(writer);
    let mut seen = Vec::new();
    while most.is_none_or(|most| seen.len() < most) {
        let Some(item) = tokio::time::timeout(UP, trail.next()).await?? else {
            break;
        };
        let JournalItem::Recorded(entry) = item else {
            return Err(Failure::new(format!("the journal tells of trouble: {item:?}")));
        };
        seen.push(match &entry.kind {
            EntryKind::Event(event) => told(&event.name, event.seq, event.payload.as_str()),
            EntryKind::Marker(RecordedMarker::Line(marker)) => format!("marker {}", marker.name()),
            EntryKind::Marker(marker) => format!("journal {}", marker.name()),
        });
        trail.acknowledge().await?;
    }
    Ok(seen)
}

fn told(name: &str, seq: Option<u64>, payload: &str) -> String {
    format!("event {name} {seq:?} {payload}")
}

/// The journal has the items of the live stream, and in addition only its own begin and end.
fn compare(live: &[String], recorded: &[String]) -> Result<(), Failure> {
    let own = |item: &&String| item.starts_with("journal ");
    let own_words: Vec<_> = recorded.iter().filter(own).map(String::as_str).collect();
    check_eq(
        "the journal's own words",
        &own_words,
        &vec!["journal began", "journal ended"],
    )?;
    let kept: Vec<_> = recorded.iter().filter(|item| !own(item)).collect();
    let live: Vec<_> = live.iter().collect();
    // The writer was there first.
    let begin = kept.len().saturating_sub(live.len());
    check(kept[begin..] == live[..], || {
        let at = kept[begin..].iter().zip(&live).position(|(a, b)| a != b);
        format!("{} recorded, {} live; they differ at {at:?}", kept.len(), live.len())
    })?;
    // The kill, and the end of it all.
    for (name, expected) in [("marker disconnected", 2), ("marker reconnected", 1)] {
        let count = kept.iter().filter(|item| item.as_str() == name).count();
        check_eq(name, &count, &expected)?;
    }
    Ok(())
}
