-- Results are stored in blocks: those of one envelope are one compressed body (docs/decisions/0093).
-- What was stored before stays as it is, in `old_results` and the `old_..._results`; the views
-- `results` and so on (made when the store is opened) have both.
ALTER TABLE results RENAME TO old_results;

CREATE TABLE epochs (
    epoch_id INTEGER PRIMARY KEY,
    tenant   TEXT NOT NULL,
    probe    TEXT NOT NULL,
    epoch    TEXT NOT NULL,
    UNIQUE (tenant, probe, epoch)
) STRICT;

-- With which bodies are compressed. None is ever deleted while blocks may need it.
CREATE TABLE dictionaries (
    dictionary_id INTEGER PRIMARY KEY,
    content       BLOB NOT NULL
) STRICT;

-- Results with consecutive numbers and sequence numbers, of one kind and one UTC day. `number` is
-- that of the first, times are microseconds since 1970, `started_at` that of the first.
CREATE TABLE result_blocks (
    number        INTEGER PRIMARY KEY,
    started_at    INTEGER NOT NULL,
    received_at   INTEGER NOT NULL,
    stored_at     INTEGER NOT NULL,
    first_seq     INTEGER NOT NULL,
    epoch_id      INTEGER NOT NULL,
    results       INTEGER NOT NULL,
    dictionary_id INTEGER NOT NULL,
    kind          TEXT    NOT NULL,
    body          BLOB    NOT NULL
) STRICT;
CREATE INDEX result_blocks_by_seq ON result_blocks (epoch_id, first_seq);

-- The number of the last result and its place in its block; NULL where it is in `old_results`.
ALTER TABLE last_results ADD COLUMN number INTEGER;
ALTER TABLE last_results ADD COLUMN place INTEGER;
