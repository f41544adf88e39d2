//! The simulated gateway. See the crate documentation for a tour.

pub(crate) mod builder;
mod chat;
pub(crate) mod clock;
mod config;
mod connection;
mod control;
mod device;
mod events;
pub(crate) mod freeze;
pub(crate) mod halves;
mod handshake;
mod heartbeat;
mod hello;
pub(crate) mod journal;
mod methods;
mod pairing;
mod params;
pub(crate) mod profile;
mod random;
mod reader;
mod requests;
mod roster;
pub(crate) mod script;
mod server;
mod spelling;
mod state;
mod upgrade;
pub(crate) mod wire;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::DuplexStream;

pub use self::builder::SimGatewayBuilder;
pub use self::chat::{ChatPlan, NO_REPLY, Outcome};
pub use self::control::RestartKind;
pub use self::heartbeat::HeartbeatEnd;
pub use self::pairing::PendingPairing;

use self::events::Event;
use self::journal::Journal;
use self::profile::Profile;
use self::script::Script;
use self::server::Server;
use self::state::Door;
use crate::net::link::{Cut, Direction};
use crate::net::listener::{Acceptor, Port};
use crate::net::shaper::bandwidth::Bandwidth;
use crate::net::stream::Raw;

/// How long [`SimGateway::wait_for`] waits, in tokio time: longer than any client's backoff.
pub const WAIT_LIMIT: Duration = Duration::from_secs(120);
/// Bytes that an in-memory pipe holds in each direction.
const PIPE: usize = 64 * 1024;

/// What a test waited for did not happen in time.
#[derive(Debug, thiserror::Error)]
#[error("not seen within {waited:?}; connections {open} open of {attempts}, last entries: {tail:#?}")]
pub struct NotSeen {
    waited: Duration,
    open: u64,
    attempts: u64,
    tail: Vec<journal::Record>,
}

/// A handle on a simulated gateway. All clones are the same gateway; dropping the last one ends it and everything
/// that it started.
#[derive(Clone, Debug)]
pub struct SimGateway {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    server: Arc<Server>,
    door: Option<Acceptor>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Dropping the set aborts the tasks.
        drop(self.server.tasks.take());
    }
}

impl SimGateway {
    /// Settings to start from: 2026.9.6, token `sim-token`, ticks every 30 s, seed 1.
    pub fn builder() -> SimGatewayBuilder {
        SimGatewayBuilder::default()
    }

    fn new(server: Arc<Server>, port: Option<Port>) -> Self {
        let door = port.map(|port| {
            let owner = Arc::clone(&server);
            let accepted = move |stream| connection::accept(&owner, Raw::Tcp(stream));
            Acceptor::new(&server.tasks, port, accepted)
        });
        Self {
            inner: Arc::new(Inner { server, door }),
        }
    }

    fn server(&self) -> &Arc<Server> {
        &self.inner.server
    }

    // ---- reaching it

    /// `ws://127.0.0.1:<port>` of a TCP gateway, `ws://sim.invalid` of a pipe gateway.
    pub fn url(&self) -> String {
        match self.address() {
            Some(address) => format!("ws://{address}"),
            None => "ws://sim.invalid".to_owned(),
        }
    }

    /// Address of a TCP gateway.
    pub fn address(&self) -> Option<SocketAddr> {
        self.inner.door.as_ref().map(|door| door.address)
    }

