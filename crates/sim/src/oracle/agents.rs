//! Agents were made once, and a run that has nothing to do does nothing.

use windlass::agents::FleetReport;
use windlass::store::AgentUid;

use super::{ExecutedWork, Promise, Verdict};

/// Judges the third run, which comes after one that made everything whole.
pub(crate) fn nothing_to_do(verdict: &mut Verdict, report: &FleetReport, done_meanwhile: usize) {
    verdict.holds(
        Promise::Agents,
        report.all_done() && report.changed().count() == 0,
        || format!("there was something left to do: {report:?}"),
    );
    verdict.holds(Promise::Agents, done_meanwhile == 0, || {
        format!("a run with nothing to do did {done_meanwhile} things")
    });
}

/// Checks a run over all agents of which one is new: agents without drift are neither written nor woken.
pub(crate) fn only_the_new_one(verdict: &mut Verdict, report: &FleetReport, new: AgentUid) {
    let changed: Vec<AgentUid> = report.changed().map(|agent| agent.agent).collect();
    verdict.holds(Promise::Agents, report.all_done() && changed == [new], || {
        format!("one agent was added, and this was done: {report:?}")
    });
}

/// Checks the agents that the gateway was asked to create, by the provisioner alone. The oldest release has no method for this:
/// there, agents are created by a write of the configuration.
pub(crate) fn made_once(verdict: &mut Verdict, executed: &ExecutedWork, agents: usize, is_ours: impl Fn(&str) -> bool) {
    let made: Vec<_> = executed.makings().filter(|(agent, _)| is_ours(agent)).collect();
    let all = made.is_empty() || made.len() == agents;
    let once = made.iter().all(|(_, times)| *times == 1);
    verdict.holds(Promise::Agents, all && once, || format!("agents were made: {made:?}"));
}
