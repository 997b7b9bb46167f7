-- Alerts of tenants, and the notifications that are still due (docs/decisions/0125): whoever holds a
-- tenant goes on with its alerts. `collector` is empty for those, and says whose certificate files an
-- alert of the centre itself is about. Times are UTC as text, as in the file of a centre on SQLite.
CREATE TABLE alerts (
    number       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind         text NOT NULL,
    tenant       text NOT NULL,
    probe        text NOT NULL,
    line         text NOT NULL,
    name         text NOT NULL,
    began_at     text NOT NULL,
    seen_at      text NOT NULL,
    ended_at     text,
    commune_code text,
    office       text,
    evidence     text NOT NULL,
    collector    text NOT NULL
);
-- At most one alert of a kind and subject is open at a time.
CREATE UNIQUE INDEX open_alerts
    ON alerts (kind, tenant, probe, line, name, collector) WHERE ended_at IS NULL;
CREATE TABLE due_notifications (
    number  bigint NOT NULL REFERENCES alerts,
    channel text NOT NULL,
    edge    text NOT NULL,
    PRIMARY KEY (number, channel, edge)
);
-- Who carried a line: its public addresses, as JSON. Personal data.
CREATE TABLE line_operators (
    tenant  text NOT NULL,
    probe   text NOT NULL,
    line    text NOT NULL,
    history text NOT NULL,
    PRIMARY KEY (tenant, probe, line)
);
