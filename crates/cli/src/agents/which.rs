//! The agents that a command is about.

use clap::Args;
use windlass::store::Agent;

use crate::exit::Failure;
use crate::store::Records;

/// Agents by name, or all.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Which {
    /// The agents, by name, id or a unique beginning of the id
    #[arg(value_name = "AGENT")]
    agents: Vec<String>,
    /// All agents of the store
    #[arg(long)]
    all: bool,
}

impl Which {
    pub(crate) fn of<'a>(&self, records: &'a Records) -> Result<Vec<&'a Agent>, Failure> {
        records.chosen(&self.agents, self.all)
    }
}
