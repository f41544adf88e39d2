//! Writes to a gateway's configuration, gathered.
//!
//! Callers queue their entries and contend for the turn. Its holder reads the configuration, plans *one* patch for
//! all that is queued by then, and writes it; the others find their answer or take the next turn. Nothing leaves the
//! queue before its answer is known, so that a caller which is cancelled in the middle of its turn takes nothing of the
//! others with it: the next turn reads the configuration again and writes the missing entries.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::oneshot;
use windlass_protocol::config::{
    ConfigPlan, ConfigPlanError, ConfigSchema, ConfigSnapshot, HeartbeatEntry, PlanOptions, RosterForm, WriteBudget,
    patch_text, plan,
};
use windlass_protocol::connection::Resend;
use windlass_protocol::releases;
use windlass_protocol::request::{ConfigPatch, ConfigPatchReply, ConfigSchemaGet};
use windlass_protocol::{AgentId, CallError, GatewayError, Generation, NotSent, Rejected};

use super::settling::without_echo;
use super::{OpenClaw, lock};
use crate::control_plane::{ConfigFault, ControlError, ControlResult, Patched, WouldPatch, WriteQueue};
use windlass_line::LineStatus;
use windlass_sessions::{ClientAttempts, GatewayClient, offers_method};

/// Most callers that may wait: a fleet provisions some hundred agents at a time.
const QUEUE: usize = 4096;
/// How often a write is prepared again because others wrote between. Each one counts against the gateway's limit.
const CONFLICTS: u32 = 8;
/// The extra time of a restart beyond its announced delay, before the line is looked at.
const RESTART_MARGIN: Duration = Duration::from_millis(500);
/// When a restart comes that is not announced with a time: 1.35 s on 2026.9.6, 2 s by default before.
const RESTART_DELAY: Duration = Duration::from_secs(2);
/// How long a restart may be put off. 2026.8.2 does so while a request or a run is under way, and each call after the write
/// would put it off further: to the worst moment, if that is after an agent was deleted (it does not start again then).
const RESTART_BEGINS: Duration = Duration::from_secs(30);
/// Longest wait for a gateway that restarts. Not an error then: the next call waits for the line anyway.
const RESTART_LIMIT: Duration = Duration::from_mins(1);

#[derive(Debug)]
struct QueuedWrite {
    no: u64,
    entries: Vec<HeartbeatEntry>,
    answer: oneshot::Sender<ControlResult<Patched>>,
}

#[derive(Debug, Default)]
struct WriterState {
    queue: Vec<QueuedWrite>,
    next: u64,
    budget: WriteBudget,
    written: u64,
    /// The gateway keeps a part of its configuration in an included file, so that each section is a write of its own. Learnt
    /// from a refusal, as of this connection.
    by_section: Option<Generation>,
    /// As of this connection: a gateway that comes back may be another release, or have other plugins.
    schema: Option<(Generation, Option<Arc<ConfigSchema>>)>,
}

/// The configuration writes of one gateway.
#[derive(Debug, Default)]
pub(super) struct Writer {
    pub(super) turn: tokio::sync::Mutex<()>,
    shared: Mutex<WriterState>,
}

/// A place in the queue; gone when its owner is.
struct QueueGuard<'a> {
    writer: &'a Writer,
    no: u64,
}

impl Drop for QueueGuard<'_> {
    fn drop(&mut self) {
        lock(&self.writer.shared).queue.retain(|ticket| ticket.no != self.no);
    }
}

/// The state of one turn.
pub(super) struct WriteTurn {
    /// When it began: its waits, those for the gateway's limit included, are judged from here.
    start: Instant,
    attempts: ClientAttempts,
    conflicts: u32,
    /// The connection over which the latest write went out.
    over: Option<Generation>,
    /// A write went out, and its outcome is unknown.
    lost: bool,
    /// A section was written, and others were left for the next write.
    partly: bool,
    /// The agents with an entry in a write that was accepted, or may have been.
    agents: BTreeSet<AgentId>,
    /// A refused patch and its error. It is checked once more: some releases write, and refuse all the same.
    refused: Option<(Value, ControlError)>,
}

