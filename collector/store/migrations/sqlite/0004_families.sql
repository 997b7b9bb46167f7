-- The address family of what was measured: 4, 6, or 0 where none is stated (kinds without one, and
-- probes before 0.2.0). A line has a row for each of its families, so that the roll-ups, whose key
-- is `line_id`, tell them apart without a column; the figures from before are those of family 0.
CREATE TABLE lines_with_family (
    line_id INTEGER PRIMARY KEY,
    tenant  TEXT    NOT NULL,
    probe   TEXT    NOT NULL,
    line    TEXT    NOT NULL,
    family  INTEGER NOT NULL DEFAULT 0,
    UNIQUE (tenant, probe, line, family)
) STRICT;
INSERT INTO lines_with_family SELECT line_id, tenant, probe, line, 0 FROM lines;
DROP TABLE lines;
ALTER TABLE lines_with_family RENAME TO lines;

ALTER TABLE rollup_deltas ADD COLUMN family INTEGER NOT NULL DEFAULT 0;

-- A target is measured over each family: the last result of one is not that of the other.
CREATE TABLE last_results_with_family (
    tenant     TEXT    NOT NULL,
    probe      TEXT    NOT NULL,
    line       TEXT    NOT NULL,
    kind       TEXT    NOT NULL,
    target     TEXT    NOT NULL,
    family     INTEGER NOT NULL DEFAULT 0,
    only_ok    INTEGER NOT NULL,
    epoch      TEXT    NOT NULL,
    seq        INTEGER NOT NULL,
    started_at TEXT,
    PRIMARY KEY (tenant, probe, line, kind, target, family, only_ok)
) STRICT, WITHOUT ROWID;
INSERT INTO last_results_with_family
    SELECT tenant, probe, line, kind, target, 0, only_ok, epoch, seq, started_at FROM last_results;
DROP TABLE last_results;
ALTER TABLE last_results_with_family RENAME TO last_results;
