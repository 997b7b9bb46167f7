-- What stored results add to their hours, written in their transaction and taken into the roll-ups
-- by another one, which deletes them: each counts once, and storing does not wait for merging.
CREATE TABLE rollup_deltas (
    number  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant  text    NOT NULL,
    probe   text    NOT NULL,
    line    text    NOT NULL,
    start_s bigint NOT NULL,
    body    bytea    NOT NULL
);

-- A line by number, for the roll-up tables (which are made from types: `rollup_hour`, …).
CREATE TABLE lines (
    line_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant  text NOT NULL,
    probe   text NOT NULL,
    line    text NOT NULL,
    UNIQUE (tenant, probe, line)
);

-- The registry, a row a thing. `place` is where a line stands among those of its probe.
CREATE TABLE registry_probes (
    tenant       text NOT NULL,
    probe        text NOT NULL,
    commune      text NOT NULL,
    office       text NOT NULL,
    installed_on date,
    PRIMARY KEY (tenant, probe)
);
CREATE TABLE registry_lines (
    tenant        text NOT NULL,
    probe         text NOT NULL,
    line          text NOT NULL,
    place         bigint NOT NULL,
    isp           text NOT NULL,
    plan_down_bps double precision,
    plan_up_bps   double precision,
    contract_date date,
    technology    text,
    PRIMARY KEY (tenant, probe, line)
);
CREATE TABLE registry_isps (
    id   text NOT NULL PRIMARY KEY,
    name text NOT NULL
);
CREATE TABLE registry_groups (
    id       text NOT NULL PRIMARY KEY,
    name     text NOT NULL,
    communes text NOT NULL
);
CREATE TABLE registry_communes (
    code          text NOT NULL PRIMARY KEY,
    name          text NOT NULL,
    kind          text NOT NULL,
    province_code text NOT NULL,
    province_name text NOT NULL,
    latitude      double precision NOT NULL,
    longitude     double precision NOT NULL,
    valid_from    date,
    valid_to      date
);

-- Every change of the registry: who, when, from which source, what it was and what it became.
CREATE TABLE registry_changes (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at     timestamptz NOT NULL,
    who    text NOT NULL,
    source text NOT NULL,
    thing  text NOT NULL,
    key    text NOT NULL,
    before text,
    after  text
);