/// How one attempt at a write went.
pub(super) enum WriteStep {
    /// The configuration that was read is out of date, or a failure is a passing one.
    Again,
    /// The end for all waiting callers.
    End(ControlResult<WriteOutcome>),
    /// The gateway complains about these agents' entries only.
    Guilty(BTreeSet<AgentId>, ControlError),
}

/// How a turn ended that did not fail.
pub(super) enum WriteOutcome {
    /// All of it stood there.
    Unchanged,
    /// Something was written.
    Written {
        restarts: bool,
        /// The agents with an entry in it.
        agents: BTreeSet<AgentId>,
    },
}

impl WriteOutcome {
    /// The result for the caller of these entries.
    fn for_entries(&self, entries: &[HeartbeatEntry]) -> Patched {
        match self {
            Self::Unchanged => Patched::Unchanged,
            Self::Written { restarts, agents } => Patched::Written {
                restarts: *restarts,
                own: entries.iter().any(|entry| agents.contains(&entry.id)),
            },
        }
    }
}

impl WriteTurn {
    pub(super) fn begin(client: &GatewayClient) -> Self {
        Self {
            start: client.line().now(),
            attempts: client.attempts(Resend::Always),
            conflicts: 0,
            over: None,
            lost: false,
            partly: false,
            agents: BTreeSet::new(),
            refused: None,
        }
    }

    /// Something was written in this turn, in all with this consequence.
    fn written(&mut self, restarts: bool) -> WriteOutcome {
        WriteOutcome::Written {
            restarts,
            agents: std::mem::take(&mut self.agents),
        }
    }
}

impl Writer {
    pub(super) fn queue(&self, now: Instant) -> WriteQueue {
        let shared = lock(&self.shared);
        let wait = shared.budget.wait(now);
        WriteQueue {
            waiting: shared.queue.len(),
            next_write_in: (!shared.queue.is_empty() && !wait.is_zero()).then_some(wait),
            limit: shared.budget.limit().map(|limit| (limit.count, limit.window)),
            written: shared.written,
        }
    }

    fn enqueue(
        &self,
        entries: Vec<HeartbeatEntry>,
    ) -> ControlResult<(QueueGuard<'_>, oneshot::Receiver<ControlResult<Patched>>)> {
        let (answer, answered) = oneshot::channel();
        let mut shared = lock(&self.shared);
        if shared.queue.len() >= QUEUE {
            return Err(ConfigFault::QueueFull { limit: QUEUE }.into());
        }
        let no = shared.next;
        shared.next += 1;
        shared.queue.push(QueuedWrite { no, entries, answer });
        drop(shared);
        Ok((QueueGuard { writer: self, no }, answered))
    }

    /// The queue of this moment.
    fn batch(&self) -> (BTreeSet<u64>, Vec<HeartbeatEntry>) {
        let shared = lock(&self.shared);
        let numbers = shared.queue.iter().map(|ticket| ticket.no).collect();
        let entries = shared.queue.iter().flat_map(|ticket| ticket.entries.iter().cloned());
        (numbers, entries.collect())
    }

    fn answer(&self, wanted: impl Fn(&QueuedWrite) -> bool, end: &ControlResult<WriteOutcome>) {
        let mut shared = lock(&self.shared);
        let (answered, left) = std::mem::take(&mut shared.queue)
            .into_iter()
            .partition(|ticket| wanted(ticket));
        shared.queue = left;
        drop(shared);
        let answered: Vec<QueuedWrite> = answered;
        for ticket in answered {
            let end = match end {
                Ok(done) => Ok(done.for_entries(&ticket.entries)),
                Err(error) => Err(error.clone()),
            };
            // The caller may be gone.
            let _ = ticket.answer.send(end);
        }
    }
}

