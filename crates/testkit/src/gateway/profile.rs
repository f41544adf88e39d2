//! What nine releases of 2026 do differently on the line, as data.
//!
//! Measured on 2026.1.30, 2.26, 3.13, 4.15, 5.12, 6.11, 7.1, 8.2 and 9.6. Where a fact was measured on 3.13 and
//! 9.6 only (error forms, handshake timeout, drain, pings), the other releases take it from the one of their
//! own generation.

use std::time::Duration;

/// The two wire protocols. No release accepts both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Generation {
    /// `protocol: 3`, up to 2026.4.15.
    V3,
    /// `protocol: 4`, from 2026.5.12 on.
    V4,
}

impl Generation {
    /// The number in `hello-ok.protocol`.
    pub const fn number(self) -> u64 {
        match self {
            Self::V3 => 3,
            Self::V4 => 4,
        }
    }
}

/// What `hello-ok.auth` holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum HelloAuth {
    /// Only there when a device token was issued.
    WithDeviceTokenOnly,
    /// `role`, `scopes`.
    RoleAndScopes,
    /// ... and `recoveryScope`.
    RecoveryScope,
    /// ... and `method`.
    Method,
}

/// The details of a refused protocol range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MismatchDetails {
    /// `{expectedProtocol}`.
    Expected,
    /// `{expectedProtocol, minimumProbeProtocol}`.
    WithProbe,
    /// With `code: "PROTOCOL_MISMATCH"` and the client's range.
    Coded,
}

/// How an accepted `config.patch` takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PatchEffect {
    /// Two restarts, 0.53 s and 2.0 s after the patch.
    RestartsTwice,
    /// One restart after `restartDelayMs` (2.0 s unless asked otherwise).
    Restarts,
    /// Most keys take effect without a restart.
    Hot,
}

/// What the socket sees of a run whose model call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailedRun {
    /// Lifecycle `end` and a `final` without message.
    BareFinal,
    /// One chat `error`.
    Error,
    /// Lifecycle `error` only, no chat event ever.
    NoTerminal,
    /// Two chat `error` events.
    ErrorTwice,
}

/// What comes of a model that says nothing (`NO_REPLY`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Silence {
    /// Lifecycle `end` and a `final` without message, and a row that shows what the model said.
    BareFinalAndRow,
    /// The same without a row of the assistant's.
    BareFinal,
    /// The model is asked once more; then lifecycle `error`, chat `aborted` and chat `error`.
    Fails,
}

/// What becomes of a text that comes while a run goes on in its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecondSend {
    /// It joins that run, and its own ends with a bare `final`.
    Joins,
    /// ... and its row names the run that it joined.
    JoinsByName,
    /// Its own run ends with a bare `final` at once, and after the run under way it runs under an id that its sender never saw.
    RunsAfter,
}

