-- The ground of the box: what it was told (settings), what it keeps sealed
-- (secrets), who may enter (users, sessions) and what it does (jobs).
-- Every moment is text in UTC, 2006-01-02T15:04:05.000000Z, so that text order
-- is time order.

-- +goose Up
CREATE TABLE settings (
    key     TEXT PRIMARY KEY,
    value   TEXT NOT NULL,          -- JSON
    changed TEXT NOT NULL,
    by      TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;

-- A secret is sealed by the box key for one purpose; the row alone tells
-- nothing. Its name is "<owner>/<id>/<use>", as in "repository/3/password".
CREATE TABLE secrets (
    name    TEXT PRIMARY KEY,
    sealed  TEXT NOT NULL,
    changed TEXT NOT NULL
) STRICT, WITHOUT ROWID;
