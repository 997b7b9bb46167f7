-- What people wrote about a line at a time (docs/decisions/0137). Entries are added, never changed: `note` is
-- the number of a note's first entry, 0 in that one itself; the last entry is the note as it stands. `previous` is the entry before, so that
-- of two corrections made at once only one is stored.
CREATE TABLE line_notes (
    number     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    note       bigint      NOT NULL,
    previous   bigint UNIQUE,
    tenant     text        NOT NULL,
    probe      text        NOT NULL,
    line       text        NOT NULL,
    starts_at  timestamptz NOT NULL,
    ends_at    timestamptz,
    text       text        NOT NULL,
    author     text        NOT NULL,
    written_at timestamptz NOT NULL,
    withdrawn  integer     NOT NULL
);
CREATE INDEX notes_of_line ON line_notes (tenant, probe, line);
CREATE INDEX entries_of_note ON line_notes (note) WHERE note > 0;
