//! Building a simulated gateway.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::SimGateway;
use super::chat::ChatPlan;
use super::profile::{Generation, Profile};
use super::server::Server;
use crate::net::listener::Port;

/// What a test sets besides the release.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) token: Option<String>,
    /// In its place, where the gateway asks for a password.
    pub(crate) password: Option<String>,
    pub(crate) tick_interval: Duration,
    pub(crate) seed: u64,
    pub(crate) epoch_ms: u64,
    pub(crate) remote: bool,
    pub(crate) trusted_proxy: bool,
    pub(crate) insecure_control_ui: bool,
    pub(crate) create_settles_after: Duration,
    pub(crate) restart_delay: Option<Duration>,
    pub(crate) restart_put_off: Duration,
    pub(crate) included: Option<String>,
    pub(crate) extra_methods: Vec<String>,
    pub(crate) hidden_methods: Vec<String>,
    /// By id and name.
    pub(crate) agents: Vec<(String, String)>,
    pub(crate) said_of_itself: Vec<String>,
    pub(crate) chat: ChatPlan,
    pub(crate) session: serde_json::Value,
}

/// Settings of a gateway to be simulated; got from [`SimGateway::builder`].
#[derive(Clone, Debug)]
pub struct SimGatewayBuilder {
    profile: Profile,
    options: Options,
}

/// 2026-11-22T12:00:00Z: the day on which the releases were measured.
const EPOCH_MS: u64 = 1_795_348_800_000;
/// `policy.tickIntervalMs` of all nine releases.
const TICK: Duration = Duration::from_secs(30);

impl Default for SimGatewayBuilder {
    fn default() -> Self {
        Self {
            profile: Profile::latest(Generation::V4),
            options: Options {
                token: Some("sim-token".into()),
                password: None,
                tick_interval: TICK,
                seed: 1,
                epoch_ms: EPOCH_MS,
                remote: false,
                trusted_proxy: false,
                insecure_control_ui: false,
                create_settles_after: Duration::ZERO,
                restart_delay: None,
                restart_put_off: Duration::ZERO,
                included: None,
                extra_methods: Vec::new(),
                hidden_methods: Vec::new(),
                agents: Vec::new(),
                said_of_itself: Vec::new(),
                chat: ChatPlan::default(),
                session: serde_json::Value::Null,
            },
        }
    }
}

impl SimGatewayBuilder {
    /// The release that stands for this generation: 2026.3.13 or 2026.9.6 (which is the default).
    pub fn generation(mut self, generation: Generation) -> Self {
        self.profile = Profile::latest(generation);
        self
    }

    /// One of the nine measured [`RELEASES`](crate::RELEASES).
    ///
    /// # Panics
    ///
    /// For any other name: there are no facts about it.
    #[track_caller]
    pub fn release(mut self, release: &str) -> Self {
        match Profile::of(release) {
            Some(profile) => self.profile = profile,
            None => panic!(
                "{release} is not among the measured releases {:?}",
                super::profile::RELEASES
            ),
        }
        self
    }

