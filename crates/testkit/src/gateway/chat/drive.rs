//! The fake model run, event by event.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::steps::{assistant, begin, complete, enter, failed, first_error, lifecycle_error, silent, tool};
use super::{Outcome, Run, Status};
use crate::gateway::events::{self, Event};
use crate::gateway::halves;
use crate::gateway::journal::SideEffect;
use crate::gateway::profile::{FailedRun, Profile};
use crate::gateway::server::Server;
use crate::gateway::state::State;

/// From the first error event of a failed run to the second (6.11).
const SECOND_ERROR: Duration = Duration::from_millis(160);

/// Starts the run as a task of the gateway.
pub(crate) fn start(server: &Arc<Server>, id: String) {
    let server = Arc::clone(server);
    let task = Drive {
        server: Arc::clone(&server),
        id,
    };
    server.spawn(async move {
        // `None` means that the run was ended from outside: aborted, or its gateway restarted.
        if task.run().await.is_some() {
            task.start_waiting();
        }
    });
}

/// Takes up turns that a crash interrupted, under new ids (seen on 9.6).
pub(crate) fn resume(server: &Arc<Server>) {
    let resumed: Vec<String> = {
        let mut state = server.state();
        let interrupted = std::mem::take(&mut state.interrupted);
        interrupted
            .into_iter()
            .map(|run| revive(server, &mut state, run))
            .collect()
    };
    for id in resumed {
        start(server, id);
    }
}

fn revive(server: &Server, state: &mut State, run: Run) -> String {
    if server.profile.resumption_replaces_row {
        replace_row(state, &run);
    }
    let id = state.random.uuid();
    let run = Run {
        id: id.clone(),
        status: Status::Running,
        text: String::new(),
        seq: 0,
        joined: Vec::new(),
        waiting: Vec::new(),
        noted: false,
        failing: false,
        ended: None,
        over: Arc::new(watch::Sender::new(false)),
        message: format!("[System] Your previous turn was interrupted. {}", run.message),
        came_ms: server.clock.wall_ms(),
        ..run
    };
    let message = run.message.clone();
    server.effect(SideEffect::ChatRun {
        key: id.clone(),
        session: run.session.clone(),
        message,
    });
    state.run_order.push_back(id.clone());
    state.runs.insert(id.clone(), run);
    id
}

/// Takes the text of an interrupted turn out of the transcript: the notice that follows stands for it.
fn replace_row(state: &mut State, run: &Run) {
    let Some(session) = state.sessions.get_mut(&run.session) else {
        return;
    };
    let stamp = serde_json::json!(run.came_ms);
    let is_ours = |row: &serde_json::Value| row["role"] == "user" && row["timestamp"] == stamp;
    if let Some(at) = session.rows.iter().rposition(is_ours) {
        session.rows.remove(at);
    }
}

struct Drive {
    server: Arc<Server>,
    id: String,
}

impl Drive {
    fn profile(&self) -> &Profile {
        &self.server.profile
    }

    /// Runs `act` on the state if the run is still going, and sends what it made. `None` ends the drive.
    fn step(&self, act: impl FnOnce(&Profile, &mut State, &mut Run, u64) -> Vec<Event>) -> Option<()> {
        let profile = &self.server.profile;
        let now_ms = self.server.clock.wall_ms();
        let mut state = self.server.state();
        // Taken out so that the rest of the state stays free for the step.
        let mut run = state.runs.remove(&self.id)?;
        let events = if run.active() {
            Some(act(profile, &mut state, &mut run, now_ms))
        } else {
            None
        };
        state.runs.insert(self.id.clone(), run);
        for event in events? {
            events::deliver(profile, &mut state, &event);
        }
        Some(())
    }

    /// Sleeps unless the run ends meanwhile.
    async fn pause(&self, pause: Duration) -> Option<()> {
        let mut over = self.server.state().runs.get(&self.id)?.over.subscribe();
        tokio::select! {
            biased;
            _ = over.wait_for(|over| *over) => None,
            () = tokio::time::sleep(pause) => Some(()),
        }
    }

    async fn run(&self) -> Option<()> {
        let plan = self.server.state().runs.get(&self.id)?.plan.clone();
        self.step(enter)?;
        self.pause(plan.first_after).await?;
        self.step(begin)?;
        if plan.tool {
            self.step(tool)?;
            self.pause(plan.pace).await?;
        }
        match plan.outcome {
            Outcome::Complete => {
                let reply = self.reply()?;
                let pieces = halves::pieces(&reply, plan.increments);
                for (at, piece) in pieces.iter().enumerate() {
                    if at > 0 {
                        self.pause(plan.pace).await?;
                    }
                    let last = at + 1 == pieces.len();
                    self.step(|profile, _, run, now_ms| assistant(profile, run, piece, (at == 0, last), now_ms))?;
                }
                self.step(|profile, state, run, now_ms| complete(&self.server, profile, state, run, now_ms))
            }
            Outcome::Fail { status } => self.fail(status).await,
            Outcome::Silent => {
                self.pause(plan.pace).await?;
                self.step(|profile, state, run, now_ms| silent(&self.server, profile, state, run, now_ms))
            }
            Outcome::Hang => {
                self.pause(Duration::MAX).await?;
                Some(())
            }
        }
    }

    /// Texts that waited for this run go on now, under ids that nobody saw.
    fn start_waiting(&self) {
        let mut state = self.server.state();
        let run = state.runs.get_mut(&self.id);
        let mut waiting = run.map(|run| std::mem::take(&mut run.waiting)).unwrap_or_default();
        if waiting.is_empty() {
            return;
        }
        let next = waiting.remove(0);
        // One at a time: the others wait for that one.
        let Some(run) = state.runs.get_mut(&next) else { return };
        run.waiting = waiting;
        let effect = SideEffect::ChatRun {
            key: next.clone(),
            session: run.session.clone(),
            message: run.message.clone(),
        };
        drop(state);
        self.server.effect(effect);
        start(&self.server, next);
    }

    fn reply(&self) -> Option<String> {
        let state = self.server.state();
        let run = state.runs.get(&self.id)?;
        Some(
            run.plan
                .reply
                .clone()
                .unwrap_or_else(|| format!("echo: {}", run.message)),
        )
    }

    async fn fail(&self, status: u16) -> Option<()> {
        let text = format!("{status} fake failure {status}");
        // 4.15 and 5.12 try a failing server again after 2, 4 and 8 s.
        if status >= 500 && self.profile().failed_run == FailedRun::NoTerminal {
            for wait in [2, 4, 8] {
                self.step(|profile, _, run, now_ms| vec![lifecycle_error(profile, run, &text, now_ms)])?;
                self.pause(Duration::from_secs(wait)).await?;
                self.step(begin)?;
            }
        }
        if self.profile().drops_after_failure {
            self.step(|profile, _, run, now_ms| first_error(profile, run, &text, now_ms))?;
            self.pause(SECOND_ERROR).await?;
        }
        self.step(|profile, state, run, now_ms| failed(&self.server, profile, state, run, &text, now_ms))
    }
}
