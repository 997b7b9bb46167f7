-- Results of days that are over are packed (docs/decisions/0095): the rows of `result_blocks` move to
-- `packed_blocks`, and their bodies, of some hundred results together, to `result_packs`.
CREATE TABLE packed_blocks (
    number      bigint      NOT NULL,
    started_at  timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    stored_at   timestamptz NOT NULL,
    first_seq   bigint      NOT NULL,
    epoch_id    integer     NOT NULL,
    results     smallint    NOT NULL,
    kind        text        NOT NULL
) PARTITION BY RANGE (started_at);
CREATE INDEX packed_blocks_by_number ON packed_blocks (number);
CREATE INDEX packed_blocks_by_seq ON packed_blocks (epoch_id, first_seq);
CREATE TABLE packed_blocks_other PARTITION OF packed_blocks DEFAULT;

-- The bodies of `results` results with consecutive numbers from `number`, all of one UTC day.
CREATE TABLE result_packs (
    number        bigint      NOT NULL,
    started_at    timestamptz NOT NULL,
    results       smallint    NOT NULL,
    dictionary_id smallint    NOT NULL,
    body          bytea       NOT NULL
) PARTITION BY RANGE (started_at);
-- Compressed already.
ALTER TABLE result_packs ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE INDEX result_packs_by_number ON result_packs (number);
CREATE TABLE result_packs_other PARTITION OF result_packs DEFAULT;
