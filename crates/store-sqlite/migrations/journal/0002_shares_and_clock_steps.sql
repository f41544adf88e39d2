-- What each gateway takes, so that one that sends much is pruned before the others; and the steps of the clock that stamped
-- entries, so that their age is counted right.

-- extent.pruned is from now on the last cursor before the oldest entry; between that and extent.newest there may be holes.
ALTER TABLE extent ADD COLUMN entries INTEGER NOT NULL DEFAULT 0;
UPDATE extent SET entries = newest - pruned;

CREATE TABLE shares (
    gateway TEXT PRIMARY KEY,
    entries INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    before INTEGER NOT NULL -- no entry of the gateway has a cursor up to this one
) STRICT, WITHOUT ROWID;

INSERT INTO shares (gateway, entries, bytes, before)
SELECT gateway, count(*), sum(size), min(cursor) - 1 FROM entries GROUP BY gateway;

-- The reader that acknowledged last; two that use one name find each other by it.
ALTER TABLE consumers ADD COLUMN reader INTEGER;

CREATE TABLE clock_steps (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    upto INTEGER NOT NULL, -- the last cursor that was stamped before the step
    by_ms INTEGER NOT NULL
) STRICT;
