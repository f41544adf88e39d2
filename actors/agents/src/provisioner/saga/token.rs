//! Which token an agent's files carry.

use windlass_store::{Agent, AgentToken, StepName, TokenHash};
use windlass_templates::{Layout, tool_values};

use super::super::file_plan::Seen;
use super::super::report::{Failed, Why};
use super::super::request::TokenRule;
use super::Saga;
use crate::verifying::verify;

/// The token to write.
pub(in super::super) struct TokenToWrite {
    /// A secret.
    pub(in super::super) text: String,
    /// Whether it takes the place of an older one.
    pub(in super::super) rotated: bool,
}

/// How a token that was found relates to the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Known {
    /// It is the agent's.
    Current,
    /// It was written by a run that did not come to its end.
    Next,
    /// It is another one.
    Wrong,
}

pub(in super::super) async fn recognise(agent: &Agent, found: &str) -> Known {
    if verify(agent.next_token_hash.as_ref(), found).await {
        Known::Next
    } else if verify(agent.token_hash.as_ref(), found).await {
        Known::Current
    } else {
        Known::Wrong
    }
}

/// Reads the token back from the file that holds it.
pub(in super::super) fn find(seen: &Seen, layout: &Layout) -> Option<String> {
    let text = seen.texts.get(layout.holder_of_token())?;
    tool_values(text).get("AUTH_TOKEN").map(str::to_owned)
}

impl Saga {
    pub(super) async fn token(&mut self, seen: &Seen, layout: &Layout) -> Result<TokenToWrite, Failed> {
        let found = find(seen, layout);
        let known = match found.as_deref() {
            Some(found) => Some(recognise(&self.records.agent, found).await),
            None => None,
        };
        let rule = self.params.options.token;
        match (rule, found, known) {
            (TokenRule::Rotate | TokenRule::Keep, Some(text), Some(Known::Next)) => Ok(TokenToWrite {
                text,
                rotated: rule == TokenRule::Rotate,
            }),
            (TokenRule::MustExist, Some(text), Some(Known::Next)) => Ok(TokenToWrite { text, rotated: false }),
            (TokenRule::Keep | TokenRule::MustExist, Some(text), Some(Known::Current)) => self.keep(text).await,
            (TokenRule::MustExist, Some(text), _) => {
                self.warnings.push(format!(
                    "the token in {} is not the one on record: sync with rotated tokens to give the agent a new one",
                    layout.holder_of_token()
                ));
                self.keep(text).await
            }
            (TokenRule::MustExist, None, _) => Err(Failed::at(
                StepName::Files,
                Why::TokenMissing {
                    file: layout.holder_of_token().to_owned(),
                },
            )),
            (TokenRule::Rotate | TokenRule::Keep, _, _) => self.mint().await,
        }
    }

    /// A token that stays; one that was made and never written is forgotten, so that none but this is taken for right.
    async fn keep(&mut self, text: String) -> Result<TokenToWrite, Failed> {
        if self.records.agent.next_token_hash.is_some() {
            self.set_next(None).await?;
        }
        Ok(TokenToWrite { text, rotated: false })
    }

    /// A new token. Its hash is on record before the gateway sees it, beside that of the old one, and takes its place
    /// when the files are written: whenever this is cut off, the token that the agent has is one that is known.
    async fn mint(&mut self) -> Result<TokenToWrite, Failed> {
        let token = AgentToken::from_bytes(self.ctx.random());
        let hash = TokenHash::new(&token, self.ctx.random());
        let rotated = self.records.agent.token_hash.is_some();
        self.set_next(Some(hash)).await?;
        Ok(TokenToWrite {
            text: token.expose().to_owned(),
            rotated,
        })
    }

    async fn set_next(&mut self, hash: Option<TokenHash>) -> Result<(), Failed> {
        let at_store = |error| Failed::at(StepName::Files, Why::Store(error));
        let changed = self
            .ctx
            .change(self.records.agent.id, |agent| agent.next_token_hash.clone_from(&hash))
            .await
            .map_err(at_store)?;
        self.records.agent = changed.ok_or_else(|| Failed::at(StepName::Files, Why::Gone))?;
        Ok(())
    }

    /// After the files were written: the token that was made for them is the agent's token now.
    pub(super) fn promote_token(&self, agent: &mut Agent) {
        if self.is_done(StepName::Files)
            && let Some(next) = agent.next_token_hash.take()
        {
            agent.token_hash = Some(next);
        }
    }
}
