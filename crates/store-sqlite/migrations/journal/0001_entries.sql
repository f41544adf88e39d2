-- The journal: a database of its own. Ids are UUIDs as text, times are milliseconds since 1970.
-- A migration that was released is never edited; the next one mends it.

PRAGMA application_id = 1464421962; -- "WINJ": neither another program's file nor a store's

-- Read in the order of the cursor, and a part of it through a filter: an index would cost every append and serve few reads.
-- What a filter and pruning look at comes before the body, so that they don't read large ones.
CREATE TABLE entries (
    cursor INTEGER PRIMARY KEY,
    size INTEGER NOT NULL, -- what it counts in extent.bytes, so that what was added is what is subtracted
    at INTEGER NOT NULL,
    gateway TEXT NOT NULL,
    generation INTEGER NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    seq INTEGER,
    session_key TEXT,
    body TEXT NOT NULL
) STRICT;

-- One row, from the first append on.
CREATE TABLE extent (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    newest INTEGER NOT NULL, -- the last cursor used, whether its entry is there or not
    pruned INTEGER NOT NULL, -- the last cursor up to which nothing is there any more
    bytes INTEGER NOT NULL
) STRICT;

CREATE TABLE consumers (
    name TEXT PRIMARY KEY,
    cursor INTEGER NOT NULL,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
