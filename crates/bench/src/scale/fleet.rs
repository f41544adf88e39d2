//! The client of the scale tests: one Windlass, many lines.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines, Stdin, stdin, stdout};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use windlass::{Gateway, LineStatus, Windlass};

use super::{CameBack, CameUp};
use crate::machine::{cpu_time, now, raise_open_files, resident};
use crate::peers::{PeerError, builder, device, spec};

/// How long a line may take to come up.
const COMES_UP: Duration = Duration::from_secs(240);

/// How often the lines are looked at during an outage. A look at 10,000 takes less than a hundredth of that.
const LOOK: Duration = Duration::from_millis(20);

/// Executes the orders on standard input: `connect`, `watch` (an outage is coming), `tell` (report the outage).
///
/// # Errors
/// [`PeerError`]: a measurement goes on only without any failure.
pub async fn run(port: u16, lines: usize) -> Result<(), PeerError> {
    raise_open_files();
    let windlass = builder(false)
        .start()
        .map_err(|error| PeerError::Connect(error.to_string()))?;
    let mut orders = BufReader::new(stdin()).lines();
    say("ready").await?;
    expect(&mut orders, "\"connect\"").await?;
    let (came_up, gateways) = connect(&windlass, port, lines).await?;
    say(&serde_json::to_string(&came_up)?).await?;
    expect(&mut orders, "\"watch\"").await?;
    let watched = tokio::spawn(watch(gateways.iter().map(Gateway::status).collect()));
    say("true").await?;
    expect(&mut orders, "\"tell\"").await?;
    let came_back = watched.await.map_err(|error| PeerError::Connect(error.to_string()))?;
    say(&serde_json::to_string(&came_back)?).await?;
    // Told to by being ended.
    while orders.next_line().await?.is_some() {}
    Ok(())
}

async fn connect(windlass: &Windlass, port: u16, lines: usize) -> Result<(CameUp, Vec<Gateway>), PeerError> {
    let (start, cpu, before) = (now(), cpu_time(), resident());
    let (device, mut gateways) = (device(), Vec::with_capacity(lines));
    for index in 0..lines {
        let added = windlass.add(spec(&format!("gw-{index}"), port, &device)?).await;
        gateways.push(added.map_err(|error| PeerError::Connect(error.to_string()))?);
    }
    for gateway in &gateways {
        let up = gateway.wait_until_up(COMES_UP).await;
        up.map_err(|error| PeerError::Connect(error.to_string()))?;
    }
    let (seconds, cpu_seconds) = (
        now().duration_since(start).as_secs_f64(),
        cpu_time().saturating_sub(cpu).as_secs_f64(),
    );
    let grown = resident()
        .zip(before)
        .map(|(after, before)| after.saturating_sub(before));
    let came_up = CameUp {
        lines,
        seconds,
        cpu_seconds,
        bytes_per_line: grown.map(|grown| grown / lines.max(1) as u64),
    };
    Ok((came_up, gateways))
}

/// Waits for the first line to go down, and then for all to be up.
async fn watch(lines: Vec<watch::Receiver<LineStatus>>) -> CameBack {
    let first: Vec<_> = lines.iter().map(|line| line.borrow().generation).collect();
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while lines.iter().all(|line| line.borrow().is_up()) {
        looks.tick().await;
    }
    let (start, cpu, mut most) = (now(), cpu_time(), None);
    loop {
        let back = |(line, first): (&watch::Receiver<LineStatus>, &_)| {
            let status = line.borrow();
            status.is_up() && status.generation != *first
        };
        let up = lines.iter().zip(&first).filter(|pair| back(*pair)).count();
        let since = now().duration_since(start).as_secs_f64();
        if up * 100 >= lines.len() * 99 {
            most.get_or_insert(since);
        }
        if up == lines.len() {
            return CameBack {
                most_seconds: most.unwrap_or(since),
                all_seconds: since,
                cpu_seconds: cpu_time().saturating_sub(cpu).as_secs_f64(),
            };
        }
        looks.tick().await;
    }
}

async fn expect(orders: &mut Lines<BufReader<Stdin>>, wanted: &str) -> Result<(), PeerError> {
    match orders.next_line().await? {
        Some(line) if line == wanted => Ok(()),
        _ => Err(PeerError::Connect(format!("not told to {wanted}"))),
    }
}

async fn say(line: &str) -> Result<(), PeerError> {
    let mut out = stdout();
    out.write_all(format!("{line}\n").as_bytes()).await?;
    Ok(out.flush().await?)
}
