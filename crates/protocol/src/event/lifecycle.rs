//! Events about the gateway itself, and about devices (to operators with the pairing scope).

use std::ops::RangeInclusive;

use std::time::Duration;

use serde_json::Value;

use crate::connect::{ClientId, ClientMode, Role, Scope};
use crate::open::{open_object, wire_names};

open_object! {
    /// `stateVersion` of a frame or a snapshot: counters that go up with each change, from 1 at a gateway's start.
    pub struct StateVersion: Default {
        optional {
            /// Of the presence list.
            presence: u64 = "presence",
            /// Of the health summary.
            health: u64 = "health",
        }
    }
}

open_object! {
    /// `tick`: a sign of life, every `policy.tickIntervalMs`.
    pub struct TickEvent {
        optional {
            /// The gateway's clock, in ms since 1970.
            ts: u64 = "ts",
        }
    }
}

open_object! {
    /// `shutdown`: the gateway goes down; close 1012 follows.
    pub struct ShutdownEvent {
        optional {
            /// For people, for example "gateway stopping".
            reason: String = "reason",
            /// There only for a restart; `null` or absent for a stop. It is always 1500, though restarts take 2.7 to 22 s.
            restart_expected_ms: u64 = "restartExpectedMs",
        }
    }
}

impl ShutdownEvent {
    /// How soon the gateway says it is back; `None` when it stops for good.
    pub fn restart_expected(&self) -> Option<Duration> {
        self.restart_expected_ms.map(Duration::from_millis)
    }
}

open_object! {
    /// `health`: as method `health` answers. Only members that all releases have are typed.
    pub struct HealthEvent {
        optional {
            /// Always true so far.
            ok: bool = "ok",
            /// In ms since 1970.
            ts: u64 = "ts",
            /// How long the summary took, in ms.
            duration_ms: u64 = "durationMs",
            /// The agent of sessions that name none.
            default_agent_id: String = "defaultAgentId",
            /// One entry per agent.
            agents: Vec<Value> = "agents",
        }
    }
}

open_object! {
    /// `presence`: the whole list each time.
    pub struct PresenceEvent {
        required {
            /// The connected clients, and those that just left.
            presence: Vec<PresenceEntry> = "presence",
        }
    }
}

open_object! {
    /// One line of the presence list.
    pub struct PresenceEntry {
        optional {
            /// The name shown.
            host: String = "host",
            /// The address, for the gateway itself.
            ip: String = "ip",
            /// The program's version.
            version: String = "version",
            /// The operating system.
            platform: String = "platform",
            /// The kind of machine.
            device_family: String = "deviceFamily",
            /// `gateway`, or the client's mode.
            mode: String = "mode",
            /// `self`, `connect`, `disconnect`...
            reason: String = "reason",
            /// The client's instance.
            instance_id: String = "instanceId",
            /// The client's device.
            device_id: String = "deviceId",
            /// The client's roles.
            roles: Vec<String> = "roles",
            /// The client's scopes.
            scopes: Vec<String> = "scopes",
            /// One line for people.
            text: String = "text",
            /// In ms since 1970.
            ts: u64 = "ts",
        }
    }
}

open_object! {
    /// `config.changed` (from 2026.8 on): the gateway took over a changed configuration.
    pub struct ConfigChangedEvent {
        optional {
            /// The file, on the gateway's host.
            path: String = "path",
            /// As `config.get` answers it.
            hash: String = "hash",
            /// In ms since 1970.
            ts: u64 = "ts",
        }
    }
}

open_object! {
    /// `cron`: a job was changed or ran.
    pub struct CronEvent {
        required {
            /// Which job.
            job_id: String = "jobId",
            /// `added`, `updated`, `removed`, `started`, `finished`...
            action: String = "action",
        }
        optional {
            /// The job (generation 4).
            job: Value = "job",
            /// When it runs next, in ms since 1970.
            next_run_at_ms: u64 = "nextRunAtMs",
            /// How a run ended: `ok`, `error`, `skipped`.
            status: String = "status",
            /// Why it failed or was skipped.
            error: String = "error",
        }
    }
}

