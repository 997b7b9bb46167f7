-- Signatures of results, and the certificates by which they are checked (docs/decisions/0115).
CREATE TABLE probe_certificates (
    tenant      TEXT NOT NULL,
    probe       TEXT NOT NULL,
    key         TEXT NOT NULL,
    begins_at   TEXT NOT NULL,
    ends_at     TEXT NOT NULL,
    certificate BLOB NOT NULL,
    PRIMARY KEY (tenant, probe, key)
) STRICT;

-- A row for each signature block, in the order of storing. `started_at` is that of the first of its
-- results that came with it, `outcome` 0 checked, 1 unknown key, 2 mismatch. `digests`: of those of its
-- results that did not come with it. `sent`: the bytes of those that the centre has changed.
CREATE TABLE signature_blocks (
    started_at INTEGER NOT NULL,
    stored_at  INTEGER NOT NULL,
    first_seq  INTEGER NOT NULL,
    epoch_id   INTEGER NOT NULL,
    results    INTEGER NOT NULL,
    outcome    INTEGER NOT NULL,
    key        BLOB NOT NULL,
    previous   BLOB NOT NULL,
    signature  BLOB NOT NULL,
    digests    BLOB,
    sent       BLOB
) STRICT;
CREATE INDEX signature_blocks_by_seq ON signature_blocks (epoch_id, first_seq);
