//! An audit reader: every event kept in a store, and a reader that was away goes on where it was.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use windlass::journal::{
    EntryKind, Journal, JournalItem, JournalWriter, ReaderFilter, RecordedMarker, Retention, StartPosition,
};
use windlass::sqlite::SqliteStore;
use windlass::{DeviceIdentity, Endpoint, EventFilter, Gateway, GatewayId, GatewaySpec, Secret, Windlass};
use windlass_testkit::SimGateway;

/// What this example waits for takes milliseconds.
const SOON: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let sim = SimGateway::builder().token("secret").start_tcp().await?;
    let folder = tempfile::tempdir()?;
    let store = Arc::new(SqliteStore::open(folder.path().join("windlass.db")).await?);

    let windlass = Windlass::start()?;
    let journal = windlass.journal(store);
    // Of every gateway, those that are added later included: a month, and a gigabyte at most.
    let retention = Retention {
        max_age: Some(Duration::from_secs(30 * 86_400)),
        max_bytes: Some(1 << 30),
    };
    let writer = journal.writer().retention(retention).start().await?;
    let gateway = add(&windlass, &sim).await?;

    for n in 1..=3 {
        sim.emit("audit", json!({ "n": n }));
    }
    println!("the auditor reads:");
    read(&journal, &writer, 3).await?;

    // The auditor goes home, and the line is cut. What comes meanwhile is kept, and so is the hole.
    sim.cut_all();
    let mut status = gateway.status();
    status.wait_for(|status| !status.is_up()).await?;
    gateway.wait_until_up(SOON).await?;
    for n in 4..=6 {
        sim.emit("audit", json!({ "n": n }));
    }
    println!("the auditor is back:");
    read(&journal, &writer, 6).await?;

    // What is going on just now is another question: the roster's.
    let mut roster = gateway.session_cache().await?;
    let view = tokio::time::timeout(SOON, roster.fresh()).await??;
    println!(
        "{} sessions, {} at work",
        view.sessions.len(),
        view.sessions.active().count()
    );

    windlass.shutdown(SOON).await;
    Ok(())
}

async fn add(windlass: &Windlass, sim: &SimGateway) -> Result<Gateway, Box<dyn Error>> {
    let mut spec = GatewaySpec::new(GatewayId::new("lab")?, Endpoint::parse(&sim.url())?);
    spec.token = Some(Secret::new("secret"));
    spec.device = Some(Arc::new(DeviceIdentity::from_seed([7; 32])));
    let gateway = windlass.add(spec).await?;
    gateway.wait_until_up(SOON).await?;
    Ok(gateway)
}

/// Reads on, up to the event of this number, and remembers how far it came.
async fn read(journal: &Journal, writer: &JournalWriter, last: u64) -> Result<(), Box<dyn Error>> {
    let filter = ReaderFilter {
        events: EventFilter::all().name("audit"),
        ..ReaderFilter::default()
    };
    let from = StartPosition::Consumer("auditor".into());
    let mut reader = journal.reader_with(from, filter).await?.following(writer);
    while let Some(item) = tokio::time::timeout(SOON, reader.next()).await?? {
        let JournalItem::Recorded(entry) = item else {
            // Pruned before it was read, or the store is in trouble.
            println!("  -- {item:?}");
            continue;
        };
        match &entry.kind {
            EntryKind::Event(event) => println!("  {} {} {}", entry.at, event.name, event.payload.as_str()),
            EntryKind::Marker(RecordedMarker::Line(marker)) => println!("  {} -- {marker:?}", entry.at),
            EntryKind::Marker(marker) => println!("  {} -- {}", entry.at, marker.name()),
        }
        // Done with: the next start goes on behind it. What was not acknowledged comes again.
        reader.acknowledge().await?;
        if let EntryKind::Event(event) = &entry.kind
            && event.decode::<serde_json::Value>()?["n"] == last
        {
            return Ok(());
        }
    }
    Err("the writer ended".into())
}
