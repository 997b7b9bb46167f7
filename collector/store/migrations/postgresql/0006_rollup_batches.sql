-- What each batch adds to the roll-ups: its results' figures, not yet counted (docs/decisions/0096).
-- `rollup_deltas` has what an older version left, and is emptied by the next roll-up.
CREATE TABLE rollup_batches (
    number  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    results bigint NOT NULL,
    body    bytea NOT NULL
);