impl OpenClaw {
    pub(super) async fn write_config(&self, entries: Vec<HeartbeatEntry>) -> ControlResult<Patched> {
        if entries.is_empty() {
            return Ok(Patched::Unchanged);
        }
        let (_place, mut answered) = self.writer.enqueue(entries)?;
        loop {
            tokio::select! {
                biased;
                end = &mut answered => return end.unwrap_or_else(|_| Err(ConfigFault::Abandoned.into())),
                _turn = self.writer.turn.lock() => {
                    // Answered in the very moment in which the turn came.
                    if let Ok(end) = answered.try_recv() {
                        return end;
                    }
                    self.take_turn().await;
                }
            }
        }
    }

    pub(super) async fn would_write_config(&self, entries: &[HeartbeatEntry]) -> ControlResult<WouldPatch> {
        let snapshot = ConfigSnapshot::of(&self.config().await?);
        let planned = self.planned(&snapshot, entries).await?;
        Ok(planned.map_or(WouldPatch::default(), |plan| WouldPatch {
            agents: !plan.agents.is_empty(),
            settings: plan.has_settings(),
        }))
    }

    /// Writes the queued entries, and answers their callers.
    async fn take_turn(&self) {
        let mut turn = WriteTurn::begin(self.client());
        loop {
            if let Err(error) = self.wait_for_budget(&turn).await {
                // All that wait would wait as long.
                return self.writer.answer(|_| true, &Err(error));
            }
            let reply = self.config().await;
            // Taken after the reading, so that what came meanwhile goes along.
            let (batch, entries) = self.writer.batch();
            if batch.is_empty() {
                return;
            }
            let step = match reply {
                Ok(reply) => self.step(&mut turn, &ConfigSnapshot::of(&reply), &entries).await,
                Err(error) => WriteStep::End(Err(error)),
            };
            match step {
                WriteStep::Again => {}
                WriteStep::End(end) => return self.writer.answer(|ticket| batch.contains(&ticket.no), &end),
                WriteStep::Guilty(agents, error) => {
                    let is_guilty =
                        |ticket: &QueuedWrite| ticket.entries.iter().any(|entry| agents.contains(&entry.id));
                    self.writer.answer(is_guilty, &Err(error));
                }
            }
        }
    }

    /// Waits until the gateway takes a write, within the time that a turn has.
    pub(super) async fn wait_for_budget(&self, turn: &WriteTurn) -> ControlResult<()> {
        loop {
            let now = self.line().now();
            let wait = lock(&self.writer.shared).budget.wait(now);
            if wait.is_zero() {
                return Ok(());
            }
            let elapsed = now.saturating_duration_since(turn.start);
            if elapsed.saturating_add(wait) >= self.client().patience() {
                return Err(ConfigFault::NotBefore { wait }.into());
            }
            tokio::time::sleep(wait).await;
        }
    }

    async fn step(&self, turn: &mut WriteTurn, snapshot: &ConfigSnapshot, entries: &[HeartbeatEntry]) -> WriteStep {
        match self.planned(snapshot, entries).await {
            Ok(planned) => self.carry_out(turn, snapshot, planned).await,
            Err(error) => WriteStep::End(Err(error)),
        }
    }

    /// Writes a plan, once; without a plan nothing differs.
    pub(super) async fn carry_out(
        &self,
        turn: &mut WriteTurn,
        snapshot: &ConfigSnapshot,
        planned: Option<ConfigPlan>,
    ) -> WriteStep {
        let refused = turn.refused.take();
        let Some(plan) = planned else {
            return WriteStep::End(Ok(self.found_written(turn, refused.is_some()).await));
        };
        let over = self.line().status().borrow().generation;
        let by_section = lock(&self.writer.shared).by_section == Some(over);
        let (plan, whole) = if by_section { plan.first_section() } else { (plan, true) };
        if let Some((patch, error)) = refused
            && patch == plan.patch
        {
            return WriteStep::End(Err(error));
        }
        if !plan.refused.is_empty() {
            let left_out = &plan.refused;
            tracing::debug!(gateway = %self.line().id(), ?left_out, "not in the gateway's schema, so not written");
        }
        let request = match patch_text(&plan.patch) {
            Ok(raw) => ConfigPatch::new(raw, snapshot.hash.as_str()),
            Err(error) => {
                let why = error.to_string();
                return WriteStep::End(Err(CallError::from(NotSent::Invalid { why }).into()));
            }
        };
        let config_turn = self.config_turn().await;
        let over = self.line().status().borrow().generation;
        turn.over = Some(over);
        let sent = self.client().ask_once(&request, Resend::Never).await;
        drop(config_turn);
        match sent {
            Ok(raw) => {
                turn.agents.extend(plan.agents);
                let restarts = self.written(raw.decode().ok(), over).await;
                turn.partly |= !whole;
                if whole {
                    WriteStep::End(Ok(turn.written(restarts)))
                } else {
                    WriteStep::Again
                }
            }
            Err(CallError::Rejected(rejected)) => self.refused(turn, *rejected, plan).await,
            Err(error) => {
                let lost = matches!(error, CallError::OutcomeUnknown(_) | CallError::TimedOut(_));
                if lost {
                    lock(&self.writer.shared).budget.wrote(self.line().now());
                    turn.agents.extend(plan.agents);
                }
                turn.lost |= lost;
                self.pause(turn, error).await
            }
        }
    }

