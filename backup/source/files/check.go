package files

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"emrvault/backup/source"
)

// Bounds of a check: it is asked for by a person who waits, and tells a rough
// size, not an inventory.
const (
	maxCounted = 200_000
	maxTime    = 3 * time.Second
)

// Check tries every path: is it there, can it be read, how much is it, does it
// lie on a network share, does it hold a backup repository (which would back
// itself up and grow without end).
func (s *Source) Check(ctx context.Context) ([]source.Finding, error) {
	var findings []source.Finding
	ctx, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	for _, path := range s.set.Paths {
		found, err := checkPath(ctx, path)
		if err != nil {
			return nil, err
		}
		findings = append(findings, found...)
	}
	return findings, nil
}

func checkPath(ctx context.Context, path string) ([]source.Finding, error) {
	if _, err := os.Stat(path); err != nil {
		return []source.Finding{refusal(path, err)}, nil
	}
	if err := source.Readable(path); err != nil {
		return []source.Finding{refusal(path, err)}, nil
	}
	var findings []source.Finding
	if share := source.Network(path); share != "" {
		f := finding(source.Warning, "network", path)
		f.Args["share"] = share
		findings = append(findings, f)
	}
	if emptyFolder(path) {
		return append(findings, finding(source.Warning, "empty", path)), nil
	}
	count, err := countBelow(ctx, path)
	if err != nil {
		return nil, err
	}
	for _, repository := range count.repositories {
		findings = append(findings, finding(source.Warning, "repository", repository))
	}
	return append(findings, count.findings(path)...), nil
}

func refusal(path string, err error) source.Finding {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return finding(source.Bad, "missing", path)
	case errors.Is(err, fs.ErrPermission):
		return finding(source.Bad, "denied", path)
	}
	f := finding(source.Bad, "unreadable", path)
	f.Args["error"] = err.Error()
	return f
}

// count is what a bounded look below a path has seen.
type count struct {
	files, bytes, denied int64
	firstDenied          string
	cut                  bool // the bound was met: there is more
	repositories         []string
}

func (c count) findings(path string) []source.Finding {
	var findings []source.Finding
	if c.denied > 0 {
		f := finding(source.Warning, "denied_below", c.firstDenied)
		f.Args["n"] = c.denied
		findings = append(findings, f)
	}
	name := "counted"
	if c.cut {
		name = "counted_more"
	}
	f := finding(source.Good, name, path)
	f.Args["files"], f.Args["bytes"], f.Args["size"] = c.files, c.bytes, source.SizeText(c.bytes)
	return append(findings, f)
}

// errEnough ends a walk at its bound.
var errEnough = errors.New("enough seen")

func countBelow(ctx context.Context, root string) (count, error) {
	var c count
	if real, err := filepath.EvalSymlinks(root); err == nil {
		root = real // a path that is itself a link is meant as its target
	}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if c.files >= maxCounted || errors.Is(ctx.Err(), context.DeadlineExceeded) {
			c.cut = true
			return errEnough
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		c.see(path, entry, err)
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return c, err
}

// see counts one entry. A file is not opened, so an unreadable one is noticed
// by its rights alone.
func (c *count) see(path string, entry fs.DirEntry, err error) {
	switch {
	case errors.Is(err, fs.ErrNotExist): // gone since its folder was read
	case err != nil, entry.Type().IsRegular() && source.Readable(path) != nil:
		c.denied++
		if c.firstDenied == "" {
			c.firstDenied = path
		}
	case entry.IsDir():
		if isRepository(path) {
			c.repositories = append(c.repositories, path)
		}
	case entry.Type().IsRegular():
		c.files++
		if info, err := entry.Info(); err == nil {
			c.bytes += info.Size()
		}
	}
}

// isRepository recognises the layout of a backup repository.
func isRepository(dir string) bool {
	for _, name := range []string{"config", "keys", "index", "snapshots", "data"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
			return false
		}
	}
	return true
}
