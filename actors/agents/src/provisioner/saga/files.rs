//! The step that writes an agent's files, and the token that they carry.

use std::collections::{BTreeMap, BTreeSet};

use windlass_protocol::AgentId;
use windlass_store::{Agent, AgentRole, AgentToken, StepName, TokenHash};
use windlass_templates::{Content, Layout, Placement, tool_values};

use super::{Saga, StepProgress};
use crate::control_plane::{Capabilities, ControlError, ControlPlane, FileWrite};
use crate::offload::verify;
use crate::provisioner::content::{FileAction, FilesPlan, FilesSeen};
use crate::provisioner::report::{Changes, FailedStep, StepError};
use crate::provisioner::request::TokenRule;

const STEP: StepName = StepName::Files;

/// How many files a gateway may refuse, one after the other, before it is given up: all that there are.
const REFUSALS: usize = Content::ALL.len();

/// 2026.1.30 makes a HEARTBEAT.md without a task, and asks no model about a file without a task.
const NO_FILES: &str = "this gateway has no file methods: its files were not written, and its heartbeats are skipped until its HEARTBEAT.md \
                        names a task";

impl Saga {
    /// Writes missing and different files, and keeps the rest.
    pub(crate) async fn write_files(&mut self) -> Result<(), FailedStep> {
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
                return Err(at(StepError::FileRefused { file: refused }));
            }
            layout = moved;
        }
        Err(at(StepError::FileRefused { file: "files".into() }))
    }

    async fn plan_files(
        &self,
        layout: &Layout,
        seen: &FilesSeen,
        token: &str,
    ) -> Result<(Placement, FilesPlan), FailedStep> {
        self.desired().files(layout, seen, token).await.map_err(at)
    }

    /// Carries out the plan, and returns the file that the gateway does not take, if it met one.
    async fn apply(
        &mut self,
        id: &AgentId,
        wanted: &Placement,
        plan: &FilesPlan,
    ) -> Result<Option<String>, FailedStep> {
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

fn at(why: impl Into<StepError>) -> FailedStep {
    FailedStep::at(STEP, why)
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
pub(crate) async fn look(
    plane: &dyn ControlPlane,
    id: &AgentId,
    capabilities: Capabilities,
) -> Result<(FilesSeen, Layout), ControlError> {
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
    Ok((FilesSeen { texts, scratch }, layout))
}

/// The token to write.
pub(crate) struct TokenToWrite {
    /// A secret.
    pub(crate) text: String,
    /// Whether it takes the place of an older one.
    pub(crate) rotated: bool,
}

/// How a token that was found relates to the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenMatch {
    /// It is the agent's.
    Current,
    /// It was written by a run that did not come to its end.
    Next,
    /// It is another one.
    Wrong,
}

pub(crate) async fn match_token(agent: &Agent, found: &str) -> TokenMatch {
    if verify(agent.next_token_hash.as_ref(), found).await {
        TokenMatch::Next
    } else if verify(agent.token_hash.as_ref(), found).await {
        TokenMatch::Current
    } else {
        TokenMatch::Wrong
    }
}

/// Reads the token back from the file that holds it.
pub(crate) fn find_token(seen: &FilesSeen, layout: &Layout) -> Option<String> {
    let text = seen.texts.get(layout.holder_of_token())?;
    tool_values(text).get("AUTH_TOKEN").map(str::to_owned)
}

impl Saga {
    pub(crate) async fn token(&mut self, seen: &FilesSeen, layout: &Layout) -> Result<TokenToWrite, FailedStep> {
        let found = find_token(seen, layout);
        let known = match found.as_deref() {
            Some(found) => Some(match_token(&self.records.agent, found).await),
            None => None,
        };
        let rule = self.params.options.token;
        match (rule, found, known) {
            (TokenRule::Rotate | TokenRule::Keep, Some(text), Some(TokenMatch::Next)) => Ok(TokenToWrite {
                text,
                rotated: rule == TokenRule::Rotate,
            }),
            (TokenRule::MustExist, Some(text), Some(TokenMatch::Next)) => Ok(TokenToWrite { text, rotated: false }),
            (TokenRule::Keep | TokenRule::MustExist, Some(text), Some(TokenMatch::Current)) => self.keep(text).await,
            (TokenRule::MustExist, Some(text), _) => {
                self.warnings.push(format!(
                    "the token in {} is not the one on record: sync with rotated tokens to give the agent a new one",
                    layout.holder_of_token()
                ));
                self.keep(text).await
            }
            (TokenRule::MustExist, None, _) => Err(FailedStep::at(
                StepName::Files,
                StepError::TokenMissing {
                    file: layout.holder_of_token().to_owned(),
                },
            )),
            (TokenRule::Rotate | TokenRule::Keep, _, _) => self.mint().await,
        }
    }

    /// A token that stays; one that was made and never written is forgotten, so that none but this is taken for right.
    async fn keep(&mut self, text: String) -> Result<TokenToWrite, FailedStep> {
        if self.records.agent.next_token_hash.is_some() {
            self.set_next(None).await?;
        }
        Ok(TokenToWrite { text, rotated: false })
    }

    /// A new token. Its hash is on record before the gateway sees it, beside that of the old one, and takes its place
    /// when the files are written: whenever this is cut off, the token that the agent has is one that is known.
    async fn mint(&mut self) -> Result<TokenToWrite, FailedStep> {
        let token = AgentToken::from_bytes(self.ctx.random());
        let hash = TokenHash::new(&token, self.ctx.random());
        let rotated = self.records.agent.token_hash.is_some();
        self.set_next(Some(hash)).await?;
        Ok(TokenToWrite {
            text: token.expose().to_owned(),
            rotated,
        })
    }

    async fn set_next(&mut self, hash: Option<TokenHash>) -> Result<(), FailedStep> {
        let at_store = |error| FailedStep::at(StepName::Files, StepError::Store(error));
        let changed = self
            .ctx
            .change(self.records.agent.id, |agent| agent.next_token_hash.clone_from(&hash))
            .await
            .map_err(at_store)?;
        self.records.agent = changed.ok_or_else(|| FailedStep::at(StepName::Files, StepError::Gone))?;
        Ok(())
    }

    /// After the files were written: the token that was made for them is the agent's token now.
    pub(crate) fn promote_token(&self, agent: &mut Agent) {
        if self.is_done(StepName::Files)
            && let Some(next) = agent.next_token_hash.take()
        {
            agent.token_hash = Some(next);
        }
    }
}