    /// Waits as the retry policy says, if it lets try again.
    async fn pause(&self, turn: &mut WriteTurn, error: CallError) -> WriteStep {
        match turn.attempts.failed(&error) {
            Some(delay) => {
                tokio::time::sleep(delay).await;
                WriteStep::Again
            }
            None => WriteStep::End(Err(error.into())),
        }
    }

    async fn refused(&self, turn: &mut WriteTurn, rejected: Rejected, plan: ConfigPlan) -> WriteStep {
        let now = self.line().now();
        {
            let mut shared = lock(&self.writer.shared);
            if shared.budget.refused(now, &rejected.error) {
                let wait = shared.budget.wait(now);
                tracing::debug!(gateway = %self.line().id(), ?wait, "the gateway takes no more writes for now");
                return WriteStep::Again;
            }
            shared.budget.wrote(now);
        }
        if releases::config_stale(&rejected.error) {
            turn.conflicts += 1;
            return if turn.conflicts > CONFLICTS {
                let attempts = turn.conflicts;
                WriteStep::End(Err(ConfigFault::Contended { attempts }.into()))
            } else {
                WriteStep::Again
            };
        }
        if releases::include_owned(&rejected.error) && plan.sections() > 1 {
            // It would have to be taken apart to write it. One section at a time is left to its file.
            lock(&self.writer.shared).by_section = turn.over;
            return WriteStep::Again;
        }
        let call = CallError::from(Box::new(rejected.clone()));
        if call.may_retry(Resend::Never) {
            return self.pause(turn, call).await;
        }
        let guilty = guilty(&rejected.error, &plan);
        let error = without_echo(call.into(), &plan.patch.to_string());
        if !guilty.is_empty() {
            return WriteStep::Guilty(guilty, error);
        }
        // The schema may be another one by now.
        lock(&self.writer.shared).schema = None;
        turn.agents.extend(plan.agents);
        turn.refused = Some((plan.patch, error));
        WriteStep::Again
    }

    /// Nothing is left to be written. It was this turn that wrote it if it lost an answer before, or was told no.
    async fn found_written(&self, turn: &mut WriteTurn, refused: bool) -> WriteOutcome {
        if !turn.lost && !refused {
            // The sections before were counted one by one.
            return if turn.partly {
                turn.written(false)
            } else {
                WriteOutcome::Unchanged
            };
        }
        lock(&self.writer.shared).written += 1;
        // The answer was lost because the gateway went down over it, or it said no and will.
        if let (Some(over), false) = (turn.over, turn.lost) {
            self.wait_out_restart(over, RESTART_DELAY).await;
        }
        turn.written(true)
    }

    /// Counts a write, and waits for the restart that it sets off, so that no later call falls into it. Whether
    /// there was one.
    async fn written(&self, reply: Option<ConfigPatchReply>, over: Generation) -> bool {
        {
            let mut shared = lock(&self.writer.shared);
            shared.budget.wrote(self.line().now());
            shared.written += 1;
        }
        let Some(reply) = reply.filter(ConfigPatchReply::restarts) else {
            return false;
        };
        let announced = reply
            .restart
            .and_then(|restart| restart.delay_ms)
            .map(Duration::from_millis);
        self.wait_out_restart(over, announced.unwrap_or(RESTART_DELAY)).await;
        true
    }

