-- Signatures of results, and the certificates by which they are checked (docs/decisions/0115).
CREATE TABLE probe_certificates (
    tenant      text        NOT NULL,
    probe       text        NOT NULL,
    key         text        NOT NULL,
    begins_at   timestamptz NOT NULL,
    ends_at     timestamptz NOT NULL,
    certificate bytea       NOT NULL,
    PRIMARY KEY (tenant, probe, key)
);

-- A row for each signature block. `started_at` is that of the first of its results that came with
-- it, `outcome` 0 checked, 1 unknown key, 2 mismatch. `digests`: of those of its results that did
-- not come with it. `sent`: the bytes of those that the centre has changed.
CREATE TABLE signature_blocks (
    started_at timestamptz NOT NULL,
    stored_at  timestamptz NOT NULL,
    first_seq  bigint      NOT NULL,
    epoch_id   integer     NOT NULL,
    results    smallint    NOT NULL,
    outcome    smallint    NOT NULL,
    key        bytea       NOT NULL,
    previous   bytea       NOT NULL,
    signature  bytea       NOT NULL,
    digests    bytea,
    sent       bytea
) PARTITION BY RANGE (started_at);
CREATE INDEX signature_blocks_by_seq ON signature_blocks (epoch_id, first_seq);
CREATE TABLE signature_blocks_other PARTITION OF signature_blocks DEFAULT;