/// Everything that differs between releases. All fields are open: start from [`Profile::of`] and change what the
/// test is about.
///
/// The facts were measured on all nine releases, except these, which were measured on 2026.3.13 and 2026.9.6 only and
/// stand for their generation: error forms, handshake timeout, pings, drain, resumed runs, device revocation.
///
/// ```
/// use windlass_testkit::{Profile, SimGateway};
/// let mut profile = Profile::of("2026.9.6").expect("known release");
/// profile.write_limit = Some(2);
/// let sim = SimGateway::builder().profile(profile);
/// ```
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a table of independent facts, not a state machine"
)]
pub struct Profile {
    /// The release's name, such as `2026.9.6`.
    pub release: &'static str,
    /// Position among [`RELEASES`], oldest first.
    pub index: usize,
    /// Protocol generation.
    pub generation: Generation,
    /// `hello.server.version`; `dev` on the two oldest releases.
    pub server_version: String,
    /// Form of `hello.auth`.
    pub hello_auth: HelloAuth,
    /// `hello.server.bootId`: 8.2 and later.
    pub boot_id: bool,
    /// `hello.features.capabilities`; none before 7.1.
    pub capabilities: &'static [&'static str],
    /// `connect.challenge` carries `capabilities`: 9.6.
    pub challenge_capabilities: bool,
    /// Largest frame taken after the hello, in bytes; larger ones close with 1009.
    pub max_payload: usize,
    /// Bytes that may wait for a slow reader before events are dropped.
    pub max_buffered_bytes: usize,
    /// A silent handshake is closed with 1000 after this time.
    pub handshake_timeout: Duration,
    /// Takes version 3 device signatures.
    pub v3_signature: bool,
    /// Takes version 1 device signatures (no nonce).
    pub v1_signature: bool,
    /// A `backend` client with the token and no device keeps its scopes.
    pub backend_scopes: bool,
    /// The same for a `cli` client.
    pub cli_scopes: bool,
    /// A backend device is paired and gets a device token.
    pub backend_paired: bool,
    /// Details of a protocol mismatch.
    pub mismatch: MismatchDetails,
    /// One event counter for the whole process instead of one per connection.
    pub global_seq: bool,
    /// Events without `seq`; `agent:tool` stands for the stream `tool` of `agent`.
    pub unsequenced: &'static [&'static str],
    /// `shutdown.restartExpectedMs` is null, not absent, on a final stop.
    pub shutdown_null: bool,
    /// How a config patch takes effect.
    pub patch: PatchEffect,
    /// A patch of `channels` restarts the gateway before it is answered (4.15 to 7.1, where other patches are hot).
    pub channel_patch_restarts: bool,
    /// Control-plane writes per method and client within 60 s.
    pub write_limit: Option<u32>,
    /// The roster is the map `agents.entries` instead of the array `agents.list`.
    pub roster_map: bool,
    /// An included section stays in its file: a write over it and others, and `agents.delete`, are refused (9.6). 2026.3.13 writes
    /// it into its main file; no other release was tried.
    pub includes_kept: bool,
    /// An array in a patch replaces the old one instead of being merged by `id`.
    pub array_replaces: bool,
    /// `agents.create/update/delete` and `agents.files.*` exist.
    pub agent_methods: bool,
    /// `agents.create` insists on `workspace`.
    pub create_needs_workspace: bool,
    /// `agents.create` takes `model`, `agents.update` takes `emoji`.
    pub create_model: bool,
    /// TOOLS.md and HEARTBEAT.md are refused, and IDENTITY.md is not listed.
    pub files_retired: bool,
    /// Concurrent writes of one file fail with `unsafe workspace file`.
    pub file_race: bool,
    /// Requests may carry `traceparent` (read in the packages' schemas of 5.12 to 8.2 and of 9.1; the older ones are closed too).
    pub traceparent: bool,
    /// `chat` deltas carry `deltaText`.
    pub delta_text: bool,
    /// `chat` events carry `agentId`.
    pub chat_agent_id: bool,
    /// `chat` events of state `status` and agent stream `run_status` are sent.
    pub chat_status: bool,
    /// `chat` finals carry `stopReason`.
    pub stop_reason: bool,
    /// The last delta equals the final text; on the two oldest it stops short.
    pub full_last_delta: bool,
    /// Shape of a failed run.
    pub failed_run: FailedRun,
    /// `agent.wait` says of failed and stopped runs that they are; up to 5.12 it says `ok`.
    pub honest_wait: bool,
    /// What becomes of a text that comes while a run goes on in its session.
    pub second_send: SecondSend,
    /// A key that is known with another text or session is refused; generation 3 answers as if it were the same.
    pub key_conflicts_refused: bool,
    /// What a user said stands in the history when its run begins (from 8.2 on); before, the first message of a session only
    /// when it has ended.
    pub rows_at_once: bool,
    /// A run that is ended by `sessions.reset` or `sessions.delete` has no terminal event (generation 3).
    pub replaced_runs_end_silently: bool,
    /// `sessions.delete` is refused while a run goes on in the session (4.15); others end the run.
    pub active_sessions_kept: bool,
    /// What comes of a model that says nothing.
    pub silence: Silence,
    /// `stop`, `abort` and the like are commands also with other words or signs around them (`please stop`, `stop!`).
    pub polite_stops: bool,
    /// The ids of Matrix rooms stay as they are in keys of sessions; before, keys are in lower case throughout.
    pub keeps_room_ids: bool,
    /// `chat.send` to an unknown agent runs.
    pub runs_unknown_agents: bool,
    /// A send within half a second of a final is answered with a bare final and run later under another id.
    pub requeues_early_sends: bool,
    /// A session that existed before its first turn fails from the second turn on (6.11).
    pub precreated_sessions_break: bool,
    /// Between the two error events of a failed run a text is written down, ended bare, and never run (6.11, 7.1).
    pub drops_after_failure: bool,
    /// The same text within 2 s of a final is answered with the older run's id (6.11).
    pub dedupes_content: bool,
    /// The main session of every agent is kept by `sessions.delete`, not only the default agent's.
    pub main_sessions_kept: bool,
    /// `agents.delete` takes the agent's sessions along (all but 8.2).
    pub sessions_go_with_agent: bool,
    /// `sessions.subscribe` and `sessions.messages.subscribe` exist.
    pub session_subscriptions: bool,
    /// `sessions.changed` carries the session's row, and rows name the active runs (9.6).
    pub session_rows: bool,
    /// A list's rows tell that something runs, without its name, and go on to do so for half a second after its end (5.12 to 7.1).
    pub lists_ended_runs: bool,
    /// History rows of the user carry `idempotencyKey`.
    pub history_keys: bool,
    /// `chat.history` takes a `cursor`, or the `messageId` of a row (9.6).
    pub history_cursors: bool,
    /// Units of UTF-16 that `chat.history` shows of a text, and whether its cut may go through a character (read in the packages:
    /// 12,000 on 3.13, where it may; 8,000 on 8.2 and 9.6, where it may not).
    pub history_cut: Option<(usize, bool)>,
    /// History rows carry `__openclaw`.
    pub history_meta: bool,
    /// `config.changed` events and `hmac-sha256:v1:` hashes.
    pub config_events: bool,
    /// Each agent has a heartbeat monitor in `cron.list`, with a scratch.
    pub heartbeat_monitors: bool,
    /// A heartbeat's run is told of by `agent` events. 5.12 sends none, and its `heartbeat` event names no agent.
    pub heartbeat_runs_shown: bool,
    /// `agent` stream `tool` is sent at all.
    pub tool_events: bool,
    /// The gateway sends WebSocket pings this often (9.6: 25 s; 3.13: none in 100 s).
    pub ping_interval: Option<Duration>,
    /// Interrupted turns whose text stands in the history are taken up again after a crash, under a new run id.
    pub resumes_runs: bool,
    /// ... and the gateway's notice takes the place of the text (5.12 to 8.2).
    pub resumption_replaces_row: bool,
}

