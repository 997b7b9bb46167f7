-- What people wrote about alerts, and silences (docs/decisions/0132): of the alerts that a silence
-- covers nobody is notified until it ends. `kind` and `line` "" are every one. Times are UTC as text.
CREATE TABLE alert_notes (
    number       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alert        bigint  NOT NULL REFERENCES alerts,
    written_at   text    NOT NULL,
    author       text    NOT NULL,
    acknowledged integer NOT NULL,
    note         text    NOT NULL
);
CREATE INDEX notes_of_alert ON alert_notes (alert);
CREATE TABLE silences (
    number     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind       text NOT NULL,
    tenant     text NOT NULL,
    probe      text NOT NULL,
    line       text NOT NULL,
    name       text NOT NULL,
    starts_at  text NOT NULL,
    ends_at    text NOT NULL,
    author     text NOT NULL,
    reason     text NOT NULL
);