    /// Waits until the gateway has restarted, seen by the end of the connection `over` which it was told to.
    async fn wait_out_restart(&self, over: Generation, announced: Duration) {
        // Not only for the first end: 2026.1.30 restarts twice for one write, the second time when it said that it would.
        tokio::time::sleep(announced.min(RESTART_LIMIT) + RESTART_MARGIN).await;
        let status = self.line().watched_status();
        let ended = |status: &LineStatus| status.generation != over || !status.is_up();
        // Whatever comes next waits for the line itself, and says so if it does not come back.
        let _ = tokio::time::timeout(RESTART_BEGINS, status.until(ended)).await;
        let _ = tokio::time::timeout(RESTART_LIMIT, status.until(LineStatus::is_up)).await;
    }

    async fn planned(
        &self,
        snapshot: &ConfigSnapshot,
        entries: &[HeartbeatEntry],
    ) -> ControlResult<Option<ConfigPlan>> {
        let form = Some(self.usual_form().await?);
        let make = |schema| plan(snapshot, entries, PlanOptions { schema, form }).map_err(no_plan);
        // Schemas are large: read only where there is something to write at all.
        if make(None)?.is_none() {
            return Ok(None);
        }
        let schema = self.schema().await?;
        Ok(make(schema.as_deref())?)
    }

    /// The form of a roster where neither configuration nor schema tell.
    async fn usual_form(&self) -> ControlResult<RosterForm> {
        let hello = self.hello().await?;
        let by_map = hello.protocol >= 4 && offers_method(&hello, "cron.scratch.get");
        Ok(if by_map { RosterForm::Entries } else { RosterForm::List })
    }

    /// The gateway's own schema, read once per connection; nothing where it does not show one.
    async fn schema(&self) -> ControlResult<Option<Arc<ConfigSchema>>> {
        let generation = self.line().status().borrow().generation;
        if let Some((known, schema)) = &lock(&self.writer.shared).schema
            && *known == generation
        {
            return Ok(schema.clone());
        }
        let schema = match self.client().ask_raw(&ConfigSchemaGet::new(), Resend::Always).await {
            Ok(raw) => ConfigSchema::parse(raw.as_str()).ok().map(Arc::new),
            Err(CallError::Rejected(_)) => None,
            Err(error) => return Err(error.into()),
        };
        lock(&self.writer.shared).schema = Some((generation, schema.clone()));
        Ok(schema)
    }
}

pub(super) fn no_plan(error: ConfigPlanError) -> ConfigFault {
    match error {
        ConfigPlanError::Unreadable(place) => ConfigFault::Unreadable { place: place.into() },
        ConfigPlanError::NoRoster => ConfigFault::NoRoster,
    }
}

/// The agents of a plan that the gateway's complaints (`details.issues[].path`) are about: `agents.entries.<id>...` or
/// `agents.list.<place>...`. None, if any complaint is about something else.
fn guilty(error: &GatewayError, plan: &ConfigPlan) -> BTreeSet<AgentId> {
    let issues = error.detail("issues").and_then(Value::as_array);
    let mut guilty = BTreeSet::new();
    for issue in issues.into_iter().flatten() {
        let path = issue.get("path").and_then(Value::as_str).unwrap_or_default();
        let id = match path.split('.').collect::<Vec<_>>().as_slice() {
            ["agents", "entries", id, ..] => Some(*id),
            ["agents", "list", place, ..] => {
                let row = plan.patch.pointer(&format!("/agents/list/{place}/id"));
                row.and_then(Value::as_str)
            }
            _ => None,
        };
        match id.and_then(|id| plan.agents.iter().find(|agent| agent.as_str() == id)) {
            Some(agent) => drop(guilty.insert(agent.clone())),
            None => return BTreeSet::new(),
        }
    }
    guilty
}