impl CronEvent {
    /// The agent that answered its heartbeat: its monitor's job `finished`, and neither failed nor was skipped (2026.8.2 and
    /// 2026.9.6, where no other event tells of an agent that has nothing to say).
    pub fn answered_heartbeat(&self) -> Option<&str> {
        let job = self.job.as_ref()?;
        let is_heartbeat = job.pointer("/payload/kind").is_some_and(|kind| kind == "heartbeat");
        let is_answer = self.action == "finished" && self.status.as_deref() == Some("ok");
        let agent = job.get("agentId")?.as_str()?;
        (is_heartbeat && is_answer).then_some(agent)
    }
}

open_object! {
    /// `task` (from 2026.7 on): a background task was changed.
    pub struct TaskEvent {
        required {
            /// `upserted`...
            action: String = "action",
        }
        optional {
            /// The task.
            task: Value = "task",
        }
    }
}

open_object! {
    /// `skills.changed` (from 2026.8 on).
    pub struct SkillsChangedEvent {
        optional {
            /// Why.
            reason: String = "reason",
        }
    }
}

open_object! {
    /// `heartbeat`: an agent's heartbeat ran, or was skipped.
    pub struct HeartbeatEvent {
        optional {
            /// `skipped`...
            status: String = "status",
            /// Why, for example `no-route` or `target-none`.
            reason: String = "reason",
            /// The beginning of the agent's text.
            preview: String = "preview",
            /// In ms since 1970.
            ts: u64 = "ts",
            /// How long the run took, in ms.
            duration_ms: u64 = "durationMs",
        }
    }
}

impl HeartbeatEvent {
    /// The time of the run in which an agent answered its heartbeat, in ms since 1970 by the gateway's clock; `None` for one that was
    /// skipped or failed. The event names no agent (all releases).
    pub fn answered(&self) -> Option<RangeInclusive<u64>> {
        let is_answer = matches!(self.status.as_deref(), Some("ok-token" | "ok-empty" | "sent"));
        let end = self.ts.filter(|_| is_answer)?;
        Some(end.saturating_sub(self.duration_ms.unwrap_or_default())..=end)
    }
}

open_object! {
    /// `update.available`: soon after a start.
    pub struct UpdateAvailableEvent {
        optional {
            /// The update; `null` when there is none.
            update_available: Value = "updateAvailable",
            /// When updates are made (generation 4).
            schedule: Value = "schedule",
        }
    }
}

open_object! {
    /// `device.pair.requested`: a device asks to be approved.
    pub struct PairRequestedEvent {
        required {
            /// The request to approve.
            request_id: String = "requestId",
            /// The device.
            device_id: String = "deviceId",
        }
        optional {
            /// Its public key.
            public_key: String = "publicKey",
            /// Its operating system.
            platform: String = "platform",
            /// Its program.
            client_id: ClientId = "clientId",
            /// How that is used.
            client_mode: ClientMode = "clientMode",
            /// The role it asks for.
            role: Role = "role",
            /// All roles it asks for.
            roles: Vec<Role> = "roles",
            /// The scopes it asks for.
            scopes: Vec<Scope> = "scopes",
            /// Its address.
            remote_ip: String = "remoteIp",
            /// Approved without anyone being asked.
            silent: bool = "silent",
            /// It was paired before.
            is_repair: bool = "isRepair",
            /// In ms since 1970.
            ts: u64 = "ts",
        }
    }
}

wire_names! {
    /// How a pairing request ended.
    pub enum PairDecision {
        Approved = "approved",
        Rejected = "rejected",
    }
}

open_object! {
    /// `device.pair.resolved`.
    pub struct PairResolvedEvent {
        required {
            /// Which request.
            request_id: String = "requestId",
            /// How it ended.
            decision: PairDecision = "decision",
        }
        optional {
            /// The device.
            device_id: String = "deviceId",
            /// In ms since 1970.
            ts: u64 = "ts",
        }
    }
}
