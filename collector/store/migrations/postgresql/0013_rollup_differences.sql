-- Days and months of lines whose roll-ups differ from raw results (docs/decisions/0112): the number of
-- figures that differ, and the first of them. `period` is a local day or month: 2026-07-25, 2026-07.
CREATE TABLE rollup_differences (
    tenant    text             NOT NULL,
    probe     text             NOT NULL,
    line      text             NOT NULL,
    period    text             NOT NULL,
    found_at  timestamptz      NOT NULL,
    figures   bigint           NOT NULL,
    figure    text             NOT NULL,
    rolled_up double precision,
    raw       double precision,
    PRIMARY KEY (tenant, probe, line, period)
);
