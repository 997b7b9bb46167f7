-- Which collector writes what (docs/decisions/0111): `tenant/NAME`, `tenant/+` of every tenant, and
-- `maintenance`. A row whose time has passed is held by nobody. `generation` grows with each taking.
CREATE TABLE leases (
    name       text PRIMARY KEY,
    holder     text NOT NULL,
    generation bigint NOT NULL,
    expires_at timestamptz NOT NULL
);
