-- Planned maintenance (docs/decisions/0139): what was announced, corrected and withdrawn, an entry
-- each; none is changed or deleted. `isp`, `place` and `line` "" are every one.
CREATE TABLE maintenance_entries (
    number       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    announcement bigint      NOT NULL,
    recorded_at  timestamptz NOT NULL,
    author       text        NOT NULL,
    action       text        NOT NULL,
    isp          text        NOT NULL,
    place        text        NOT NULL,
    line         text        NOT NULL,
    starts_at    timestamptz NOT NULL,
    ends_at      timestamptz NOT NULL,
    reason       text        NOT NULL,
    note         text        NOT NULL
);
CREATE UNIQUE INDEX maintenance_announced ON maintenance_entries (announcement)
    WHERE action = 'announced';
