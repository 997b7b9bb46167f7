-- The last results by the number of their series (docs/decisions/0107): to write one is to write
-- numbers. A row has the last result whatever its outcome and, after `ok_`, the last that went well.
-- `number` and `place` are NULL where it is in `old_results`. `last_results` is a view of both.
CREATE TABLE series (
    series_id integer  PRIMARY KEY,
    tenant    text     NOT NULL,
    probe     text     NOT NULL,
    line      text     NOT NULL,
    kind      text     NOT NULL,
    target    text     NOT NULL,
    family    smallint NOT NULL,
    UNIQUE (tenant, probe, line, kind, target, family)
);
INSERT INTO series
    SELECT row_number() OVER (), tenant, probe, line, kind, target, family
    FROM (SELECT DISTINCT tenant, probe, line, kind, target, family FROM last_results) AS known;
INSERT INTO totals SELECT 'series_id', coalesce(max(series_id), 0) FROM series;

INSERT INTO epochs
    SELECT (SELECT coalesce(max(epoch_id), 0) FROM epochs) + row_number() OVER (), tenant, probe, epoch
    FROM (SELECT tenant, probe, epoch FROM last_results
          EXCEPT SELECT tenant, probe, epoch FROM epochs) AS missing;
INSERT INTO totals SELECT 'epoch_id', coalesce(max(epoch_id), 0) FROM epochs
    ON CONFLICT (name) DO UPDATE SET count = excluded.count;

-- A row is changed with nearly each of its results: room for its next version beside it.
CREATE TABLE series_last (
    series_id     integer     PRIMARY KEY,
    stored_at     timestamptz NOT NULL,
    epoch_id      integer,
    seq           bigint,
    started_at    timestamptz,
    number        bigint,
    place         smallint,
    ok_epoch_id   integer,
    ok_seq        bigint,
    ok_started_at timestamptz,
    ok_number     bigint,
    ok_place      smallint
) WITH (fillfactor = 50);
WITH placed AS (
    SELECT series_id, only_ok, epoch_id, seq, started_at, number, place
    FROM last_results JOIN series USING (tenant, probe, line, kind, target, family)
    JOIN epochs USING (tenant, probe, epoch)
)
INSERT INTO series_last
    SELECT series_id, 'epoch', a.epoch_id, a.seq, a.started_at, a.number, a.place,
        b.epoch_id, b.seq, b.started_at, b.number, b.place
    FROM series LEFT JOIN (SELECT * FROM placed WHERE only_ok = 0) AS a USING (series_id)
    LEFT JOIN (SELECT * FROM placed WHERE only_ok = 1) AS b USING (series_id);
DROP TABLE last_results;
CREATE VIEW last_results AS
    SELECT s.tenant, s.probe, s.line, s.kind, s.target, s.family, 0 AS only_ok, e.epoch, l.seq,
        l.started_at, l.number, l.place, l.series_id
    FROM series AS s JOIN series_last AS l ON l.series_id = s.series_id
    JOIN epochs AS e ON e.epoch_id = l.epoch_id
    UNION ALL
    SELECT s.tenant, s.probe, s.line, s.kind, s.target, s.family, 1, e.epoch, l.ok_seq,
        l.ok_started_at, l.ok_number, l.ok_place, l.series_id
    FROM series AS s JOIN series_last AS l ON l.series_id = s.series_id
    JOIN epochs AS e ON e.epoch_id = l.ok_epoch_id;
