-- Which results of an epoch are stored, apart from `ranges`, which also has what was given up: this
-- is a result's identity, and it outlives the result's row (retention).
ALTER TABLE ledgers ADD COLUMN stored TEXT NOT NULL DEFAULT '[]';
UPDATE ledgers SET stored = ranges;

-- In which day's part of `results` it is; the other database parts them.
ALTER TABLE last_results ADD COLUMN started_at TEXT;
UPDATE last_results SET started_at = (
    SELECT results.started_at FROM results
    WHERE results.tenant = last_results.tenant AND results.probe = last_results.probe
      AND results.epoch = last_results.epoch AND results.seq = last_results.seq
);

-- The number of the last result, and how far results from before the roll-ups have been taken into
-- them: `backfill_to` is where the old ones end, `backfilled` how far it went.
INSERT INTO totals SELECT 'number', coalesce(max(number), 0) FROM results;
INSERT INTO totals SELECT 'backfill_to', coalesce(max(number), 0) FROM results;

-- What stored results add to their hours, written in their transaction and taken into the roll-ups
-- by another one, which deletes them: each counts once, and storing does not wait for merging.
CREATE TABLE rollup_deltas (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant  TEXT    NOT NULL,
    probe   TEXT    NOT NULL,
    line    TEXT    NOT NULL,
    start_s INTEGER NOT NULL,
    body    BLOB    NOT NULL
) STRICT;

-- A line by number, for the roll-up tables (which are made from types: `rollup_hour`, …).
CREATE TABLE lines (
    line_id INTEGER PRIMARY KEY,
    tenant  TEXT NOT NULL,
    probe   TEXT NOT NULL,
    line    TEXT NOT NULL,
    UNIQUE (tenant, probe, line)
) STRICT;

-- The registry, a row a thing. `place` is where a line stands among those of its probe.
CREATE TABLE registry_probes (
    tenant       TEXT NOT NULL,
    probe        TEXT NOT NULL,
    commune      TEXT NOT NULL,
    office       TEXT NOT NULL,
    installed_on TEXT,
    PRIMARY KEY (tenant, probe)
) STRICT, WITHOUT ROWID;
CREATE TABLE registry_lines (
    tenant        TEXT NOT NULL,
    probe         TEXT NOT NULL,
    line          TEXT NOT NULL,
    place         INTEGER NOT NULL,
    isp           TEXT NOT NULL,
    plan_down_bps REAL,
    plan_up_bps   REAL,
    contract_date TEXT,
    technology    TEXT,
    PRIMARY KEY (tenant, probe, line)
) STRICT, WITHOUT ROWID;
CREATE TABLE registry_isps (
    id   TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE registry_groups (
    id       TEXT NOT NULL PRIMARY KEY,
    name     TEXT NOT NULL,
    communes TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE registry_communes (
    code          TEXT NOT NULL PRIMARY KEY,
    name          TEXT NOT NULL,
    kind          TEXT NOT NULL,
    province_code TEXT NOT NULL,
    province_name TEXT NOT NULL,
    latitude      REAL NOT NULL,
    longitude     REAL NOT NULL,
    valid_from    TEXT,
    valid_to      TEXT
) STRICT, WITHOUT ROWID;

-- Every change of the registry: who, when, from which source, what it was and what it became.
CREATE TABLE registry_changes (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at     TEXT NOT NULL,
    who    TEXT NOT NULL,
    source TEXT NOT NULL,
    thing  TEXT NOT NULL,
    key    TEXT NOT NULL,
    before TEXT,
    after  TEXT
) STRICT;
