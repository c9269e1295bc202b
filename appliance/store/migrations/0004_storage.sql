-- What a place needs beside its location, what it can do, how it is looked
-- after, and where else a point rests.

-- +goose Up
ALTER TABLE repository ADD COLUMN settings   TEXT NOT NULL DEFAULT '{}'; -- JSON of plan.StorageSettings, without secrets
ALTER TABLE repository ADD COLUMN secret_key TEXT NOT NULL DEFAULT '';   -- name of the storage's secret in secrets
ALTER TABLE repository ADD COLUMN probe      TEXT NOT NULL DEFAULT '';   -- JSON of the last answer of the place
ALTER TABLE repository ADD COLUMN probed_at  TEXT;
ALTER TABLE repository ADD COLUMN care       TEXT NOT NULL DEFAULT '{}'; -- JSON of plan.Care
ALTER TABLE repository ADD COLUMN care_at    TEXT;                       -- when it was last looked after
ALTER TABLE repository ADD COLUMN next_care  TEXT;

ALTER TABLE plan ADD COLUMN second INTEGER REFERENCES repository (id);   -- where every point is copied to

CREATE TABLE point_copy (
    point      INTEGER NOT NULL REFERENCES point (id),
    repository INTEGER NOT NULL REFERENCES repository (id),
    snapshot   TEXT NOT NULL,               -- its id there
    at         TEXT NOT NULL,
    added      INTEGER NOT NULL DEFAULT 0,  -- bytes it has added there
    gone       INTEGER NOT NULL DEFAULT 0,  -- it has expired there too
    PRIMARY KEY (point, repository)
) STRICT;
CREATE INDEX point_copy_repository ON point_copy (repository);
