//! The step that writes an agent's files.

use std::collections::{BTreeMap, BTreeSet};

use windlass_protocol::AgentId;
use windlass_store::{AgentRole, StepName};
use windlass_templates::{Content, Layout, Placement};

use super::super::file_plan::{FileAction, FilesPlan, Seen};
use super::super::report::Changes;
use super::super::report::{Failed, Why};
use super::{Saga, StepProgress};
use crate::control_plane::{Capabilities, ControlError, ControlPlane, FileWrite};

const STEP: StepName = StepName::Files;

/// How many files a gateway may refuse, one after the other, before it is given up: all that there are.
const REFUSALS: usize = Content::ALL.len();

/// 2026.1.30 makes a HEARTBEAT.md without a task, and asks no model about a file without a task.
const NO_FILES: &str = "this gateway has no file methods: its files were not written, and its heartbeats are skipped until its HEARTBEAT.md \
                        names a task";

impl Saga {
    /// Writes missing and different files, and keeps the rest.
    pub(in super::super) async fn write_files(&mut self) -> Result<(), Failed> {
        if self.enter(STEP) == StepProgress::Done {
            return Ok(());
        }
        let id = self.records.agent_id();
        let capabilities = self.plane.capabilities().await.map_err(at)?;
        if !capabilities.files {
            self.warnings.push(NO_FILES.into());
            return self.done(STEP, &Changes::default()).await;
        }
        let (seen, mut layout) = look(&*self.plane, &id, capabilities).await.map_err(at)?;
        let token = self.token(&seen, &layout).await?;
        let mut changes = Changes {
            rotated: token.rotated,
            ..Changes::default()
        };
        for _ in 0..=REFUSALS {
            let (wanted, plan) = self.plan_files(&layout, &seen, &token.text).await?;
            note(&mut changes, &plan);
            if plan.any() {
                self.begun(STEP, &changes).await?;
            }
            let Some(refused) = self.apply(&id, &wanted, &plan).await? else {
                return self.done(STEP, &changes).await;
            };
            changes.written.retain(|name| *name != refused);
            changes.unsupported.push(refused.clone());
            let moved = layout.without(&refused);
            if self.role() == AgentRole::Lead && moved.dropped().count() > layout.dropped().count() {
                return Err(at(Why::FileRefused { file: refused }));
            }
            layout = moved;
        }
        Err(at(Why::FileRefused { file: "files".into() }))
    }

    async fn plan_files(&self, layout: &Layout, seen: &Seen, token: &str) -> Result<(Placement, FilesPlan), Failed> {
        self.desired().files(layout, seen, token).await.map_err(at)
    }

    /// Carries out the plan, and returns the file that the gateway does not take, if it met one.
    async fn apply(&mut self, id: &AgentId, wanted: &Placement, plan: &FilesPlan) -> Result<Option<String>, Failed> {
        for file in &plan.files {
            match file.action {
                FileAction::Keep | FileAction::Preserve => {}
                FileAction::Delete => {
                    self.plane.delete_file(id, &file.name).await.map_err(at)?;
                }
                FileAction::Create | FileAction::Rewrite => {
                    let text = wanted.files.get(&file.name).map_or("", String::as_str);
                    if self.plane.set_file(id, &file.name, text).await.map_err(at)? == FileWrite::Unsupported {
                        return Ok(Some(file.name.clone()));
                    }
                }
            }
        }
        if let (true, Some(text)) = (plan.scratch, &wanted.scratch) {
            self.plane.set_scratch(id, text).await.map_err(at)?;
        }
        Ok(None)
    }
}

fn at(why: impl Into<Why>) -> Failed {
    Failed::at(STEP, why)
}

fn note(changes: &mut Changes, plan: &FilesPlan) {
    let named = |action: &[FileAction]| -> Vec<String> {
        let files = plan.files.iter().filter(|file| action.contains(&file.action));
        files.map(|file| file.name.clone()).collect()
    };
    changes.written = named(&[FileAction::Create, FileAction::Rewrite]);
    changes.preserved = named(&[FileAction::Preserve]);
    changes.deleted = named(&[FileAction::Delete]);
    changes.scratch = plan.scratch;
}

/// Reads all that stands there.
pub(in super::super) async fn look(
    plane: &dyn ControlPlane,
    id: &AgentId,
    capabilities: Capabilities,
) -> Result<(Seen, Layout), ControlError> {
    let listed = plane.list_files(id).await?;
    let scratch = if capabilities.scratch {
        plane.scratch(id).await?
    } else {
        None
    };
    let names: Vec<&str> = listed.iter().map(|file| file.name.as_str()).collect();
    let layout = Layout::of(&names, scratch.is_some());
    let there = listed
        .iter()
        .filter(|file| !file.missing)
        .map(|file| file.name.as_str());
    // From 2026.8 on IDENTITY.md is taken and never listed.
    let wanted: BTreeSet<&str> = there.chain([Content::Identity.file_name()]).collect();
    let mut texts = BTreeMap::new();
    for name in wanted {
        if let Some(text) = plane.get_file(id, name).await? {
            texts.insert(name.to_owned(), text);
        }
    }
    Ok((Seen { texts, scratch }, layout))
}
