-- A database as the first version of the schema left it. Never changed.
BEGIN TRANSACTION;
CREATE TABLE goose_db_version (
		id INTEGER PRIMARY KEY AUTOINCREMENT,
		version_id INTEGER NOT NULL,
		is_applied INTEGER NOT NULL,
		tstamp TIMESTAMP DEFAULT (datetime('now'))
	);
INSERT INTO "goose_db_version" VALUES(1,0,1,'2026-11-22 10:00:00');
INSERT INTO "goose_db_version" VALUES(2,1,1,'2026-11-22 10:00:00');
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
COMMIT;
