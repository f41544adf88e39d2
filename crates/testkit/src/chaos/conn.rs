//! One connection: a client, a gateway, and the stages between them.

use std::sync::Arc;

use tokio::io::AsyncWriteExt as _;
use tokio::sync::watch;

use super::core::Core;
use super::frame::{Tampering, closing, encode};
use super::log::LogEvent;
use super::{Direction, Door};
use crate::net::link::{self, Cut, Link};
use crate::net::stream::{Raw, Shared};

/// Takes a client in and carries it as a task of the proxy.
pub(super) fn accept(core: &Arc<Core>, client: Raw) {
    let (no, door, link) = core.open();
    let entry = Registered {
        core: Arc::clone(core),
        no,
    };
    core.tasks
        .spawn(async move { run(&entry, Shared::new(client), door, link).await });
}

/// Takes the connection out of the books, however it ends.
struct Registered {
    core: Arc<Core>,
    no: u64,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.core.close(self.no);
    }
}

async fn run(entry: &Registered, client: Shared, door: Door, link: watch::Receiver<Link>) {
    let mut streams = vec![client.clone()];
    let cut = tokio::select! {
        biased;
        cut = link::cut(link.clone()) => cut,
        end = meet(entry, client, door, &link, &mut streams) => match end {
            Ok(()) => return,
            Err(cut) => cut,
        },
    };
    finish(cut, &mut streams).await;
}

/// Applies the door to a new connection, until the end of the connection.
async fn meet(
    entry: &Registered,
    client: Shared,
    door: Door,
    link: &watch::Receiver<Link>,
    streams: &mut Vec<Shared>,
) -> Result<(), Cut> {
    if !matches!(door, Door::Open | Door::HangUpgrade) {
        door.receive(client).await;
        return Ok(());
    }
    let gateway = match (entry.core.dialer)().await {
        Ok(gateway) => Shared::new(gateway),
        Err(error) => {
            let (conn, kind) = (entry.no, error.kind());
            entry.core.record(LogEvent::GatewayAway { conn, kind });
            // The client was let in already; a reset is the nearest thing to "refused".
            return Err(Cut::Reset);
        }
    };
    streams.push(gateway.clone());
    let stage = |direction| {
        let host = entry.core.host.clone();
        let overseer = Arc::clone(&entry.core);
        Tampering::new(entry.no, direction, host, entry.core.seed, overseer)
    };
    let out = Direction::ToGateway;
    let to_gateway = link::carry(client.clone(), gateway.clone(), stage(out), link.clone(), out);
    if door == Door::HangUpgrade {
        return to_gateway.await;
    }
    let back = Direction::ToClient;
    let to_client = link::carry(gateway, client, stage(back), link.clone(), back);
    tokio::try_join!(to_gateway, to_client).map(|_| ())
}

async fn finish(cut: Cut, streams: &mut [Shared]) {
    match cut {
        Cut::Drop => {}
        Cut::Reset => streams.iter().for_each(Shared::reset_on_drop),
        Cut::Close(code) => {
            if let Some(client) = streams.first_mut() {
                // A client that takes nothing any more is cut without a word.
                let _ = client.write_all(&encode(&closing(code, None))).await;
                let _ = client.shutdown().await;
            }
        }
    }
}
