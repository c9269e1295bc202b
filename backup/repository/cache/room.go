package cache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"emrvault/backup"
)

// room watches over the limit of all caches below a folder.
type room struct {
	root  string
	limit int64

	mu     sync.Mutex
	looked bool  // the folder has been looked at
	used   int64 // bytes it had then, plus what this process wrote since
	fresh  int64 // what this process wrote since
	shut   bool  // the disk takes no more; nothing is tried again
}

const (
	block    = 4096 // what a file takes on a disk is a multiple of this
	leftover = time.Hour
)

var errFull = fmt.Errorf("the cache is full: %w", backup.ErrStorageFull)

// held is a file below the folder of all caches.
type held struct {
	path string
	size int64
	used time.Time
	stay bool // it is never evicted
}

func onDisk(size int64) int64 { return (size + block - 1) / block * block }

// make sets room aside for a file. Seven eighths of the limit count as full,
// so that processes that do not know of each other stay below it together, and
// eviction goes down to three quarters, so that it is rare.
func (r *room) make(length int64, now time.Time) error {
	length = onDisk(length)
	r.mu.Lock()
	defer r.mu.Unlock()
	full := r.limit / 8 * 7
	if r.shut || length > full {
		return errFull
	}
	if !r.looked || r.fresh+length > r.limit/64 || r.used+length > full {
		files := r.look(now)
		if r.used+length > full {
			r.evict(files, max(0, min(r.limit/4*3, full-length)))
		}
		if r.used+length > full {
			return errFull
		}
	}
	r.used += length
	r.fresh += length
	return nil
}

// refused notes that the disk did not take a file. A full disk is left alone
// from then on: the main work needs what little there is.
func (r *room) refused(err error) {
	var rename *os.LinkError // somebody else holds that one file open
	if errors.Is(err, errFull) || errors.As(err, &rename) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shut = true
}

// look lists all files, and removes what writers have left behind.
func (r *room) look(now time.Time) []held {
	var files []held
	r.used, r.fresh, r.looked = 0, 0, true
	// What cannot be read now is looked at the next time.
	_ = filepath.WalkDir(r.root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return nil //nolint:nilerr // As above.
		}
		info, err := e.Info()
		if err != nil {
			return nil //nolint:nilerr // It is gone.
		}
		f := held{path: path, size: onDisk(info.Size()), used: info.ModTime()}
		f.stay = filepath.Base(filepath.Dir(path)) == string(State)
		if strings.HasPrefix(e.Name(), tempMark) {
			f.stay = true // it is being written
		}
		files = append(files, f)
		return nil
	})
	files = slices.DeleteFunc(files, func(f held) bool {
		left := strings.HasPrefix(filepath.Base(f.path), tempMark) && now.Sub(f.used) > leftover
		return left && os.Remove(f.path) == nil
	})
	for _, f := range files {
		r.used += f.size
	}
	return files
}

// evict removes what was not used for longest until no more than goal is used.
func (r *room) evict(files []held, goal int64) {
	slices.SortFunc(files, func(a, b held) int { return a.used.Compare(b.used) })
	for _, f := range files {
		if r.used <= goal {
			return
		}
		if f.stay || filepath.Dir(f.path) == r.root {
			continue
		}
		if err := os.Remove(f.path); err == nil || errors.Is(err, fs.ErrNotExist) {
			r.used -= f.size
			_ = os.Remove(filepath.Dir(f.path)) // if nothing is left in it
		}
	}
}

// sweep tidies up after those who were killed, and makes room if the limit has
// been lowered.
func (r *room) sweep(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	files := r.look(now)
	if full := r.limit / 8 * 7; r.used > full {
		r.evict(files, r.limit/4*3)
	}
}
