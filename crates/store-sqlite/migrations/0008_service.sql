-- Tokens of people and programs that call the service: by their hash.
CREATE TABLE api_tokens (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE, -- SHA-256 in hex
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    last_used_at INTEGER,
    revoked_at INTEGER
) STRICT;

-- What agents and people of a board write down for each other. It goes with its board.
CREATE TABLE board_memory (
    position INTEGER PRIMARY KEY AUTOINCREMENT, -- the order in which entries were written
    id TEXT NOT NULL UNIQUE,
    board_id TEXT NOT NULL REFERENCES boards (id) ON DELETE CASCADE,
    content TEXT NOT NULL,
    tags TEXT NOT NULL,
    is_chat INTEGER NOT NULL,
    source TEXT,
    agent_id TEXT,
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX board_memory_by_board ON board_memory (board_id, is_chat, position);

-- Who made a change, and by which front: the audit trail.
ALTER TABLE activities ADD COLUMN actor TEXT;
ALTER TABLE activities ADD COLUMN source TEXT;
