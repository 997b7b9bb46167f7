-- The backups that were made of this store (docs/decisions/0138). A restore adds a row of its own:
-- what stands before it was made of a store that is no more. `at` is UTC as text.
CREATE TABLE backups (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    event      TEXT NOT NULL CHECK (event IN ('backup', 'restore')),
    at         TEXT NOT NULL,
    duration_s REAL NOT NULL,
    size_bytes INTEGER NOT NULL,
    results    INTEGER NOT NULL,
    verified   INTEGER NOT NULL,
    place      TEXT NOT NULL
) STRICT;
