//! The limit: one loop that keeps `depth` requests under way, reads all that is there, and flushes once.

use std::time::Instant;

use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

use super::PeerError;
use super::obey::obey;
use super::request::{decode, encode};
use super::socket::{Socket, open_tuned};
use crate::allocations::Allocations;
use crate::load::{CallFailed, Meter, Order};
use crate::machine::now;

pub(super) async fn run(port: u16, allocations: Allocations) -> Result<(), PeerError> {
    let mut socket = open_tuned(port).await?;
    let mut next_id = 0;
    obey(allocations, async |order, meter| {
        window(&mut socket, &mut next_id, order, &meter).await?;
        Ok(meter)
    })
    .await
}

async fn window(socket: &mut Socket, next_id: &mut u64, order: Order, meter: &Meter) -> Result<(), CallFailed> {
    let failed = |error: Error| CallFailed(error.to_string());
    // The stand-in answers in order, so the requests in flight have the last `depth` ids.
    let depth = order.depth as u64;
    let mut begun = vec![now(); order.depth];
    let (mut in_flight, mut going, mut time) = (0, true, now());
    loop {
        while going && in_flight < depth {
            going = meter.quota.goes_on(time);
            if going {
                *next_id += 1;
                begun[slot(*next_id, depth)] = time;
                socket.feed(Message::text(encode(*next_id))).await.map_err(failed)?;
                in_flight += 1;
            }
        }
        if in_flight == 0 {
            return Ok(());
        }
        socket.flush().await.map_err(failed)?;
        let mut message = socket.next().await;
        time = now();
        loop {
            let message_now = message.ok_or_else(|| CallFailed("the socket ended".into()))?;
            in_flight -= answered(message_now.map_err(failed)?, depth, time, &begun, meter);
            match socket.next().now_or_never() {
                Some(next) => message = next,
                None => break,
            }
        }
    }
}

fn answered(message: Message, depth: u64, time: Instant, begun: &[Instant], meter: &Meter) -> u64 {
    let Message::Text(text) = message else { return 0 };
    let Some((id, payload)) = decode(&Bytes::from(text)) else {
        return 0;
    };
    std::hint::black_box(payload);
    meter.note(time.saturating_duration_since(begun[slot(id, depth)]));
    1
}

fn slot(id: u64, depth: u64) -> usize {
    usize::try_from(id % depth).unwrap_or_default()
}
