-- Results of days that are over are packed (docs/decisions/0095): the rows of `result_blocks` move to
-- `packed_blocks`, and their bodies, of some hundred results together, to `result_packs`.
CREATE TABLE packed_blocks (
    number      INTEGER PRIMARY KEY,
    started_at  INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    stored_at   INTEGER NOT NULL,
    first_seq   INTEGER NOT NULL,
    epoch_id    INTEGER NOT NULL,
    results     INTEGER NOT NULL,
    kind        TEXT    NOT NULL
) STRICT;
CREATE INDEX packed_blocks_by_seq ON packed_blocks (epoch_id, first_seq);

-- The bodies of `results` results with consecutive numbers from `number`, all of one UTC day.
CREATE TABLE result_packs (
    number        INTEGER PRIMARY KEY,
    started_at    INTEGER NOT NULL,
    results       INTEGER NOT NULL,
    dictionary_id INTEGER NOT NULL,
    body          BLOB    NOT NULL
) STRICT;
