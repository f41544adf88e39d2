//! The designs, each with its subscribers as tasks on one thread.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, stdin, stdout};
use tokio::sync::{Notify, broadcast, mpsc};
use tokio::task::spawn_local;
use tokio_tungstenite::tungstenite::{Bytes, Message, Utf8Bytes};
use windlass::{EventFilter, LineEvent, Marker};

use super::{BURST, BYTES, Delivered, Design};
use crate::machine::{cpu_time, now};
use crate::peers::{PeerError, WindlassClient, builder, open_socket};

/// Events that may wait in a broadcast channel: two bursts.
const CHANNEL: usize = 2 * 512;

/// Counts arrived events, and reports when all have arrived.
#[derive(Default)]
struct Tally {
    arrived: Cell<u64>,
    wanted: Cell<u64>,
    there: Notify,
}

impl Tally {
    fn count(&self) {
        self.arrived.set(self.arrived.get() + 1);
        if self.arrived.get() == self.wanted.get() {
            self.there.notify_one();
        }
    }

    async fn want(&self, more: u64) {
        self.wanted.set(self.wanted.get() + more);
        if self.arrived.get() < self.wanted.get() {
            self.there.notified().await;
        }
    }
}

/// Connects, subscribes, and runs a window of as many milliseconds as each line of standard input says.
///
/// # Errors
/// [`PeerError`]: a measurement goes on only without any failure.
pub fn run(design: Design, port: u16, subscribers: usize) -> Result<(), PeerError> {
    crate::peers::on_one_thread(async {
        let tally = Rc::<Tally>::default();
        match design {
            Design::Windlass => {
                let windlass = builder(false).seed(1).start_local();
                let windlass = windlass.map_err(|error| PeerError::Connect(error.to_string()))?;
                let client = WindlassClient::connect(&windlass, port).await?;
                for _ in 0..subscribers {
                    subscribe(&client, &tally);
                }
                obey(&tally, subscribers, async || client.burst().await).await
            }
            Design::Broadcast => {
                let reader = Reader::start(port, |text| Event::read(&text).map(Arc::new)).await?;
                reader.subscribe(subscribers, &tally, |event| &*event.name == "chat");
                obey(&tally, subscribers, async || reader.burst().await).await
            }
            Design::ParseEach => {
                let reader = Reader::start(port, Some).await?;
                let wanted = |text: Utf8Bytes| Event::read(&text).is_some_and(|event| &*event.name == "chat");
                reader.subscribe(subscribers, &tally, wanted);
                obey(&tally, subscribers, async || reader.burst().await).await
            }
        }
    })
}

fn subscribe(client: &WindlassClient, tally: &Rc<Tally>) {
    let mut events = client.gateway().events(EventFilter::all().name("chat"));
    let tally = Rc::clone(tally);
    spawn_local(async move {
        while let Some(item) = events.next().await {
            match item {
                LineEvent::Event(event) => {
                    std::hint::black_box(event);
                    tally.count();
                }
                // Then the window never ends, and the measurement fails.
                LineEvent::Marker(marker) if matches!(*marker, Marker::Lagged(_)) => return,
                LineEvent::Marker(_) => {}
            }
        }
    });
}

/// An event as the hand-written designs read it.
struct Event {
    name: Box<str>,
    _seq: Option<u64>,
    _payload: Bytes,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    event: &'a str,
    seq: Option<u64>,
    #[serde(borrow)]
    payload: &'a RawValue,
}

impl Event {
    fn read(text: &Utf8Bytes) -> Option<Self> {
        let envelope: Envelope<'_> = serde_json::from_str(text).ok()?;
        let bytes: &Bytes = text.as_ref();
        Some(Self {
            name: envelope.event.into(),
            _seq: envelope.seq,
            _payload: bytes.slice_ref(envelope.payload.get().as_bytes()),
        })
    }
}

/// A task that reads the socket and broadcasts.
struct Reader<T> {
    orders: mpsc::Sender<()>,
    events: broadcast::Sender<T>,
}

impl<T: Clone + 'static> Reader<T> {
    async fn start(port: u16, read: impl Fn(Utf8Bytes) -> Option<T> + 'static) -> Result<Self, PeerError> {
        let mut socket = open_socket(port).await?;
        let (orders, mut bursts) = mpsc::channel(1);
        let (events, _) = broadcast::channel(CHANNEL);
        let sender = events.clone();
        spawn_local(async move {
            loop {
                tokio::select! {
                    order = bursts.recv() => {
                        let Some(()) = order else { return };
                        let frame = format!(
                            r#"{{"type":"req","id":"1","method":"bench.events","params":{{"count":{BURST},"bytes":{BYTES}}}}}"#
                        );
                        if socket.send(Message::text(frame)).await.is_err() {
                            return;
                        }
                    }
                    message = socket.next() => {
                        let Some(Ok(Message::Text(text))) = message else { return };
                        if let Some(event) = read(text) {
                            // Fails if there is no subscriber.
                            let _ = sender.send(event);
                        }
                    }
                }
            }
        });
        Ok(Self { orders, events })
    }

    fn subscribe(&self, subscribers: usize, tally: &Rc<Tally>, wanted: impl Fn(T) -> bool + Clone + 'static) {
        for _ in 0..subscribers {
            let (mut events, tally, wanted) = (self.events.subscribe(), Rc::clone(tally), wanted.clone());
            spawn_local(async move {
                while let Ok(event) = events.recv().await {
                    if wanted(event) {
                        tally.count();
                    }
                }
            });
        }
    }

    async fn burst(&self) -> Result<(), PeerError> {
        let sent = self.orders.send(()).await;
        sent.map_err(|_| PeerError::Connect("the reader ended".into()))
    }
}

async fn obey<F>(tally: &Tally, subscribers: usize, mut burst: F) -> Result<(), PeerError>
where
    F: AsyncFnMut() -> Result<(), PeerError>,
{
    let (mut orders, mut out) = (BufReader::new(stdin()).lines(), stdout());
    out.write_all(b"ready\n").await?;
    out.flush().await?;
    while let Some(line) = orders.next_line().await? {
        let window = Duration::from_millis(serde_json::from_str(&line)?);
        let (start, cpu, mut deliveries) = (now(), cpu_time(), 0);
        while now().duration_since(start) < window {
            burst().await?;
            let more = BURST * subscribers as u64;
            tally.want(more).await;
            deliveries += more;
        }
        let delivered = Delivered {
            deliveries,
            seconds: now().duration_since(start).as_secs_f64(),
            cpu_seconds: cpu_time().saturating_sub(cpu).as_secs_f64(),
        };
        let mut answer = serde_json::to_vec(&delivered)?;
        answer.push(b'\n');
        out.write_all(&answer).await?;
        out.flush().await?;
    }
    Ok(())
}
