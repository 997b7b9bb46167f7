-- Reports by e-mail on a schedule (docs/centre.md). Times are UTC as text. A delivery is to one recipient;
-- it is claimed (`sending`) before the mail server gets it, and what was claimed is never claimed again.
CREATE TABLE report_mailings (
    number     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind       text    NOT NULL,
    area       text    NOT NULL,
    recipients text    NOT NULL,
    day        integer NOT NULL,
    minute     integer NOT NULL,
    draft      integer NOT NULL,
    author     text    NOT NULL,
    since      text    NOT NULL,
    active     integer NOT NULL
);
CREATE TABLE report_deliveries (
    number     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    mailing    bigint  NOT NULL REFERENCES report_mailings,
    occasion   text    NOT NULL,
    first_day  text    NOT NULL,
    last_day   text    NOT NULL,
    recipient  text    NOT NULL,
    state      text    NOT NULL,
    attempts   integer NOT NULL,
    made_at    text    NOT NULL,
    try_at     text    NOT NULL,
    changed_at text    NOT NULL,
    detail     text    NOT NULL,
    UNIQUE (mailing, occasion, recipient)
);
CREATE INDEX deliveries_waiting ON report_deliveries (try_at) WHERE state = 'waiting';
