-- The same tables as SQLite's, in one step: PostgreSQL came later. Times are `timestamptz`. Each
-- statement ends with a semicolon at the end of a line.

-- One row a result, a part a day of `started_at`. A unique key must hold the column that parts the
-- table; `started_at` is in the result itself, so a repeat has the same. The identity proper is
-- `ledgers.stored`, which also outlives the row. `number` comes from `totals`, in order of commit.
CREATE TABLE results (
    number      bigint      NOT NULL,
    tenant      text        NOT NULL,
    probe       text        NOT NULL,
    epoch       text        NOT NULL,
    seq         bigint      NOT NULL,
    kind        text        NOT NULL,
    line        text        NOT NULL,
    target      text,
    outcome     text        NOT NULL,
    reason      text,
    started_at  timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    stored_at   timestamptz NOT NULL,
    body        text        NOT NULL,
    PRIMARY KEY (tenant, probe, epoch, seq, started_at)
) PARTITION BY RANGE (started_at);
CREATE INDEX results_by_number ON results (number);
-- For clocks that were never right, and days that are long past.
CREATE TABLE results_other PARTITION OF results DEFAULT;

CREATE TABLE ledgers (
    tenant  text   NOT NULL,
    probe   text   NOT NULL,
    epoch   text   NOT NULL,
    ranges  text   NOT NULL,
    touched bigint NOT NULL,
    stored  text   NOT NULL DEFAULT '[]',
    PRIMARY KEY (tenant, probe, epoch)
);

CREATE TABLE last_results (
    tenant     text     NOT NULL,
    probe      text     NOT NULL,
    line       text     NOT NULL,
    kind       text     NOT NULL,
    target     text     NOT NULL,
    only_ok    smallint NOT NULL,
    epoch      text     NOT NULL,
    seq        bigint   NOT NULL,
    started_at timestamptz,
    PRIMARY KEY (tenant, probe, line, kind, target, only_ok)
);

CREATE TABLE probes (
    tenant          text   NOT NULL,
    probe           text   NOT NULL,
    revision        bigint NOT NULL,
    site            text,
    presence        text,
    presence_since  timestamptz,
    info            text,
    health          text,
    health_at       timestamptz,
    last_contact_at timestamptz,
    PRIMARY KEY (tenant, probe)
);
CREATE INDEX probes_by_revision ON probes (revision);

CREATE TABLE rejected (
    number        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic         text        NOT NULL,
    reason        text        NOT NULL,
    detail        text        NOT NULL,
    received_at   timestamptz NOT NULL,
    payload_head  bytea       NOT NULL,
    payload_bytes bigint      NOT NULL
);

CREATE TABLE totals (
    name  text   NOT NULL PRIMARY KEY,
    count bigint NOT NULL
);
