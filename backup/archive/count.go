package archive

import (
	"sync/atomic"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/snapshot"
)

// fate says what became of a file or folder, compared with the parent.
type fate int

const (
	fresh fate = iota
	changed
	same
)

// counts is what the summary tells, gathered by all workers.
type counts struct {
	files, dirs  [3]atomic.Uint64
	bytes        atomic.Uint64
	seen, volume atomic.Int64 // files and bytes the walk has met so far
	expected     int64        // files the parent had; the bar's first guess
}

func (c *counts) file(f fate, size uint64) {
	c.files[f].Add(1)
	c.bytes.Add(size)
}

// same counts files that were taken over with their folder.
func (c *counts) same(files, bytes int64) {
	c.files[same].Add(uint64(files))
	c.bytes.Add(uint64(bytes))
}

func (c *counts) summary(w repository.WriteStats) snapshot.Summary {
	files := [3]uint64{c.files[fresh].Load(), c.files[changed].Load(), c.files[same].Load()}
	return snapshot.Summary{
		FilesNew: files[fresh], FilesChanged: files[changed], FilesUnmodified: files[same],
		DirsNew: c.dirs[fresh].Load(), DirsChanged: c.dirs[changed].Load(), DirsUnmodified: c.dirs[same].Load(),
		DataBlobs: w.DataBlobs, TreeBlobs: w.TreeBlobs,
		DataAdded: uint64(w.DataBytes + w.TreeBytes), DataAddedPacked: uint64(w.Packed),
		TotalFilesProcessed: files[fresh] + files[changed] + files[same],
		TotalBytesProcessed: c.bytes.Load(),
	}
}

// met tells the progress how much there is. The parent gives the first guess;
// there is no second walk only for the bar. Without a parent the walk is never
// far ahead of the reading, so how many bytes there are is not said at all.
func (c *counts) met(p backup.Progress, files, bytes int64) {
	seen, volume := c.seen.Add(files), c.volume.Add(bytes)
	switch {
	case files == 0 || seen <= c.expected:
	case c.expected == 0:
		p.Total(seen, 0)
	default:
		p.Total(seen, volume)
	}
}
