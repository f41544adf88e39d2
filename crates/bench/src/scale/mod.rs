//! Many lines in one process: their memory, the time until they are up, and the time until they are back.

mod fleet;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use fleet::run;

use crate::gateway::HelloSize;
use crate::machine::raise_open_files;
use crate::rpc::{Process, ProcessError, Server, this_program, two_cpus};

/// How long the gateway is gone.
const OUTAGE: Duration = Duration::from_secs(1);

/// How long a fleet may take for anything.
const PATIENCE: Duration = Duration::from_secs(300);

/// How a fleet came up.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CameUp {
    /// Lines that are up.
    pub lines: usize,
    /// Seconds from the first one added to the last one up.
    pub seconds: f64,
    /// Seconds of CPU of the client's process meanwhile.
    pub cpu_seconds: f64,
    /// Bytes in memory for each line, everything included; nothing where the system does not tell.
    pub bytes_per_line: Option<u64>,
}

/// How a fleet came back after its gateway was killed.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CameBack {
    /// Seconds from the first disconnect to 99 of 100 lines up again.
    pub most_seconds: f64,
    /// Seconds to all of them.
    pub all_seconds: f64,
    /// Seconds of CPU of the client's process meanwhile.
    pub cpu_seconds: f64,
}

/// A fleet of one size.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fleet {
    /// Lines that were wanted; the limit of open files may allow fewer.
    pub wanted: usize,
    /// How much the gateway says of itself.
    #[serde(skip)]
    pub hello: HelloSize,
    /// How it came up.
    pub up: CameUp,
    /// How it came back.
    pub back: CameBack,
}

/// Measures fleets of these sizes, one after the other.
///
/// # Errors
/// When a process of the measurement fails.
pub async fn measure(sizes: &[usize], hellos: &[HelloSize], say: impl Fn(&str)) -> Result<Vec<Fleet>, ProcessError> {
    let mut fleets = Vec::new();
    for &wanted in sizes {
        let limit = raise_open_files();
        let lines = limit.lines(wanted);
        if lines < wanted {
            say(&format!(
                "{wanted} lines are more than may be open here: {lines} (see `ulimit -Hn`)"
            ));
        }
        for &hello in hellos {
            say(&format!("{lines} lines, {hello:?} hello"));
            fleets.push(one_fleet(wanted, lines, hello).await?);
        }
    }
    Ok(fleets)
}

async fn one_fleet(wanted: usize, lines: usize, hello: HelloSize) -> Result<Fleet, ProcessError> {
    let (gateway_cpu, client_cpu) = two_cpus();
    let size = if hello == HelloSize::Full { "full" } else { "small" };
    let serve = |port: u16| {
        let (port, cpu) = (port.to_string(), gateway_cpu.clone());
        async move {
            let args = ["gateway", "--cpu", &cpu, "--hello", size, "--port", &port];
            Server::start("the stand-in gateway", &args).await
        }
    };
    let gateway = serve(0).await?;
    let port = gateway.port;
    let (lines_text, port_text) = (lines.to_string(), port.to_string());
    let args = [
        "fleet",
        "--lines",
        &lines_text,
        "--port",
        &port_text,
        "--cpu",
        &client_cpu,
    ];
    let (mut client, _) = Process::start("the fleet", &this_program(&args)?).await?;
    let up: CameUp = client.ask("\"connect\"", PATIENCE).await?;
    let _armed: bool = client.ask("\"watch\"", PATIENCE).await?;
    gateway.kill().await;
    tokio::time::sleep(OUTAGE).await;
    let gateway = serve(port).await?;
    let back: CameBack = client.ask("\"tell\"", PATIENCE).await?;
    client.kill().await;
    gateway.kill().await;
    Ok(Fleet {
        wanted,
        hello,
        up,
        back,
    })
}

/// The table for people.
pub fn text(fleets: &[Fleet]) -> String {
    use std::fmt::Write as _;
    let mut text = String::from(
        "| lines | hello-ok | kB per line | all up s | CPU s | back after 1 s outage: 99 % s | all s | CPU s |\n\
         |--:|---|--:|--:|--:|--:|--:|--:|\n",
    );
    for fleet in fleets {
        let memory = fleet.up.bytes_per_line.map_or_else(|| "–".into(), kilobytes);
        let _ = writeln!(
            text,
            "| {} | {} | {memory} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} |",
            fleet.up.lines,
            if fleet.hello == HelloSize::Full {
                "15 kB"
            } else {
                "small"
            },
            fleet.up.seconds,
            fleet.up.cpu_seconds,
            fleet.back.most_seconds,
            fleet.back.all_seconds,
            fleet.back.cpu_seconds,
        );
    }
    text
}

#[expect(clippy::cast_precision_loss, reason = "a few kilobytes")]
fn kilobytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1e3)
}
