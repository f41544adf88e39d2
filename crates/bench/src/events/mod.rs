//! Events: one stream, many subscribers in one process.

mod designs;

use serde::{Deserialize, Serialize};

pub use designs::run;

use crate::report::median;
use crate::rpc::{Process, ProcessError, Server, this_program, two_cpus};

/// Events sent at a time; all have arrived before the next ones are sent, so that no design has to drop any.
pub const BURST: u64 = 512;

/// Bytes of an event.
pub const BYTES: usize = 500;

/// A way from one socket to many subscribers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Design {
    /// Windlass, each subscriber with a queue and a filter of its own.
    Windlass,
    /// The event parsed once, then tokio's broadcast channel.
    Broadcast,
    /// tokio's broadcast channel, each subscriber parses.
    ParseEach,
}

impl Design {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 3] = [Self::Windlass, Self::Broadcast, Self::ParseEach];

    /// Its name on the command line and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Windlass => "windlass",
            Self::Broadcast => "broadcast",
            Self::ParseEach => "parse-each",
        }
    }
}

/// The results of one window.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivered {
    /// Events times subscribers.
    pub deliveries: u64,
    /// Seconds that it took.
    pub seconds: f64,
    /// Seconds of CPU that the client's process used.
    pub cpu_seconds: f64,
}

/// One design with so many subscribers: medians over the rounds.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FanOut {
    /// The design.
    pub design: &'static str,
    /// Subscribers.
    pub subscribers: usize,
    /// Events delivered per second, over all subscribers.
    pub per_second: f64,
    /// CPU time per delivery, in nanoseconds.
    pub cpu_ns: f64,
    /// Deliveries per second, by those of tokio's broadcast of a parsed event in the same round.
    pub of_broadcast: f64,
    /// The same, by those of a broadcast that each subscriber parses.
    pub of_parse_each: f64,
}

/// Compares the designs.
///
/// # Errors
/// When a process of the measurement fails.
pub async fn compare(
    subscribers: &[usize],
    rounds: usize,
    millis: u64,
    say: impl Fn(&str),
) -> Result<Vec<FanOut>, ProcessError> {
    let (gateway_cpu, client_cpu) = two_cpus();
    let gateway = Server::start("the stand-in gateway", &["gateway", "--cpu", &gateway_cpu]).await?;
    let port = gateway.port.to_string();
    let mut rows = Vec::new();
    for &count in subscribers {
        let mut clients = Vec::new();
        for design in Design::ALL {
            let (name, count) = (design.name(), count.to_string());
            let args = [
                "events-client",
                name,
                "--subscribers",
                &count,
                "--port",
                &port,
                "--cpu",
                &client_cpu,
            ];
            clients.push((Process::start(name, &this_program(&args)?).await?.0, Vec::new()));
        }
        for round in 0..=rounds {
            say(&format!("{count} subscribers, round {round} of {rounds}"));
            for (client, windows) in &mut clients {
                let window: Delivered = client.ask(&millis.to_string(), crate::rpc::WINDOW).await?;
                // The first round fills caches and is thrown away.
                if round > 0 {
                    windows.push(window);
                }
            }
        }
        rows.extend(fan_outs(count, clients.iter().map(|(_, windows)| windows.as_slice())));
        for (client, _) in clients {
            client.finish().await;
        }
    }
    gateway.kill().await;
    Ok(rows)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "deliveries of a window are far from the end of f64"
)]
fn fan_outs<'a>(subscribers: usize, windows: impl Iterator<Item = &'a [Delivered]>) -> Vec<FanOut> {
    let rate = |window: &Delivered| window.deliveries as f64 / window.seconds;
    let windows: Vec<_> = windows.collect();
    let of = |own: &[Delivered], base: &[Delivered]| {
        median(own.iter().zip(base).map(|(own, base)| rate(own) / rate(base)).collect())
    };
    let fan_out = |(design, own): (Design, &&[Delivered])| FanOut {
        design: design.name(),
        subscribers,
        per_second: median(own.iter().map(rate).collect()),
        cpu_ns: median(
            own.iter()
                .map(|one| one.cpu_seconds * 1e9 / one.deliveries as f64)
                .collect(),
        ),
        of_broadcast: of(own, windows[1]),
        of_parse_each: of(own, windows[2]),
    };
    Design::ALL.into_iter().zip(&windows).map(fan_out).collect()
}

/// The table for people.
pub fn text(rows: &[FanOut]) -> String {
    use std::fmt::Write as _;
    let mut text = String::from(
        "| design | subscribers | deliveries/s | CPU ns | of broadcast | of parse-each |\n|---|--:|--:|--:|--:|--:|\n",
    );
    for row in rows {
        let _ = writeln!(
            text,
            "| {} | {} | {:.1} M | {:.0} | {:.2} | {:.1} |",
            row.design,
            row.subscribers,
            row.per_second / 1e6,
            row.cpu_ns,
            row.of_broadcast,
            row.of_parse_each
        );
    }
    text
}