/// The measured releases, oldest first, as exact npm versions of the package `openclaw`.
///
/// This is the only list of them: [`Profile`] has the facts of each, and `windlass-interop` runs the same releases of npm.
pub const RELEASES: [&str; 9] = [
    "2026.1.30",
    "2026.2.26",
    "2026.3.13",
    "2026.4.15",
    "2026.5.12",
    "2026.6.11",
    "2026.7.1",
    "2026.8.2",
    "2026.9.6",
];

/// Positions in [`RELEASES`], so that rules read like the sentences they come from.
pub(crate) mod at {
    pub(crate) const R1_30: usize = 0;
    pub(crate) const R2_26: usize = 1;
    pub(crate) const R3_13: usize = 2;
    pub(crate) const R4_15: usize = 3;
    pub(crate) const R5_12: usize = 4;
    pub(crate) const R6_11: usize = 5;
    pub(crate) const R7_1: usize = 6;
    pub(crate) const R8_2: usize = 7;
    pub(crate) const R9_6: usize = 8;
}
use at::{R1_30, R2_26, R3_13, R4_15, R5_12, R6_11, R7_1, R8_2, R9_6};

/// 25 MiB, the frame limit of all but the oldest release.
const MAX_PAYLOAD: usize = 26_214_400;

impl Profile {
    /// The facts of a measured release, `None` for any other name.
    pub fn of(release: &str) -> Option<Self> {
        let index = RELEASES.iter().position(|known| *known == release)?;
        Some(Self::at_index(index))
    }

    /// The release that stands for a generation: 2026.3.13 or 2026.9.6.
    pub fn latest(generation: Generation) -> Self {
        Self::at_index(match generation {
            Generation::V3 => R3_13,
            Generation::V4 => R9_6,
        })
    }

