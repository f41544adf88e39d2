//! A world: all parts of a run, drawn from a seed before anything runs.

mod faults;
mod load;
mod registering;

use std::fmt;
use std::time::Duration;

use windlass::protocol::connection::CallLimits;
use windlass_testkit::chaos::FrameFault;
use windlass_testkit::{ChatPlan, Profile, RELEASES};

pub(crate) use self::faults::{FaultAction, HiddenData, LIFE, ScheduledFault, WireProfile, WrongAnswer};
pub(crate) use self::load::{
    CallKind, HUSH, MessageText, OperatorAction, OperatorStep, PlannedCall, PlannedMessage, Reader,
};
pub(crate) use self::registering::{RegistryPlan, RegistryRequest};
use crate::dice::Dice;

/// One world in so many is big.
const BIG: u32 = 400;
/// One world in so many keeps the whole log, and the oracle looks for secrets in it. (It always does so in a world that is traced.)
const LOGGED: u32 = 20;
/// One world in so many provisions agents.
const CREWED: u32 = 12;
/// One world in so many is shut down in the middle of everything.
const ABRUPT: u32 = 10;

/// All parts of a run. The same seed makes the same world, and the same world makes the same run.
#[derive(Debug)]
pub struct World {
    /// The seed of the world.
    pub seed: u64,
    pub(crate) sites: Vec<Plan>,
    /// Agents that are provisioned on the first sites, each for one.
    pub(crate) provisioner: Option<AgentPlan>,
    /// The operations on one more gateway, which is added and removed. Empty in most worlds.
    pub(crate) registering: Vec<RegistryPlan>,
    /// Messages are kept on record.
    pub(crate) kept: bool,
    pub(crate) ending: Ending,
    pub(crate) logged: bool,
}

/// Agents to be provisioned.
#[derive(Debug)]
pub(crate) struct AgentPlan {
    pub(crate) after: Duration,
    pub(crate) agents: usize,
}

/// How it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// All work is done, then calm comes, and everything has to be whole again.
    Calm,
    /// Windlass is shut down in the middle of the work. `drain` is the time for the work in flight.
    Abrupt { after: Duration, drain: Duration },
}

/// One gateway, its line, and all users of the line.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) release: &'static str,
    pub(crate) seed: u64,
    /// How the fake model answers.
    pub(crate) model: ChatPlan,
    /// Every answer to this method comes so much later.
    pub(crate) slow: Option<(&'static str, Duration)>,
    /// Between two numbered events.
    pub(crate) pulse: Duration,
    pub(crate) callers: Vec<Vec<PlannedCall>>,
    pub(crate) senders: Vec<Vec<PlannedMessage>>,
    /// Aborts of runs, resets and deletions of sessions.
    pub(crate) operator_steps: Vec<OperatorStep>,
    pub(crate) readers: Vec<Reader>,
    /// Topics are declared.
    pub(crate) topics: bool,
    /// A session cache is watched.
    pub(crate) roster: bool,
    pub(crate) fault_schedule: Vec<ScheduledFault>,
    /// How many calls of the line may be under way, and wait.
    pub(crate) limits: Option<CallLimits>,
}

impl World {
    /// Makes the world of a seed.
    pub fn of(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let big = dice.one_in(BIG);
        let sites = match (big, dice.count(0..10)) {
            (true, _) => dice.count(4..9),
            (false, 0) => 3,
            (false, 1..3) => 2,
            (false, _) => 1,
        };
        let span = if big || dice.one_in(8) {
            dice.millis(30_000..200_000)
        } else {
            dice.millis(1_000..20_000)
        };
        let crewed = dice.one_in(CREWED);
        let ending = if !crewed && dice.one_in(ABRUPT) {
            Ending::Abrupt {
                after: dice.millis(0..10_000).min(span),
                drain: dice.millis(0..5_000),
            }
        } else {
            Ending::Calm
        };
        Self {
            seed,
            registering: RegistryPlan::all(seed, span),
            kept: dice.one_in(5),
            logged: dice.one_in(LOGGED),
            ending,
            provisioner: crewed.then(|| AgentPlan {
                after: dice.millis(0..2_000),
                agents: dice.count(1..4),
            }),
            sites: (0..sites).map(|_| Plan::draw(&mut dice.part(), span, big)).collect(),
        }
    }

