package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"

	"emrvault/appliance/errs"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the schema up to date. Goose itself would let an older
// program run on a newer database without a word, so the versions are
// compared first.
func migrate(ctx context.Context, db *sql.DB, path string) error {
	book, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, book)
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	found, known, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read schema version of %s: %w", path, err)
	}
	if found > known {
		return errs.New(errs.Conflict, "store.newer", "path", path, "found", found, "known", known)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate %s: %w", path, err)
	}
	return nil
}