    fn at_index(r: usize) -> Self {
        let v4 = r >= R5_12;
        Self {
            release: RELEASES[r],
            index: r,
            generation: if v4 { Generation::V4 } else { Generation::V3 },
            server_version: if r <= R2_26 { "dev" } else { RELEASES[r] }.to_owned(),
            hello_auth: hello_auth(r),
            boot_id: r >= R8_2,
            capabilities: capabilities(r),
            challenge_capabilities: r >= R9_6,
            max_payload: if r == R1_30 { 524_288 } else { MAX_PAYLOAD },
            max_buffered_bytes: if r == R1_30 { 1_572_864 } else { 2 * MAX_PAYLOAD },
            handshake_timeout: Duration::from_secs(if v4 { 15 } else { 3 }),
            v3_signature: r > R1_30,
            v1_signature: r == R1_30,
            backend_scopes: !matches!(r, R3_13 | R4_15),
            cli_scopes: !(R3_13..=R6_11).contains(&r),
            backend_paired: r <= R2_26,
            mismatch: mismatch(r),
            global_seq: !v4,
            unsequenced: unsequenced(r),
            shutdown_null: r < R8_2,
            patch: patch_effect(r),
            channel_patch_restarts: (R4_15..=R7_1).contains(&r),
            write_limit: write_limit(r),
            roster_map: r >= R8_2,
            includes_kept: r >= R9_6,
            array_replaces: r == R1_30,
            agent_methods: r > R1_30,
            create_needs_workspace: r < R8_2,
            create_model: r >= R4_15,
            files_retired: r >= R8_2,
            file_race: matches!(r, R3_13 | R4_15),
            traceparent: r >= R8_2,
            delta_text: v4,
            chat_agent_id: r >= R7_1,
            chat_status: r >= R8_2,
            stop_reason: r >= R6_11,
            full_last_delta: r >= R3_13,
            failed_run: failed_run(r),
            honest_wait: r >= R6_11,
            second_send: second_send(r),
            key_conflicts_refused: v4,
            rows_at_once: r >= R8_2,
            replaced_runs_end_silently: !v4,
            active_sessions_kept: r == R4_15,
            history_cursors: r >= R9_6,
            history_cut: history_cut(r),
            silence: silence(r),
            polite_stops: r >= R3_13,
            keeps_room_ids: r >= R7_1,
            runs_unknown_agents: !v4,
            requeues_early_sends: matches!(r, R4_15 | R5_12 | R7_1),
            precreated_sessions_break: r == R6_11,
            drops_after_failure: (R6_11..=R7_1).contains(&r),
            dedupes_content: r == R6_11,
            main_sessions_kept: r >= R8_2,
            sessions_go_with_agent: r != R8_2,
            session_subscriptions: r >= R4_15,
            session_rows: r >= R9_6,
            lists_ended_runs: (R5_12..=R7_1).contains(&r),
            history_keys: r >= R6_11,
            history_meta: r >= R4_15,
            config_events: r >= R8_2,
            heartbeat_monitors: r >= R8_2,
            heartbeat_runs_shown: r != R5_12,
            tool_events: r > R1_30 && r != R6_11,
            ping_interval: v4.then_some(Duration::from_secs(25)),
            resumes_runs: r >= R5_12,
            resumption_replaces_row: (R5_12..=R8_2).contains(&r),
        }
    }

    /// True for protocol 4.
    pub(crate) fn v4(&self) -> bool {
        self.generation == Generation::V4
    }
}

fn hello_auth(r: usize) -> HelloAuth {
    match r {
        R9_6.. => HelloAuth::Method,
        R8_2 => HelloAuth::RecoveryScope,
        R5_12..=R7_1 => HelloAuth::RoleAndScopes,
        _ => HelloAuth::WithDeviceTokenOnly,
    }
}

fn mismatch(r: usize) -> MismatchDetails {
    match r {
        R6_11.. => MismatchDetails::Coded,
        R5_12 => MismatchDetails::WithProbe,
        _ => MismatchDetails::Expected,
    }
}

fn unsequenced(r: usize) -> &'static [&'static str] {
    match r {
        R8_2.. | R1_30 => &[],
        R6_11 => &["sessions.changed", "session.message"],
        R7_1 => &["agent:tool", "sessions.changed", "session.message"],
        R4_15 | R5_12 => &["agent:tool", "sessions.changed", "session.message", "session.tool"],
        _ => &["agent:tool"],
    }
}

const fn history_cut(r: usize) -> Option<(usize, bool)> {
    match r {
        R3_13 => Some((12_000, true)),
        R8_2 | R9_6 => Some((8_000, false)),
        _ => None,
    }
}

