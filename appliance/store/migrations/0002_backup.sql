-- The backup wing: where points rest (repository), what is protected (plan),
-- what was done (run), what can be brought back (point), what is proven
-- (drill). Structured settings are JSON; whatever is searched, sorted or
-- counted is a column.

-- +goose Up
CREATE TABLE repository (
    id          INTEGER PRIMARY KEY,
    name        TEXT NOT NULL,
    location    TEXT NOT NULL,
    repository  TEXT NOT NULL UNIQUE,       -- the repository's own id
    box_key     TEXT NOT NULL,              -- name of the box password in secrets
    sheet       TEXT NOT NULL DEFAULT 'none' CHECK (sheet IN ('none', 'shown', 'confirmed')),
    sheet_at    TEXT,
    sheet_key   TEXT NOT NULL DEFAULT '',   -- id of the key the confirmed sheet opens
    sheet_new   TEXT NOT NULL DEFAULT '',   -- id of the key of a sheet that was shown and not yet confirmed
    checked_at  TEXT,
    check_state TEXT NOT NULL DEFAULT '' CHECK (check_state IN ('', 'good', 'damaged', 'failed')),
    check_deep  INTEGER NOT NULL DEFAULT 0,
    findings    INTEGER NOT NULL DEFAULT 0,
    free        INTEGER NOT NULL DEFAULT 0, -- bytes
    total       INTEGER NOT NULL DEFAULT 0, -- bytes, 0: not known
    space_at    TEXT,
    created     TEXT NOT NULL,
    removed     TEXT
) STRICT;
CREATE UNIQUE INDEX repository_name ON repository (name) WHERE removed IS NULL;

CREATE TABLE plan (
    id         INTEGER PRIMARY KEY,
    name       TEXT NOT NULL,
    title      TEXT NOT NULL DEFAULT '',
    source     TEXT NOT NULL,               -- JSON of source.Spec
    repository INTEGER NOT NULL REFERENCES repository (id),
    schedule   TEXT NOT NULL DEFAULT '',    -- cron words, empty: by hand only
    zone       TEXT NOT NULL DEFAULT '',    -- IANA name, empty: the site's
    keep       TEXT NOT NULL,               -- JSON of plan.Keep
    drill      TEXT NOT NULL,               -- JSON of plan.DrillRule
    rto        TEXT NOT NULL DEFAULT '',    -- target in words, empty: none
    rpo        TEXT NOT NULL DEFAULT '',
    enabled    INTEGER NOT NULL DEFAULT 1,
    next_due   TEXT,
    next_drill TEXT,
    missed     INTEGER NOT NULL DEFAULT 0,  -- runs that never began, since the last good one
    created    TEXT NOT NULL,
    changed    TEXT NOT NULL,
    removed    TEXT                         -- a removed plan keeps its points
) STRICT;
CREATE UNIQUE INDEX plan_name ON plan (name) WHERE removed IS NULL;

CREATE TABLE run (
    id      INTEGER PRIMARY KEY,
    job     INTEGER NOT NULL UNIQUE,
    plan    INTEGER NOT NULL REFERENCES plan (id),
    trigger TEXT NOT NULL,
    by      TEXT NOT NULL DEFAULT '',
    state   TEXT NOT NULL,
    began   TEXT NOT NULL,
    ended   TEXT,
    missed  INTEGER NOT NULL DEFAULT 0,
    note    TEXT NOT NULL DEFAULT ''        -- JSON of plan.Note: what went wrong
) STRICT;
CREATE INDEX run_plan ON run (plan, began);
CREATE INDEX run_began ON run (began);

CREATE TABLE point (
    id         INTEGER PRIMARY KEY,
    snapshot   TEXT NOT NULL,
    plan       INTEGER NOT NULL REFERENCES plan (id),
    repository INTEGER NOT NULL REFERENCES repository (id),
    job        INTEGER NOT NULL,
    as_of      TEXT NOT NULL,
    began      TEXT NOT NULL,
    ended      TEXT NOT NULL,
    files      INTEGER NOT NULL,
    bytes      INTEGER NOT NULL,
    added      INTEGER NOT NULL,
    kind       TEXT NOT NULL DEFAULT '',
    version    TEXT NOT NULL DEFAULT '',
    problems   INTEGER NOT NULL DEFAULT 0,
    damaged    INTEGER NOT NULL DEFAULT 0,
    findings   TEXT NOT NULL DEFAULT '[]',  -- JSON of source.Finding
    proof      TEXT NOT NULL DEFAULT 'unproven' CHECK (proof IN ('unproven', 'partial', 'proven')),
    percent    INTEGER NOT NULL DEFAULT 0 CHECK (percent BETWEEN 0 AND 100),
    proven_at  TEXT,
    drill      TEXT NOT NULL DEFAULT '',    -- number of the last drill of it
    failed     INTEGER NOT NULL DEFAULT 0,  -- that drill failed
    expired_at TEXT,
    expired    TEXT NOT NULL DEFAULT '[]',  -- JSON of plan.Note: why
    gone       INTEGER NOT NULL DEFAULT 0,  -- the snapshot has been removed
    UNIQUE (repository, snapshot)
) STRICT;
CREATE INDEX point_plan ON point (plan, as_of);
CREATE INDEX point_job ON point (job);

CREATE TABLE drill (
    id      INTEGER PRIMARY KEY,
    number  TEXT NOT NULL UNIQUE,           -- YL-YYYY-NNN, never given twice
    plan    INTEGER NOT NULL REFERENCES plan (id),
    point   INTEGER REFERENCES point (id),  -- NULL: there was none to drill
    job     INTEGER NOT NULL,
    state   TEXT NOT NULL CHECK (state IN ('running', 'passed', 'partial', 'failed', 'cancelled', 'interrupted')),
    began   TEXT NOT NULL,
    ended   TEXT,
    rto_ms  INTEGER,                        -- NULL: not measured
    rpo_ms  INTEGER,
    verdict TEXT NOT NULL                   -- JSON document, written after every step
) STRICT;
CREATE INDEX drill_plan ON drill (plan, began);
CREATE INDEX drill_began ON drill (began);

CREATE TABLE drill_number (
    year INTEGER PRIMARY KEY,
    last INTEGER NOT NULL
) STRICT;
