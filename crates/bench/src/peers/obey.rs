//! A client's standard input and output: an order a line, a window a line.

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, stdin, stdout};

use super::PeerError;
use crate::allocations::Allocations;
use crate::load::{CallFailed, Meter, Order, Start};

/// Says that the client is connected, then runs a window for each order until the input ends.
pub(super) async fn obey<F>(allocations: Allocations, mut run: F) -> Result<(), PeerError>
where
    F: AsyncFnMut(Order, Meter) -> Result<Meter, CallFailed>,
{
    let (mut orders, mut out) = (BufReader::new(stdin()).lines(), stdout());
    out.write_all(b"ready\n").await?;
    out.flush().await?;
    while let Some(line) = orders.next_line().await? {
        let order: Order = serde_json::from_str(&line)?;
        let start = Start::now(allocations);
        let meter = run(order, Meter::new(order.until, start.at())).await?;
        let mut answer = serde_json::to_vec(&start.end(&meter, allocations))?;
        answer.push(b'\n');
        out.write_all(&answer).await?;
        out.flush().await?;
    }
    Ok(())
}
