-- Ids are UUIDs as text, times are milliseconds since 1970, switches are 0 or 1. Free-form members are JSON.
-- A migration that was released is never edited; the next one mends it.

PRAGMA application_id = 1464421956; -- "WIND": so that no other program's file is taken for ours

CREATE TABLE organizations (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    owner TEXT NOT NULL
) STRICT;

CREATE TABLE gateways (
    id TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    token TEXT, -- a reference: env:NAME, file:/path or host:name
    workspace_root TEXT,
    allow_insecure_tls INTEGER NOT NULL,
    tls_fingerprint TEXT,
    disable_device_pairing INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE boards (
    id TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    gateway_id TEXT REFERENCES gateways (id),
    name TEXT NOT NULL,
    board_type TEXT NOT NULL,
    objective TEXT,
    success_metrics TEXT,
    target_date TEXT,
    goal_confirmed INTEGER NOT NULL,
    rules TEXT NOT NULL,
    max_agents INTEGER NOT NULL,
    paused INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE agents (
    id TEXT PRIMARY KEY,
    gateway_id TEXT NOT NULL REFERENCES gateways (id),
    board_id TEXT REFERENCES boards (id),
    is_board_lead INTEGER NOT NULL,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL, -- the name in Unicode lower case, which SQLite can't make
    status TEXT NOT NULL,
    session_key TEXT NOT NULL,
    token_hash TEXT,
    heartbeat TEXT NOT NULL,
    identity TEXT NOT NULL,
    identity_template TEXT,
    soul_template TEXT,
    provision_requested_at INTEGER,
    provision_action TEXT,
    last_seen_at INTEGER,
    lifecycle_generation INTEGER NOT NULL,
    wake_attempts INTEGER NOT NULL,
    last_wake_sent_at INTEGER,
    checkin_deadline_at INTEGER,
    last_provision_error TEXT,
    created_at INTEGER NOT NULL,
    revision INTEGER NOT NULL
) STRICT;

-- The store checks these before it writes, to say who is in the way; here they hold whatever the store does.
CREATE UNIQUE INDEX one_main_per_gateway ON agents (gateway_id) WHERE board_id IS NULL;
CREATE UNIQUE INDEX one_lead_per_board ON agents (board_id) WHERE is_board_lead = 1;
CREATE UNIQUE INDEX one_name_per_board ON agents (board_id, name_key) WHERE board_id IS NOT NULL;
CREATE UNIQUE INDEX one_name_per_workspace ON agents (gateway_id, name_key) WHERE is_board_lead = 0;
CREATE UNIQUE INDEX one_agent_per_session ON agents (gateway_id, session_key);

-- Runs and activities outlive what they are about: they refer to it by id only.
CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    agent_id TEXT NOT NULL,
    gateway_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    generation INTEGER NOT NULL,
    options TEXT NOT NULL,
    state TEXT NOT NULL,
    error TEXT,
    wake_key TEXT,
    started_at INTEGER NOT NULL,
    ended_at INTEGER
) STRICT;

CREATE UNIQUE INDEX one_active_run_per_agent ON runs (agent_id) WHERE state = 'active';

CREATE TABLE steps (
    position INTEGER PRIMARY KEY, -- the order in which they were begun
    run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    detail TEXT NOT NULL,
    at INTEGER NOT NULL,
    UNIQUE (run_id, name)
) STRICT;

CREATE TABLE activities (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- a cursor: never used again, not even after the last one was pruned
    kind TEXT NOT NULL,
    message TEXT NOT NULL,
    agent_id TEXT,
    board_id TEXT,
    at INTEGER NOT NULL
) STRICT;
