//! What all tasks of one simulated gateway share, and the carrying out of effects.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::builder::Options;
use super::clock::{self, Clock};
use super::events::{self, Event};
use super::journal::{Entry, Journal, SideEffect};
use super::profile::Profile;
use super::script::Rules;
use super::state::State;
use super::wire::WireError;
use super::{chat, control};
use crate::net::tasks::Tasks;

/// The result of a handler.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) result: Result<Value, WireError>,
    /// Carried out right after the answer is queued.
    pub(crate) effects: Vec<Effect>,
    pub(crate) later: Later,
}

/// When the answer is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Later {
    Now,
    After(Duration),
    /// `agent.wait`: the answer is made when the run ends or the time is up.
    Wait {
        run: String,
        timeout: Duration,
    },
    /// `agent`: answered now and again when the run ends.
    AndFinal {
        run: String,
    },
}

impl Answer {
    pub(crate) fn ok(payload: Value) -> Self {
        Self {
            result: Ok(payload),
            effects: Vec::new(),
            later: Later::Now,
        }
    }

    pub(crate) fn then(mut self, effect: Effect) -> Self {
        self.effects.push(effect);
        self
    }

    pub(crate) fn later(mut self, later: Later) -> Self {
        self.later = later;
        self
    }
}

impl From<WireError> for Answer {
    fn from(error: WireError) -> Self {
        Self {
            result: Err(error),
            effects: Vec::new(),
            later: Later::Now,
        }
    }
}

/// Something to do outside the handler.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    Emit(Event),
    EmitAfter(Duration, Event),
    StartRun(String),
    RestartAfter(Duration),
    CloseAll {
        after: Duration,
        code: u16,
        reason: &'static str,
    },
    CloseDevice {
        device_id: String,
        code: u16,
        reason: &'static str,
    },
}

/// Everything behind the handle.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) profile: Profile,
    pub(crate) options: Options,
    pub(crate) clock: Clock,
    pub(crate) journal: Journal,
    pub(crate) rules: Arc<Rules>,
    state: Mutex<State>,
    pub(crate) tasks: Tasks,
}

impl Server {
    pub(crate) fn new(profile: Profile, options: Options) -> Self {
        let mut state = State::new(&profile, options.seed, options.token.clone(), clock::now());
        state.said_of_itself.clone_from(&options.said_of_itself);
        for (id, name) in &options.agents {
            state.configure_agent(&profile, id, name);
        }
        state.included.clone_from(&options.included);
        Self {
            clock: Clock::new(options.epoch_ms),
            journal: Journal::new(),
            rules: Arc::default(),
            state: Mutex::new(state),
            tasks: Tasks::default(),
            profile,
            options,
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn record(&self, entry: Entry) {
        self.journal.record(self.clock.elapsed(), entry);
    }

    pub(crate) fn effect(&self, effect: SideEffect) {
        self.record(Entry::Effect(effect));
    }

    pub(crate) fn emit(&self, event: &Event) {
        events::deliver(&self.profile, &mut self.state(), event);
    }

    /// Runs a task that ends with the gateway.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    pub(crate) fn perform(self: &Arc<Self>, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Emit(event) => self.emit(&event),
                Effect::EmitAfter(after, event) => {
                    self.after(after, move |server| server.emit(&event));
                }
                Effect::StartRun(run) => chat::start(self, run),
                Effect::RestartAfter(after) => {
                    self.after(after, |server| control::restart(server, control::RestartKind::Clean));
                }
                Effect::CloseAll { after, code, reason } => {
                    self.after(after, move |server| control::close_all(server, code, reason));
                }
                Effect::CloseDevice {
                    device_id,
                    code,
                    reason,
                } => {
                    control::close_device(self, &device_id, code, reason);
                }
            }
        }
    }

    fn after(self: &Arc<Self>, after: Duration, act: impl FnOnce(&Arc<Self>) + Send + 'static) {
        let server = Arc::clone(self);
        self.spawn(async move {
            tokio::time::sleep(after).await;
            act(&server);
        });
    }

    /// Sends `tick` for as long as the gateway lives.
    pub(crate) async fn tick(self: Arc<Self>) {
        let mut interval =
            tokio::time::interval_at(clock::now() + self.options.tick_interval, self.options.tick_interval);
        loop {
            interval.tick().await;
            self.emit(&Event::new("tick", json!({"ts": self.clock.wall_ms()})));
        }
    }
}
