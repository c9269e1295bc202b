package restore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"emrvault/backup/snapshot"
)

// folder is a folder of the target.
type folder struct {
	up    *folder // nil for the target itself
	name  string
	path  string // in the snapshot, for people
	node  *snapshot.Node
	old   bool // it was there before: names in it may be taken
	made  bool
	wrong error // why it could not be made
}

// rel is the path below the target.
func (f *folder) rel() string {
	if f.up == nil {
		return "."
	}
	if f.up.up == nil {
		return f.name
	}
	return f.up.rel() + string(filepath.Separator) + f.name
}

// maxOpenFolders bounds the descriptors that places keeps.
const maxOpenFolders = 128

// places opens folders of the target. Every step goes through os.Root, so no
// link, old or new, leads out of it; an open folder spares the way from the
// target down for each file in it.
type places struct {
	root *os.Root
	mu   sync.Mutex
	open map[*folder]*place
	tick int
}

// place is an open folder in use by refs workers.
type place struct {
	dir    *os.Root
	handle *os.File // the same folder, for calls that want a descriptor
	fd     int      // of handle
	refs   int
	used   int
}

func newPlaces(root *os.Root) *places { return &places{root: root, open: map[*folder]*place{}} }

// take opens a folder that exists; give it back.
func (p *places) take(f *folder) (*place, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tick++
	if at, ok := p.open[f]; ok {
		at.refs++
		at.used = p.tick
		return at, nil
	}
	if err := p.shrink(); err != nil {
		return nil, err
	}
	dir, err := p.root.OpenRoot(f.rel())
	if err != nil {
		return nil, fmt.Errorf("open folder: %w", err)
	}
	handle, err := dir.Open(".")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open folder: %w", err), dir.Close())
	}
	at := &place{dir: dir, handle: handle, fd: int(handle.Fd()), refs: 1, used: p.tick}
	p.open[f] = at
	return at, nil
}

func (p *places) give(f *folder) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at, ok := p.open[f]; ok {
		at.refs--
	}
}

// shrink closes the folder that was idle for longest when there are too many.
func (p *places) shrink() error {
	if len(p.open) < maxOpenFolders {
		return nil
	}
	var oldest *folder
	for f, at := range p.open {
		if at.refs == 0 && (oldest == nil || at.used < p.open[oldest].used) {
			oldest = f
		}
	}
	if oldest == nil {
		return nil
	}
	at := p.open[oldest]
	delete(p.open, oldest)
	return at.close()
}

func (at *place) close() error { return errors.Join(at.handle.Close(), at.dir.Close()) }

func (p *places) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, at := range p.open {
		errs = append(errs, at.close())
	}
	p.open = nil
	return errors.Join(append(errs, p.root.Close())...)
}

// make makes a folder and those above it. Something else of that name, a link
// to a folder among it, gives way.
func (p *places) make(f *folder) error {
	if f.made || f.wrong != nil {
		return f.wrong
	}
	if f.up == nil {
		f.made, f.old = true, true
		return nil
	}
	if err := p.make(f.up); err != nil {
		f.wrong = fmt.Errorf("folder above: %w", err)
		return f.wrong
	}
	f.old, f.wrong = p.makeIn(f)
	f.made = f.wrong == nil
	return f.wrong
}

func (p *places) makeIn(f *folder) (old bool, err error) {
	up, err := p.take(f.up)
	if err != nil {
		return false, err
	}
	defer p.give(f.up)
	err = up.dir.Mkdir(f.name, private)
	if !errors.Is(err, fs.ErrExist) {
		return false, err
	}
	info, err := up.dir.Lstat(f.name)
	if err != nil {
		return false, err
	}
	if info.IsDir() {
		return true, nil
	}
	if err := up.dir.Remove(f.name); err != nil {
		return false, err
	}
	return false, up.dir.Mkdir(f.name, private)
}

// clear makes room for an entry in a folder that was there before.
func (at *place) clear(f *folder, name string) error {
	if !f.old {
		return nil
	}
	if err := at.dir.RemoveAll(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("replace it: %w", err)
	}
	return nil
}
