-- What each batch adds to the roll-ups: its results' figures, not yet counted (docs/decisions/0096).
-- `rollup_deltas` has what an older version left, and is emptied by the next roll-up.
CREATE TABLE rollup_batches (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    results INTEGER NOT NULL,
    body    BLOB NOT NULL
) STRICT;
