-- Times are UTC, `YYYY-MM-DDTHH:MM:SS.ffffffZ`: their order as text is their order in time.
-- Each statement ends with a semicolon at the end of a line.

-- One row a result. `number` is the rowid by name: an unnamed one may change with VACUUM, and pages
-- and subscribers count on it ("what came after number N"). AUTOINCREMENT keeps the number of a
-- deleted row from coming back. WITHOUT ROWID would put bodies of several KB into the tree of the
-- key itself, where SQLite wants rows of a twentieth of a page.
CREATE TABLE results (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant      TEXT    NOT NULL,
    probe       TEXT    NOT NULL,
    epoch       TEXT    NOT NULL,
    seq         INTEGER NOT NULL,
    kind        TEXT    NOT NULL,
    line        TEXT    NOT NULL,
    target      TEXT,
    outcome     TEXT    NOT NULL,
    reason      TEXT,
    started_at  TEXT    NOT NULL,
    received_at TEXT    NOT NULL,
    stored_at   TEXT    NOT NULL,
    body        TEXT    NOT NULL,
    UNIQUE (tenant, probe, epoch, seq)
) STRICT;

-- The stored sequence numbers of each epoch as JSON [[first, last], ...]: what receipts say. Written
-- in the transaction that writes the results. `touched` orders a probe's epochs by last use.
CREATE TABLE ledgers (
    tenant  TEXT    NOT NULL,
    probe   TEXT    NOT NULL,
    epoch   TEXT    NOT NULL,
    ranges  TEXT    NOT NULL,
    touched INTEGER NOT NULL,
    PRIMARY KEY (tenant, probe, epoch)
) STRICT, WITHOUT ROWID;

-- The last result of each (line, kind, target), once whatever its outcome (`only_ok` 0) and once of
-- those that went well (1), so that a page costs the same after ten years. A target of NULL is ''
-- here: a primary key holds no NULL.
CREATE TABLE last_results (
    tenant  TEXT    NOT NULL,
    probe   TEXT    NOT NULL,
    line    TEXT    NOT NULL,
    kind    TEXT    NOT NULL,
    target  TEXT    NOT NULL,
    only_ok INTEGER NOT NULL,
    epoch   TEXT    NOT NULL,
    seq     INTEGER NOT NULL,
    PRIMARY KEY (tenant, probe, line, kind, target, only_ok)
) STRICT, WITHOUT ROWID;

-- What is known of each probe. `revision` is the number of the last batch that touched it.
CREATE TABLE probes (
    tenant          TEXT    NOT NULL,
    probe           TEXT    NOT NULL,
    revision        INTEGER NOT NULL,
    site            TEXT,
    presence        TEXT,
    presence_since  TEXT,
    info            TEXT,
    health          TEXT,
    health_at       TEXT,
    last_contact_at TEXT,
    PRIMARY KEY (tenant, probe)
) STRICT, WITHOUT ROWID;
CREATE INDEX probes_by_revision ON probes (revision);

-- Messages that intake refused; the oldest go first. Only the head of a long payload is kept.
CREATE TABLE rejected (
    number        INTEGER PRIMARY KEY AUTOINCREMENT,
    topic         TEXT    NOT NULL,
    reason        TEXT    NOT NULL,
    detail        TEXT    NOT NULL,
    received_at   TEXT    NOT NULL,
    payload_head  BLOB    NOT NULL,
    payload_bytes INTEGER NOT NULL
) STRICT;

-- Counts since the beginning, which rows that go do not lower: `results`, `rejected:<reason>`.
CREATE TABLE totals (
    name  TEXT    NOT NULL PRIMARY KEY,
    count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