    /// Opens an in-memory pipe to the gateway; the HTTP upgrade and the WebSocket run over it as over TCP. Works
    /// for a TCP gateway too.
    ///
    /// # Errors
    ///
    /// `ConnectionRefused` while the gateway is down.
    #[expect(clippy::unused_async, reason = "dialling is async wherever there is a network")]
    pub async fn dial(&self) -> io::Result<DuplexStream> {
        if self.server().state().door == Door::Shut {
            self.server().journal.attempt();
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (client, gateway) = tokio::io::duplex(PIPE);
        connection::accept(self.server(), Raw::Pipe(gateway));
        Ok(client)
    }

    /// The token that clients need now.
    pub fn token(&self) -> Option<String> {
        self.server().state().token.clone()
    }

    /// Changes with every start.
    pub fn boot_id(&self) -> String {
        self.server().state().boot_id.clone()
    }

    /// The facts of the release.
    pub fn profile(&self) -> &Profile {
        &self.server().profile
    }

    // ---- what it saw

    /// The record of what happened.
    pub fn journal(&self) -> Journal {
        self.server().journal.clone()
    }

    /// The configuration as it is, as JSON text with all that a client could have put into it.
    pub fn config(&self) -> String {
        halves::written(&self.server().state().config)
    }

    /// Numbers of the connections that are open.
    pub fn connections(&self) -> Vec<u64> {
        self.server().state().conns.keys().copied().collect()
    }

    /// Waits until `seen` says yes, looking again after each journal entry; [`WAIT_LIMIT`] of tokio time at most.
    ///
    /// # Errors
    ///
    /// [`NotSeen`] with the end of the journal.
    pub async fn wait_for(&self, seen: impl FnMut(&Journal) -> bool) -> Result<(), NotSeen> {
        self.wait_for_within(WAIT_LIMIT, seen).await
    }

    /// As [`wait_for`](Self::wait_for) with a limit of one's own.
    ///
    /// # Errors
    ///
    /// [`NotSeen`] with the end of the journal.
    pub async fn wait_for_within(
        &self,
        limit: Duration,
        mut seen: impl FnMut(&Journal) -> bool,
    ) -> Result<(), NotSeen> {
        let journal = self.journal();
        let mut version = journal.watch();
        let looked = async {
            while !seen(&journal) {
                // An error cannot come: the journal holds the sender.
                let _ = version.changed().await;
            }
        };
        if tokio::time::timeout(limit, looked).await.is_ok() {
            return Ok(());
        }
        let mut tail = journal.records();
        tail.drain(..tail.len().saturating_sub(8));
        Err(NotSeen {
            waited: limit,
            open: journal.open_connections(),
            attempts: journal.connect_attempts(),
            tail,
        })
    }

    // ---- what it answers

    /// Prescribed answers.
    pub fn script(&self) -> Script {
        Script::new(Arc::clone(&self.server().rules))
    }

    /// Says from now on that it has been up for so long, until it restarts: a real one needs seconds to start again, so that a
    /// restart shows in what it says. Nothing changes where the machine itself has not been up for as long.
    pub fn been_up_for(&self, uptime: Duration) {
        if let Some(booted) = clock::now().checked_sub(uptime) {
            self.server().state().booted = booted;
        }
    }

    /// What the fake model does from now on.
    pub fn chat(&self, plan: ChatPlan) {
        self.server().state().plan = plan;
    }

    /// What the fake model does with the next text only; calls queue up.
    pub fn next_chat(&self, plan: ChatPlan) {
        self.server().state().next_plans.push_back(plan);
    }

    /// Sends an event to every connection that may see it, numbered as the release numbers.
    pub fn emit(&self, event: &str, payload: Value) {
        self.server().emit(&Event::new(event, payload));
    }

    /// Lets an agent have its heartbeat: what the release shows of it goes to every connection that may see it.
    pub fn heartbeat(&self, agent: &str, end: HeartbeatEnd) {
        heartbeat::run(self.server(), agent, end);
    }

    /// Sends an event to one connection only.
    pub fn emit_to(&self, conn: u64, event: &str, payload: Value) {
        control::emit_to(self.server(), conn, &Event::new(event, payload));
    }

    /// Sends a text as it is to one connection: not JSON, an unknown frame type, ...
    pub fn send_text(&self, conn: u64, text: &str) {
        if let Some(conn) = self.server().state().conns.get(&conn) {
            conn.outbox.offer(text.to_owned());
        }
    }

    /// The next event of every open connection uses up its number and is not sent: a hole.
    pub fn withhold_next_event(&self) {
        control::withhold(self.server());
    }

    // ---- going down and coming back

    /// Dies: all connections end without a close frame (reset on TCP), new ones are refused, what was in memory is
    /// gone. The port number stays reserved.
    pub async fn kill(&self) {
        self.shut();
        control::cut_all(self.server(), Cut::Reset);
        control::reboot(self.server(), false);
        self.listening(false).await;
    }

    /// Stops as on SIGTERM: `shutdown` event, close 1012, then new connections are refused.
    pub async fn stop(&self) {
        self.shut();
        control::announce_stop(self.server());
        control::close_all(self.server(), 1012, "service restart");
        control::reboot(self.server(), false);
        self.listening(false).await;
    }

    /// Comes back after [`kill`](Self::kill) or [`stop`](Self::stop), on the same port.
    pub async fn start_again(&self) {
        self.server().state().door = Door::Open;
        if let Some(door) = &self.inner.door {
            door.want(true);
        }
        self.listening(true).await;
        chat::resume(self.server());
    }

    /// Goes down and is up again at once; runs that are under way are interrupted.
    pub fn restart(&self, kind: RestartKind) {
        control::restart(self.server(), kind);
    }

    fn shut(&self) {
        self.server().state().door = Door::Shut;
        if let Some(door) = &self.inner.door {
            door.want(false);
        }
    }

    async fn listening(&self, on: bool) {
        if let Some(door) = &self.inner.door {
            door.is(on).await;
        }
    }

    /// For this long, `connect` is answered `UNAVAILABLE` and close 1013, as by a gateway that is starting.
    pub fn go_starting(&self, time: Duration) {
        self.server().state().starting_until = Some(clock::now() + time);
    }

    /// For this long, the HTTP upgrade is answered 503.
    pub fn go_unavailable(&self, time: Duration) {
        self.server().state().unavailable_until = Some(clock::now() + time);
    }

    /// Answers every request `UNAVAILABLE`, retryable, reason `gateway-restarting`, as while waiting for runs to end.
    pub fn drain(&self, on: bool) {
        self.server().state().draining = on;
    }

    // ---- closing and breaking connections

    /// Sends a close frame to everyone.
    pub fn close_all(&self, code: u16, reason: &str) {
        control::close_all(self.server(), code, reason);
    }

    /// Sends a close frame to one connection.
    pub fn close(&self, conn: u64, code: u16, reason: &str) {
        if let Some(conn) = self.server().state().conns.get_mut(&conn) {
            conn.peer = None;
            conn.outbox.close(code, reason);
        }
    }

    /// Ends all connections without a close frame; new ones are welcome.
    pub fn cut_all(&self) {
        control::cut_all(self.server(), Cut::Drop);
    }

    /// Reads nothing any more, on open and on new connections: an upgrade stays unanswered, the client's buffers
    /// fill. Ticks and events go on.
    pub fn deaf(&self, on: bool) {
        control::relink(self.server(), true, |link| link.stall(Direction::ToGateway, on));
    }

    /// Reads and forgets: no answers, no events, no ticks, no pongs.
    pub fn silent(&self, on: bool) {
        self.server().state().silent = on;
        control::relink(self.server(), true, |link| link.stall(Direction::ToClient, on));
    }

    /// All open connections freeze in both directions without ending; new ones work.
    pub fn half_open(&self) {
        control::relink(self.server(), false, |link| link.frozen = true);
    }

    /// Sends at most so many bytes per second on each connection, `None` for no limit.
    pub fn slow_writes(&self, bytes_per_sec: Option<u64>) {
        control::relink(self.server(), true, |link| {
            link.to_client.bandwidth = Bandwidth(bytes_per_sec);
        });
    }

    // ---- who may come in

    /// Another shared token from now on; open connections stay.
    pub fn set_token(&self, token: impl Into<String>) {
        self.server().state().token = Some(token.into());
    }

    /// Takes a device's token away. Generation 4 closes its connections with 4001, generation 3 leaves them open.
    pub fn revoke_device(&self, device_id: &str) -> bool {
        let revoked = self.server().state().devices.revoke(device_id);
        if revoked && self.server().profile.v4() {
            control::close_device(self.server(), device_id, 4001, "device removed");
        }
        revoked
    }

    /// Devices that wait for approval.
    pub fn pending_pairings(&self) -> Vec<PendingPairing> {
        self.server().state().devices.pending.clone()
    }

    /// Approves a request of [`pending_pairings`](Self::pending_pairings); `false` if there is no such request.
    pub fn approve_pairing(&self, request_id: &str) -> bool {
        self.decide_pairing(request_id, true)
    }

    /// Rejects a request; `false` if there is no such request.
    pub fn reject_pairing(&self, request_id: &str) -> bool {
        self.decide_pairing(request_id, false)
    }

    fn decide_pairing(&self, request_id: &str, approve: bool) -> bool {
        let decided = control::decide(self.server(), &mut self.server().state(), request_id, approve);
        match decided {
            Some((_, event)) => {
                self.server().emit(&event);
                true
            }
            None => false,
        }
    }

    /// Sets the gateway's wall clock off by so many milliseconds from where it would be.
    pub fn skew_clock(&self, skew_ms: i64) {
        self.server().clock.skew(skew_ms);
    }

    // ---- the end

    /// Ends the gateway and waits until all its tasks are gone.
    pub async fn shutdown(&self) {
        self.server().state().door = Door::Shut;
        let mut tasks = self.server().tasks.take();
        tasks.shutdown().await;
    }
}
