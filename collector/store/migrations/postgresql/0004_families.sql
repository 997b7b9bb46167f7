-- The address family of what was measured: 4, 6, or 0 where none is stated (kinds without one, and
-- probes before 0.2.0). A line has a row for each of its families, so that the roll-ups, whose key
-- is `line_id`, tell them apart without a column; the figures from before are those of family 0.
ALTER TABLE lines ADD COLUMN family smallint NOT NULL DEFAULT 0;
ALTER TABLE lines DROP CONSTRAINT lines_tenant_probe_line_key;
ALTER TABLE lines ADD UNIQUE (tenant, probe, line, family);

ALTER TABLE rollup_deltas ADD COLUMN family smallint NOT NULL DEFAULT 0;

-- A target is measured over each family: the last result of one is not that of the other.
ALTER TABLE last_results ADD COLUMN family smallint NOT NULL DEFAULT 0;
ALTER TABLE last_results DROP CONSTRAINT last_results_pkey;
ALTER TABLE last_results ADD PRIMARY KEY (tenant, probe, line, kind, target, family, only_ok);
