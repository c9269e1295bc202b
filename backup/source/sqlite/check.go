package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"

	"emrvault/backup/source"
)

// Check opens every database as Capture will and says what stands in the way
// of a good copy. Reading the whole database is left to the capture.
func (s *Source) Check(ctx context.Context) ([]source.Finding, error) {
	var findings []source.Finding
	for _, path := range s.paths {
		found := checkOne(ctx, path)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		findings = append(findings, found...)
	}
	return findings, nil
}

func checkOne(ctx context.Context, path string) []source.Finding {
	info, err := verifyFile(path)
	if err != nil {
		return []source.Finding{refusal(path, err)}
	}
	findings := surroundings(path, info.Size())
	journal, err := journalOf(ctx, path)
	switch c := code(err); {
	case err == nil && journal == "wal":
	case err == nil:
		f := finding(source.Warning, "rollback_mode", path, "mode", journal)
		f.Remedy = "PRAGMA journal_mode=WAL;"
		findings = append(findings, f)
	case c == codeCantOpen, c == codeReadOnly, errors.Is(err, errForeignShm):
		findings = append(findings, finding(source.Warning, "at_rest_only", path, "folder", filepath.Dir(path)))
	case c == codeBusy:
		findings = append(findings, finding(source.Warning, "busy", path))
	case c == codeCorrupt, c == codeIO:
		return append(findings, finding(source.Bad, "damaged", path, "said", clip(err.Error())))
	default:
		return append(findings, refusal(path, err))
	}
	return append(findings, finding(source.Good, "opens", path,
		"bytes", info.Size(), "size", source.SizeText(info.Size()), "mode", journal))
}

// surroundings looks at what does not need the database opened.
func surroundings(path string, size int64) []source.Finding {
	var findings []source.Finding
	if share := source.Network(path); share != "" {
		findings = append(findings, finding(source.Warning, "network", path, "share", share))
	}
	if size == 0 {
		findings = append(findings, finding(source.Warning, "empty", path))
	}
	return findings
}

// journalOf opens the database as a reader and reads its schema once.
func journalOf(ctx context.Context, path string) (string, error) {
	if foreignShm(path) {
		return "", errForeignShm
	}
	var journal string
	err := withConn(ctx, path, asReader, func(conn *sql.Conn) error {
		var objects int
		if err := conn.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema`).Scan(&objects); err != nil {
			return err
		}
		return conn.QueryRowContext(ctx, `PRAGMA journal_mode`).Scan(&journal)
	})
	return journal, err
}
