//! A task that owns the socket: an engineer with experience writes this in an afternoon. No reconnect, no deadlines,
//! no bounds on the calls in flight.

use std::collections::HashMap;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use super::PeerError;
use super::obey::obey;
use super::request::{decode, encode};
use super::socket::{Socket, open_tuned};
use crate::allocations::Allocations;
use crate::load::{Call, CallFailed, drive_here, drive_spread};

/// Calls that may wait for the task.
const QUEUE: usize = 2048;

type Reply = oneshot::Sender<Bytes>;

#[derive(Clone)]
struct Client(mpsc::Sender<Reply>);

impl Call for Client {
    async fn call(&self) -> Result<(), CallFailed> {
        let (reply, answer) = oneshot::channel();
        let sent = self.0.send(reply).await;
        sent.map_err(|_| CallFailed("the task ended".into()))?;
        let payload = answer.await.map_err(|_| CallFailed("no answer".into()))?;
        std::hint::black_box(payload);
        Ok(())
    }
}

/// The task and its callers on one thread.
pub(super) async fn run_here(port: u16, allocations: Allocations) -> Result<(), PeerError> {
    let (sender, calls) = mpsc::channel(QUEUE);
    tokio::task::spawn_local(own(open_tuned(port).await?, calls));
    let client = Client(sender);
    obey(allocations, async |order, meter| {
        drive_here(&client, order, meter).await
    })
    .await
}

/// The task on a thread of its own, the callers on the present runtime.
pub(super) async fn run_spread(port: u16, allocations: Allocations) -> Result<(), PeerError> {
    let (sender, calls) = mpsc::channel(QUEUE);
    let (told, up) = oneshot::channel();
    std::thread::spawn(move || {
        super::on_one_thread(async {
            let socket = open_tuned(port).await?;
            let _ = told.send(());
            // Spawned, so that it is polled as tasks are, and not after each of their polls.
            tokio::task::spawn_local(own(socket, calls))
                .await
                .map_err(|error| PeerError::Connect(error.to_string()))
        })
    });
    up.await.map_err(|_| PeerError::Connect("the thread ended".into()))?;
    let client = Client(sender);
    obey(allocations, async |order, meter| {
        drive_spread(&client, order, meter).await
    })
    .await
}

async fn own(mut socket: Socket, mut calls: mpsc::Receiver<Reply>) {
    let (mut pending, mut next_id) = (HashMap::new(), 0_u64);
    loop {
        tokio::select! {
            call = calls.recv() => {
                let Some(first) = call else { return };
                let mut next = Some(first);
                while let Some(reply) = next {
                    next_id += 1;
                    pending.insert(next_id, reply);
                    if socket.feed(Message::text(encode(next_id))).await.is_err() {
                        return;
                    }
                    next = calls.try_recv().ok();
                }
                if socket.flush().await.is_err() {
                    return;
                }
            }
            message = socket.next() => {
                let Some(Ok(message)) = message else { return };
                if let Message::Text(text) = message
                    && let Some((id, payload)) = decode(&Bytes::from(text))
                    && let Some(reply) = pending.remove(&id)
                {
                    let _: Result<(), Bytes> = Reply::send(reply, payload);
                }
            }
        }
    }
}
