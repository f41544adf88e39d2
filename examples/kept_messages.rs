//! A message that outlives the program: on record before it is sent, taken up by the next start, executed once.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use windlass::sessions::{Outbox, RunEnd, RunProgress, SessionQuery};
use windlass::sqlite::SqliteStore;
use windlass::{DeviceIdentity, Endpoint, Gateway, GatewayId, GatewaySpec, Secret, Windlass};
use windlass_testkit::{ChatPlan, SideEffect, SimGateway};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Stands for a real gateway, whose model takes its time.
    let plan = ChatPlan {
        increments: 8,
        pace: Duration::from_millis(150),
        ..ChatPlan::default()
    };
    let sim = SimGateway::builder().token("secret").chat(plan).start_tcp().await?;
    let folder = tempfile::tempdir()?;
    let store = folder.path().join("windlass.db");

    let key = begin(&store, &sim).await?;
    finish(&store, &sim, &key).await?;

    let runs = sim
        .journal()
        .count(|effect| matches!(effect, SideEffect::ChatRun { .. }));
    println!("the gateway has run it {runs} time");
    Ok(())
}

/// Windlass with a store in which messages are kept, and a line to the gateway.
async fn start(store: &Path, sim: &SimGateway) -> Result<(Windlass, Gateway), Box<dyn Error>> {
    // One process at a time sends what a store keeps: another would get an error here.
    let outbox = Outbox::open(Arc::new(SqliteStore::open(store).await?)).await?;
    let windlass = Windlass::builder().outbox(outbox).start()?;
    let mut spec = GatewaySpec::new(GatewayId::new("lab")?, Endpoint::parse(&sim.url())?);
    spec.token = Some(Secret::new("secret"));
    spec.device = Some(Arc::new(DeviceIdentity::from_seed([7; 32])));
    let gateway = windlass.add(spec).await?;
    Ok((windlass, gateway))
}

/// The first life: it says something and ends before the answer is there.
async fn begin(store: &Path, sim: &SimGateway) -> Result<String, Box<dyn Error>> {
    let (windlass, gateway) = start(store, sim).await?;
    let message = gateway.message("agent:main:main".parse()?, "a story of two lives");
    let mut following = gateway.send(message).await?;
    println!("on record as {}", following.key());
    while let Some(progress) = following.next().await {
        if let RunProgress::Increment(text) = progress {
            println!("the answer begins with {text:?}");
            break;
        }
    }
    windlass.shutdown(Duration::ZERO).await;
    let key = following.key().to_owned();
    println!(
        "{}",
        following
            .end()
            .await
            .err()
            .map_or_else(String::new, |why| why.to_string())
    );
    Ok(key)
}

/// The second life: it finds the message on record, and follows it to its end.
async fn finish(store: &Path, sim: &SimGateway, key: &str) -> Result<(), Box<dyn Error>> {
    let (windlass, gateway) = start(store, sim).await?;
    let sessions = gateway.sessions();
    for message in sessions.pending().await? {
        println!(
            "pending: {} bytes to {}, tried {}x",
            message.text_bytes, message.session, message.attempts
        );
    }
    match sessions.follow(key).await? {
        Some(following) => match following.end().await? {
            RunEnd::Final(answer) => println!("the answer is {:?}", answer.text),
            end => println!("{end:?}"),
        },
        None => println!("it ended meanwhile: {:?}", sessions.on_record(key).await?),
    }
    for row in sessions.list(&SessionQuery::all()).await? {
        println!("session {}", row.key);
    }
    windlass.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
