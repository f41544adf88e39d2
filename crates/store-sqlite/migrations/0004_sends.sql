-- Chat messages that must happen once. They refer to their gateway by id only: it needs no record.
CREATE TABLE sends (
    position INTEGER PRIMARY KEY AUTOINCREMENT, -- the order in which they go out; never used again
    key TEXT NOT NULL UNIQUE,
    gateway_id TEXT NOT NULL,
    session_key TEXT NOT NULL,
    deliver INTEGER,
    created_at INTEGER NOT NULL,
    deadline INTEGER,
    attempts INTEGER NOT NULL,
    state TEXT NOT NULL,
    outcome TEXT, -- the run's id, or what is said of the failure
    ended_at INTEGER,
    size INTEGER NOT NULL, -- of the two texts below, in bytes: a page is measured without reading them
    options TEXT NOT NULL,
    text TEXT NOT NULL
) STRICT;

CREATE INDEX sends_pending ON sends (state, position) WHERE state = 'pending';
CREATE INDEX sends_by_end ON sends (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE attempts (
    position INTEGER NOT NULL REFERENCES sends (position) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    facts TEXT NOT NULL,
    PRIMARY KEY (position, number)
) STRICT, WITHOUT ROWID;
