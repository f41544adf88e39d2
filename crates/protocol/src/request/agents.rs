//! The list of agents, the files of an agent, and scheduled jobs: the agents' heartbeat monitors among them, with their scratch.

use serde_json::Value;

use super::request;
use crate::open::open_object;

request! {
    /// all agents of the gateway.
    AgentsList: Default = "agents.list" => AgentsListReply {}
}

open_object! {
    /// The answer to `agents.list`.
    pub struct AgentsListReply {
        required {
            /// The agent of sessions that name none.
            default_id: String = "defaultId",
        }
        rows {
            /// The agents.
            agents: AgentRow = "agents",
        }
        optional {
            /// Last part of the key of an agent's main session: `main`.
            main_key: String = "mainKey",
            /// `per-sender` or `global`.
            scope: String = "scope",
            /// `sole`, `legacy` or `explicit` (generation 4).
            ownership: String = "ownership",
            /// Whether a caller has to name an agent (generation 4).
            selection_required: bool = "selectionRequired",
        }
    }
}

open_object! {
    /// One agent. Up to 2026.3 the main agent has an id and nothing else.
    pub struct AgentRow {
        required {
            /// Its id, a part of all its session keys.
            id: String = "id",
        }
        optional {
            /// Its name.
            name: String = "name",
            /// How it is shown.
            identity: AgentFace = "identity",
            /// Its folder on the gateway's host (generation 4).
            workspace: String = "workspace",
            /// Its models (generation 4).
            model: AgentModel = "model",
        }
    }
}

open_object! {
    /// How an agent is shown.
    pub struct AgentFace {
        optional {
            /// Its name.
            name: String = "name",
            /// Its character.
            theme: String = "theme",
            /// Its emoji.
            emoji: String = "emoji",
            /// Its picture, as it was configured.
            avatar: String = "avatar",
            /// Its picture, as a browser can load it.
            avatar_url: String = "avatarUrl",
        }
    }
}

open_object! {
    /// An agent's models, as `provider/model`.
    pub struct AgentModel {
        optional {
            /// The first choice.
            primary: String = "primary",
            /// The models that are tried when that fails.
            fallbacks: Vec<String> = "fallbacks",
        }
    }
}

request! {
    /// the files of an agent that a client may read and write (from 2026.2 on).
    ///
    /// From 2026.8 on, `IDENTITY.md` can be written and is never listed.
    AgentsFilesList = "agents.files.list" => AgentsFilesListReply {
        required {
            /// The agent.
            agent_id: String,
        }
    }
}

open_object! {
    /// The answer to `agents.files.list`.
    pub struct AgentsFilesListReply {
        required {
            /// The agent.
            agent_id: String = "agentId",
            /// Its folder on the gateway's host.
            workspace: String = "workspace",
            /// The files, those that could be there included.
            files: Vec<AgentFile> = "files",
        }
    }
}

open_object! {
    /// One file of an agent.
    pub struct AgentFile {
        required {
            /// For example `SOUL.md`.
            name: String = "name",
            /// Its full path on the gateway's host.
            path: String = "path",
            /// Whether it does not exist.
            missing: bool = "missing",
        }
        optional {
            /// In bytes.
            size: u64 = "size",
            /// In ms since 1970.
            updated_at_ms: u64 = "updatedAtMs",
            /// Its contents; never in a list.
            content: String = "content",
            /// The SHA-256 of its contents (2026.9.6).
            hash: String = "hash",
            /// Whether it is normal that it is missing (generation 4).
            expected_absent: bool = "expectedAbsent",
        }
    }
}

request! {
    /// one file of an agent (from 2026.2 on). That it does not exist is no error: see [`AgentFile::missing`].
    AgentsFilesGet = "agents.files.get" => AgentsFilesGetReply {
        required {
            /// The agent.
            agent_id: String,
            /// For example `SOUL.md`; other names than those that the release knows are refused.
            name: String,
        }
    }
}

open_object! {
    /// The answer to `agents.files.get`.
    pub struct AgentsFilesGetReply {
        required {
            /// The agent.
            agent_id: String = "agentId",
            /// Its folder on the gateway's host.
            workspace: String = "workspace",
            /// The file.
            file: AgentFile = "file",
        }
    }
}