    /// A release with changes.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// The shared token, `sim-token` unless set.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.options.token = Some(token.into());
        self
    }

    /// Asks for this password instead of a token.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.options.password = Some(password.into());
        self
    }

    /// Runs without authentication.
    pub fn no_auth(mut self) -> Self {
        (self.options.token, self.options.password) = (None, None);
        self
    }

    /// Time between `tick` events, and `policy.tickIntervalMs`; 30 s unless set. At least one millisecond.
    pub fn tick_interval(mut self, interval: Duration) -> Self {
        self.options.tick_interval = interval.max(Duration::from_millis(1));
        self
    }

    /// Seed of all identifiers; the same seed and the same calls give the same identifiers.
    pub fn seed(mut self, seed: u64) -> Self {
        self.options.seed = seed;
        self
    }

    /// Wall clock in milliseconds at the start; tokio time is added to it. The default is in November 2026: a
    /// client that signs with its own clock instead of `challenge.ts` needs the real time here.
    pub fn epoch_ms(mut self, epoch_ms: u64) -> Self {
        self.options.epoch_ms = epoch_ms;
        self
    }

    /// Treats every client as remote: devices have to be approved, clients without one get no scopes.
    pub fn remote(mut self, remote: bool) -> Self {
        self.options.remote = remote;
        self
    }

    /// Trusts `X-Forwarded-For`; such a client is remote. Without it generation 4 answers such an upgrade with 403.
    pub fn trusted_proxy(mut self, trusted: bool) -> Self {
        self.options.trusted_proxy = trusted;
        self
    }

    /// `gateway.controlUi.allowInsecureAuth`: a control UI without a device is let in, on generation 3 only.
    pub fn insecure_control_ui(mut self, allowed: bool) -> Self {
        self.options.insecure_control_ui = allowed;
        self
    }

    /// For this long after `agents.create`, `agents.update`, `agents.delete` and `agents.files.*` don't know the agent (0.6 s
    /// on 2.26, 0.3 s on 9.6; none seen on the releases between).
    pub fn create_settles_after(mut self, time: Duration) -> Self {
        self.options.create_settles_after = time;
        self
    }

    /// Has this agent in its configuration from the start. The name may have [half a character](crate::half) in it.
    pub fn agent(mut self, id: impl Into<String>, name: impl Into<String>) -> Self {
        self.options.agents.push((id.into(), name.into()));
        self
    }

    /// Has this text in its presence from the start, as some client's `system-event` put it there.
    pub fn presence(mut self, text: impl Into<String>) -> Self {
        self.options.said_of_itself.push(text.into());
        self
    }

    /// How long after a `config.patch` the releases that restart for it do so, whatever the caller asks for; what the caller asks
    /// for, or 2 s, unless set. For tests in real time.
    pub fn restart_delay(mut self, delay: Duration) -> Self {
        self.options.restart_delay = Some(delay);
        self
    }

    /// How much later than it says the gateway restarts for a `config.patch`: 2026.8.2 puts it off while requests or runs are
    /// under way.
    pub fn restart_put_off(mut self, time: Duration) -> Self {
        self.options.restart_put_off = time;
        self
    }

    /// Keeps a section of the configuration in an included file: `"agents": {"$include": "./agents.json5"}`. Releases that leave
    /// the file to its owner (see [`Profile::includes_kept`]) refuse a write over it and other sections; the others write what
    /// it says into their main file.
    pub fn included(mut self, section: &str) -> Self {
        self.options.included = Some(section.to_owned());
        self
    }

    /// Advertises a method that the simulation does not have; script its answer.
    pub fn advertise(mut self, method: &str) -> Self {
        self.options.extra_methods.push(method.to_owned());
        self
    }

    /// Leaves a method out of `features.methods`; it still answers.
    pub fn hide(mut self, method: &str) -> Self {
        self.options.hidden_methods.push(method.to_owned());
        self
    }

    /// What the fake model does.
    pub fn chat(mut self, plan: ChatPlan) -> Self {
        self.options.chat = plan;
        self
    }

    /// One main session for all agents: `session.scope: "global"`.
    pub fn global_session(mut self) -> Self {
        self.options.session["scope"] = "global".into();
        self
    }

    /// What main sessions' keys end in: `session.mainKey`.
    pub fn main_key(mut self, key: &str) -> Self {
        self.options.session["mainKey"] = key.into();
        self
    }

    /// Starts on a free port of 127.0.0.1, inside the current tokio runtime. Not for paused time: sockets do not
    /// wait for the virtual clock.
    ///
    /// # Errors
    ///
    /// When no port can be bound.
    pub async fn start_tcp(self) -> io::Result<SimGateway> {
        let port = Port::bind()?;
        let sim = self.start(Some(port));
        sim.listening(true).await;
        Ok(sim)
    }

    /// Starts without a socket, inside the current tokio runtime: [`SimGateway::dial`] gives the client's end of an
    /// in-memory pipe. Works under paused time.
    pub fn start_pipe(self) -> SimGateway {
        self.start(None)
    }

    fn start(self, port: Option<Port>) -> SimGateway {
        let (chat, session) = (self.options.chat.clone(), self.options.session.clone());
        let server = Arc::new(Server::new(self.profile, self.options));
        server.state().plan = chat;
        if !session.is_null() {
            server.state().config["session"] = session;
        }
        server.spawn(Arc::clone(&server).tick());
        SimGateway::new(server, port)
    }
}
