-- The backups that were made of this store (docs/decisions/0138). A restore adds a row of its own:
-- what stands before it was made of a store that is no more. `at` is UTC as text.
CREATE TABLE backups (
    number     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event      text NOT NULL CHECK (event IN ('backup', 'restore')),
    at         text NOT NULL,
    duration_s double precision NOT NULL,
    size_bytes bigint NOT NULL,
    results    bigint NOT NULL,
    verified   integer NOT NULL,
    place      text NOT NULL
);
-- What the centre notes of its own health, a row a day, collector and kind, as JSON.
CREATE TABLE health_records (
    collector text NOT NULL,
    kind      text NOT NULL,
    day       text NOT NULL,
    record    text NOT NULL,
    PRIMARY KEY (collector, kind, day)
);
