-- The last results by the number of their series (docs/decisions/0107): to write one is to write
-- numbers. A row has the last result whatever its outcome and, after `ok_`, the last that went well.
-- `number` and `place` are NULL where it is in `old_results`. `last_results` is a view of both.
CREATE TABLE series (
    series_id INTEGER PRIMARY KEY,
    tenant    TEXT    NOT NULL,
    probe     TEXT    NOT NULL,
    line      TEXT    NOT NULL,
    kind      TEXT    NOT NULL,
    target    TEXT    NOT NULL,
    family    INTEGER NOT NULL,
    UNIQUE (tenant, probe, line, kind, target, family)
) STRICT;
INSERT INTO series (tenant, probe, line, kind, target, family)
    SELECT DISTINCT tenant, probe, line, kind, target, family FROM last_results;
INSERT INTO totals SELECT 'series_id', coalesce(max(series_id), 0) FROM series;

INSERT INTO epochs
    SELECT (SELECT coalesce(max(epoch_id), 0) FROM epochs) + row_number() OVER (), tenant, probe, epoch
    FROM (SELECT tenant, probe, epoch FROM last_results
          EXCEPT SELECT tenant, probe, epoch FROM epochs) AS missing;
INSERT INTO totals SELECT 'epoch_id', coalesce(max(epoch_id), 0) FROM epochs WHERE true
    ON CONFLICT (name) DO UPDATE SET count = excluded.count;

CREATE TABLE series_last (
    series_id     INTEGER PRIMARY KEY,
    stored_at     INTEGER NOT NULL,
    epoch_id      INTEGER,
    seq           INTEGER,
    started_at    INTEGER,
    number        INTEGER,
    place         INTEGER,
    ok_epoch_id   INTEGER,
    ok_seq        INTEGER,
    ok_started_at INTEGER,
    ok_number     INTEGER,
    ok_place      INTEGER
) STRICT;
WITH placed AS (
    SELECT series_id, only_ok, epoch_id, seq, number, place,
        CAST(strftime('%s', substr(started_at, 1, 19)) AS INTEGER) * 1000000
            + CAST(substr(started_at, 21, 6) AS INTEGER) AS started_at
    FROM last_results JOIN series USING (tenant, probe, line, kind, target, family)
    JOIN epochs USING (tenant, probe, epoch)
)
INSERT INTO series_last
    SELECT series_id, 0, a.epoch_id, a.seq, a.started_at, a.number, a.place,
        b.epoch_id, b.seq, b.started_at, b.number, b.place
    FROM series LEFT JOIN (SELECT * FROM placed WHERE only_ok = 0) AS a USING (series_id)
    LEFT JOIN (SELECT * FROM placed WHERE only_ok = 1) AS b USING (series_id);
DROP TABLE last_results;
CREATE VIEW last_results AS
    SELECT s.tenant, s.probe, s.line, s.kind, s.target, s.family, 0 AS only_ok, e.epoch, l.seq,
        strftime('%Y-%m-%dT%H:%M:%S',
            (l.started_at - ((l.started_at % 1000000 + 1000000) % 1000000)) / 1000000, 'unixepoch')
            || printf('.%06dZ', ((l.started_at % 1000000 + 1000000) % 1000000)) AS started_at,
        l.number, l.place, l.series_id
    FROM series AS s JOIN series_last AS l ON l.series_id = s.series_id
    JOIN epochs AS e ON e.epoch_id = l.epoch_id
    UNION ALL
    SELECT s.tenant, s.probe, s.line, s.kind, s.target, s.family, 1, e.epoch, l.ok_seq,
        strftime('%Y-%m-%dT%H:%M:%S',
            (l.ok_started_at - ((l.ok_started_at % 1000000 + 1000000) % 1000000)) / 1000000, 'unixepoch')
            || printf('.%06dZ', ((l.ok_started_at % 1000000 + 1000000) % 1000000)),
        l.ok_number, l.ok_place, l.series_id
    FROM series AS s JOIN series_last AS l ON l.series_id = s.series_id
    JOIN epochs AS e ON e.epoch_id = l.ok_epoch_id;
