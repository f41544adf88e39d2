//! All scenarios. A new one is a file here, a `mod` line and a line in [`ALL`].

mod activity;
mod big;
mod config_change;
mod connect;
mod dedupe;
mod drain;
mod echo;
mod failed_runs;
mod half_a_character;
mod health;
mod idle_agent;
mod included_config;
mod journal;
mod kill;
mod kit;
mod lifecycle;
mod missing_scope;
mod pairing;
mod pipeline;
mod provision;
mod provision_again;
mod provision_delete;
mod provision_restart;
mod provision_update;
mod restart_signal;
mod roster;
mod schema;
mod secrets;
mod send_and_wait;
mod send_restart;
mod silence;
mod spellings;
mod stop;
mod stream;
mod survive;
mod ten_turns;
mod unchanged_agents;
mod wrong_token;

use crate::scenario::Scenario;

/// Every scenario, in the order in which they run and stand in the table.
pub const ALL: &[Scenario] = &[
    health::SCENARIO,
    echo::SCENARIO,
    lifecycle::SCENARIO,
    connect::SCENARIO,
    wrong_token::SCENARIO,
    missing_scope::SCENARIO,
    pairing::SCENARIO,
    pipeline::SCENARIO,
    stream::SCENARIO,
    kill::SCENARIO,
    survive::SCENARIO,
    drain::SCENARIO,
    restart_signal::SCENARIO,
    config_change::SCENARIO,
    big::SCENARIO,
    dedupe::SCENARIO,
    secrets::SCENARIO,
    schema::SCENARIO,
    send_and_wait::SCENARIO,
    ten_turns::SCENARIO,
    failed_runs::SCENARIO,
    send_restart::SCENARIO,
    spellings::SCENARIO,
    stop::SCENARIO,
    silence::SCENARIO,
    roster::SCENARIO,
    journal::SCENARIO,
    half_a_character::SCENARIO,
    provision::SCENARIO,
    provision_again::SCENARIO,
    provision_update::SCENARIO,
    provision_delete::SCENARIO,
    provision_restart::SCENARIO,
    activity::SCENARIO,
    unchanged_agents::SCENARIO,
    included_config::SCENARIO,
    idle_agent::SCENARIO,
];

/// Those that run only for the table of all releases, or when they are named: each takes half a minute or more, for agents of
/// its own, for restarts, or for releases that try a model again that fails.
const LONG: &[&str] = &[
    "provision-again",
    "provision-update",
    "provision-delete",
    "provision-restart",
    "activity",
    "unchanged-agents",
    "included-config",
    "idle-agent",
    "send-restart",
    "spellings",
    "failed-runs",
    "roster",
    "journal",
    "half-a-character",
];

/// Every scenario that runs unless others are asked for.
pub fn usual() -> Vec<Scenario> {
    let is_long = |scenario: &&Scenario| LONG.contains(&scenario.name);
    ALL.iter().filter(|scenario| !is_long(scenario)).copied().collect()
}

/// The scenario of this name.
pub fn by_name(name: &str) -> Option<Scenario> {
    ALL.iter().find(|scenario| scenario.name == name).copied()
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, fs, path::Path};

    use super::*;

    #[test]
    fn every_file_of_the_folder_is_a_listed_scenario() {
        // The folder of the scenarios also has the file and the folder of their shared code.
        const SHARED: usize = 2;
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/scenarios");
        let files = fs::read_dir(folder).expect("the folder is there").count();
        assert_eq!(files, ALL.len() + SHARED);
    }

    #[test]
    fn names_are_unique_and_fit_a_command_line() {
        let names: HashSet<_> = ALL.iter().map(|scenario| scenario.name).collect();
        assert_eq!(names.len(), ALL.len());
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(names.iter().all(|name| name.chars().all(fits)), "{names:?}");
        assert!(names.iter().all(|name| by_name(name).is_some()));
    }

    #[test]
    fn the_long_ones_are_left_out_by_default_and_have_no_other_names() {
        assert_eq!(usual().len() + LONG.len(), ALL.len());
    }
}
