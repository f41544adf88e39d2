//! Events of a gateway as a stream: a chat run as it goes on, and a word about whatever was lost.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use windlass::protocol::{ChatEvent, TypedEvent};
use windlass::request::ChatSend;
use windlass::{
    DeviceIdentity, Endpoint, EventFilter, GatewayId, GatewaySpec, LineEvent, Marker, Secret, Subscription, Windlass,
};
use windlass_testkit::{RestartKind, SimGateway};

const SESSION: &str = "agent:main:main";
/// What this example waits for takes milliseconds.
const SOON: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let sim = SimGateway::builder().token("secret").start_tcp().await?;
    let windlass = Windlass::start()?;
    let mut spec = GatewaySpec::new(GatewayId::new("lab")?, Endpoint::parse(&sim.url())?);
    spec.token = Some(Secret::new("secret"));
    spec.device = Some(Arc::new(DeviceIdentity::from_seed([7; 32])));
    let gateway = windlass.add(spec).await?;

    // A subscription holds over all reconnects. This one takes two kinds of events of one session.
    let mut events = gateway.events(EventFilter::all().name("chat").name("agent").session(SESSION));
    gateway.request(ChatSend::new(SESSION, "tell me something")).await?;
    tokio::time::timeout(SOON, until_final(&mut events)).await??;

    // Between two connections events are lost. The stream says where, and whether the gateway was restarted: whoever
    // keeps a copy of its state loads it again then.
    sim.restart(RestartKind::Clean);
    tokio::time::timeout(SOON, until_back(&mut events)).await??;

    // A subscriber that is too slow loses events, never its place, and holds up nobody else.
    let mut slow = gateway.events_bounded(EventFilter::all().name("tick"), 2);
    let mut keen = gateway.events(EventFilter::all().name("tick"));
    for ts in 1..=10 {
        sim.emit("tick", serde_json::json!({ "ts": ts }));
    }
    for _ in 1..=10 {
        tokio::time::timeout(SOON, keen.next()).await?;
    }
    while let Some(item) = tokio::time::timeout(SOON, slow.next()).await? {
        show(&item)?;
        if matches!(item.marker(), Some(Marker::Lagged(_))) {
            break;
        }
    }

    // When Windlass is shut down, every stream ends.
    windlass.shutdown(SOON).await;
    while events.next().await.is_some() {}
    println!("the streams are over");
    Ok(())
}

/// Shows a run up to its end.
async fn until_final(events: &mut Subscription) -> Result<(), Box<dyn Error>> {
    while let Some(item) = events.next().await {
        show(&item)?;
        if let LineEvent::Event(event) = &item
            && event.name.as_ref() == "chat"
            && event.decode::<ChatEvent>()?.is_terminal()
        {
            return Ok(());
        }
    }
    Err("the line was closed".into())
}

/// Shows everything up to the next connection.
async fn until_back(events: &mut Subscription) -> Result<(), Box<dyn Error>> {
    while let Some(item) = events.next().await {
        show(&item)?;
        if matches!(item.marker(), Some(Marker::Reconnected { .. })) {
            return Ok(());
        }
    }
    Err("the line was closed".into())
}

fn show(item: &LineEvent) -> Result<(), Box<dyn Error>> {
    let event = match item {
        LineEvent::Event(event) => event,
        LineEvent::Marker(marker) => {
            println!("-- {marker:?}");
            return Ok(());
        }
    };
    // Events have types; one that this build does not know stays as it came.
    match TypedEvent::decode(&event.name, event.payload.as_str())? {
        TypedEvent::Chat(chat) => {
            let text = chat.text().or(chat.phase).unwrap_or_default();
            println!("chat {}: {text}", chat.state);
        }
        TypedEvent::Agent(agent) => println!("agent {}", agent.stream),
        _ => println!("{} {}", event.name, event.payload.as_str()),
    }
    Ok(())
}
