//! Scheduled jobs, the agents' heartbeat monitors among them, and their scratch.

use serde_json::Value;

use super::request;
use crate::open::open_object;

/// Most characters that a scratch takes (2026.8.2, 2026.9.6).
pub const SCRATCH_LIMIT: usize = 262_144;

request! {
    /// the scheduled jobs.
    CronList: Default = "cron.list" => CronListReply {
        optional {
            /// Also those that are switched off, as the monitor of an agent without a heartbeat is.
            include_disabled: bool,
            /// Only those of this agent (seen from 2026.7 on; refused on 2026.2).
            agent_id: String,
            /// At most so many.
            limit: u32,
            /// Leaves out so many first.
            offset: u32,
        }
    }
}

open_object! {
    /// The answer to `cron.list`.
    pub struct CronListReply {
        rows {
            /// The jobs.
            jobs: CronJob = "jobs",
        }
        optional {
            /// How many there are.
            total: u64 = "total",
            /// Whether more follow.
            has_more: bool = "hasMore",
            /// The offset at which they do.
            next_offset: u32 = "nextOffset",
        }
    }
}

open_object! {
    /// One job.
    pub struct CronJob {
        required {
            /// Its id.
            id: String = "id",
        }
        optional {
            /// Its origin: `heartbeat:<agent id>` for a heartbeat monitor (from 2026.8 on).
            declaration_key: String = "declarationKey",
            /// Its agent.
            agent_id: String = "agentId",
            /// Its name.
            name: String = "name",
            /// Whether it runs.
            enabled: bool = "enabled",
            /// When it runs.
            schedule: Value = "schedule",
        }
    }
}

request! {
    /// the scratch of a job: a text that its agent is shown at every run (from 2026.8 on).
    CronScratchGet = "cron.scratch.get" => CronScratchReply {
        required {
            /// The job.
            id: String,
        }
    }
}

request! {
    /// writes the scratch of a job (from 2026.8 on). Another revision than the expected one is an answer and not an error: see
    /// [`CronScratchReply::is_conflict`].
    CronScratchSet = "cron.scratch.set" => CronScratchReply {
        required {
            /// The job.
            id: String,
            /// The text, at most [`SCRATCH_LIMIT`] characters.
            content: String,
        }
        optional {
            /// Only if this is still the current revision.
            expected_revision: u64,
        }
    }
}

open_object! {
    /// The answer to `cron.scratch.get` and `cron.scratch.set`.
    pub struct CronScratchReply {
        optional {
            /// Whether it was written (`set` only).
            ok: bool = "ok",
            /// Why it was not: `revision-conflict`.
            reason: String = "reason",
            /// The text; absent where there is none.
            scratch: CronScratch = "scratch",
            /// Counts up with every write.
            current_revision: u64 = "currentRevision",
            /// How much it takes.
            max_bytes: u64 = "maxBytes",
        }
    }
}

open_object! {
    /// A scratch.
    pub struct CronScratch {
        required {
            /// The text.
            content: String = "content",
        }
        optional {
            /// The write that it comes from.
            revision: u64 = "revision",
            /// In ms since 1970.
            updated_at_ms: u64 = "updatedAtMs",
        }
    }
}

impl CronScratchReply {
    /// Whether nothing was written because someone else wrote first.
    pub fn is_conflict(&self) -> bool {
        self.ok == Some(false)
    }
}