fn patch_effect(r: usize) -> PatchEffect {
    match r {
        R1_30 => PatchEffect::RestartsTwice,
        R2_26 | R3_13 => PatchEffect::Restarts,
        _ => PatchEffect::Hot,
    }
}

fn write_limit(r: usize) -> Option<u32> {
    match r {
        R1_30 => None,
        R8_2.. => Some(30),
        _ => Some(3),
    }
}

fn failed_run(r: usize) -> FailedRun {
    match r {
        R1_30 => FailedRun::BareFinal,
        R2_26 | R3_13 => FailedRun::Error,
        R4_15 | R5_12 => FailedRun::NoTerminal,
        _ => FailedRun::ErrorTwice,
    }
}

/// Measured on 1.30, 3.13, 4.15, 7.1, 8.2 and 9.6.
fn silence(r: usize) -> Silence {
    match r {
        R1_30 => Silence::BareFinalAndRow,
        R9_6.. => Silence::Fails,
        _ => Silence::BareFinal,
    }
}

/// Measured on 1.30, 3.13, 4.15, 5.12, 7.1, 8.2 and 9.6. Not measured on 2.26 and 6.11.
fn second_send(r: usize) -> SecondSend {
    match r {
        R8_2.. => SecondSend::JoinsByName,
        R2_26 | R6_11 => SecondSend::Joins,
        _ => SecondSend::RunsAfter,
    }
}

/// One entry on 7.1, 15 on 8.2 and 21 on 9.6; only the 9.6 list was written down, so 8.2 gets a part of it.
fn capabilities(r: usize) -> &'static [&'static str] {
    const ALL: [&str; 21] = [
        "board-widget-put-canvas-doc",
        "chat-send-routing-contract",
        "gateway-restart-target-safe-v1",
        "model-catalog-snapshot",
        "node-worker-bundle-retention-v1",
        "node-worker-bundle-status-v1",
        "node-worker-captured-exec-policy",
        "node-worker-environment-session-v1",
        "node-worker-portal-stream-v1",
        "profile-binding-v1",
        "published-model-catalog",
        "progress-card-agent-scope-v1",
        "session-scoped-chat-metadata",
        "session-scoped-model-catalog",
        "session-unread-ack-contract",
        "session-goal-start-v1",
        "session-settings-contract",
        "session-settings-cas-v1",
        "openclaw-chat-wizard-cancel",
        "openclaw-setup-model-ref",
        "taskSuggestions.acceptModes",
    ];
    match r {
        R9_6.. => &ALL,
        R8_2 => ALL.split_at(15).0,
        R7_1 => ALL.split_at(1).0,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::{FailedRun, Generation, PatchEffect, Profile, RELEASES, SecondSend};

    #[test]
    fn the_protocol_turned_between_4_15_and_5_12() {
        let numbers = RELEASES.map(|name| Profile::of(name).expect("listed").generation.number());
        assert_eq!(numbers, [3, 3, 3, 3, 4, 4, 4, 4, 4]);
        assert!(Profile::of("2026.4.14").is_none());
    }

    #[test]
    fn the_oddities_of_single_releases_are_where_they_were_measured() {
        let of = |name: &str| Profile::of(name).expect("listed");
        assert_eq!(
            (of("2026.1.30").max_payload, of("2026.2.26").max_payload),
            (524_288, 26_214_400)
        );
        assert_eq!(of("2026.1.30").patch, PatchEffect::RestartsTwice);
        assert_eq!(of("2026.5.12").failed_run, FailedRun::NoTerminal);
        assert_eq!(
            RELEASES
                .map(|name| of(name).backend_scopes)
                .iter()
                .filter(|kept| !**kept)
                .count(),
            2
        );
        assert_eq!(of("2026.8.2").capabilities.len(), 15);
        for name in ["2026.1.30", "2026.3.13", "2026.4.15", "2026.5.12", "2026.7.1"] {
            assert_eq!(of(name).second_send, SecondSend::RunsAfter, "{name}");
        }
        for name in ["2026.8.2", "2026.9.6"] {
            assert_eq!(of(name).second_send, SecondSend::JoinsByName, "{name}");
        }
        assert_eq!(Profile::latest(Generation::V3).release, "2026.3.13");
    }
}
