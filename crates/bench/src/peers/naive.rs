//! The usual first version: the sink behind a lock and flushed for each message, a reader, a map of oneshots behind a lock.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use futures_util::stream::SplitSink;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::Message;

use super::PeerError;
use super::obey::obey;
use super::request::encode;
use super::socket::{Socket, open};
use crate::allocations::Allocations;
use crate::load::{Call, CallFailed, drive_here};

#[derive(Clone)]
struct Client {
    sink: Arc<tokio::sync::Mutex<SplitSink<Socket, Message>>>,
    pending: Arc<Mutex<Pending>>,
}

#[derive(Default)]
struct Pending {
    next_id: u64,
    replies: HashMap<String, oneshot::Sender<Value>>,
}

impl Call for Client {
    async fn call(&self) -> Result<(), CallFailed> {
        let failed = |why: String| CallFailed(why);
        let (reply, answer) = oneshot::channel();
        let id = {
            let mut pending = self.pending.lock().map_err(|error| failed(error.to_string()))?;
            pending.next_id += 1;
            let id = pending.next_id;
            pending.replies.insert(id.to_string(), reply);
            id
        };
        let sent = self.sink.lock().await.send(Message::text(encode(id))).await;
        sent.map_err(|error| failed(error.to_string()))?;
        let payload = answer.await.map_err(|_| failed("no answer".into()))?;
        std::hint::black_box(payload);
        Ok(())
    }
}

pub(super) async fn run(port: u16, allocations: Allocations) -> Result<(), PeerError> {
    let (sink, mut stream) = open(port, None).await?.split();
    let pending = Arc::<Mutex<Pending>>::default();
    let client = Client {
        sink: Arc::new(tokio::sync::Mutex::new(sink)),
        pending: Arc::clone(&pending),
    };
    tokio::task::spawn_local(async move {
        while let Some(Ok(message)) = stream.next().await {
            let Message::Text(text) = message else { continue };
            let Ok(mut answer) = serde_json::from_str::<Value>(&text) else {
                continue;
            };
            let reply = answer["id"]
                .as_str()
                .and_then(|id| pending.lock().ok()?.replies.remove(id));
            if let Some(reply) = reply {
                let _ = reply.send(answer["payload"].take());
            }
        }
    });
    obey(allocations, async |order, meter| {
        drive_here(&client, order, meter).await
    })
    .await
}
