-- What each probe meant to measure, month by month: how complete a month is, is reckoned by its own plan.
CREATE TABLE probe_plans (
    tenant text NOT NULL,
    probe  text NOT NULL,
    month  text NOT NULL,
    plan   text NOT NULL,
    PRIMARY KEY (tenant, probe, month)
);
