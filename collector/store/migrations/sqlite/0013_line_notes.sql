-- What people wrote about a line at a time (docs/decisions/0137). Entries are added, never changed: `note` is
-- the number of a note's first entry, 0 in that one itself; the last entry is the note as it stands. `previous` is the entry before, so that
-- of two corrections made at once only one is stored.
CREATE TABLE line_notes (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    note       INTEGER NOT NULL,
    previous   INTEGER UNIQUE,
    tenant     TEXT    NOT NULL,
    probe      TEXT    NOT NULL,
    line       TEXT    NOT NULL,
    starts_at  TEXT    NOT NULL,
    ends_at    TEXT,
    text       TEXT    NOT NULL,
    author     TEXT    NOT NULL,
    written_at TEXT    NOT NULL,
    withdrawn  INTEGER NOT NULL
) STRICT;
CREATE INDEX notes_of_line ON line_notes (tenant, probe, line);
CREATE INDEX entries_of_note ON line_notes (note) WHERE note > 0;
