//! Calls: every client in turn, in short windows, round after round.

mod contender;
mod counts;
mod foreign;
mod process;

use std::path::PathBuf;

pub use process::{Process, ProcessError, Server, WINDOW, counting_program, this_program};

use contender::Contender;

use crate::load::{Order, Until};
use crate::machine::cpus;
use crate::peers::Kind;
use crate::report::{LeftOut, Table};

/// How a comparison is made.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Rounds; the medians are over them.
    pub rounds: usize,
    /// Length of a window.
    pub millis: u64,
    /// Requests under way at a time.
    pub depths: Vec<usize>,
    /// Clients by name; all if none is named.
    pub only: Vec<String>,
    /// The client that the others are compared with.
    pub baseline: String,
    /// Whether system calls, instructions and allocations are counted too.
    pub counts: bool,
    /// Where clients in other languages are installed.
    pub folder: PathBuf,
}

/// The client that connects for each request.
const PER_CALL: &str = "python-per-call";

/// Clients in other languages, by name and mode.
const FOREIGN: [(&str, &str); 3] = [("typescript", ""), ("python", "multiplexed"), (PER_CALL, "per-call")];

/// Compares.
///
/// # Errors
/// When a process of the measurement fails.
pub async fn compare(plan: &Plan, say: impl Fn(&str)) -> Result<Table, ProcessError> {
    let (gateway_cpu, _) = two_cpus();
    let gateway = Server::start("the stand-in gateway", &["gateway", "--cpu", &gateway_cpu]).await?;
    let (mut contenders, left_out) = gather(plan, gateway.port).await;
    for round in 0..plan.rounds {
        say(&format!("round {} of {}", round + 1, plan.rounds));
        for contender in &mut contenders {
            for &depth in &plan.depths {
                let until = Until::Millis(plan.millis);
                contender.window(Order { depth, until }).await?;
            }
        }
    }
    let mut rows = Vec::new();
    for contender in contenders {
        say(&format!("counting {}", contender.name()));
        rows.extend(contender.finish(plan, &say).await);
    }
    gateway.kill().await;
    Ok(Table::new(rows, &plan.baseline, left_out))
}

/// Starts every client that can be had.
async fn gather(plan: &Plan, port: u16) -> (Vec<Contender>, Vec<LeftOut>) {
    let mut started = Vec::new();
    for kind in Kind::ALL.into_iter().filter(|kind| plan.wants(kind.name())) {
        started.push(Contender::own(kind, port).await);
    }
    for (name, mode) in FOREIGN.into_iter().filter(|(name, _)| plan.wants(name)) {
        started.push(Contender::foreign(name, mode, port, &plan.folder).await);
    }
    let (mut contenders, mut left_out) = (Vec::new(), Vec::new());
    for one in started {
        match one {
            Ok(contender) => contenders.push(contender),
            Err(missing) => left_out.push(missing),
        }
    }
    (contenders, left_out)
}

impl Plan {
    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|wanted| wanted == name)
    }
}

/// A CPU for the gateway and one for the client, where there are two.
pub fn two_cpus() -> (String, String) {
    let cpus = cpus();
    let (first, last) = (cpus.first().unwrap_or(&0), cpus.last().unwrap_or(&0));
    (first.to_string(), last.to_string())
}