    /// Whether a site has no faults, only the work of its users.
    pub(crate) fn is_calm(&self, site: usize) -> bool {
        let plan = &self.sites[site];
        // Provisioning restarts gateways of some releases.
        plan.fault_schedule.is_empty()
            && plan.operator_steps.is_empty()
            && self.provisioner.is_none()
            && self.ending == Ending::Calm
    }

    /// The properties that the wire to a site does not have.
    pub(crate) fn wire(&self, site: usize) -> WireProfile {
        let executed = || {
            self.sites[site]
                .fault_schedule
                .iter()
                .map(|scheduled| &scheduled.action)
        };
        WireProfile {
            hides: executed().map(FaultAction::hides).max().unwrap_or(HiddenData::Nothing),
            repeats: executed().any(|action| action.tampers(&FrameFault::Duplicate)),
            reorders: executed().any(|action| action.tampers(&FrameFault::Reorder)),
            mixes: executed().any(|action| action.tampers(&FrameFault::RepeatId)),
        }
    }
}

impl Plan {
    fn draw(dice: &mut Dice, span: Duration, big: bool) -> Self {
        let release = dice.pick(&RELEASES);
        let most = if big { 12 } else { 4 };
        let callers = dice.count(0..most);
        let senders = dice.count(0..most);
        let slow = dice.one_in(2).then(|| {
            let method = dice.pick(&["health", "agents.create", "chat.send", "sessions.list"]);
            (method, dice.millis(1..2_000))
        });
        Self {
            release,
            seed: dice.seed(),
            model: model(dice),
            slow,
            pulse: dice.millis(200..2_000).max(span / 30),
            callers: (0..callers).map(|name| load::planned_calls(dice, name, span)).collect(),
            senders: (0..senders).map(|name| load::speeches(dice, name, span)).collect(),
            operator_steps: if senders > 0 && dice.one_in(5) {
                load::operator_steps(dice, span)
            } else {
                Vec::new()
            },
            readers: (0..dice.count(1..3)).map(|_| Reader::draw(dice)).collect(),
            topics: dice.one_in(3),
            roster: dice.one_in(2),
            fault_schedule: faults::fault_schedule(
                dice,
                Profile::of(release).is_some_and(|facts| facts.boot_id),
                span,
                big,
            ),
            limits: None,
        }
        .strained(dice, span)
    }

    /// Additions of later versions. They are drawn last, so that the earlier draws of a seed keep their meaning.
    fn strained(mut self, dice: &mut Dice, span: Duration) -> Self {
        self.limits = dice.one_in(6).then(|| CallLimits {
            in_flight: dice.count(1..4),
            waiting: dice.count(1..6),
        });
        if dice.one_in(6) {
            self.callers.extend(load::crowd(dice, span));
        }
        if dice.one_in(12) {
            self.fault_schedule.extend(faults::cuts(dice, span));
        }
        if dice.one_in(12) {
            self.fault_schedule.extend(faults::stops(dice, span));
        }
        self.fault_schedule.sort_by_key(|scheduled| scheduled.at);
        self
    }
}

fn model(dice: &mut Dice) -> ChatPlan {
    ChatPlan {
        increments: u32::try_from(dice.count(1..6)).unwrap_or(1),
        first_after: dice.millis(1..1_000),
        pace: dice.millis(1..800),
        tool: dice.one_in(6),
        ..ChatPlan::default()
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "world {}: {} gateways, messages {}, {:?}{}{}",
            self.seed,
            self.sites.len(),
            if self.kept { "kept on record" } else { "in memory" },
            self.ending,
            self.provisioner
                .as_ref()
                .map_or_else(String::new, |provisioner| format!(", {} agents", provisioner.agents)),
            if self.registering.is_empty() {
                ""
            } else {
                ", one more gateway comes and goes"
            },
        )?;
        self.sites.iter().enumerate().try_for_each(|(number, plan)| {
            writeln!(
                f,
                "  gw{number}: {}, {} callers, {} speakers, {} readers{}{}{}, {} blows",
                plan.release,
                plan.callers.len(),
                plan.senders.len(),
                plan.readers.len(),
                if plan.operator_steps.is_empty() {
                    ""
                } else {
                    ", a meddler"
                },
                if plan.topics { ", topics" } else { "" },
                if plan.roster { ", roster" } else { "" },
                plan.fault_schedule.len()
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::World;

    #[test]
    fn a_seed_makes_the_same_world_again_and_another_one_another() {
        let told = |seed| format!("{:?}", World::of(seed));
        for seed in 0..50 {
            assert_eq!(told(seed), told(seed));
            assert_ne!(told(seed), told(seed + 1));
        }
    }
}
