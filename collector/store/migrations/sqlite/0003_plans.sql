-- What each probe meant to measure, month by month: how complete a month is, is reckoned by its own plan.
CREATE TABLE probe_plans (
    tenant TEXT NOT NULL,
    probe  TEXT NOT NULL,
    month  TEXT NOT NULL,
    plan   TEXT NOT NULL,
    PRIMARY KEY (tenant, probe, month)
) STRICT, WITHOUT ROWID;
