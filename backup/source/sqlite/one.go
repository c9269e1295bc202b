package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"emrvault/backup"
	"emrvault/backup/source"
)

// slowLock is how long writers may wait without it being told.
const slowLock = time.Second

// captureOne copies one database into scratch, hands it over and inspects it.
func (s *Source) captureOne(ctx context.Context, path string, sink source.Sink) (Database, []source.Finding, error) {
	info, err := verifyFile(path)
	if err != nil {
		return Database{}, nil, err
	}
	if err := roomFor(info.Size()+sizeOf(path+"-wal"), sink.Scratch()); err != nil {
		return Database{}, nil, err
	}
	sink.Progress().Current(path)
	copied := filepath.Join(sink.Scratch(), filepath.Base(path))
	t, findings, err := s.copyOne(ctx, path, copied, info.Size())
	if err != nil {
		return Database{}, nil, err
	}
	db := Database{Name: filepath.Base(path), Path: path, AsOf: t.asOf, Way: t.way, JournalMode: t.journal, Held: t.held.Seconds()}
	if err := handOver(ctx, sink, &db, copied, info); err != nil {
		return Database{}, nil, err
	}
	db.inspect(ctx, copied)
	if ctx.Err() != nil {
		return Database{}, nil, ctx.Err()
	}
	findings = append(findings, db.findings()...)
	return db, findings, clearScratch(copied)
}

// copyOne goes from the best way to the last resort.
func (s *Source) copyOne(ctx context.Context, path, copied string, size int64) (taken, []source.Finding, error) {
	t, err := online(ctx, path, copied, size, s.pace)
	if c := code(err); c == codeCantOpen || c == codeReadOnly || errors.Is(err, errForeignShm) {
		t, err = atRest(ctx, path, copied)
	}
	switch {
	case err == nil:
		return t, nil, nil
	case ctx.Err() != nil:
		return t, nil, ctx.Err()
	case code(err) != codeCorrupt && code(err) != codeIO && !errors.Is(err, errLost):
		return t, nil, explain(path, err)
	}
	// SQLite cannot read it: keep the bytes as they are, for a rescuer.
	asOf := time.Now().UTC()
	lost, rawErr := rawFiles(ctx, path, copied)
	if rawErr != nil {
		return t, nil, errors.Join(explain(path, err), rawErr)
	}
	findings := []source.Finding{finding(source.Bad, "raw", path, "error", err.Error())}
	if lost > 0 {
		findings = append(findings, finding(source.Bad, "lost_bytes", path, "bytes", lost, "size", source.SizeText(lost)))
	}
	return taken{asOf: asOf, way: WayRaw, journal: t.journal}, findings, nil
}

// handOver puts the copy, and for a raw one its companions, into the snapshot
// under the mode and time of the original. It comes before the inspection, for
// opening a raw copy would change it.
func handOver(ctx context.Context, sink source.Sink, db *Database, copied string, original os.FileInfo) error {
	names := []string{""}
	if db.Way == WayRaw {
		names = append(names, companions...)
	}
	for _, name := range names {
		size := sizeOf(copied + name)
		if size < 0 {
			continue
		}
		if name == "" {
			db.Size = size
		} else {
			db.Companions = append(db.Companions, db.Name+name)
		}
		entry := source.Entry{
			Path: folder + "/" + db.Name + name, Mode: original.Mode().Perm(), ModTime: original.ModTime(), Size: size,
		}
		if err := putFile(ctx, sink, entry, copied+name); err != nil {
			return err
		}
	}
	return nil
}

func putFile(ctx context.Context, sink source.Sink, entry source.Entry, path string) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read the copy: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return sink.Put(ctx, entry, f)
}

// clearScratch frees scratch for the next database; the sink deletes the folder.
func clearScratch(copied string) error {
	var errs []error
	for _, name := range append([]string{"", "-shm"}, companions...) {
		if err := os.Remove(copied + name); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, fmt.Errorf("clear scratch: %w", err))
		}
	}
	return errors.Join(errs...)
}

// roomFor refuses a copy that scratch cannot hold, before it fills the disk.
func roomFor(size int64, scratch string) error {
	free, known := source.Free(scratch)
	if known && size > 0 && free < uint64(size)+uint64(size)/20 {
		return fmt.Errorf("the copy needs %d bytes, scratch folder %s has %d free: %w", size, scratch, free, backup.ErrStorageFull)
	}
	return nil
}

// sizeOf is the size of a file, -1 when it is not there.
func sizeOf(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return -1
	}
	return info.Size()
}
