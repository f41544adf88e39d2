//! The subject of the guards: Windlass and its callers on one thread, with gateways that are pipes. All counts here are
//! the same in every run on every machine of a kind.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass::{Gateway, Windlass, transport};

use crate::allocations::Allocations;
use crate::gateway::{Hello, HelloSize, Pipe, Traffic};
use crate::load::{Meter, Order, Until, drive_here};
use crate::machine::now;
use crate::peers::{PeerError, WindlassClient, builder, device, on_one_thread, spec};

/// How long a line may take to come up. First attempts are spread over a second where there are many lines.
const COMES_UP: Duration = Duration::from_secs(60);

/// The costs of some calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallsTook {
    /// Calls that were answered.
    pub requests: u64,
    /// Writes to the stream.
    pub writes: u64,
    /// Reads from the stream, those that found nothing included.
    pub reads: u64,
    /// Blocks that were allocated, where they are counted.
    pub allocations: Option<u64>,
}

/// The costs of some idle lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinesTake {
    /// Lines that are up.
    pub lines: u64,
    /// Bytes on the heap, where they are counted. A pipe's own are among them, a socket's in the kernel are not.
    pub bytes: Option<u64>,
}

/// Makes `requests` calls, `depth` at a time, over a line that was warmed up.
///
/// # Errors
/// When the line does not come up, or a call fails.
pub fn calls(depth: usize, requests: u64, allocations: Allocations) -> Result<CallsTook, PeerError> {
    on_one_thread(async {
        let (windlass, traffic) = windlass(HelloSize::Small)?;
        let client = WindlassClient::new(line(&windlass, 0).await?);
        let drive = async |requests| {
            let order = Order {
                depth,
                until: Until::Requests(requests),
            };
            drive_here(&client, order, Meter::new(order.until, now())).await
        };
        drive(depth as u64 * 4).await?;
        let before = (traffic.writes(), traffic.reads(), allocations.count());
        drive(requests).await?;
        let took = CallsTook {
            requests,
            writes: traffic.writes() - before.0,
            reads: traffic.reads() - before.1,
            allocations: allocations.count().zip(before.2).map(|(after, before)| after - before),
        };
        windlass.shutdown(Duration::ZERO).await;
        Ok(took)
    })
}

/// Brings `lines` lines up and leaves them alone.
///
/// # Errors
/// When a line does not come up.
pub fn idle(lines: usize, hello: HelloSize, allocations: Allocations) -> Result<LinesTake, PeerError> {
    on_one_thread(async {
        let (windlass, _) = windlass(hello)?;
        // Memory that all lines share comes with the first line, and is not counted.
        let _first = line(&windlass, 0).await?;
        let before = allocations.bytes();
        let mut gateways = Vec::with_capacity(lines);
        for index in 1..=lines {
            gateways.push(windlass.add(spec(&format!("gw-{index}"), 1, &device())?).await);
        }
        for gateway in gateways {
            up(&gateway.map_err(|error| PeerError::Connect(error.to_string()))?).await?;
        }
        let bytes = allocations
            .bytes()
            .zip(before)
            .map(|(after, before)| after.saturating_sub(before));
        let take = LinesTake {
            lines: lines as u64,
            bytes,
        };
        windlass.shutdown(Duration::ZERO).await;
        Ok(take)
    })
}

fn windlass(hello: HelloSize) -> Result<(Windlass, Arc<Traffic>), PeerError> {
    let (hello, traffic) = (Arc::new(Hello::new(hello)), Arc::<Traffic>::default());
    let counted = Arc::clone(&traffic);
    let connector = transport::dial_with(move |_| {
        let pipe = Pipe::new(Arc::clone(&hello), Arc::clone(&counted));
        async move { Ok(pipe) }
    });
    let windlass = builder(false).connector(connector).seed(1).start_local();
    Ok((
        windlass.map_err(|error| PeerError::Connect(error.to_string()))?,
        traffic,
    ))
}

async fn line(windlass: &Windlass, index: usize) -> Result<Gateway, PeerError> {
    let added = windlass.add(spec(&format!("gw-{index}"), 1, &device())?).await;
    let gateway = added.map_err(|error| PeerError::Connect(error.to_string()))?;
    up(&gateway).await?;
    Ok(gateway)
}

async fn up(gateway: &Gateway) -> Result<(), PeerError> {
    let up = gateway.wait_until_up(COMES_UP).await;
    up.map(drop).map_err(|error| PeerError::Connect(error.to_string()))
}
