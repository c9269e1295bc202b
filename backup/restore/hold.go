package restore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"
)

// trait is something of an entry, beside its content, that a target may not be
// able to hold: USB disks with FAT, shares of a server, other people's mounts.
type trait int

const (
	owners trait = iota
	modes
	moments
	seconds // names of one file
	traits
)

var traitWords = [traits]string{"owner", "mode", "time", "second name of a file, so it is a copy"}

// lack is how often something could not be held, and where first.
type lack struct {
	count int64
	path  string
	err   error
}

// held passes an error on, unless it says that the target cannot hold what was
// to be set: that is told once, and the entry stays. A document without its owner
// is a document.
func (r *run) held(w trait, path func() string, err error) error {
	if err == nil {
		return nil
	}
	if !lacking(err) {
		return fmt.Errorf("set %s: %w", traitWords[w], err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if l := &r.lacks[w]; l.count == 0 {
		*l = lack{1, path(), err}
	} else {
		l.count++
	}
	return nil
}

// tellLacks puts what the target cannot hold on the list of what was left out.
func (r *run) tellLacks() {
	for w, l := range r.lacks {
		if l.count > 0 {
			r.result.Skipped = append(r.result.Skipped, Problem{l.path, fmt.Errorf(
				"%s: the target cannot hold it; so it is with %d entries in all: %w", traitWords[w], l.count, l.err)})
		}
	}
}

// abilities are what a target makes of names, modes and times.
type abilities struct {
	folds   bool          // takes capital and small letters in names for the same
	noModes bool          // makes up modes
	noLinks bool          // has no symbolic links
	grain   time.Duration // of times
}

// probeName is a file that is made to learn them, and removed.
const probeName = markName + ".probe"

// probe learns what the target does with names, modes and times: its kernel may
// not know, as a server or a driver decides.
func (r *run) probe(root *os.Root) {
	r.able.grain = finest
	if !r.marked {
		return // nothing may be in the target that is not the snapshot's
	}
	f, err := root.OpenFile(probeName, os.O_CREATE|os.O_WRONLY, secret)
	if err != nil || f.Close() != nil {
		return // what is wrong shows with the first file
	}
	r.able = probed(root)
	if err := root.Remove(probeName); err != nil {
		r.problem(probeName, err)
	}
	r.portable = r.portable || r.able.folds
	for _, l := range []struct {
		lacks bool
		what  string
	}{
		{r.able.folds, "the target takes capital and small letters in names for the same; of names that differ in nothing else all but one are written otherwise"},
		{r.able.noModes && finest == time.Nanosecond, "the target makes up modes"},
		{r.able.grain >= time.Millisecond, fmt.Sprintf("the target keeps times to %v", r.able.grain)},
	} {
		if l.lacks {
			r.skip("/", errors.New(l.what))
		}
	}
}

func probed(root *os.Root) abilities {
	a := abilities{grain: finest}
	_, err := root.Lstat(strings.ToUpper(probeName))
	a.folds = err == nil
	const mode fs.FileMode = 0o640
	when := time.Date(2001, 2, 3, 4, 5, 7, 123456789, time.UTC)
	chmod, chtimes := root.Chmod(probeName, mode), root.Chtimes(probeName, when, when)
	info, err := root.Lstat(probeName)
	if err != nil {
		return a
	}
	a.noModes = chmod != nil || info.Mode().Perm() != mode
	if chtimes == nil {
		a.grain = grainOf(when, info.ModTime())
	}
	return a
}

// folds tells the same of a folder that has something in it, by what stands
// there already.
func folds(root *os.Root) bool {
	dir, err := root.Open(".")
	if err != nil {
		return false
	}
	names, err := dir.Readdirnames(-1)
	if err = errors.Join(err, dir.Close()); err != nil {
		return false
	}
	for _, name := range names {
		other := strings.ToUpper(name)
		if other == name {
			other = strings.ToLower(name)
		}
		if other != name && !slices.Contains(names, other) {
			_, err := root.Lstat(other)
			return err == nil
		}
	}
	return false
}

// grainOf tells how coarse times are of which one came back so.
func grainOf(want, got time.Time) time.Duration {
	const coarsest = 2 * time.Second // FAT
	for _, g := range []time.Duration{finest, 100, time.Microsecond, time.Millisecond, 10 * time.Millisecond, time.Second} {
		if sameMoment(want, got, g) {
			return g
		}
	}
	return coarsest
}

// sameMoment compares times as finely as the target keeps them.
func sameMoment(want, got time.Time, grain time.Duration) bool {
	return want.Truncate(grain).Equal(got.Truncate(grain))
}
