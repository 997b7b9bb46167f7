-- Planned maintenance (docs/decisions/0139): what was announced, corrected and withdrawn, an entry
-- each; none is changed or deleted. `isp`, `place` and `line` "" are every one.
CREATE TABLE maintenance_entries (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    announcement INTEGER NOT NULL,
    recorded_at  TEXT NOT NULL,
    author       TEXT NOT NULL,
    action       TEXT NOT NULL,
    isp          TEXT NOT NULL,
    place        TEXT NOT NULL,
    line         TEXT NOT NULL,
    starts_at    TEXT NOT NULL,
    ends_at      TEXT NOT NULL,
    reason       TEXT NOT NULL,
    note         TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX maintenance_announced ON maintenance_entries (announcement)
    WHERE action = 'announced';
