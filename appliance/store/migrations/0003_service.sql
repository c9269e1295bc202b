-- The service wing: tickets, what happened to each of them, and the book of
-- numbers, which never gives one twice.

-- +goose Up
CREATE TABLE ticket_number (
    year INTEGER PRIMARY KEY,
    last INTEGER NOT NULL
) STRICT;

CREATE TABLE tickets (
    id             INTEGER PRIMARY KEY,
    number         TEXT NOT NULL UNIQUE,         -- GD-YYYY-NNNN
    source         TEXT NOT NULL CHECK (source IN ('person', 'system')),
    dedup          TEXT NOT NULL DEFAULT '',     -- what a ticket of the box is about
    state          TEXT NOT NULL CHECK (state IN ('waiting', 'working', 'solved', 'closed')),
    item           INTEGER NOT NULL CHECK (item BETWEEN 1 AND 14),
    module         TEXT NOT NULL DEFAULT '',     -- M01..M21, empty: none named
    title          TEXT NOT NULL,
    description    TEXT NOT NULL DEFAULT '',
    reporter       TEXT NOT NULL DEFAULT '',
    department     TEXT NOT NULL DEFAULT '',
    phone          TEXT NOT NULL DEFAULT '',
    channel        TEXT NOT NULL DEFAULT '',
    off_contract   INTEGER NOT NULL DEFAULT 0,   -- reported over a channel the item does not offer
    created        TEXT NOT NULL,
    created_by     TEXT NOT NULL,
    reported       TEXT,                         -- the clock starts here; NULL: not reported to the vendor
    backdated      TEXT NOT NULL DEFAULT '',     -- why the report is older than the entry
    rule           TEXT NOT NULL DEFAULT '',     -- the rule the due time was made by
    due            TEXT,                         -- NULL: no hour figure
    responded      TEXT,
    responder      TEXT NOT NULL DEFAULT '',
    response_by    TEXT NOT NULL DEFAULT '',     -- channel of the first response
    response_off   INTEGER NOT NULL DEFAULT 0,   -- that channel is outside the contract
    response_proof TEXT NOT NULL DEFAULT '',
    solved         TEXT,
    closed         TEXT,
    closed_by      TEXT NOT NULL DEFAULT '',
    result         TEXT NOT NULL DEFAULT '',
    changed        TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX tickets_dedup ON tickets (dedup) WHERE dedup <> '' AND state <> 'closed';
CREATE INDEX tickets_state ON tickets (state, due);
CREATE INDEX tickets_reported ON tickets (reported);

CREATE TABLE ticket_events (
    ticket INTEGER NOT NULL REFERENCES tickets (id) ON DELETE CASCADE,
    seq    INTEGER NOT NULL,
    at     TEXT NOT NULL,                        -- when it was written down
    by     TEXT NOT NULL,
    type   TEXT NOT NULL CHECK (type IN ('opened', 'reported', 'responded', 'note', 'repeated', 'solved', 'closed')),
    text   TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (ticket, seq)
) STRICT, WITHOUT ROWID;
