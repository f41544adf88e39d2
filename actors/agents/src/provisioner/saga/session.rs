//! The steps that touch an agent's session: a fresh start, and the wake.

use windlass_protocol::RetryPolicy;
use windlass_store::{StepName, Timestamp};

use super::super::lifecycle;
use super::super::report::Changes;
use super::super::report::Failed;
use super::super::request::Wake;
use super::{Saga, StepProgress};
use crate::control_plane::Outgoing;

impl Saga {
    /// Begins a fresh session where that was asked for.
    pub(in super::super) async fn reset(&mut self) -> Result<(), Failed> {
        const STEP: StepName = StepName::Reset;
        if !self.params.options.reset_session || self.is_awake().await? || self.enter(STEP) == StepProgress::Done {
            return Ok(());
        }
        let planned = Changes {
            reset: true,
            ..Changes::default()
        };
        self.begun(STEP, &planned).await?;
        let reset = self
            .plane
            .reset_session(self.records.session())
            .await
            .map_err(|error| Failed::at(STEP, error))?;
        self.done(
            STEP,
            &Changes {
                reset,
                ..Changes::default()
            },
        )
        .await
    }

    /// Wakes the agent, if that is wanted: once, however often this is begun.
    pub(in super::super) async fn wake(&mut self) -> Result<(), Failed> {
        const STEP: StepName = StepName::Wake;
        let changed = self.is_first() || self.changes.any();
        if !self.params.options.wake.wanted(changed) || self.is_awake().await? {
            return Ok(());
        }
        let entry = self.enter(STEP);
        if entry == StepProgress::Done {
            return Ok(());
        }
        let at = |error| Failed::at(STEP, error);
        let key = self.records.session().clone();
        let exists = self.plane.session(&key).await.map_err(at)?.is_some();
        // A session that is made before its first turn breaks on 2026.6.11: the message makes it, the label comes after.
        if exists {
            self.label().await;
        }
        let woken = Changes {
            woken: true,
            ..Changes::default()
        };
        self.begun(STEP, &woken).await?;
        self.woken_at = self.steps.get(&STEP).map(|step| step.at);
        let idempotency_key = self.run.wake_key.clone().unwrap_or_default();
        let text = self.desired().wake_message(&idempotency_key).await;
        let text = text.map_err(|error| Failed::at(STEP, error))?;
        let message = Outgoing {
            key,
            text,
            deliver: self.params.options.deliver,
            idempotency_key,
            tried_before: entry == StepProgress::Again,
            within: RetryPolicy::PROVISIONING.budget,
        };
        self.plane.send(&message).await.map_err(at)?;
        if !exists {
            self.label().await;
        }
        self.done(STEP, &woken).await
    }

    /// Whether the agent needs no wake any more, where that counts: it may have answered the last one since this run began.
    async fn is_awake(&self) -> Result<bool, Failed> {
        // What was begun is brought to its end.
        let begun = [StepName::Reset, StepName::Wake]
            .iter()
            .any(|step| self.steps.contains_key(step));
        if self.params.options.wake != Wake::UnlessSeen || begun {
            return Ok(false);
        }
        let record = self.ctx.store.agent(self.records.agent.id).await;
        let record = record.map_err(|error| Failed::at(StepName::Wake, error))?;
        Ok(record.is_some_and(|agent| lifecycle::has_answered(&agent)))
    }

    /// A label only helps people to find the session: that it can't be set is no failure.
    async fn label(&mut self) {
        let label = &self.records.agent.name;
        if let Err(error) = self.plane.ensure_session(self.records.session(), Some(label)).await {
            self.warnings.push(format!("the session has no label: {error}"));
        }
    }

    /// When the wake began to be sent, if it was sent: the agent's words from then on are an answer.
    pub(super) fn woken_at(&self) -> Option<Timestamp> {
        let step = self.steps.get(&StepName::Wake)?;
        let sent = self.woken_at.unwrap_or(step.at);
        self.is_done(StepName::Wake).then_some(sent)
    }
}
