package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"emrvault/backup"
	"emrvault/backup/source"
)

// Recover brings the databases of a point into the target folder. They are
// restored beside it under a hidden name, opened and checked, and only then
// take their names, so that a half-restored database never looks like one.
//
// A database that is in its place is never overwritten, confirmed or not:
// programs may hold it open, and they would write on into a file that is gone.
// Move it away first, or recover into another folder.
//
// A point that was captured damaged is recovered as it was captured, and the
// error says so (backup.ErrDamaged); the files are there.
func (s *Source) Recover(ctx context.Context, point source.Point, target source.Target) error {
	databases, err := databasesOf(ctx, point)
	if err != nil {
		return err
	}
	if err := s.spareLive(target, databases); err != nil {
		return err
	}
	if err := source.ClaimTarget(target); err != nil {
		return err
	}
	if target.Progress == nil {
		target.Progress = backup.Silent{}
	}
	if err := os.MkdirAll(target.Dir, 0o750); err != nil {
		return fmt.Errorf("make target folder: %w", full(err))
	}
	stage, err := os.MkdirTemp(target.Dir, ".recover-")
	if err != nil {
		return fmt.Errorf("make target folder: %w", full(err))
	}
	err = s.recoverInto(ctx, point, target, stage, databases)
	return errors.Join(err, os.RemoveAll(stage))
}

func (s *Source) recoverInto(ctx context.Context, point source.Point, target source.Target, stage string, databases []Database) error {
	if err := point.Restore(ctx, folder, stage, target.Progress); err != nil {
		return fmt.Errorf("recover databases into %s: %w", target.Dir, err)
	}
	target.Progress.Stage(backup.StageVerify)
	var damaged error
	for _, db := range databases {
		target.Progress.Current(db.Name)
		if err := verify(ctx, filepath.Join(stage, db.Name), db); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			target.Progress.Problem(db.Name, err)
			damaged = errors.Join(damaged, err)
			if errors.Is(err, backup.ErrUnsafe) {
				continue
			}
		}
		if err := takePlace(stage, target.Dir, db); err != nil {
			return err
		}
	}
	return damaged
}

// databasesOf reads the point's facts. The repository may be foreign, so its
// names are not trusted.
func databasesOf(ctx context.Context, point source.Point) ([]Database, error) {
	facts, err := point.Facts(ctx)
	if err != nil {
		return nil, err
	}
	details, err := DetailsOf(facts)
	if err != nil {
		return nil, err
	}
	for _, db := range details.Databases {
		for _, name := range append([]string{db.Name}, db.Companions...) {
			if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\\\x00:") {
				return nil, fmt.Errorf("point %.8s names a database %q: %w", point.Snapshot(), name, backup.ErrUnsafe)
			}
		}
	}
	return details.Databases, nil
}

// spareLive refuses a target in which a file of the point is the live one.
func (s *Source) spareLive(target source.Target, databases []Database) error {
	for _, db := range databases {
		would, err := os.Stat(filepath.Join(target.Dir, db.Name))
		if err != nil {
			continue // nothing there that could be alive
		}
		for _, path := range append([]string{db.Path}, s.paths...) {
			live, err := os.Stat(path)
			if err == nil && os.SameFile(live, would) {
				return fmt.Errorf("%s is the live database; recover into another folder, or stop its programs and move it away: %w",
					path, backup.ErrTargetNotEmpty)
			}
		}
	}
	return nil
}

// verify opens the restored database and holds it against what was captured.
func verify(ctx context.Context, path string, was Database) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s is not in the point: %w", was.Name, backup.ErrDamaged)
	case err != nil:
		return fmt.Errorf("look at %s: %w", was.Name, err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no ordinary file in the point: %w", was.Name, backup.ErrUnsafe)
	}
	is := Database{Way: was.Way}
	is.inspect(ctx, path)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case was.Damaged:
		return fmt.Errorf("%s was damaged when it was captured and is so now: %s: %w", was.Name, first(was.Integrity), backup.ErrDamaged)
	case is.Damaged:
		return fmt.Errorf("%s was sound when it was captured and is not now: %s: %w", was.Name, first(is.Integrity), backup.ErrDamaged)
	}
	return sameContent(is, was)
}

func sameContent(is, was Database) error {
	if is.PageCount != was.PageCount {
		return fmt.Errorf("%s has %d pages, captured were %d: %w", was.Name, is.PageCount, was.PageCount, backup.ErrDamaged)
	}
	for table, n := range was.Rows {
		if got, counted := is.Rows[table]; (counted || is.RowsWhole) && got != n {
			return fmt.Errorf("%s: table %s has %d rows, captured were %d: %w", was.Name, table, got, n, backup.ErrDamaged)
		}
	}
	return nil
}

// takePlace moves a database from the stage to its name. A log left beside an
// older database of that name would be played into the new one: it goes first.
func takePlace(stage, dir string, db Database) error {
	for _, left := range append([]string{"-shm"}, companions...) {
		if err := os.Remove(filepath.Join(dir, db.Name+left)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("clear the way for %s: %w", db.Name, err)
		}
	}
	for _, name := range append([]string{db.Name}, db.Companions...) {
		err := os.Rename(filepath.Join(stage, name), filepath.Join(dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("put %s in its place: %w", name, err)
		}
	}
	return nil
}

func first(lines []string) string {
	if len(lines) == 0 {
		return "no answer"
	}
	return lines[0]
}
