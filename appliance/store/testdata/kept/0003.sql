-- A database as the third version of the schema left it. Never changed.
BEGIN TRANSACTION;
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
INSERT INTO "drill" VALUES(1,'YL-2026-001',1,1,2,'passed','2026-11-22T14:05:00.000000Z','2026-11-22T14:06:00.000000Z',60000,300000,'{"number":"YL-2026-001","state":"passed"}');
CREATE TABLE drill_number (
    year INTEGER PRIMARY KEY,
    last INTEGER NOT NULL
) STRICT;
INSERT INTO "drill_number" VALUES(2026,1);
CREATE TABLE goose_db_version (
		id INTEGER PRIMARY KEY AUTOINCREMENT,
		version_id INTEGER NOT NULL,
		is_applied INTEGER NOT NULL,
		tstamp TIMESTAMP DEFAULT (datetime('now'))
	);
INSERT INTO "goose_db_version" VALUES(1,0,1,'2026-11-22 10:00:00');
INSERT INTO "goose_db_version" VALUES(2,1,1,'2026-11-22 10:00:00');
INSERT INTO "goose_db_version" VALUES(3,2,1,'2026-11-22 18:00:00');
INSERT INTO "goose_db_version" VALUES(4,3,1,'2026-11-22 18:00:00');
CREATE TABLE job_events (
    job   INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    seq   INTEGER NOT NULL,
    at    TEXT NOT NULL,
    type  TEXT NOT NULL CHECK (type IN ('state', 'stage', 'log', 'problem')),
    key   TEXT NOT NULL DEFAULT '',          -- key of a text, or the word of a stage or state
    args  TEXT NOT NULL DEFAULT 'null',      -- JSON: name, value pairs
    PRIMARY KEY (job, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE jobs (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    kind      TEXT NOT NULL,
    key       TEXT NOT NULL DEFAULT '',      -- no two waiting or running jobs of one key
    params    TEXT NOT NULL DEFAULT 'null',  -- JSON
    result    TEXT NOT NULL DEFAULT 'null',  -- JSON
    trigger   TEXT NOT NULL CHECK (trigger IN ('schedule', 'manual', 'catch-up', 'after-crash')),
    by        TEXT NOT NULL DEFAULT '',
    state     TEXT NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'partial', 'failed', 'cancelled', 'interrupted')),
    stage     TEXT NOT NULL DEFAULT '',
    progress  TEXT NOT NULL DEFAULT 'null',  -- JSON of the last heartbeat
    problems  INTEGER NOT NULL DEFAULT 0,
    error     TEXT NOT NULL DEFAULT 'null',  -- JSON: the failure in every language
    owner     TEXT NOT NULL DEFAULT '',
    attempt   INTEGER NOT NULL DEFAULT 1,
    follows   INTEGER,                       -- the interrupted job this one repeats
    settled   INTEGER NOT NULL DEFAULT 0,    -- an interrupted job: somebody decided whether to repeat it
    told      INTEGER NOT NULL DEFAULT 0,    -- an ended job: the listeners have heard of it
    created   TEXT NOT NULL,
    started   TEXT,
    heartbeat TEXT,
    ended     TEXT
) STRICT;
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
INSERT INTO "plan" VALUES(1,'emr','电子病历主库','{"kind":"sqlite","name":"emr","settings":{"path":"/srv/emr/emr.db"}}',1,'0 22 * * *','Asia/Shanghai','{"last":3,"daily":14}','{"after_backup":true}','1h','24h',1,'2026-11-23T14:00:00.000000Z',NULL,0,'2026-11-22T10:31:00.000000Z','2026-11-22T10:31:00.000000Z',NULL);
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
INSERT INTO "point" VALUES(1,'c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00',1,1,1,'2026-11-22T14:01:00.000000Z','2026-11-22T14:00:00.000000Z','2026-11-22T14:05:00.000000Z',3,4096,2048,'sqlite','',0,0,'[]','proven',100,'2026-11-22T14:06:00.000000Z','YL-2026-001',0,NULL,'[]',0);
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
INSERT INTO "repository" VALUES(1,'main','/backup/emr','1f0a','repository/1/password','confirmed','2026-11-22T11:00:00.000000Z','k','','2026-11-22T12:00:00.000000Z','good',1,0,1000,4000,'2026-11-22T12:00:00.000000Z','2026-11-22T10:30:00.000000Z',NULL);
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
INSERT INTO "run" VALUES(1,1,1,'schedule','','succeeded','2026-11-22T14:00:00.000000Z','2026-11-22T14:05:00.000000Z',0,'');
CREATE TABLE secrets (
    name    TEXT PRIMARY KEY,
    sealed  TEXT NOT NULL,
    changed TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "secrets" VALUES('repository/1/password','sealed1.00000000.AAAA','2026-11-22T10:22:03.123456Z');
CREATE TABLE sessions (
    hash    TEXT PRIMARY KEY,
    user    INTEGER REFERENCES users (id) ON DELETE CASCADE,
    data    BLOB NOT NULL,
    expires TEXT NOT NULL,
    ended   TEXT
) STRICT, WITHOUT ROWID;
CREATE TABLE settings (
    key     TEXT PRIMARY KEY,
    value   TEXT NOT NULL,          -- JSON
    changed TEXT NOT NULL,
    by      TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;
INSERT INTO "settings" VALUES('site','{"name":"市第一人民医院"}','2026-11-22T10:22:03.123456Z','console:root');
CREATE TABLE setup_token (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    hash    TEXT NOT NULL,
    expires TEXT NOT NULL
) STRICT;
CREATE TABLE sign_in_failure (
    subject  TEXT PRIMARY KEY,
    failures INTEGER NOT NULL,
    last     TEXT NOT NULL,
    until    TEXT NOT NULL                   -- no attempt counts before this moment
) STRICT, WITHOUT ROWID;
CREATE TABLE ticket_events (
    ticket INTEGER NOT NULL REFERENCES tickets (id) ON DELETE CASCADE,
    seq    INTEGER NOT NULL,
    at     TEXT NOT NULL,                        -- when it was written down
    by     TEXT NOT NULL,
    type   TEXT NOT NULL CHECK (type IN ('opened', 'reported', 'responded', 'note', 'repeated', 'solved', 'closed')),
    text   TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (ticket, seq)
) STRICT, WITHOUT ROWID;
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
CREATE TABLE users (
    id           INTEGER PRIMARY KEY,
    name         TEXT NOT NULL,
    folded       TEXT NOT NULL UNIQUE,       -- name in lower case
    full_name    TEXT NOT NULL DEFAULT '',
    roles        TEXT NOT NULL,              -- JSON list of role words
    password     TEXT NOT NULL,              -- argon2id in its usual text form
    disabled     INTEGER NOT NULL DEFAULT 0,
    created      TEXT NOT NULL,
    changed      TEXT NOT NULL,
    password_at  TEXT NOT NULL,
    last_sign_in TEXT,
    last_address TEXT NOT NULL DEFAULT ''
) STRICT;
INSERT INTO "users" VALUES(1,'李工','李工','','["admin"]','$argon2id$',0,'2026-11-22T10:22:03.123456Z','2026-11-22T10:22:03.123456Z','2026-11-22T10:22:03.123456Z',NULL,'');
CREATE INDEX sessions_user ON sessions (user);
CREATE INDEX sessions_expires ON sessions (expires);
CREATE UNIQUE INDEX jobs_key ON jobs (key) WHERE key <> '' AND state IN ('queued', 'running');
CREATE INDEX jobs_state ON jobs (state, id);
CREATE INDEX jobs_kind ON jobs (kind, id);
CREATE INDEX jobs_of_key ON jobs (key, id);
CREATE UNIQUE INDEX repository_name ON repository (name) WHERE removed IS NULL;
CREATE UNIQUE INDEX plan_name ON plan (name) WHERE removed IS NULL;
CREATE INDEX run_plan ON run (plan, began);
CREATE INDEX run_began ON run (began);
CREATE INDEX point_plan ON point (plan, as_of);
CREATE INDEX point_job ON point (job);
CREATE INDEX drill_plan ON drill (plan, began);
CREATE INDEX drill_began ON drill (began);
CREATE UNIQUE INDEX tickets_dedup ON tickets (dedup) WHERE dedup <> '' AND state <> 'closed';
CREATE INDEX tickets_state ON tickets (state, due);
CREATE INDEX tickets_reported ON tickets (reported);
COMMIT;
