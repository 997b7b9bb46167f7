-- Results are stored in blocks: those of one envelope are one compressed body (docs/decisions/0093).
-- What was stored before stays as it is, in `old_results` and the `old_..._results`; the views
-- `results` and so on (made when the store is opened) have both. Parts keep their names.
ALTER TABLE results RENAME TO old_results;

CREATE TABLE epochs (
    epoch_id integer PRIMARY KEY,
    tenant   text NOT NULL,
    probe    text NOT NULL,
    epoch    text NOT NULL,
    UNIQUE (tenant, probe, epoch)
);

-- With which bodies are compressed. None is ever deleted while blocks may need it.
CREATE TABLE dictionaries (
    dictionary_id bigint PRIMARY KEY,
    content       bytea NOT NULL
);

-- Results with consecutive numbers and sequence numbers, of one kind and one UTC day. `number` and
-- `started_at` are those of the first.
CREATE TABLE result_blocks (
    number        bigint      NOT NULL,
    started_at    timestamptz NOT NULL,
    received_at   timestamptz NOT NULL,
    stored_at     timestamptz NOT NULL,
    first_seq     bigint      NOT NULL,
    epoch_id      integer     NOT NULL,
    results       smallint    NOT NULL,
    dictionary_id smallint    NOT NULL,
    kind          text        NOT NULL,
    body          bytea       NOT NULL
) PARTITION BY RANGE (started_at);
-- Compressed already.
ALTER TABLE result_blocks ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE INDEX result_blocks_by_number ON result_blocks (number);
CREATE INDEX result_blocks_by_seq ON result_blocks (epoch_id, first_seq);
CREATE TABLE result_blocks_other PARTITION OF result_blocks DEFAULT;

-- The number of the last result and its place in its block; NULL where it is in `old_results`.
ALTER TABLE last_results ADD COLUMN number bigint;
ALTER TABLE last_results ADD COLUMN place smallint;
