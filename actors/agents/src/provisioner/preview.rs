//! Plans of runs: the actions of a run, and how far an agent's files are from the wanted ones.

use std::rc::Rc;

use serde::Serialize;
use windlass_store::{AgentUid, StepName};

use super::content::AgentRecords;
use super::content::{Desired, NO_TOKEN};
use super::content::{FileAction, FilePlan, FilesPlan};
use super::context::Context;
use super::report::ProvisionFailure;
use super::report::{FailedStep, StepError};
use super::request::{RunOptions, TokenRule};
use super::saga::files;
use super::saga::files::TokenMatch;
use super::saga::files::look;
use crate::control_plane::{Capabilities, ControlPlane};

/// The plan of a run for an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about one run")]
pub struct AgentPlan {
    /// The agent.
    pub agent: AgentUid,
    /// Its name.
    pub name: String,
    /// Its id on the gateway.
    pub agent_id: String,
    /// It would be made.
    pub create: bool,
    /// Its name or workspace would be corrected.
    pub update: bool,
    /// Its heartbeat or its entry in the configuration would be written.
    pub config: bool,
    /// Settings of the whole gateway that heartbeats need would be written: no change of this agent.
    pub settings: bool,
    /// Its files.
    pub files: Vec<FilePlan>,
    /// The heartbeat's instructions would be written.
    pub scratch: bool,
    /// It would get a new token.
    pub new_token: bool,
    /// The token on the gateway is not the one on record.
    pub token_differs: bool,
    /// Its session would be reset.
    pub reset: bool,
    /// It would be woken.
    pub wake: bool,
}

impl AgentPlan {
    /// Whether anything would be written or sent.
    pub fn any(&self) -> bool {
        self.drifted() || self.reset || self.wake
    }

    /// Whether the gateway has something else than it should have.
    pub fn drifted(&self) -> bool {
        self.settings || self.differs()
    }

    /// Whether the gateway differs from the records of this agent: the differences for which the agent is woken.
    fn differs(&self) -> bool {
        self.create
            || self.update
            || self.config
            || self.scratch
            || self.new_token
            || self.token_differs
            || self.files.iter().any(FilePlan::is_change)
    }

    /// The files for which this would be done.
    pub fn files_to(&self, action: FileAction) -> impl Iterator<Item = &str> {
        let files = self.files.iter().filter(move |file| file.action == action);
        files.map(|file| file.name.as_str())
    }
}

/// Looks, and plans. Nothing is written, neither on the gateway nor in the store.
pub(crate) async fn plan(
    ctx: Rc<Context>,
    agent: AgentUid,
    options: RunOptions,
) -> Result<AgentPlan, ProvisionFailure> {
    try_plan(&ctx, agent, options).await.map_err(|failed| failed.explain())
}

async fn try_plan(ctx: &Context, agent: AgentUid, options: RunOptions) -> Result<AgentPlan, FailedStep> {
    let at = |why: StepError| FailedStep::at(StepName::Render, why);
    let records = AgentRecords::load(&*ctx.store, agent)
        .await
        .map_err(|error| at(error.into()))?;
    let desired = Desired {
        templates: &ctx.templates,
        base_url: ctx.settings.base_url_of(&records.gateway),
        records: &records,
        options,
        first: records.is_new(),
    };
    desired.check().await.map_err(|error| at(error.into()))?;
    let plane = ctx.fleet.control_plane(&records.gateway).await;
    let plane = plane.map_err(|error| FailedStep::at(StepName::Agent, error))?;
    compare(&*plane, &desired).await
}

async fn compare(plane: &dyn ControlPlane, desired: &Desired<'_>) -> Result<AgentPlan, FailedStep> {
    let (records, options) = (desired.records, desired.options);
    let at = |step| move |error| FailedStep::at(step, StepError::Control(error));
    let card = records.card();
    let capabilities = plane.capabilities().await.map_err(at(StepName::Agent))?;
    let roster = plane.roster().await.map_err(at(StepName::Agent))?;
    let there = roster.agents.get(&card.id);
    let config = plane.would_patch(&[records.heartbeat()]).await;
    let config = config.map_err(at(StepName::Heartbeat))?;
    let mut plan = AgentPlan {
        agent: records.agent.id,
        name: records.agent.name.clone(),
        agent_id: card.id.to_string(),
        create: there.is_none(),
        update: there.is_some_and(|there| !records.matches(there, capabilities)),
        config: config.agents,
        settings: config.settings,
        files: Vec::new(),
        scratch: false,
        new_token: there.is_none(),
        token_differs: false,
        reset: options.reset_session,
        wake: false,
    };
    if there.is_some() {
        compare_files(plane, desired, capabilities, &mut plan).await?;
    } else {
        plan_new_files(desired, &mut plan).await?;
    }
    plan.wake = options.wake.wanted(desired.first || plan.differs() || plan.reset);
    Ok(plan)
}

async fn compare_files(
    plane: &dyn ControlPlane,
    desired: &Desired<'_>,
    capabilities: Capabilities,
    plan: &mut AgentPlan,
) -> Result<(), FailedStep> {
    let at = |why: StepError| FailedStep::at(StepName::Files, why);
    let id = desired.records.agent_id();
    if !capabilities.files {
        return Ok(());
    }
    let (seen, layout) = look(plane, &id, capabilities).await.map_err(|error| at(error.into()))?;
    let found = files::find_token(&seen, &layout);
    let known = match found.as_deref() {
        Some(found) => Some(files::match_token(&desired.records.agent, found).await),
        None => None,
    };
    plan.new_token = match desired.options.token {
        TokenRule::Rotate => true,
        TokenRule::Keep => !matches!(known, Some(TokenMatch::Current | TokenMatch::Next)),
        TokenRule::MustExist => false,
    };
    plan.token_differs = known == Some(TokenMatch::Wrong);
    let text = found.as_deref().unwrap_or(NO_TOKEN);
    let (_, files) = desired
        .files(&layout, &seen, text)
        .await
        .map_err(|error| at(error.into()))?;
    take(plan, files);
    if plan.new_token {
        // It is not made yet, so the file that will hold it looks as it should.
        rewrite(plan, layout.holder_of_token());
    }
    Ok(())
}

/// For an agent that does not exist yet. Its layout is known when it does, so the files are named as on most
/// gateways.
async fn plan_new_files(desired: &Desired<'_>, plan: &mut AgentPlan) -> Result<(), FailedStep> {
    let layout = windlass_templates::Layout::of::<&str>(&[], false);
    let files = desired
        .files(&layout, &super::content::FilesSeen::default(), NO_TOKEN)
        .await;
    let (_, files) = files.map_err(|error| FailedStep::at(StepName::Files, error))?;
    take(plan, files);
    Ok(())
}

fn take(plan: &mut AgentPlan, files: FilesPlan) {
    plan.files = files.files;
    plan.scratch = files.scratch;
}

fn rewrite(plan: &mut AgentPlan, name: &str) {
    for file in &mut plan.files {
        if file.name == name && file.action == FileAction::Keep {
            file.action = FileAction::Rewrite;
        }
    }
}