request! {
    /// writes a file of an agent (from 2026.2 on).
    ///
    /// One write per agent at a time: of twenty at once, 2026.3.13 and 2026.4.15 refuse most. `TOOLS.md` and
    /// `HEARTBEAT.md` are refused from 2026.8 on.
    AgentsFilesSet = "agents.files.set" => AgentsFilesSetReply {
        required {
            /// The agent.
            agent_id: String,
            /// For example `SOUL.md`; other names than those that the release knows are refused.
            name: String,
            /// Its new contents.
            content: String,
        }
        optional {
            /// Only if the file's [`hash`](AgentFile::hash) is still this one (2026.9.6; refused by older releases).
            expected_hash: String,
        }
    }
}

open_object! {
    /// The answer to `agents.files.set`.
    pub struct AgentsFilesSetReply {
        required {
            /// The agent.
            agent_id: String = "agentId",
            /// Its folder on the gateway's host.
            workspace: String = "workspace",
            /// The file as it is now.
            file: AgentFile = "file",
        }
        optional {
            /// Always true so far.
            ok: bool = "ok",
        }
    }
}

request! {
    /// makes an agent (from 2026.2 on). Not safe to repeat: the second one fails with "already exists".
    ///
    /// 2026.2 and 2026.9 know the agent only after up to 0.7 s, and call it "not found" until then.
    AgentsCreate = "agents.create" => AgentsCreateReply {
        required {
            /// Its name. The gateway makes the id of it: lower case, everything but letters and digits one `-`.
            name: String,
            /// Its folder on the gateway's host. Needed up to 2026.7.
            workspace: String,
        }
        optional {
            /// Its emoji.
            emoji: String,
            /// Its model, as `provider/model` (from 2026.4 on; refused by older releases).
            model: String,
        }
    }
}

open_object! {
    /// The answer to `agents.create`.
    pub struct AgentsCreateReply {
        required {
            /// The id that was made of the name.
            agent_id: String = "agentId",
        }
        optional {
            /// Always true so far.
            ok: bool = "ok",
            /// Its name.
            name: String = "name",
            /// Its folder on the gateway's host.
            workspace: String = "workspace",
            /// Its model, if one was given.
            model: String = "model",
        }
    }
}

request! {
    /// changes an agent (from 2026.2 on).
    AgentsUpdate = "agents.update" => AgentsUpdateReply {
        required {
            /// The agent.
            agent_id: String,
        }
        optional {
            /// Its name.
            name: String,
            /// Its folder on the gateway's host.
            workspace: String,
            /// Its model, as `provider/model`.
            model: String,
            /// Its emoji (from 2026.4 on; refused by older releases).
            emoji: String,
        }
    }
}

open_object! {
    /// The answer to `agents.update`.
    pub struct AgentsUpdateReply {
        required {
            /// The agent.
            agent_id: String = "agentId",
        }
        optional {
            /// Always true so far.
            ok: bool = "ok",
        }
    }
}

request! {
    /// deletes an agent (from 2026.2 on). 2026.9 deletes even `main` where there is another one.
    AgentsDelete = "agents.delete" => AgentsDeleteReply {
        required {
            /// The agent.
            agent_id: String,
        }
        optional {
            /// Whether its files go too; they do unless told otherwise.
            delete_files: bool,
        }
    }
}

open_object! {
    /// The answer to `agents.delete`.
    pub struct AgentsDeleteReply {
        required {
            /// The agent.
            agent_id: String = "agentId",
        }
        optional {
            /// Always true so far.
            ok: bool = "ok",
            /// How many bindings of channels went with it.
            removed_bindings: u64 = "removedBindings",
        }
    }
}

request! {
    /// deletes a file of an agent. None of nine measured releases has it; it is sent only where it is offered.
    AgentsFilesDelete = "agents.files.delete" => Value {
        required {
            /// The agent.
            agent_id: String,
            /// For example `BOOTSTRAP.md`.
            name: String,
        }
    }
}

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
