package drill

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"emrvault/appliance/store"
	"emrvault/backup"
	"emrvault/backup/plan"
	"emrvault/backup/source"
)

// CleanScratch empties the scratch folder of what a dead process left, closes
// its records as interrupted, and tells how many things there were. It is
// called once, before the jobs run: nothing in scratch is alive then.
func (d *Drills) CleanScratch(ctx context.Context) (int, error) {
	entries, err := os.ReadDir(d.Layout.Scratch())
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return 0, fmt.Errorf("look into scratch: %w", err)
	}
	var failed []error
	removed := 0
	for _, e := range entries {
		if err := wipe(filepath.Join(d.Layout.Scratch(), e.Name())); err != nil {
			failed = append(failed, err)
			continue
		}
		removed++
	}
	if removed > 0 {
		d.Log.InfoContext(ctx, "removed what a dead process left in scratch", "folders", removed)
	}
	gone := func(number string) bool {
		_, err := os.Lstat(d.folder(number))
		return errors.Is(err, fs.ErrNotExist)
	}
	err = d.Store.Write(ctx, func(tx *store.Tx) error { return interrupt(tx, gone) })
	return removed, errors.Join(append(failed, err)...)
}

// wipe deletes a folder and looks that nothing is left. Restored folders may
// forbid their owner to write; then they are opened first. Links are never
// followed.
func wipe(dir string) error {
	err := os.RemoveAll(dir)
	if err != nil {
		open(dir)
		err = os.RemoveAll(dir)
	}
	if err != nil {
		return fmt.Errorf("delete restored data: %w", err)
	}
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete restored data: %s is still there", dir)
	}
	return nil
}

// open gives the owner every right on all folders below dir. A folder that
// refuses is met again by RemoveAll, which says so.
func open(dir string) {
	//nolint:errcheck // RemoveAll tells what could not be deleted
	filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if e != nil && e.IsDir() {
			if os.Chmod(path, 0o700) != nil || err != nil { //nolint:gosec // a folder needs x
				return nil
			}
		}
		return nil
	})
}

// folder is where a drill restores to.
func (d *Drills) folder(number string) string {
	return filepath.Join(d.Layout.Scratch(), "drill-"+number)
}

// room is what restoring a point takes: its bytes, a block for every file, a
// tenth for what nobody thinks of, and a little more.
func room(p plan.Point) int64 { return p.Bytes + p.Bytes/10 + p.Files*4096 + 64<<20 }

// reserve makes the private folder of a drill, when there is room.
func (a *attempt) reserve() error {
	scratch := a.Layout.Scratch()
	if err := os.MkdirAll(scratch, 0o700); err != nil {
		return fmt.Errorf("make scratch: %w", err)
	}
	a.verdict.Scratch.Needed = room(*a.point)
	if free, ok := source.Free(scratch); ok {
		a.verdict.Scratch.Free = int64(free)
		if int64(free) < a.verdict.Scratch.Needed {
			return noRoom{a.verdict.Scratch}
		}
	}
	a.dir = a.folder(a.verdict.Number)
	if err := os.Mkdir(a.dir, 0o700); err != nil {
		return fmt.Errorf("make folder for the drill: %w", err)
	}
	return nil
}

// noRoom says that the scratch folder is too small.
type noRoom struct{ Scratch }

// Error tells the figures.
func (n noRoom) Error() string {
	return fmt.Sprintf("scratch needs %d bytes, %d are free", n.Needed, n.Free)
}

// Message is the text for people.
func (n noRoom) Message() (string, []any) {
	return "drill.fail.room", []any{"needed", plan.Size(n.Needed), "free", plan.Size(n.Free)}
}

// Unwrap makes it a full storage for programs.
func (n noRoom) Unwrap() error { return backup.ErrStorageFull }

// clean deletes the restored data and says so in the record. It does so even
// when the drill was told to stop.
func (a *attempt) clean() error {
	if a.dir == "" {
		return nil
	}
	if err := wipe(a.dir); err != nil {
		return err
	}
	a.verdict.Scratch.Removed, a.verdict.Scratch.At = true, a.Now().UTC()
	return nil
}
