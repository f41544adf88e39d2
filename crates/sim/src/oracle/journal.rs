//! Counts the side effects of a gateway.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use windlass_testkit::{Entry, SideEffect, SimGateway};

use crate::world::LIFE;

/// The side effects of a site.
#[derive(Debug, Default)]
pub(crate) struct ExecutedWork {
    /// The runs that reached the model, by key.
    runs: BTreeMap<String, Runs>,
    /// Keys that were sent from here. A gateway that was stopped during a run resumes the run with another key.
    keys: BTreeSet<String>,
    created: BTreeMap<String, u64>,
    labelled: BTreeMap<String, u64>,
    /// Sessions in which runs were stopped, or which were reset or deleted.
    meddled: BTreeSet<String>,
    /// Two lives of the process began within a moment, and it has no boot id.
    pub(crate) indistinct: bool,
    commands: BTreeMap<String, u64>,
}

/// The runs of one key.
#[derive(Debug, Default)]
struct Runs {
    text: String,
    begun: u64,
    /// Runs that began at once, because their session had no other run. A message that comes during a run waits for the end of the
    /// run, and a stop of the gateway then loses the message before the gateway looked at it.
    at_once: u64,
    /// Those that a stop of the gateway did not cut short.
    ended: u64,
}

impl ExecutedWork {
    pub(crate) fn of(sim: &SimGateway) -> Self {
        let mut executed = Self::default();
        let (mut starts, mut busy) = (Vec::new(), Busy::default());
        for record in sim.journal().records() {
            match record.entry {
                Entry::Request { method, params, .. } if method == "chat.send" => {
                    executed
                        .keys
                        .extend(params["idempotencyKey"].as_str().map(str::to_owned));
                }
                Entry::Request { method, params, .. } if method == "chat.abort" => {
                    executed
                        .meddled
                        .extend(params["sessionKey"].as_str().map(str::to_owned));
                }
                Entry::Effect(SideEffect::Restarted) => {
                    starts.push(record.at);
                    busy.0.clear();
                }
                Entry::Effect(effect) => executed.count(effect, &mut busy),
                _ => {}
            }
        }
        executed.indistinct = !sim.profile().boot_id && starts.is_sorted() && close(&starts);
        executed
    }

    fn count(&mut self, effect: SideEffect, busy: &mut Busy) {
        match effect {
            SideEffect::ChatRun { key, session, message } => {
                let at_once = busy.begins(&session, &key);
                let runs = self.runs.entry(key).or_default();
                runs.text = message;
                runs.begun += 1;
                runs.at_once += u64::from(at_once);
            }
            SideEffect::RunEnded { key } => {
                busy.ends(&key);
                self.runs.entry(key).or_default().ended += 1;
            }
            SideEffect::SessionReset { key } | SideEffect::SessionDeleted { key } => drop(self.meddled.insert(key)),
            SideEffect::CommandDone { key } => *self.commands.entry(key).or_default() += 1,
            SideEffect::AgentCreated { agent_id } => *self.created.entry(agent_id).or_default() += 1,
            SideEffect::SessionPatched { key } => *self.labelled.entry(key).or_default() += 1,
            _ => {}
        }
    }

    /// How often a key was handed to the model.
    pub(crate) fn begun(&self, key: &str) -> u64 {
        self.runs.get(key).map_or(0, |runs| runs.begun)
    }

    /// How often a key ran at once.
    pub(crate) fn ran_at_once(&self, key: &str) -> u64 {
        self.runs.get(key).map_or(0, |runs| runs.at_once)
    }

    /// How often a run of a key came to its end.
    pub(crate) fn ended(&self, key: &str) -> u64 {
        self.runs.get(key).map_or(0, |runs| runs.ended)
    }

    /// How often a key was carried out as a command.
    pub(crate) fn commands(&self, key: &str) -> u64 {
        self.commands.get(key).copied().unwrap_or_default()
    }

    /// Whether a text was handed to the model at all, be it by the gateway's own doing.
    pub(crate) fn was_run(&self, text: &str) -> bool {
        self.runs.values().any(|runs| runs.text == text)
    }

    /// How often a text was handed to the model under keys that were sent from here.
    pub(crate) fn runs_of_text(&self, text: &str) -> u64 {
        let ours = self.runs.iter().filter(|(key, _)| self.keys.contains(*key));
        ours.filter(|(_, runs)| runs.text == text)
            .map(|(_, runs)| runs.begun)
            .sum()
    }

    /// Whether runs of a session were aborted, or the session was reset or deleted. Then a run may end for another reason than its own.
    pub(crate) fn is_meddled(&self, session: &str) -> bool {
        self.meddled.contains(session)
    }

    pub(crate) fn created(&self, agent: &str) -> u64 {
        self.created.get(agent).copied().unwrap_or_default()
    }

    pub(crate) fn labelled(&self, key: &str) -> u64 {
        self.labelled.get(key).copied().unwrap_or_default()
    }

    /// Agents that were made so often.
    pub(crate) fn makings(&self) -> impl Iterator<Item = (&str, u64)> {
        self.created.iter().map(|(agent, count)| (agent.as_str(), *count))
    }
}

/// The active runs of each session.
#[derive(Default)]
struct Busy(BTreeMap<String, BTreeSet<String>>);

impl Busy {
    /// Whether nothing else ran there.
    fn begins(&mut self, session: &str, key: &str) -> bool {
        let runs = self.0.entry(session.to_owned()).or_default();
        let free = runs.is_empty();
        runs.insert(key.to_owned());
        free
    }

    fn ends(&mut self, key: &str) {
        for runs in self.0.values_mut() {
            runs.remove(key);
        }
    }
}

fn close(starts: &[Duration]) -> bool {
    starts.windows(2).any(|pair| pair[1].saturating_sub(pair[0]) < LIFE)
}
