-- Days and months of lines whose roll-ups differ from raw results (docs/decisions/0112): the number of
-- figures that differ, and the first of them. `period` is a local day or month: 2026-07-25, 2026-07.
CREATE TABLE rollup_differences (
    tenant    TEXT    NOT NULL,
    probe     TEXT    NOT NULL,
    line      TEXT    NOT NULL,
    period    TEXT    NOT NULL,
    found_at  TEXT    NOT NULL,
    figures   INTEGER NOT NULL,
    figure    TEXT    NOT NULL,
    rolled_up REAL,
    raw       REAL,
    PRIMARY KEY (tenant, probe, line, period)
) STRICT, WITHOUT ROWID;
